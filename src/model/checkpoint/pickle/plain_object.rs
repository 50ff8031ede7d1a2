//! Python objects that are plain values all the same: numpy's numbers, and paths.
//!
//! They come up in settings, where a script left a `numpy.float64` or a `pathlib.Path` behind. What they stand for is
//! read from the arguments that the pickle gives; nothing is called.

use super::error::PickleError;
use super::parsed::Pickle;
use super::value::{Object, Value};
use half::f16;

/// Longest path, bytes; of most systems it is 4096.
const LONGEST_PATH: usize = 1 << 14;
/// Bytes of the widest number; as text they may be twice as long.
const WIDEST: usize = 16;

/// How a numpy number lies in its bytes: `numpy.dtype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumpyType {
    kind: Kind,
    big_endian: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Float(usize),
    Signed(usize),
    Unsigned(usize),
}

impl NumpyType {
    /// By its code, such as `f8`.
    fn named(code: &str) -> Option<Self> {
        let kind = match code {
            "b1" => Kind::Bool,
            "f2" => Kind::Float(2),
            "f4" => Kind::Float(4),
            "f8" => Kind::Float(8),
            "i1" => Kind::Signed(1),
            "i2" => Kind::Signed(2),
            "i4" => Kind::Signed(4),
            "i8" => Kind::Signed(8),
            "u1" => Kind::Unsigned(1),
            "u2" => Kind::Unsigned(2),
            "u4" => Kind::Unsigned(4),
            "u8" => Kind::Unsigned(8),
            _ => return None,
        };
        Some(Self { kind, big_endian: false })
    }

    /// The number that these bytes are; `None` for another number of bytes.
    fn decode(self, bytes: &[u8]) -> Option<Value> {
        let mut bytes = bytes.to_vec();
        if self.big_endian {
            bytes.reverse();
        }
        let unsigned = |size: usize| {
            let whole =
                (bytes.len() == size).then(|| bytes.iter().rev().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte)));
            whole.map(i128::from)
        };
        Some(match self.kind {
            Kind::Bool => Value::Bool(unsigned(1)? != 0),
            Kind::Float(2) => Value::Float(f16::from_le_bytes(bytes.try_into().ok()?).into()),
            Kind::Float(4) => Value::Float(f32::from_le_bytes(bytes.try_into().ok()?).into()),
            Kind::Float(_) => Value::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
            Kind::Unsigned(size) => Value::Int(unsigned(size)?),
            Kind::Signed(size) => {
                let value = unsigned(size)?;
                let modulus = 1i128 << (8 * size);
                Value::Int(if value >= modulus / 2 { value - modulus } else { value })
            }
        })
    }
}

impl Pickle<'_> {
    /// `numpy.dtype(code, align, copy)`
    pub(super) fn numpy_type(&self, arguments: &[Value], offset: usize) -> Result<Object, PickleError> {
        let code = arguments.first().and_then(|code| self.text(*code));
        let found = code.and_then(NumpyType::named).ok_or_else(|| {
            let code = arguments.first().map_or("nothing".into(), |code| self.describe(*code));
            malformed(offset, format!("a numpy value of type {code}, expected a number; write float(x) in its place"))
        })?;
        Ok(Object::NumpyType(found))
    }

    /// `numpy.core.multiarray.scalar(dtype, bytes)`: the number itself.
    pub(super) fn numpy_scalar(&self, arguments: &[Value], offset: usize) -> Result<Value, PickleError> {
        let number = match arguments {
            [dtype, bytes] => self.numpy_number(*dtype, *bytes),
            _ => None,
        };
        number.ok_or_else(|| malformed(offset, "a numpy number whose bytes do not fit its type".into()))
    }

    /// What BUILD gives a numpy object: a type its byte order, an array its one number.
    pub(super) fn numpy_state(
        &self,
        target: Value,
        state: Value,
        offset: usize,
    ) -> Result<Option<Object>, PickleError> {
        let fields = self.tuple(state).unwrap_or_default();
        match (self.object(target), fields) {
            (Some(Object::NumpyType(dtype)), [Value::Int(3 | 4), order, ..]) => {
                let big_endian = match self.text(*order) {
                    Some("<" | "|" | "=") => false,
                    Some(">") => true,
                    _ => {
                        return Err(malformed(offset, format!("a numpy type of byte order {}", self.describe(*order))));
                    }
                };
                Ok(Some(Object::NumpyType(NumpyType { big_endian, ..*dtype })))
            }
            (Some(Object::NumpyArray(None)), [Value::Int(1), shape, dtype, _fortran, bytes]) => {
                let sizes = self.tuple(*shape).unwrap_or_default();
                let is_one = sizes.iter().all(|size| *size == Value::Int(1));
                let number = self.numpy_number(*dtype, *bytes).filter(|_| is_one && self.tuple(*shape).is_some());
                let what = "a numpy array of other than one number; write float(x) or a tensor in its place";
                number
                    .map(|number| Some(Object::NumpyArray(Some(number))))
                    .ok_or_else(|| malformed(offset, what.into()))
            }
            (Some(Object::NumpyType(_) | Object::NumpyArray(_)), _) => {
                Err(malformed(offset, format!("the state of a numpy object is {}", self.describe(state))))
            }
            _ => Ok(None),
        }
    }

    /// `_codecs.encode(text, 'latin1')`: how protocol 2 spells a byte string.
    pub(super) fn encoded(&self, arguments: &[Value], offset: usize) -> Result<Object, PickleError> {
        let bytes = match arguments {
            [text, encoding] if self.text(*encoding) == Some("latin1") => {
                let text = self.text(*text).filter(|text| text.len() <= 2 * WIDEST);
                text.and_then(|text| text.chars().map(|char| u8::try_from(u32::from(char)).ok()).collect())
            }
            _ => None,
        };
        let what = "_codecs.encode of other than the bytes of one number";
        bytes.map(Object::Encoded).ok_or_else(|| malformed(offset, what.into()))
    }

    /// `pathlib.PosixPath('..', 'checkpoint')`, or a Windows one: the path as `str(path)` gives it.
    pub(super) fn path(&self, parts: &[Value], separator: char, offset: usize) -> Result<Object, PickleError> {
        let mut path = String::new();
        for part in parts {
            let what = || malformed(offset, format!("a path with the part {}, expected strings", self.describe(*part)));
            let part = self.text(*part).ok_or_else(what)?;
            if path.len() + part.len() >= LONGEST_PATH {
                return Err(PickleError::Limit { what: "bytes in a path", limit: LONGEST_PATH, offset });
            }
            if !path.is_empty() && !path.ends_with(separator) {
                path.push(separator);
            }
            path.push_str(part);
        }
        if path.is_empty() {
            path.push('.');
        }
        Ok(Object::Path(path))
    }

    /// A number, whether it was pickled as a float, an int, or one of numpy's.
    pub fn number(&self, value: Value) -> Option<f64> {
        match value {
            Value::Float(value) => Some(value),
            Value::Int(value) => Some(value as f64),
            Value::Object(_) => match self.object(value) {
                Some(Object::NumpyArray(Some(number @ (Value::Float(_) | Value::Int(_))))) => self.number(*number),
                _ => None,
            },
            _ => None,
        }
    }

    /// A string, or the string of a path.
    pub fn text_or_path(&self, value: Value) -> Option<&str> {
        match self.object(value) {
            Some(Object::Path(path)) => Some(path),
            _ => self.text(value),
        }
    }

    fn numpy_number(&self, dtype: Value, bytes: Value) -> Option<Value> {
        let Some(Object::NumpyType(dtype)) = self.object(dtype) else { return None };
        match (bytes, self.object(bytes)) {
            (Value::Bytes(span), _) if span.len <= WIDEST => dtype.decode(span.of(self.buffer())),
            (_, Some(Object::Encoded(bytes))) => dtype.decode(bytes),
            _ => None,
        }
    }
}

fn malformed(offset: usize, what: String) -> PickleError {
    PickleError::Malformed { what, offset }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_type_and_byte_order() {
        let decode =
            |code: &str, big_endian, bytes: &[u8]| NumpyType { big_endian, ..NumpyType::named(code)? }.decode(bytes);
        assert_eq!(decode("f8", false, &0.05f64.to_le_bytes()), Some(Value::Float(0.05)));
        assert_eq!(decode("f8", true, &0.05f64.to_be_bytes()), Some(Value::Float(0.05)));
        assert_eq!(decode("f4", false, &0.25f32.to_le_bytes()), Some(Value::Float(0.25)));
        assert_eq!(decode("f2", false, &[0x00, 0x3c]), Some(Value::Float(1.0)));
        assert_eq!(decode("i8", false, &(-3i64).to_le_bytes()), Some(Value::Int(-3)));
        assert_eq!(decode("i4", true, &(-3i32).to_be_bytes()), Some(Value::Int(-3)));
        assert_eq!(decode("u1", false, &[200]), Some(Value::Int(200)));
        assert_eq!(decode("u8", false, &u64::MAX.to_le_bytes()), Some(Value::Int(i128::from(u64::MAX))));
        assert_eq!(decode("b1", false, &[1]), Some(Value::Bool(true)));
        for (code, bytes) in [("f8", &[0; 4][..]), ("i8", &[]), ("u1", &[1, 2]), ("O8", &[0; 8]), ("f16", &[0; 16])] {
            assert_eq!(decode(code, false, bytes), None, "{code}");
        }
    }
}
