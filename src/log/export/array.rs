//! Arrays in numpy's own format, version 1.0: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

/// An array to be written, row-major.
pub(super) struct Array {
    name: &'static str,
    element: &'static str,
    /// Values in a row; `None` for one dimension.
    columns: Option<usize>,
    rows: usize,
    bytes: Vec<u8>,
}

impl Array {
    /// `[rows, columns]` of single precision.
    pub(super) fn f32_rows<'a>(
        name: &'static str,
        columns: usize,
        rows: impl ExactSizeIterator<Item = &'a [f32]>,
    ) -> Self {
        let count = rows.len();
        let bytes = rows.flatten().flat_map(|value| value.to_le_bytes()).collect();
        Self { name, element: "<f4", columns: Some(columns), rows: count, bytes }
    }

    /// `[rows, columns]` of double precision.
    pub(super) fn f64_rows(name: &'static str, columns: usize, rows: impl ExactSizeIterator<Item = Vec<f64>>) -> Self {
        let count = rows.len();
        let bytes = rows.flatten().flat_map(f64::to_le_bytes).collect();
        Self { name, element: "<f8", columns: Some(columns), rows: count, bytes }
    }

    /// `[rows]` of single precision.
    pub(super) fn f32s(name: &'static str, values: impl ExactSizeIterator<Item = f32>) -> Self {
        let rows = values.len();
        Self { name, element: "<f4", columns: None, rows, bytes: values.flat_map(f32::to_le_bytes).collect() }
    }

    /// `[rows]` of whole numbers.
    pub(super) fn i64s(name: &'static str, values: impl ExactSizeIterator<Item = i64>) -> Self {
        let rows = values.len();
        Self { name, element: "<i8", columns: None, rows, bytes: values.flat_map(i64::to_le_bytes).collect() }
    }

    /// `[rows]` of truth values.
    pub(super) fn bools(name: &'static str, values: impl ExactSizeIterator<Item = bool>) -> Self {
        let rows = values.len();
        Self { name, element: "|b1", columns: None, rows, bytes: values.map(u8::from).collect() }
    }

    /// Its name in the archive.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// The array as a `.npy` file.
    pub(super) fn to_npy(&self) -> Vec<u8> {
        // Magic number, version and the header's length.
        const PREAMBLE: usize = 10;
        let shape =
            self.columns.map_or_else(|| format!("({},)", self.rows), |columns| format!("({}, {columns})", self.rows));
        let mut header = format!("{{'descr': '{}', 'fortran_order': False, 'shape': {shape}, }}", self.element);
        // The numbers begin at a multiple of 64, behind a line feed.
        let padded = (PREAMBLE + header.len() + 1).next_multiple_of(64) - PREAMBLE;
        header.extend(std::iter::repeat_n(' ', padded - 1 - header.len()));
        header.push('\n');
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), &self.bytes].concat()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn the_header_is_what_numpy_writes() {
        let npy = Array::f32_rows("x", 2, [[1.0f32, 2.0].as_slice(), &[3.0, 4.0]].into_iter()).to_npy();
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }";
        assert_eq!(&npy[..10], b"\x93NUMPY\x01\x00\x76\x00");
        assert_eq!(&npy[10..10 + header.len()], header.as_bytes());
        assert_eq!((npy[127], npy.len()), (b'\n', 128 + 16));
        assert_eq!(&npy[128..132], 1.0f32.to_le_bytes());
        let npy = Array::bools("x", [true, false, true].into_iter()).to_npy();
        assert!(npy.windows(40).any(|part| part == b"'|b1', 'fortran_order': False, 'shape': "));
        assert!(npy.ends_with(&[b'\n', 1, 0, 1]));
    }
}
