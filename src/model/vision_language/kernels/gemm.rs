//! The matrix product of the `gemm` crate behind bounds that are checked.

use candle_core::{Result, bail};

/// A view of a row-major matrix, or of its transpose.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

/// A row-major matrix that is written to; its rows may be parts of longer ones.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    values: &'a mut [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `rows x cols` values without gaps.
    pub fn new(values: &'a [f32], rows: usize, cols: usize) -> Result<Self> {
        check(values.len(), rows, cols, cols)?;
        Ok(Self { values, rows, cols, row_stride: cols, col_stride: 1 })
    }

    /// Some neighbouring columns of it.
    ///
    /// # Errors
    /// When it has fewer.
    pub fn columns(self, columns: std::ops::Range<usize>) -> Result<Self> {
        let values = columns.start.checked_mul(self.col_stride).and_then(|start| self.values.get(start..));
        match (columns.end.checked_sub(columns.start), values) {
            (Some(cols), Some(values)) if columns.end <= self.cols => Ok(Self { values, cols, ..self }),
            _ => bail!("a matrix of {} columns has none from {} to {}", self.cols, columns.start, columns.end),
        }
    }

    /// Its number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Its number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Some neighbouring rows of it.
    ///
    /// # Errors
    /// When it has fewer.
    pub fn some_rows(self, rows: std::ops::Range<usize>) -> Result<Self> {
        Ok(self.t().columns(rows)?.t())
    }

    /// The same values, rows and columns exchanged.
    pub fn t(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            values: self.values,
        }
    }
}

impl<'a> MatrixMut<'a> {
    /// `rows x cols` values; rows begin `row_stride` values apart.
    pub fn new(values: &'a mut [f32], rows: usize, cols: usize, row_stride: usize) -> Result<Self> {
        check(values.len(), rows, cols, row_stride)?;
        Ok(Self { values, rows, cols, row_stride })
    }
}

/// Every value of a matrix lies inside its slice.
fn check(len: usize, rows: usize, cols: usize, row_stride: usize) -> Result<()> {
    let needed = match rows.checked_sub(1) {
        None => Some(0),
        Some(last) => last.checked_mul(row_stride).and_then(|start| start.checked_add(cols)),
    };
    if cols > row_stride || needed.is_none_or(|needed| needed > len) {
        bail!("a matrix of {rows}x{cols} values, rows {row_stride} apart, does not fit a slice of {len}");
    }
    Ok(())
}

/// `dst = lhs * rhs`, or `dst += lhs * rhs`, on the calling thread.
///
/// # Errors
/// When the shapes do not fit each other.
#[allow(unsafe_code)]
pub fn multiply(dst: MatrixMut, accumulate: bool, lhs: Matrix, rhs: Matrix) -> Result<()> {
    if (dst.rows, dst.cols, lhs.cols) != (lhs.rows, rhs.cols, rhs.rows) {
        bail!("cannot multiply {}x{} by {}x{} into {}x{}", lhs.rows, lhs.cols, rhs.rows, rhs.cols, dst.rows, dst.cols);
    }
    // SAFETY: `check` has made sure, when the three views were made, that every element they name lies inside its
    // slice; transposing exchanges the strides together with the sizes, and `columns` leaves a part. The shapes fit each
    // other as tested above. `dst` is borrowed mutably, so that it overlaps neither of the others. Strides below
    // isize::MAX follow from the slices' lengths.
    unsafe {
        gemm::gemm(
            dst.rows,
            dst.cols,
            lhs.cols,
            dst.values.as_mut_ptr(),
            1,
            dst.row_stride as isize,
            accumulate,
            lhs.values.as_ptr(),
            lhs.col_stride as isize,
            lhs.row_stride as isize,
            rhs.values.as_ptr(),
            rhs.col_stride as isize,
            rhs.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn into_columns_of_a_wider_matrix() {
        let (lhs, rhs) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 2.0, 0.0, 1.0, 3.0]);
        let mut wide = [9.0; 8];
        let lhs = Matrix::new(&lhs, 2, 3).unwrap();
        let rhs = Matrix::new(&rhs, 2, 3).unwrap().t();
        multiply(MatrixMut::new(&mut wide[1..], 2, 2, 4).unwrap(), false, lhs, rhs).unwrap();
        assert_eq!(wide, [9.0, 7.0, 11.0, 9.0, 9.0, 16.0, 23.0, 9.0]);
        multiply(MatrixMut::new(&mut wide[1..], 2, 2, 4).unwrap(), true, lhs, rhs).unwrap();
        assert_eq!(wide, [9.0, 14.0, 22.0, 9.0, 9.0, 32.0, 46.0, 9.0]);
    }

    #[test]
    fn columns_of_a_matrix_and_of_its_transpose() {
        let (values, one) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 0.0, 1.0]);
        let matrix = Matrix::new(&values, 2, 3).unwrap();
        let mut out = [0.0; 4];
        let identity = || Matrix::new(&one, 2, 2).unwrap();
        let mut product = |lhs: Matrix| {
            multiply(MatrixMut::new(&mut out, lhs.rows, 2, 2).unwrap(), false, lhs, identity()).unwrap();
            out.to_vec()
        };
        assert_eq!(product(matrix.columns(1..3).unwrap()), [2.0, 3.0, 5.0, 6.0]);
        assert_eq!(product(matrix.columns(1..3).unwrap().t()), [2.0, 5.0, 3.0, 6.0]);
        assert!(matrix.columns(2..4).is_err());
        assert!(matrix.t().columns(1..3).is_err());
        assert!(matrix.columns(0..0).is_ok());
    }

    #[test]
    fn views_that_reach_outside_are_refused() {
        let mut values = [0.0; 6];
        assert!(Matrix::new(&values, 2, 4).is_err());
        assert!(Matrix::new(&values, usize::MAX, 2).is_err());
        assert!(MatrixMut::new(&mut values, 2, 2, 5).is_err());
        assert!(MatrixMut::new(&mut values, 2, 3, 2).is_err());
        assert!(Matrix::new(&values, 0, 4).is_ok());
        let (two, three) = ([0.0; 4], [0.0; 9]);
        let misfit = multiply(
            MatrixMut::new(&mut values, 2, 3, 3).unwrap(),
            false,
            Matrix::new(&two, 2, 2).unwrap(),
            Matrix::new(&three, 3, 3).unwrap(),
        );
        assert!(misfit.is_err());
    }
}
