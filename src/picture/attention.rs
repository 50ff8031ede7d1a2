//! Where the model looks, laid over the picture it looked at.

use crate::feature::AttentionMap;
use crate::frame::Frame;

use super::PictureError;

/// Colours from weak to strong attention. Violet to yellow: none of them is a colour of the costmap picture, and dark to
/// light reads without colour vision.
const HEAT: [[f32; 3]; 5] =
    [[94.0, 60.0, 190.0], [150.0, 40.0, 175.0], [214.0, 60.0, 130.0], [250.0, 140.0, 60.0], [250.0, 225.0, 60.0]];
/// Share of the heat colour in a pixel of full attention; the drawing stays visible below it.
const STRONGEST: f32 = 0.72;
/// Attention is peaked: this exponent keeps half-strong places visible.
const EXPONENT: f32 = 0.6;

/// The frame under a heat map of the attention weights, which are interpolated between the centres of their tokens and
/// normalised to the largest. A map without a positive weight leaves the frame as it is.
///
/// # Errors
/// None in practice; the picture has the size of `frame`.
pub fn attention_overlay(frame: &Frame, attention: &AttentionMap) -> Result<Frame, PictureError> {
    let strongest = attention.weights().iter().copied().filter(|weight| weight.is_finite()).fold(0.0, f32::max);
    let (width, height) = (frame.width(), frame.height());
    if strongest <= 0.0 {
        return Ok(frame.clone());
    }
    let columns = Between::pixels(width, attention.cols());
    let rows = Between::pixels(height, attention.rows());
    let mut rgb = frame.rgb().to_vec();
    for (pixels, row) in rgb.chunks_exact_mut(width as usize * 3).zip(&rows) {
        let token_row =
            |index: usize| attention.weights().chunks_exact(attention.cols()).nth(index).unwrap_or_default();
        let (above, below) = (token_row(row.before), token_row(row.after));
        for (pixel, column) in pixels.chunks_exact_mut(3).zip(&columns) {
            let weight = row.mix(column.of(above), column.of(below));
            blend(pixel, (weight / strongest).clamp(0.0, 1.0).powf(EXPONENT));
        }
    }
    Ok(Frame::from_rgb8(width, height, rgb)?)
}

/// The two tokens that a pixel lies between, and how near it is to the second.
struct Between {
    before: usize,
    after: usize,
    share: f32,
}

impl Between {
    fn pixels(pixels: u32, tokens: usize) -> Vec<Self> {
        let last = tokens.saturating_sub(1);
        let place = |pixel: u32| {
            let token = (pixel as f32 + 0.5) / pixels as f32 * tokens as f32 - 0.5;
            let before = token.clamp(0.0, last as f32).floor();
            let (before, share) = (before as usize, (token - before).clamp(0.0, 1.0));
            Self { before, after: (before + 1).min(last), share }
        };
        (0..pixels).map(place).collect()
    }

    fn mix(&self, before: f32, after: f32) -> f32 {
        before + (after - before) * self.share
    }

    fn of(&self, weights: &[f32]) -> f32 {
        let weight = |index| weights.get(index).copied().filter(|weight: &f32| weight.is_finite()).unwrap_or(0.0);
        self.mix(weight(self.before), weight(self.after))
    }
}

/// Lays heat of a strength in 0..=1 over a pixel.
fn blend(pixel: &mut [u8], strength: f32) {
    let step = strength * (HEAT.len() - 1) as f32;
    let colour = |index: f32| HEAT.get(index as usize).copied().unwrap_or_default();
    let (weak, strong) = (colour(step.floor()), colour(step.ceil()));
    for ((value, weak), strong) in pixel.iter_mut().zip(weak).zip(strong) {
        let heat = weak + (strong - weak) * step.fract();
        let old = f32::from(*value);
        *value = (old + (heat - old) * strength * STRONGEST).round() as u8;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn grey(width: u32, height: u32) -> Frame {
        Frame::from_rgb8(width, height, vec![205; width as usize * height as usize * 3]).unwrap()
    }

    #[test]
    fn heat_lies_where_the_weight_is() {
        let mut weights = vec![0.0; 14 * 21];
        weights[3 * 21 + 5] = 0.4;
        let overlay = attention_overlay(&grey(567, 378), &AttentionMap::new(14, 21, weights).unwrap()).unwrap();
        let pixel = |x: usize, y: usize| &overlay.rgb()[(y * 567 + x) * 3..][..3];
        // Tokens of 27x27 pixels: this one's centre is the middle of pixel (148, 94).
        assert_eq!(pixel(148, 94), [237, 219, 101], "strongest colour at the centre of the token");
        assert_eq!(pixel(148 + 27, 94), [205; 3], "nothing beyond the centre of the neighbour");
        assert_eq!(pixel(400, 300), [205; 3]);
    }

    #[test]
    fn a_map_without_weights_changes_nothing() {
        for weight in [0.0, f32::NAN, f32::NEG_INFINITY] {
            let frame = grey(30, 20);
            let map = AttentionMap::new(2, 3, vec![weight; 6]).unwrap();
            assert!(attention_overlay(&frame, &map).unwrap() == frame);
        }
    }

    #[test]
    fn odd_sizes_and_single_tokens_work() {
        for (width, height, rows, cols) in [(1, 1, 14, 21), (7, 3, 1, 1), (520, 380, 13, 18)] {
            let map = AttentionMap::new(rows, cols, vec![0.1; rows * cols]).unwrap();
            let overlay = attention_overlay(&grey(width, height), &map).unwrap();
            assert!(overlay.rgb().chunks(3).all(|pixel| pixel == &overlay.rgb()[..3]), "even weights, even heat");
        }
    }
}
