//! Matrices that are stored narrow and multiplied in f32, a panel at a time.

use std::ops::Range;

use half::bf16;
use rayon::prelude::*;

use crate::vectors::Vectors;

/// Outputs of a panel: a whole number of vectors on every processor.
pub const PANEL: usize = 32;

/// What one input weighs in each output of a panel.
pub type PanelRow<T = f32> = [T; PANEL];

/// The weight `[out, in]` of a linear layer, cut into panels of [`PANEL`] outputs.
///
/// A product needs f32 room for a part of one panel at a time, never for the whole matrix. In a panel the outputs lie side
/// by side, input by input: so a product reads it from front to back.
pub trait PanelSource: Send + Sync {
    /// Outputs of the linear layer.
    fn rows(&self) -> usize;

    /// Inputs of the linear layer.
    fn cols(&self) -> usize;

    /// The weights of some inputs in the outputs from `panel * PANEL` on, as f32; 0 for outputs past the last. Either a
    /// part of the matrix, or written with `vectors` to the front of `room`: the same numbers whatever they are.
    ///
    /// # Panics
    /// When panel or inputs do not exist, or the inputs do not fit `room`: the caller's mistake.
    fn panel<'p>(
        &'p self,
        panel: usize,
        inputs: Range<usize>,
        vectors: Vectors,
        room: &'p mut [PanelRow],
    ) -> &'p [PanelRow];

    /// Memory that the matrix takes, bytes.
    fn bytes(&self) -> usize;
}

/// Panics unless a matrix `shape` has the panel and the inputs, and `room` holds them.
pub(super) fn check_panel([rows, cols]: [usize; 2], panel: usize, inputs: &Range<usize>, room: &[PanelRow]) {
    assert!(panel < rows.div_ceil(PANEL), "panel {panel} of {rows} outputs");
    assert!(inputs.start <= inputs.end && inputs.end <= cols, "inputs {inputs:?} of {cols}");
    assert!(inputs.len() <= room.len(), "room for {} inputs, {inputs:?} asked for", room.len());
}

/// A number format that becomes f32 without loss.
pub trait Widen: Copy + Default + Send + Sync + 'static {
    /// The same value.
    fn widen(self) -> f32;

    /// The values themselves, where they are f32.
    fn as_f32(_panel: &[PanelRow<Self>]) -> Option<&[PanelRow]> {
        None
    }
}

impl Widen for f32 {
    fn widen(self) -> f32 {
        self
    }

    fn as_f32(panel: &[PanelRow]) -> Option<&[PanelRow]> {
        Some(panel)
    }
}

impl Widen for bf16 {
    /// The upper half of an f32's bits. Unlike `bf16::to_f32` this leaves signalling NaNs as they are, and vectorises.
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

/// A matrix with one number for each value.
#[derive(Debug, Clone)]
pub struct DenseMatrix<T> {
    /// `[panel, input]`
    panels: Vec<PanelRow<T>>,
    shape: [usize; 2],
}

/// Weights as the published checkpoints hold them: half the memory of f32.
pub type Bf16Matrix = DenseMatrix<bf16>;

/// Weights in the format of the arithmetic: the reference.
pub type F32Matrix = DenseMatrix<f32>;

impl<T: Widen> DenseMatrix<T> {
    /// From row-major values `[rows, cols]`; `None` when their number is another.
    pub fn new(values: &[T], shape: [usize; 2]) -> Option<Self> {
        let [rows, cols] = shape;
        if rows.checked_mul(cols)? != values.len() {
            return None;
        }
        let mut panels = vec![[T::default(); PANEL]; rows.div_ceil(PANEL) * cols];
        if cols > 0 {
            panels.par_chunks_mut(cols).zip(values.par_chunks(PANEL * cols)).for_each(|(panel, outputs)| {
                for (output, weights) in outputs.chunks_exact(cols).enumerate() {
                    for (row, &weight) in panel.iter_mut().zip(weights) {
                        if let Some(place) = row.get_mut(output) {
                            *place = weight;
                        }
                    }
                }
            });
        }
        Some(Self { panels, shape })
    }
}

/// Writes the values of `stored` to `room`.
fn widen<T: Widen>(stored: &[PanelRow<T>], vectors: Vectors, room: &mut [PanelRow]) {
    vectors.dispatch(|| {
        for (wide, stored) in room.as_flattened_mut().iter_mut().zip(stored.as_flattened()) {
            *wide = stored.widen();
        }
    });
}

impl<T: Widen> PanelSource for DenseMatrix<T> {
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
        let first = panel * self.cols();
        let stored = &self.panels[first + inputs.start..first + inputs.end];
        if let Some(values) = T::as_f32(stored) {
            return values;
        }
        let room = &mut room[..inputs.len()];
        widen(stored, vectors, room);
        room
    }

    fn bytes(&self) -> usize {
        size_of_val(self.panels.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bf16_widens_to_its_value() {
        let all: Vec<bf16> = (0..=u16::MAX).map(bf16::from_bits).collect();
        let matrix = Bf16Matrix::new(&all, [256, 256]).unwrap();
        let mut room = vec![[0.0; PANEL]; 256];
        for (panel, narrow) in all.chunks(PANEL * 256).enumerate() {
            let wide = matrix.panel(panel, 0..256, Vectors::in_use(), &mut room);
            for (at, narrow) in narrow.iter().enumerate() {
                let (wide, expected) = (wide[at % 256][at / 256], narrow.to_f32());
                assert!(wide == expected || (wide.is_nan() && expected.is_nan()), "{narrow:?} became {wide}");
            }
        }
    }

    #[test]
    fn all_vectors_widen_alike_wherever_the_numbers_lie() {
        let all: Vec<bf16> = (0..=u16::MAX).map(bf16::from_bits).collect();
        let bits: Vec<u32> = all.iter().map(|narrow| u32::from(narrow.to_bits()) << 16).collect();
        // 64 bytes further there is the same alignment again.
        for (from, to) in (0..32).map(|at| (at, (at * 5 + 3) % 16)) {
            let (stored, expected) = (all[from..].as_chunks::<PANEL>().0, bits[from..].as_chunks::<PANEL>().0);
            let mut flat = vec![f32::NAN; to + stored.len() * PANEL];
            for vectors in Vectors::available() {
                let room = flat[to..].as_chunks_mut::<PANEL>().0;
                room.as_flattened_mut().fill(f32::NAN);
                widen(stored, vectors, room);
                let same = room.iter().zip(expected).all(|(found, expected)| found.map(f32::to_bits) == *expected);
                assert!(same, "{}, bf16 {from} places and f32 {to} places into a buffer", vectors.set());
            }
        }
    }

    #[test]
    fn a_panel_has_its_outputs_side_by_side_and_ends_in_zeros() {
        let value = |output: usize, input: usize| (10 * output + input) as f32;
        let values: Vec<f32> = (0..40 * 3).map(|at| value(at / 3, at % 3)).collect();
        let narrow: Vec<bf16> = values.iter().map(|&value| bf16::from_f32(value)).collect();
        let (wide, narrow) = (F32Matrix::new(&values, [40, 3]).unwrap(), Bf16Matrix::new(&narrow, [40, 3]).unwrap());
        let vectors = Vectors::in_use();
        for matrix in [&wide as &dyn PanelSource, &narrow] {
            let mut room = [[f32::NAN; PANEL]; 3];
            assert_eq!(matrix.panel(0, 1..3, vectors, &mut room)[1][7], value(7, 2));
            let last = matrix.panel(1, 0..3, vectors, &mut room);
            assert_eq!((last.len(), last[2][7], last[2][8]), (3, value(39, 2), 0.0));
            assert!(matrix.panel(0, 2..2, vectors, &mut []).is_empty());
            assert_eq!((matrix.rows(), matrix.cols()), (40, 3));
        }
        assert_eq!((wide.bytes(), narrow.bytes()), (2 * 3 * PANEL * 4, 2 * 3 * PANEL * 2));
    }

    #[test]
    fn values_that_are_no_matrix_are_refused() {
        assert!(F32Matrix::new(&[0.0; 7], [2, 3]).is_none());
        assert!(F32Matrix::new(&[], [usize::MAX, 3]).is_none());
        assert_eq!(F32Matrix::new(&[], [3, 0]).unwrap().bytes(), 0);
    }

    #[test]
    #[should_panic(expected = "panel 1 of 5 outputs")]
    fn a_panel_past_the_end_is_the_callers_mistake() {
        F32Matrix::new(&[0.0; 15], [5, 3]).unwrap().panel(1, 0..3, Vectors::BASELINE, &mut [[0.0; PANEL]; 3]);
    }
}
