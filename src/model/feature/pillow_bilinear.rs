//! Pillow's bilinear resize, bit for bit.

use planner_tuner_core::frame::Frame;

/// Fractional bits of the weights (Pillow's `PRECISION_BITS`, libImaging/Resample.c).
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// Weights of the source pixels that make one target pixel.
#[derive(Debug)]
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// Resizes with a triangle filter that widens when the image shrinks; width first, rounded to bytes in between.
///
/// Libraries with 16-bit weights are off by one in about one byte of ten thousand, which the history encoder's first
/// layers turn into a visible part of the feature.
#[derive(Debug, Default)]
pub struct PillowBilinear {
    from: (u32, u32),
    columns: Vec<Taps>,
    rows: Vec<Taps>,
    widened: Vec<u8>,
    resized: Vec<u8>,
}

impl PillowBilinear {
    /// The frame as a square of `side` pixels: rows of (red, green, blue) bytes, valid until the next call.
    pub fn resize(&mut self, frame: &Frame, side: u32) -> &[u8] {
        let from = (frame.width(), frame.height());
        if self.from != from || self.rows.len() != side as usize {
            self.from = from;
            self.columns = taps(from.0, side);
            self.rows = taps(from.1, side);
        }
        self.widened.clear();
        for row in frame.rgb().chunks_exact(from.0 as usize * 3) {
            let (pixels, _) = row.as_chunks::<3>();
            self.widened.extend(self.columns.iter().flat_map(|taps| weigh_pixels(pixels, taps)));
        }
        self.resized.clear();
        let stride = side as usize * 3;
        let mut sums = vec![0; stride];
        for taps in &self.rows {
            sums.fill(rounding());
            let rows = self.widened.chunks_exact(stride).skip(taps.first);
            for (row, weight) in rows.zip(&taps.weights) {
                sums.iter_mut().zip(row).for_each(|(sum, &byte)| *sum += i32::from(byte) * weight);
            }
            self.resized.extend(sums.iter().map(|&sum| to_byte(sum)));
        }
        &self.resized
    }
}

fn weigh_pixels(pixels: &[[u8; 3]], taps: &Taps) -> [u8; 3] {
    let mut sums = [rounding(); 3];
    for (pixel, weight) in pixels.iter().skip(taps.first).zip(&taps.weights) {
        sums.iter_mut().zip(pixel).for_each(|(sum, &byte)| *sum += i32::from(byte) * weight);
    }
    sums.map(to_byte)
}

/// Half a unit, so that the shift rounds.
fn rounding() -> i32 {
    1 << (PRECISION_BITS - 1)
}

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc` for the triangle filter.
fn taps(from: u32, to: u32) -> Vec<Taps> {
    let scale = f64::from(from) / f64::from(to);
    let support = scale.max(1.0);
    let taps_at = |target: u32| {
        let center = (f64::from(target) + 0.5) * scale;
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(from as usize);
        let weights: Vec<f64> =
            (first..end).map(|source| (1.0 - ((source as f64 - center + 0.5) / support).abs()).max(0.0)).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: &f64| (0.5 + weight / sum * f64::from(1 << PRECISION_BITS)) as i32;
        Taps { first, weights: weights.iter().map(fixed).collect() }
    };
    (0..to).map(taps_at).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_constant_stays_constant_at_any_size() {
        for (width, height, side) in [(7, 5, 3), (3, 4, 9), (600, 400, 224), (1, 1, 2), (9, 9, 9)] {
            let frame = Frame::from_rgb8(width, height, [0, 128, 255].repeat((width * height) as usize)).unwrap();
            let mut resizer = PillowBilinear::default();
            assert_eq!(resizer.resize(&frame, side), [0, 128, 255].repeat((side * side) as usize));
        }
    }

    #[test]
    fn halving_weighs_as_pillow_does() {
        // Image.fromarray(np.uint8([[0, 40, 80, 255]])).resize((2, 2), BILINEAR) is [[29, 149], [29, 149]] in Pillow 12.
        let rgb: Vec<u8> = [0, 40, 80, 255].into_iter().flat_map(|value| [value; 3]).collect();
        let frame = Frame::from_rgb8(4, 1, rgb).unwrap();
        let mut resizer = PillowBilinear::default();
        let values: Vec<u8> = resizer.resize(&frame, 2).iter().step_by(3).copied().collect();
        assert_eq!(values, [29, 149, 29, 149]);
    }
}
