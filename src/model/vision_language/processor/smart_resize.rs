//! Which size an image is resized to before it is cut into patches.

use super::ProcessorError;

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSize {
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
}

/// Sides longer than this many times the other one are refused, as in HF.
const MAX_ASPECT_RATIO: f64 = 200.0;

/// HF's `smart_resize` (`transformers/models/qwen2_vl/image_processing_qwen2_vl.py`) to the bit: both sides become
/// multiples of `factor`, the area stays within `[min_pixels, max_pixels]` as far as the rounding allows, the aspect
/// ratio is kept roughly.
///
/// Rounding is Python's: halves go to the even multiple.
///
/// # Errors
/// [`ProcessorError::AspectRatio`] when one side is more than 200 times the other.
pub fn smart_resize(
    size: ImageSize,
    factor: u32,
    min_pixels: u64,
    max_pixels: u64,
) -> Result<ImageSize, ProcessorError> {
    let ImageSize { width, height } = size;
    let (w, h, factor) = (f64::from(width), f64::from(height), f64::from(factor));
    let aspect_ratio = w.max(h) / w.min(h);
    // 0x0 has no ratio at all.
    if aspect_ratio.is_nan() || aspect_ratio > MAX_ASPECT_RATIO {
        return Err(ProcessorError::AspectRatio { width, height });
    }
    let (min_pixels, max_pixels) = (min_pixels as f64, max_pixels as f64);

    let rounded = [w, h].map(|side| (side / factor).round_ties_even() * factor);
    let area = rounded.iter().product::<f64>();
    let [w, h] = if area > max_pixels {
        let beta = (w * h / max_pixels).sqrt();
        [w, h].map(|side| ((side / beta / factor).floor() * factor).max(factor))
    } else if area < min_pixels {
        let beta = (min_pixels / (w * h)).sqrt();
        [w, h].map(|side| (side * beta / factor).ceil() * factor)
    } else {
        rounded
    };
    Ok(ImageSize { width: w as u32, height: h as u32 })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const fn size((width, height): (u32, u32)) -> ImageSize {
        ImageSize { width, height }
    }

    /// (width, height), factor, min_pixels, max_pixels, (width, height) after.
    type Case = ((u32, u32), u32, u64, u64, (u32, u32));

    /// Computed with the Python function.
    const BY_PYTHON: &[Case] = &[
        ((600, 400), 28, 3136, 12845056, (588, 392)),
        ((600, 400), 28, 240000, 240000, (616, 420)),
        ((600, 400), 28, 200704, 301056, (588, 392)),
        ((520, 380), 28, 3136, 12845056, (532, 392)),
        ((520, 380), 28, 240000, 240000, (588, 420)),
        ((42, 70), 28, 3136, 12845056, (56, 56)),
        ((14, 14), 28, 3136, 12845056, (56, 56)),
        ((98, 126), 28, 3136, 12845056, (112, 112)),
        ((1, 200), 28, 3136, 12845056, (28, 812)),
        ((1, 1), 28, 3136, 12845056, (56, 56)),
        ((13, 27), 28, 1, 12845056, (28, 28)),
        ((8192, 8192), 28, 3136, 12845056, (3584, 3584)),
        ((8192, 41), 28, 3136, 12845056, (8204, 28)),
        ((4096, 21), 28, 3136, 50176, (3108, 28)),
        ((1920, 1080), 28, 3136, 1003520, (1316, 728)),
        ((1000, 700), 32, 65536, 262144, (608, 416)),
        ((601, 399), 28, 3136, 235199, (588, 392)),
        ((224, 224), 28, 50176, 50176, (224, 224)),
        ((300, 301), 28, 90000, 90300, (280, 280)),
        ((210, 238), 28, 3136, 12845056, (224, 224)),
    ];

    #[test]
    fn agrees_with_python() {
        for &(from, factor, min, max, to) in BY_PYTHON {
            assert_eq!(smart_resize(size(from), factor, min, max).unwrap(), size(to), "{from:?} {factor} {min} {max}");
        }
    }

    #[test]
    fn refuses_strips_and_nothing() {
        assert!(smart_resize(size((200, 1)), 28, 3136, 12_845_056).is_ok());
        for strip in [(201, 1), (1, 201), (0, 5), (5, 0), (0, 0)] {
            let err = smart_resize(size(strip), 28, 3136, 12_845_056).unwrap_err();
            assert!(matches!(err, ProcessorError::AspectRatio { .. }), "{strip:?}");
        }
    }

    proptest! {
        #[test]
        fn sides_are_positive_multiples(w in 1u32..4000, h in 1u32..4000, min in 1u64..500_000, extra in 0u64..500_000) {
            prop_assume!(f64::from(w.max(h)) / f64::from(w.min(h)) <= 200.0);
            let to = smart_resize(size((w, h)), 28, min, min + extra).unwrap();
            prop_assert!(to.width >= 28 && to.width.is_multiple_of(28));
            prop_assert!(to.height >= 28 && to.height.is_multiple_of(28));
        }
    }
}
