//! The resized image, normalised and cut into patches in the order in which the vision tower merges them.

use candle_core::{Device, Tensor};

use super::{ImageSize, PreprocessorConfig, ProcessorError};

const CHANNELS: usize = 3;

/// `image_grid_thw`: how many patches an image has in time, height and width, before merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GridThw {
    /// Patches in time: 1 for a still image.
    pub t: usize,
    /// Rows of patches.
    pub h: usize,
    /// Patches in a row.
    pub w: usize,
}

impl GridThw {
    /// Rows of the vision tower's input.
    pub fn patches(self) -> usize {
        self.t * self.h * self.w
    }

    /// Tokens that the image takes in the prompt, when blocks of `merge_size * merge_size` patches become one each.
    pub fn image_tokens(self, merge_size: usize) -> usize {
        self.t * (self.h / merge_size) * (self.w / merge_size)
    }
}

/// An image ready for the vision tower.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessedImage {
    patches: Vec<f32>,
    grid: GridThw,
    patch_size: usize,
    temporal_patch_size: usize,
    merge_size: usize,
}

impl ProcessedImage {
    /// Normalised patches, row-major `[grid.patches(), 3 * patch * patch]`, a row ordered as (channel, y, x).
    ///
    /// Rows follow each other in merge order: the patches of one block, then the next block. A still image is the same
    /// at every time, so the time axis of HF's rows is left out; [`Self::pixel_values`] has it.
    pub fn patches(&self) -> &[f32] {
        &self.patches
    }

    /// Numbers in a row of [`Self::patches`]: `3 * patch * patch`.
    pub fn row_len(&self) -> usize {
        CHANNELS * self.patch_size * self.patch_size
    }

    /// `image_grid_thw`.
    pub fn grid(&self) -> GridThw {
        self.grid
    }

    /// Tokens that the image takes in the prompt.
    pub fn image_tokens(&self) -> usize {
        self.grid.image_tokens(self.merge_size)
    }

    /// HF's `pixel_values`: row-major `[grid.patches(), 3 * temporal * patch * patch]`, a row ordered as (channel,
    /// time, y, x).
    pub fn pixel_values(&self) -> Vec<f32> {
        let plane = self.patch_size * self.patch_size;
        let mut values = Vec::with_capacity(self.patches.len() * self.temporal_patch_size);
        for channel in self.patches.chunks_exact(plane) {
            for _ in 0..self.temporal_patch_size {
                values.extend_from_slice(channel);
            }
        }
        values
    }

    /// [`Self::patches`] as an f32 tensor `[grid.patches(), 3 * patch * patch]`.
    ///
    /// # Errors
    /// What candle says, for example when the device is out of memory.
    pub fn to_tensor(&self, device: &Device) -> candle_core::Result<Tensor> {
        Tensor::from_slice(&self.patches, (self.grid.patches(), self.row_len()), device)
    }
}

/// Cuts resized images. Holds the 256 values that a byte can become in each channel.
#[derive(Debug, Clone)]
pub(super) struct PatchCutter {
    normalised: [[f32; 256]; CHANNELS],
    patch_size: usize,
    temporal_patch_size: usize,
    merge_size: usize,
}

impl PatchCutter {
    pub(super) fn new(config: &PreprocessorConfig) -> Self {
        let [mean, std] = [config.image_mean(), config.image_std()].map(|values| values.map(|v| v * 255.0));
        let mut normalised = [[0.0; 256]; CHANNELS];
        for ((table, mean), std) in normalised.iter_mut().zip(mean).zip(std) {
            for (value, byte) in table.iter_mut().zip(0u8..=255) {
                // (byte/255 - mean)/std, rounded as the fast processor does it: 255 moved into mean and std.
                *value = (f32::from(byte) - mean) / std;
            }
        }
        Self {
            normalised,
            patch_size: config.patch_size() as usize,
            temporal_patch_size: config.temporal_patch_size() as usize,
            merge_size: config.merge_size() as usize,
        }
    }

    /// Cuts rows of (red, green, blue) bytes; `size` must be theirs.
    pub(super) fn cut(&self, rgb: &[u8], size: ImageSize) -> Result<ProcessedImage, ProcessorError> {
        let (width, height) = (size.width as usize, size.height as usize);
        let factor = self.patch_size * self.merge_size;
        if width == 0 || height == 0 || width % factor != 0 || height % factor != 0 || rgb.len() != width * height * 3 {
            let ImageSize { width, height } = size;
            return Err(ProcessorError::PatchGrid { width, height, factor: factor as u32 });
        }
        let grid = GridThw { t: 1, h: height / self.patch_size, w: width / self.patch_size };
        let row_len = CHANNELS * self.patch_size * self.patch_size;
        let mut patches = vec![0.0; grid.patches() * row_len];

        // A band is one row of blocks: `factor` lines of pixels, and the patches that they become.
        let (line_len, block_len) = (width * CHANNELS, self.merge_size * self.merge_size * row_len);
        let bands = patches.chunks_exact_mut(grid.w * self.merge_size * row_len);
        for (band, pixels) in bands.zip(rgb.chunks_exact(factor * line_len)) {
            for (column, block) in band.chunks_exact_mut(block_len).enumerate() {
                for (k, patch) in block.chunks_exact_mut(row_len).enumerate() {
                    let (row_in_block, column_in_block) = (k / self.merge_size, k % self.merge_size);
                    let left = (column * factor + column_in_block * self.patch_size) * CHANNELS;
                    let lines = pixels.chunks_exact(line_len).skip(row_in_block * self.patch_size);
                    self.fill(patch, lines.filter_map(|line| line.get(left..left + self.patch_size * CHANNELS)));
                }
            }
        }
        Ok(ProcessedImage {
            patches,
            grid,
            patch_size: self.patch_size,
            temporal_patch_size: self.temporal_patch_size,
            merge_size: self.merge_size,
        })
    }

    /// Normalises the first `patch_size` of `lines`, one for each row of pixels in the patch.
    #[expect(clippy::indexing_slicing, reason = "a table of 256 is indexed by a byte; this is the inner loop")]
    fn fill<'a>(&self, patch: &mut [f32], lines: impl Iterator<Item = &'a [u8]>) {
        let [red_of, green_of, blue_of] = &self.normalised;
        let plane = self.patch_size * self.patch_size;
        let (red, rest) = patch.split_at_mut(plane);
        let (green, blue) = rest.split_at_mut(plane);
        let rows = red
            .chunks_exact_mut(self.patch_size)
            .zip(green.chunks_exact_mut(self.patch_size))
            .zip(blue.chunks_exact_mut(self.patch_size));
        for (((red, green), blue), line) in rows.zip(lines) {
            let (pixels, _) = line.as_chunks::<CHANNELS>();
            for (((red, green), blue), &[r, g, b]) in red.iter_mut().zip(green).zip(blue).zip(pixels) {
                *red = red_of[usize::from(r)];
                *green = green_of[usize::from(g)];
                *blue = blue_of[usize::from(b)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    /// Identity normalisation up to the factor of 255, so that values show where they come from.
    fn cutter(patch: u32, merge: u32) -> PatchCutter {
        let json = format!(
            r#"{{"patch_size": {patch}, "merge_size": {merge}, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}}"#
        );
        PatchCutter::new(&PreprocessorConfig::from_json("test", json.as_bytes()).unwrap())
    }

    /// Red holds the column, green the line, blue a constant.
    fn gradient(width: u32, height: u32) -> Vec<u8> {
        (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, 7])).collect()
    }

    #[test]
    fn blocks_stay_together_and_rows_are_channel_y_x() {
        let (width, height, patch, merge) = (24u32, 18u32, 3u32, 2u32);
        let image = cutter(patch, merge).cut(&gradient(width, height), ImageSize { width, height }).unwrap();
        assert_eq!(image.grid(), GridThw { t: 1, h: 6, w: 8 });
        assert_eq!(image.image_tokens(), 12);
        let rows: Vec<&[f32]> = image.patches().chunks_exact(image.row_len()).collect();
        assert_eq!(rows.len(), image.grid().patches());

        // Spelled out as HF reshapes it: (block row, block column, row in block, column in block).
        let mut expected = Vec::new();
        for block_y in 0..3 {
            for block_x in 0..4 {
                for y in 0..2 {
                    for x in 0..2 {
                        expected.push(((block_y * 2 + y) * patch, (block_x * 2 + x) * patch));
                    }
                }
            }
        }
        for (row, (top, left)) in rows.iter().zip(expected) {
            for (k, value) in row.iter().enumerate() {
                let (channel, y, x) = (k / 9, (k / 3 % 3) as u32, (k % 3) as u32);
                let byte = [left + x, top + y, 7][channel];
                assert_eq!(*value, byte as f32 / 255.0, "patch at ({left}, {top}), {k}");
            }
        }
    }

    #[test]
    fn pixel_values_repeat_each_channel_in_time() {
        let image = cutter(2, 1).cut(&gradient(4, 2), ImageSize { width: 4, height: 2 }).unwrap();
        let row = &image.pixel_values()[..24];
        let (red, green, blue) = (&row[..8], &row[8..16], &row[16..24]);
        for channel in [red, green, blue] {
            assert_eq!(channel[..4], channel[4..]);
        }
        assert_eq!(red[..4], image.patches()[..4]);
        assert_eq!(blue[..4], image.patches()[8..12]);
    }

    #[test]
    fn sizes_that_do_not_divide_are_refused() {
        for (width, height) in [(27, 28), (28, 14), (0, 0), (28, 0)] {
            let rgb = vec![0; (width * height * 3) as usize];
            let err = cutter(14, 2).cut(&rgb, ImageSize { width, height }).unwrap_err().to_string();
            assert!(err.contains(&format!("{width}x{height}")) && err.contains("28x28"), "{err}");
        }
        assert!(cutter(14, 2).cut(&[0; 5], ImageSize { width: 28, height: 28 }).is_err());
    }
}
