//! Where each token is in time, height and width: the positions of the multimodal rotary embedding.

use candle_core::{Device, Tensor};

use super::{GridThw, ProcessorError, TokenizedPrompt};

/// `position_ids` of one prompt with one image.
///
/// Text counts up alike on all three axes. The image's tokens all have the time at which the image begins (in HF a
/// still image lasts 0 seconds) and their row and column in the merged grid on top of it. Text goes on after the
/// largest position so far. Follows `Qwen2_5_VLModel.get_rope_index`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MropePositions {
    time: Vec<u32>,
    height: Vec<u32>,
    width: Vec<u32>,
    rope_delta: i64,
}

impl MropePositions {
    /// Positions of the tokens of `prompt`, whose image has the patches of `grid`, merged in blocks of `merge_size`.
    ///
    /// # Errors
    /// [`ProcessorError::ImageTokenCount`] when the prompt has another number of image tokens than the grid.
    pub fn new(prompt: &TokenizedPrompt, grid: GridThw, merge_size: usize) -> Result<Self, ProcessorError> {
        let expected = grid.image_tokens(merge_size);
        if prompt.image_tokens != expected {
            return Err(ProcessorError::ImageTokenCount { expected, found: prompt.image_tokens });
        }
        let (rows, columns) = (grid.h / merge_size, grid.w / merge_size);
        let start = prompt.image_start as u32;
        let after_image = start + rows.max(columns).max(1) as u32;
        let text_after = prompt.len().saturating_sub(prompt.image_start + prompt.image_tokens) as u32;
        let text = || (0..start).chain(after_image..after_image + text_after);

        let cells =
            || (0..grid.t).flat_map(|_| (0..rows as u32).flat_map(|y| (0..columns as u32).map(move |x| (y, x))));
        let with_image = |image: &mut dyn Iterator<Item = u32>| {
            let mut positions: Vec<u32> = text().collect();
            positions.splice(prompt.image_start..prompt.image_start, image.map(|offset| start + offset));
            positions
        };
        Ok(Self {
            time: with_image(&mut cells().map(|_| 0)),
            height: with_image(&mut cells().map(|(y, _)| y)),
            width: with_image(&mut cells().map(|(_, x)| x)),
            rope_delta: i64::from(after_image) + i64::from(text_after) - prompt.len() as i64,
        })
    }

    /// The axes in the order of HF's rows: time, height, width; each as long as the prompt.
    pub fn axes(&self) -> [&[u32]; 3] {
        [&self.time, &self.height, &self.width]
    }

    /// Largest position + 1 - number of tokens: what a token after the prompt would be off from its index.
    pub fn rope_delta(&self) -> i64 {
        self.rope_delta
    }

    /// `position_ids` as a u32 tensor `[3, L]`.
    ///
    /// # Errors
    /// What candle says.
    pub fn to_tensor(&self, device: &Device) -> candle_core::Result<Tensor> {
        Tensor::from_vec(self.axes().concat(), (3, self.time.len()), device)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn prompt(image_start: usize, image_tokens: usize, length: usize) -> TokenizedPrompt {
        TokenizedPrompt { input_ids: vec![0; length], image_start, image_tokens }
    }

    #[test]
    fn text_image_text() {
        let grid = GridThw { t: 1, h: 4, w: 6 };
        let positions = MropePositions::new(&prompt(2, 6, 10), grid, 2).unwrap();
        let [time, height, width] = positions.axes();
        assert_eq!(time, [0, 1, 2, 2, 2, 2, 2, 2, 5, 6]);
        assert_eq!(height, [0, 1, 2, 2, 2, 3, 3, 3, 5, 6]);
        assert_eq!(width, [0, 1, 2, 3, 4, 2, 3, 4, 5, 6]);
        assert_eq!(positions.rope_delta(), 7 - 10);
    }

    #[test]
    fn a_tall_image_takes_its_height() {
        let positions = MropePositions::new(&prompt(0, 3, 4), GridThw { t: 1, h: 3, w: 1 }, 1).unwrap();
        let [time, height, width] = positions.axes();
        assert_eq!((time, height, width), ([0, 0, 0, 3].as_slice(), [0, 1, 2, 3].as_slice(), [0, 0, 0, 3].as_slice()));
    }

    #[test]
    fn prompt_and_image_must_agree() {
        let err = MropePositions::new(&prompt(2, 5, 10), GridThw { t: 1, h: 4, w: 6 }, 2).unwrap_err();
        assert!(matches!(err, ProcessorError::ImageTokenCount { expected: 6, found: 5 }));
    }
}
