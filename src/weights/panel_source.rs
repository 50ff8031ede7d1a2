//! Matrices that are stored narrow and multiplied in f32, a few rows at a time.

use std::ops::Range;

use half::bf16;

/// A matrix `[rows, cols]`, the weight of a linear layer as `[out, in]`, that can give any of its rows as f32.
///
/// A product then needs f32 room for one panel of rows at a time, never for the whole matrix.
pub trait PanelSource: Send + Sync {
    /// Number of rows: outputs of the linear layer.
    fn rows(&self) -> usize;

    /// Number of columns: inputs of the linear layer.
    fn cols(&self) -> usize;

    /// Writes the rows `rows` as f32, row-major, into `out`, on the calling thread.
    ///
    /// # Panics
    /// When the rows do not exist or `out` does not hold exactly `rows.len() * cols()` values: the caller's mistake.
    fn widen_rows(&self, rows: Range<usize>, out: &mut [f32]);

    /// Memory that the matrix takes, bytes.
    fn bytes(&self) -> usize;

    /// All values, row-major, where they are stored as f32 and need no widening.
    fn as_f32(&self) -> Option<&[f32]> {
        None
    }
}

/// Panics unless `rows` of a matrix `shape` are exactly what `out` has room for.
pub(super) fn check_panel([rows, cols]: [usize; 2], range: &Range<usize>, out: &[f32]) {
    assert!(range.start <= range.end && range.end <= rows, "rows {range:?} of a matrix of {rows} rows");
    assert!(out.len() == range.len() * cols, "room for {} values, {range:?} rows of {cols} columns", out.len());
}

/// A number format that becomes f32 without loss.
pub trait Widen: Copy + Send + Sync + 'static {
    /// The same value.
    fn widen(self) -> f32;

    /// The values themselves, where they are f32.
    fn as_f32(_values: &[Self]) -> Option<&[f32]> {
        None
    }
}

impl Widen for f32 {
    fn widen(self) -> f32 {
        self
    }

    fn as_f32(values: &[Self]) -> Option<&[f32]> {
        Some(values)
    }
}

impl Widen for bf16 {
    /// The upper half of an f32's bits. Unlike `bf16::to_f32` this leaves signalling NaNs as they are, and vectorises.
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

/// A matrix with one number for each value, row-major.
#[derive(Debug, Clone)]
pub struct DenseMatrix<T> {
    values: Vec<T>,
    shape: [usize; 2],
}

/// Weights as the published checkpoints hold them: half the memory of f32.
pub type Bf16Matrix = DenseMatrix<bf16>;

/// Weights in the format of the arithmetic: the reference.
pub type F32Matrix = DenseMatrix<f32>;

impl<T: Widen> DenseMatrix<T> {
    /// From row-major values `[rows, cols]`; `None` when their number is another.
    pub fn new(values: Vec<T>, shape: [usize; 2]) -> Option<Self> {
        let [rows, cols] = shape;
        (rows.checked_mul(cols) == Some(values.len())).then_some(Self { values, shape })
    }

    /// All values, row-major.
    pub fn values(&self) -> &[T] {
        &self.values
    }
}

impl<T: Widen> PanelSource for DenseMatrix<T> {
    fn rows(&self) -> usize {
        self.shape[0]
    }

    fn cols(&self) -> usize {
        self.shape[1]
    }

    #[allow(clippy::indexing_slicing)] // check_panel has compared the range with the shape
    fn widen_rows(&self, rows: Range<usize>, out: &mut [f32]) {
        check_panel(self.shape, &rows, out);
        let stored = &self.values[rows.start * self.cols()..rows.end * self.cols()];
        for (wide, value) in out.iter_mut().zip(stored) {
            *wide = value.widen();
        }
    }

    fn bytes(&self) -> usize {
        size_of_val(self.values.as_slice())
    }

    fn as_f32(&self) -> Option<&[f32]> {
        T::as_f32(&self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bf16_widens_to_its_value() {
        let all: Vec<bf16> = (0..=u16::MAX).map(bf16::from_bits).collect();
        let matrix = Bf16Matrix::new(all.clone(), [256, 256]).unwrap();
        let mut panel = vec![0.0; 1 << 16];
        matrix.widen_rows(0..256, &mut panel);
        for (wide, narrow) in panel.iter().zip(all) {
            let expected = narrow.to_f32();
            assert!(*wide == expected || (wide.is_nan() && expected.is_nan()), "{narrow:?} became {wide}");
        }
    }

    #[test]
    fn a_panel_is_the_rows_asked_for() {
        let matrix = F32Matrix::new((0..15).map(|v| v as f32).collect(), [5, 3]).unwrap();
        let mut panel = [0.0; 6];
        matrix.widen_rows(3..5, &mut panel);
        assert_eq!(panel, [9.0, 10.0, 11.0, 12.0, 13.0, 14.0]);
        assert_eq!((matrix.rows(), matrix.cols(), matrix.bytes()), (5, 3, 60));
        matrix.widen_rows(2..2, &mut []);
    }

    #[test]
    fn values_that_are_no_matrix_are_refused() {
        assert!(F32Matrix::new(vec![0.0; 7], [2, 3]).is_none());
        assert!(F32Matrix::new(vec![], [usize::MAX, 3]).is_none());
    }

    #[test]
    #[should_panic(expected = "rows 4..6 of a matrix of 5 rows")]
    fn rows_past_the_end_are_the_callers_mistake() {
        F32Matrix::new(vec![0.0; 15], [5, 3]).unwrap().widen_rows(4..6, &mut [0.0; 6]);
    }
}
