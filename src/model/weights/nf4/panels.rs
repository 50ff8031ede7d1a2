//! A 4-bit matrix in the order of a product.

use std::ops::Range;

use rayon::prelude::*;

use super::dequantise::rounded_to_bf16;
use super::lookup::{PanelCodes, look_up};
use super::{Absmax, BLOCK, DequantisedFormat, Nf4Matrix};
use crate::vectors::Vectors;
use crate::weights::panel_source::check_panel;
use crate::weights::{PANEL, PanelRow, PanelSource};

/// An [`Nf4Matrix`] whose codes lie in panels, as a product on a CPU reads them. Its values are the same, bit for bit.
#[derive(Debug, Clone)]
pub struct Nf4Panels {
    /// `[panel, input]`
    codes: Vec<PanelCodes>,
    /// Of the blocks of the row-major matrix.
    absmax: Absmax,
    shape: [usize; 2],
    dequantised: DequantisedFormat,
}

impl Nf4Panels {
    /// Puts the codes of a matrix in another order.
    pub fn new(matrix: &Nf4Matrix) -> Self {
        let [rows, cols] = matrix.shape();
        let mut codes = vec![[0; PANEL / 2]; rows.div_ceil(PANEL) * cols];
        let packed = matrix.packed();
        let code =
            |at: usize| packed.get(at / 2).map_or(0, |byte| if at.is_multiple_of(2) { byte >> 4 } else { byte & 15 });
        if cols > 0 {
            codes.par_chunks_mut(cols).enumerate().for_each(|(panel, codes)| {
                for (output, row) in (panel * PANEL..rows).take(PANEL).enumerate() {
                    let shift = if output < PANEL / 2 { 0 } else { 4 };
                    for (input, codes) in codes.iter_mut().enumerate() {
                        if let Some(byte) = codes.get_mut(output % (PANEL / 2)) {
                            *byte |= code(row * cols + input) << shift;
                        }
                    }
                }
            });
        }
        Self { codes, absmax: matrix.absmax().clone(), shape: [rows, cols], dequantised: matrix.dequantised() }
    }
}

impl PanelSource for Nf4Panels {
    fn rows(&self) -> usize {
        self.shape[0]
    }

    fn cols(&self) -> usize {
        self.shape[1]
    }

    #[allow(clippy::indexing_slicing)] // check_panel has compared the ranges with the shape
    fn panel<'p>(
        &'p self,
        panel: usize,
        inputs: Range<usize>,
        vectors: Vectors,
        room: &'p mut [PanelRow],
    ) -> &'p [PanelRow] {
        check_panel(self.shape, panel, &inputs, room);
        let [rows, cols] = self.shape;
        let room = &mut room[..inputs.len()];
        let codes = &self.codes[panel * cols + inputs.start..panel * cols + inputs.end];
        let mut scales = [0.0; PANEL];
        let mut start = 0;
        while start < inputs.len() {
            // Blocks run on from row to row, so that each output may enter its next one at another input.
            let mut end = inputs.len();
            for (row, scale) in (panel * PANEL..rows).zip(&mut scales) {
                let at = row * cols + inputs.start + start;
                if start == 0 || at.is_multiple_of(BLOCK) {
                    *scale = self.absmax.of_block(at / BLOCK);
                }
                end = end.min(start + BLOCK - at % BLOCK);
            }
            look_up(&codes[start..end], &scales, vectors, &mut room[start..end]);
            start = end;
        }
        if self.dequantised == DequantisedFormat::Bf16 {
            room.as_flattened_mut().iter_mut().for_each(|value| *value = rounded_to_bf16(*value));
        }
        room
    }

    fn bytes(&self) -> usize {
        size_of_val(self.codes.as_slice()) + self.absmax.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::nf4::AbsmaxFormat;

    #[test]
    fn panels_are_those_of_the_whole_wherever_they_start() {
        for (rows, cols) in [(9, 1), (33, 3), (40, 50), (64, 64), (31, 65), (70, 200), (5, 28)] {
            let values: Vec<f32> = (0..rows * cols).map(|i| ((i * 37 % 101) as f32 - 50.0) / 17.0).collect();
            for format in [AbsmaxFormat::Single, AbsmaxFormat::Double] {
                for rounding in [DequantisedFormat::F32, DequantisedFormat::Bf16] {
                    let matrix = Nf4Matrix::quantise(&values, [rows, cols], format).unwrap().with_dequantised(rounding);
                    check(&Nf4Panels::new(&matrix), &matrix.dequantise(), [rows, cols]);
                }
            }
        }
    }

    fn check(panels: &Nf4Panels, whole: &[f32], [rows, cols]: [usize; 2]) {
        for panel in 0..rows.div_ceil(PANEL) {
            for (start, end) in [(0, cols), (cols / 3, cols), (1, 1), (0, cols.min(64))] {
                for vectors in Vectors::available() {
                    let mut room = vec![[f32::NAN; PANEL]; cols];
                    let found = panels.panel(panel, start..end, vectors, &mut room);
                    assert_eq!(found.len(), end - start);
                    for (input, found) in (start..end).zip(found) {
                        let expected: PanelRow = std::array::from_fn(|output| {
                            let row = panel * PANEL + output;
                            if row < rows { whole[row * cols + input] } else { 0.0 }
                        });
                        let set = vectors.set();
                        assert_eq!(found, &expected, "{set}: panel {panel}, input {input} of {rows}x{cols}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_order_takes_no_more_memory() {
        let matrix = Nf4Matrix::quantise(&vec![1.0_f32; 64 * 128], [64, 128], AbsmaxFormat::Double).unwrap();
        assert_eq!(Nf4Panels::new(&matrix).bytes() as u64, Nf4Matrix::bytes_of([64, 128], AbsmaxFormat::Double));
    }
}
