//! Two-dimensional numpy arrays of whole numbers.
//!
//! The format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. Kept here, because the crates that
//! read it bring a parser of Python along; what is needed is one shape and eight types.

/// Larger files hold no world.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// An array, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) values: Vec<i64>,
}

/// Why bytes are no such array.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NpyError {
    /// Something else altogether.
    #[error("it is not a numpy file: it does not begin with \\x93NUMPY and a version from 1 to 3")]
    NotNpy,
    /// Its header is damaged, or says what is not read here.
    #[error("its header {found:?} is not one of a two-dimensional array of whole numbers in C order")]
    Header {
        /// What the header says.
        found: String,
    },
    /// Its length does not follow from its header.
    #[error("it has {found} bytes of numbers where its header says {expected}; it is cut short or damaged")]
    Length {
        /// Bytes after the header.
        found: usize,
        /// Bytes that the header announces.
        expected: usize,
    },
}

impl Table {
    /// Reads an array.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, NpyError> {
        let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or(NpyError::NotNpy)?;
        let (length, rest) = match rest {
            [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
            [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
            _ => return Err(NpyError::NotNpy),
        };
        let (header, data) = rest.split_at_checked(length).ok_or(NpyError::NotNpy)?;
        let header = String::from_utf8_lossy(header);
        let refused = || NpyError::Header { found: header.trim_end().chars().take(200).collect() };
        let (kind, [rows, columns]) = described(&header).ok_or_else(refused)?;
        let expected = rows.checked_mul(columns).and_then(|count| count.checked_mul(kind.size)).ok_or_else(refused)?;
        if data.len() != expected {
            return Err(NpyError::Length { found: data.len(), expected });
        }
        let values = data.chunks_exact(kind.size).map(|bytes| kind.value(bytes)).collect();
        Ok(Self { rows, columns, values })
    }
}

/// A type of whole numbers.
#[derive(Debug, Clone, Copy)]
struct Kind {
    is_signed: bool,
    is_big_endian: bool,
    size: usize,
}

impl Kind {
    /// From numpy's name, `<i8` for one.
    fn named(name: &str) -> Option<Self> {
        let mut letters = name.chars();
        let order = letters.next()?;
        let is_signed = match letters.next()? {
            'i' => true,
            'u' | 'b' => false,
            _ => return None,
        };
        let size = letters.as_str().parse().ok().filter(|size| matches!(size, 1 | 2 | 4 | 8))?;
        matches!(order, '<' | '>' | '|').then_some(Self { is_signed, is_big_endian: order == '>', size })
    }

    fn value(self, bytes: &[u8]) -> i64 {
        let digits: Box<dyn Iterator<Item = &u8>> =
            if self.is_big_endian { Box::new(bytes.iter()) } else { Box::new(bytes.iter().rev()) };
        let value = digits.fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        let unused = 64 - 8 * self.size as u32;
        // Shifted up and down again, the sign is carried on.
        if self.is_signed { (value << unused) as i64 >> unused } else { value as i64 }
    }
}

/// Type and shape, from a header that is a Python dictionary.
fn described(header: &str) -> Option<(Kind, [usize; 2])> {
    let value = |key: &str| {
        let (_, rest) = header.split_once(&format!("'{key}'"))?;
        Some(rest.trim_start().strip_prefix(':')?.trim_start())
    };
    let (kind, _) = value("descr")?.strip_prefix('\'')?.split_once('\'')?;
    let (shape, _) = value("shape")?.strip_prefix('(')?.split_once(')')?;
    let mut sizes = shape.split(',').map(|size| size.trim().parse::<usize>());
    let shape = [sizes.next()?.ok()?, sizes.next()?.ok()?];
    let is_plain = value("fortran_order")?.starts_with("False") && sizes.next().is_none();
    Some((Kind::named(kind)?, shape)).filter(|_| is_plain)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A file as numpy writes it.
    pub(in crate::world) fn npy(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
    }

    #[test]
    fn all_widths_and_orders() {
        let table = |values: &[i64]| Ok(Table { rows: 1, columns: values.len(), values: values.to_vec() });
        assert_eq!(Table::parse(&npy("|u1", "(1, 2)", &[1, 255])), table(&[1, 255]));
        assert_eq!(Table::parse(&npy("|b1", "(1, 2)", &[1, 0])), table(&[1, 0]));
        assert_eq!(Table::parse(&npy(">i2", "(1, 2)", &[0xff, 0xfe, 0, 5])), table(&[-2, 5]));
        assert_eq!(Table::parse(&npy("<i8", "(1, 1)", &(-7_i64).to_le_bytes())), table(&[-7]));
    }

    #[test]
    fn what_is_no_such_array_is_refused() {
        assert_eq!(Table::parse(b"PK\x03\x04"), Err(NpyError::NotNpy));
        for (kind, shape) in [("<f8", "(1, 1)"), ("|O", "(1, 1)"), ("<i8", "(1,)"), ("<i8", "(1, 1, 1)"), ("<i8", "()")]
        {
            let found = Table::parse(&npy(kind, shape, &[0; 8]));
            assert!(matches!(found, Err(NpyError::Header { .. })), "{kind} {shape}: {found:?}");
        }
        let found = Table::parse(&npy("<i8", "(4611686018427387904, 4)", &[0; 8]));
        assert!(matches!(found, Err(NpyError::Header { .. })), "{found:?}");
        let found = Table::parse(&npy("<i8", "(2, 1)", &[0; 8]));
        assert_eq!(found, Err(NpyError::Length { found: 8, expected: 16 }));
        let whole = npy("<i8", "(1, 1)", &[0; 8]);
        assert!((0..whole.len()).all(|length| Table::parse(&whole[..length]).is_err()));
    }
}
