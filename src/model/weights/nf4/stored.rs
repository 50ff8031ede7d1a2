//! Matrices that a checkpoint already holds in bitsandbytes' 4-bit form, as transformers saves a model loaded with
//! `load_in_4bit`.
//!
//! Beside `X.weight` (the codes, u8 `[n / 2, 1]`) lie `X.weight.absmax`, `X.weight.quant_map`, with double quantisation
//! `X.weight.nested_absmax` and `X.weight.nested_quant_map`, and `X.weight.quant_state.bitsandbytes__nf4`: JSON as u8.

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;

use super::code::VALUES;
use super::{Absmax, AbsmaxFormat, BLOCK, DequantisedFormat, DoubleAbsmax, NESTED_BLOCK, Nf4Error, Nf4Matrix};
use crate::checkpoint::{CheckpointError, TensorTable};

/// Many times what bitsandbytes writes.
const MAX_STATE_BYTES: usize = 1 << 16;

const STATE: &str = "quant_state.bitsandbytes__";

/// The tensor that `name` describes, when it is one of those beside a stored 4-bit matrix: `X.weight.absmax` gives
/// `X.weight`. They are no parameters of the model.
pub fn companion_of(name: &str) -> Option<&str> {
    const PARTS: [&str; 6] = [
        ".absmax",
        ".quant_map",
        ".nested_absmax",
        ".nested_quant_map",
        ".quant_state.bitsandbytes__nf4",
        ".quant_state.bitsandbytes__fp4",
    ];
    PARTS.iter().find_map(|part| name.strip_suffix(part)).filter(|weight| weight.ends_with(".weight"))
}

/// A matrix stored in 4 bits: found and checked, not yet read.
#[derive(Debug, Clone)]
pub struct StoredNf4 {
    name: String,
    file: String,
    shape: [usize; 2],
    state: QuantState,
}

/// What bitsandbytes writes as JSON; `nested_*` with double quantisation only.
#[derive(Debug, Clone, Deserialize)]
struct QuantState {
    quant_type: String,
    blocksize: usize,
    dtype: String,
    shape: Vec<usize>,
    nested_blocksize: Option<usize>,
    nested_offset: Option<f64>,
}

impl StoredNf4 {
    /// Looks for the 4-bit form of the tensor `name` (`X.weight`); `None` when it is stored in another.
    ///
    /// # Errors
    /// [`Nf4Error::Stored`] for FP4, block sizes other than 64 and 256, and parts that are missing or do not fit each
    /// other; [`Nf4Error::Checkpoint`] when the file cannot be read.
    pub fn find(table: &TensorTable, name: &str) -> Result<Option<Self>, Nf4Error> {
        let Some(codes) = table.meta(name) else { return Ok(None) };
        let file = table.file_of(name).map(|path| path.display().to_string()).unwrap_or_default();
        let state_name = format!("{name}.{STATE}nf4");
        if table.meta(&state_name).is_none() {
            let wrong = |found: &str| {
                Misfit { field: "quantisation type", found, expected: "nf4" }.of(&file, name, ANOTHER_FORM)
            };
            return match () {
                () if table.meta(&format!("{name}.{STATE}fp4")).is_some() => Err(wrong("fp4")),
                () if codes.dtype == DType::U8 => Err(wrong(&format!("unknown (there is no tensor '{state_name}')"))),
                () => Ok(None),
            };
        }
        let state = read_state(table, &state_name, &file)?;
        let wrong = |field: &str, found: &str, expected: &str| {
            Err(Misfit { field, found, expected }.of(&file, &state_name, ANOTHER_FORM))
        };
        if state.quant_type != "nf4" {
            return wrong("quantisation type", &state.quant_type, "nf4");
        }
        if state.blocksize != BLOCK {
            return wrong("block size", &state.blocksize.to_string(), &BLOCK.to_string());
        }
        let shape = match state.shape.as_slice() {
            &[rows, cols] if rows.checked_mul(cols).is_some() => [rows, cols],
            other => return wrong("shape", &format!("{other:?}"), "rows and columns"),
        };
        let found = Self { name: name.into(), file: file.clone(), shape, state };
        if found.is_double() {
            if found.state.nested_blocksize != Some(NESTED_BLOCK) {
                let size = found.state.nested_blocksize.map_or("missing".into(), |size| size.to_string());
                return wrong("nested block size", &size, &NESTED_BLOCK.to_string());
            }
            if !found.state.nested_offset.is_some_and(f64::is_finite) {
                return wrong("nested offset", &format!("{:?}", found.state.nested_offset), "a finite number");
            }
        }
        for (part, dtype, count) in found.parts() {
            found.check_part(table, part, dtype, count)?;
        }
        Ok(Some(found))
    }

    /// Rows and columns of the matrix.
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// How the magnitudes are kept.
    pub fn absmax_format(&self) -> AbsmaxFormat {
        if self.is_double() { AbsmaxFormat::Double } else { AbsmaxFormat::Single }
    }

    /// What bitsandbytes rounds the dequantised values to: the format the matrix had before it was quantised.
    pub fn dequantised(&self) -> DequantisedFormat {
        if self.state.dtype == "bfloat16" { DequantisedFormat::Bf16 } else { DequantisedFormat::F32 }
    }

    /// Reads the matrix; it dequantises to f32 unless told otherwise.
    ///
    /// # Errors
    /// When the file has changed, holds nothing but zeros, values that are not finite, or codes of another table.
    pub fn load(&self, table: &TensorTable) -> Result<Nf4Matrix, Nf4Error> {
        let packed: Vec<u8> = self.read(table, "")?;
        if packed.iter().all(|&byte| byte == 0) && packed.len() > 1 {
            // Zero weights have code 7: this is a hole in the file.
            let (path, elements) = (self.file.clone().into(), packed.len());
            return Err(CheckpointError::ZeroFilled { path, name: self.name.clone(), elements }.into());
        }
        let map = self.read_floats(table, ".quant_map")?;
        if map != VALUES {
            return Err(self.wrong(".quant_map", "values", &format!("{map:?}"), "the sixteen of NF4"));
        }
        let absmax = if self.is_double() {
            let code = self.read_floats(table, ".nested_quant_map")?;
            let found = code.len();
            let nested_code = code
                .into_boxed_slice()
                .try_into()
                .map_err(|_| self.wrong(".nested_quant_map", "values", &found.to_string(), "256"))?;
            Absmax::Double(DoubleAbsmax {
                codes: self.read(table, ".absmax")?,
                nested_absmax: self.read_floats(table, ".nested_absmax")?,
                nested_code,
                offset: self.state.nested_offset.unwrap_or_default() as f32,
            })
        } else {
            Absmax::Single(self.read_floats(table, ".absmax")?)
        };
        Nf4Matrix::from_parts(self.shape, packed, absmax)
    }

    fn is_double(&self) -> bool {
        self.state.nested_blocksize.is_some() || self.state.nested_offset.is_some()
    }

    /// The tensors of the matrix: the end of their names, format, number of values.
    fn parts(&self) -> Vec<(&'static str, DType, usize)> {
        let values = self.shape[0] * self.shape[1];
        let blocks = values.div_ceil(BLOCK);
        let mut parts = vec![("", DType::U8, values.div_ceil(2)), (".quant_map", DType::F32, VALUES.len())];
        if self.is_double() {
            parts.extend([
                (".absmax", DType::U8, blocks),
                (".nested_absmax", DType::F32, blocks.div_ceil(NESTED_BLOCK)),
                (".nested_quant_map", DType::F32, 256),
            ]);
        } else {
            parts.push((".absmax", DType::F32, blocks));
        }
        parts
    }

    fn check_part(&self, table: &TensorTable, part: &str, dtype: DType, count: usize) -> Result<(), Nf4Error> {
        let expected = format!("{} of {count} values", dtype.as_str());
        match table.meta(&format!("{}{part}", self.name)) {
            Some(meta) if meta.dtype == dtype && meta.elements() == count => Ok(()),
            Some(meta) => {
                let found = format!("{} of shape {:?}", meta.dtype.as_str(), meta.shape);
                Err(self.wrong(part, "values", &found, &expected))
            }
            None => Err(self.wrong(part, "values", "missing", &expected)),
        }
    }

    fn read<T: candle_core::WithDType>(&self, table: &TensorTable, part: &str) -> Result<Vec<T>, Nf4Error> {
        let name = format!("{}{part}", self.name);
        let tensor = table.read(&name, &Device::Cpu)?;
        flat(&tensor).map_err(|error| self.wrong(part, "values", &error.to_string(), T::DTYPE.as_str()))
    }

    fn read_floats(&self, table: &TensorTable, part: &str) -> Result<Vec<f32>, Nf4Error> {
        let values: Vec<f32> = self.read(table, part)?;
        match values.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(self.wrong(part, "values", &value.to_string(), "finite numbers")),
            None => Ok(values),
        }
    }

    fn wrong(&self, part: &str, field: &str, found: &str, expected: &str) -> Nf4Error {
        Misfit { field, found, expected }.of(&self.file, &format!("{}{part}", self.name), SAVE_AGAIN)
    }
}

const ANOTHER_FORM: &str = "; give the checkpoint it was made from, it is quantised while it is loaded";

const SAVE_AGAIN: &str = "; save it again";

/// What does not fit in one of the tensors.
struct Misfit<'a> {
    field: &'a str,
    found: &'a str,
    expected: &'a str,
}

impl Misfit<'_> {
    fn of(&self, file: &str, tensor: &str, advice: &str) -> Nf4Error {
        let Self { field, found, expected } = self;
        let what = format!("{field} {found}, expected {expected}{advice}");
        Nf4Error::Stored { file: file.into(), tensor: tensor.into(), what }
    }
}

fn read_state(table: &TensorTable, name: &str, file: &str) -> Result<QuantState, Nf4Error> {
    let wrong = |found: String| {
        Misfit { field: "a state", found: &found, expected: "bitsandbytes' JSON" }.of(file, name, SAVE_AGAIN)
    };
    match table.meta(name) {
        Some(meta) if meta.dtype == DType::U8 && meta.elements() <= MAX_STATE_BYTES => {}
        meta => return Err(wrong(format!("{meta:?}"))),
    }
    let json = flat::<u8>(&table.read(name, &Device::Cpu)?).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_slice(&json).map_err(|error| wrong(error.to_string()))
}

fn flat<T: candle_core::WithDType>(tensor: &Tensor) -> candle_core::Result<Vec<T>> {
    tensor.flatten_all()?.to_vec1()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn companions_are_told_from_parameters() {
        assert_eq!(companion_of("a.q_proj.weight.absmax"), Some("a.q_proj.weight"));
        assert_eq!(companion_of("a.q_proj.weight.quant_state.bitsandbytes__fp4"), Some("a.q_proj.weight"));
        assert_eq!(companion_of("a.q_proj.weight"), None);
        assert_eq!(companion_of("a.absmax"), None);
    }
}
