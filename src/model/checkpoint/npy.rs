//! One-dimensional numpy arrays of floats.
//!
//! The format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use super::error::CheckpointError;
use super::stand_in::stand_in;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Far above the statistics of any planner.
const MAX_BYTES: u64 = 16 << 20;

/// Reads a one-dimensional array of `f4` or `f8` in either byte order, as `f32`.
///
/// Arrays of Python objects (which numpy would unpickle), of other types and of other ranks are refused, as is a file
/// whose length does not follow from its header.
pub fn read_vector(path: impl AsRef<Path>) -> Result<Vec<f32>, CheckpointError> {
    let path = path.as_ref();
    let io = || CheckpointError::io(path);
    let file = File::open(path).map_err(io())?;
    let length = file.metadata().map_err(io())?.len();
    if length > MAX_BYTES {
        let found = format!("it has {length} bytes, more than the {MAX_BYTES} that are read");
        return Err(CheckpointError::WrongFormat {
            path: path.into(),
            expected: "a vector of parameter statistics",
            found,
        });
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(io())?;
    parse(&bytes).map_err(|fault| match fault {
        Fault::NotNpy(found) => CheckpointError::WrongFormat { path: path.into(), expected: "a numpy file", found },
        Fault::Unsuitable(what) => CheckpointError::malformed(path, what),
        Fault::Short { what, expected } => {
            let found = bytes.len() as u64;
            CheckpointError::Truncated { path: path.into(), what: what.into(), expected, found }
        }
    })
}

/// A one-dimensional array of `f4` as `numpy.save` writes it.
pub fn vector_bytes(values: &[f32]) -> Vec<u8> {
    const ALIGNMENT: usize = 64;
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}", values.len());
    let unpadded = PREAMBLE.len() + 2 + header.len() + 1;
    header.extend(std::iter::repeat_n(' ', unpadded.next_multiple_of(ALIGNMENT) - unpadded));
    header.push('\n');
    let mut bytes = PREAMBLE.to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    bytes
}

/// Magic and version of what is written.
const PREAMBLE: &[u8] = b"\x93NUMPY\x01\x00";

#[derive(Debug, PartialEq)]
enum Fault {
    NotNpy(String),
    Unsuitable(String),
    Short { what: &'static str, expected: u64 },
}

fn parse(bytes: &[u8]) -> Result<Vec<f32>, Fault> {
    let Some(rest) = bytes.strip_prefix(b"\x93NUMPY") else {
        return Err(Fault::NotNpy(match bytes {
            [] => "the file is empty".into(),
            zeros if zeros.iter().all(|&byte| byte == 0) => format!("its {} bytes are all zero", zeros.len()),
            other => stand_in(other).unwrap_or_else(|| "it does not begin with \\x93NUMPY".into()),
        }));
    };
    let (header_start, header_length) = match *rest {
        [1, _, a, b, ..] => (10, u16::from_le_bytes([a, b]) as usize),
        [2 | 3, _, a, b, c, d, ..] => (12, u32::from_le_bytes([a, b, c, d]) as usize),
        [1..=3, ..] | [] => return Err(Fault::Short { what: "the numpy preamble", expected: 12 }),
        [version, ..] => return Err(Fault::Unsuitable(format!("numpy format version {version}, expected 1 to 3"))),
    };
    let data_start = header_start + header_length;
    let Some(header) = bytes.get(header_start..data_start) else {
        return Err(Fault::Short { what: "the numpy header", expected: data_start as u64 });
    };
    let header = std::str::from_utf8(header).map_err(|_| Fault::Unsuitable("the numpy header is not text".into()))?;

    let shape = field(header, "shape").and_then(|rest| rest.strip_prefix('(')?.split_once(')')).map(|(shape, _)| shape);
    let shape = shape.ok_or_else(|| Fault::Unsuitable("the numpy header has no shape".into()))?;
    let sizes: Vec<&str> = shape.split(',').map(str::trim).filter(|size| !size.is_empty()).collect();
    let count = match sizes.as_slice() {
        [size] => size.parse::<u64>().ok(),
        _ => None,
    };
    let count =
        count.ok_or_else(|| Fault::Unsuitable(format!("the array has shape ({shape}), expected one dimension")))?;
    let values = match quoted(header, "descr") {
        Some("<f4") => decode(bytes, data_start, count, f32::from_le_bytes)?,
        Some(">f4") => decode(bytes, data_start, count, f32::from_be_bytes)?,
        Some("<f8") => decode(bytes, data_start, count, |value| f64::from_le_bytes(value) as f32)?,
        Some(">f8") => decode(bytes, data_start, count, |value| f64::from_be_bytes(value) as f32)?,
        other => {
            let found = other.unwrap_or("no plain type").escape_debug().to_string();
            let what = match found.contains('O') {
                true => {
                    format!("the array holds Python objects ({found}), which are never unpickled; expected f4 or f8")
                }
                false => format!("the array has element type '{found}', expected f4 or f8"),
            };
            return Err(Fault::Unsuitable(what));
        }
    };
    Ok(values)
}

/// Turns the bytes after the header into values; their number has to match to the byte.
fn decode<const N: usize>(
    bytes: &[u8],
    start: usize,
    count: u64,
    value: impl Fn([u8; N]) -> f32,
) -> Result<Vec<f32>, Fault> {
    let data = bytes.get(start..).unwrap_or_default();
    let expected = count.saturating_mul(N as u64);
    if (data.len() as u64) < expected {
        return Err(Fault::Short { what: "the numpy array", expected: expected.saturating_add(start as u64) });
    }
    if data.len() as u64 > expected {
        return Err(Fault::Unsuitable(format!("the array has {} bytes, its header says {expected}", data.len())));
    }
    let (values, _) = data.as_chunks::<N>();
    Ok(values.iter().copied().map(value).collect())
}

/// What follows `'name':` in the header, which is a Python dict literal.
fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{name}'"))?;
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

fn quoted<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    field(header, name)?.strip_prefix('\'')?.split_once('\'').map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn npy(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        match version {
            1 => bytes.extend((header.len() as u16).to_le_bytes()),
            _ => bytes.extend((header.len() as u32).to_le_bytes()),
        }
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn header(descr: &str, shape: &str) -> String {
        format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}  \n")
    }

    #[test]
    fn reads_both_widths_byte_orders_and_all_versions() {
        for version in 1..=3 {
            let le: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
            assert_eq!(parse(&npy(version, &header("'<f4'", "(2,)"), &le)), Ok(vec![1.5, -2.0]));
            let be: Vec<u8> = [0.25f64].iter().flat_map(|value| value.to_be_bytes()).collect();
            assert_eq!(parse(&npy(version, &header("'>f8'", "(1,)"), &be)), Ok(vec![0.25]));
        }
    }

    #[test]
    fn refuses_objects_and_other_types() {
        let objects = parse(&npy(1, &header("'|O'", "(1,)"), b"\x80\x04.")).unwrap_err();
        assert!(matches!(&objects, Fault::Unsuitable(what) if what.contains("Python objects")), "{objects:?}");
        let integers = parse(&npy(1, &header("'<i8'", "(1,)"), &[0; 8])).unwrap_err();
        assert!(matches!(&integers, Fault::Unsuitable(what) if what.contains("<i8")), "{integers:?}");
        let records = parse(&npy(1, &header("[('a', '<f4')]", "(1,)"), &[0; 4])).unwrap_err();
        assert!(matches!(records, Fault::Unsuitable(_)));
    }

    #[test]
    fn refuses_shapes_that_are_no_vector_or_do_not_fit_the_file() {
        assert!(matches!(parse(&npy(1, &header("'<f4'", "(2, 2)"), &[0; 16])), Err(Fault::Unsuitable(_))));
        assert!(matches!(parse(&npy(1, &header("'<f4'", "()"), &[0; 4])), Err(Fault::Unsuitable(_))));
        for count in ["18446744073709551615", "4611686018427387904", "3"] {
            let found = parse(&npy(1, &header("'<f4'", &format!("({count},)")), &[0; 8]));
            assert!(matches!(found, Err(Fault::Short { .. })), "{count}: {found:?}");
        }
        assert!(matches!(parse(&npy(1, &header("'<f4'", "(1,)"), &[0; 8])), Err(Fault::Unsuitable(_))));
    }

    #[test]
    fn refuses_every_truncation() {
        let whole = npy(1, &header("'<f4'", "(2,)"), &[0; 8]);
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_err(), "{length} bytes");
        }
    }
}
