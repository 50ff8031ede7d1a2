//! The safetensors format: an 8-byte length, a JSON header of that length, then the numbers.

use super::error::CheckpointError;
use super::stand_in::{STAND_IN_BYTES, stand_in};
use super::tensor_source::{Layout, Source, TensorEntry, TensorMeta};
use candle_core::DType;
use safetensors::tensor::{Dtype, Metadata};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

/// The format's own bound.
const MAX_HEADER: u64 = 100_000_000;

/// Reads and checks the header: tensor sizes, offsets without gap or overlap, and the file's length against both.
pub(super) fn open(path: &Path) -> Result<Vec<(String, TensorEntry)>, CheckpointError> {
    let io = || CheckpointError::io(path);
    let wrong =
        |found: String| CheckpointError::WrongFormat { path: path.into(), expected: "a safetensors file", found };
    let truncated = |what: &str, expected: u64, found: u64| CheckpointError::Truncated {
        path: path.into(),
        what: what.into(),
        expected,
        found,
    };
    let file = File::open(path).map_err(io())?;
    let length = file.metadata().map_err(io())?.len();
    if length < 8 {
        return Err(truncated("the length of a safetensors header", 8, length));
    }
    let mut prefix = [0; 8];
    file.read_exact_at(&mut prefix, 0).map_err(io())?;
    let header_length = u64::from_le_bytes(prefix);
    if header_length == 0 {
        return Err(wrong(format!(
            "its {length} bytes begin with zeros, as an interrupted copy leaves them; copy it again"
        )));
    }
    if header_length > MAX_HEADER {
        let mut start = vec![0; length.min(STAND_IN_BYTES) as usize];
        file.read_exact_at(&mut start, 0).map_err(io())?;
        if let Some(found) = stand_in(&start) {
            return Err(wrong(found));
        }
        return Err(wrong(format!("its header claims {header_length} bytes, the format allows {MAX_HEADER}")));
    }
    let data_start = 8 + header_length;
    if data_start > length {
        return Err(truncated("the safetensors header", data_start, length));
    }
    let mut header = vec![0; header_length as usize];
    file.read_exact_at(&mut header, 8).map_err(io())?;
    let header: Metadata = serde_json::from_slice(&header).map_err(|error| wrong(format!("its header: {error}")))?;
    let expected = data_start.saturating_add(header.data_len() as u64);
    if expected > length {
        return Err(truncated("header and tensors together", expected, length));
    }
    if expected < length {
        let what = format!("{} bytes follow the last tensor: expected {expected}, found {length}", length - expected);
        return Err(CheckpointError::malformed(path, what));
    }

    let (file, shared_path) = (Arc::new(file), Arc::new(path.to_path_buf()));
    let entry = |name: String| {
        let info = header.info(&name).ok_or_else(|| wrong(format!("its header lost tensor '{name}'")))?;
        let dtype = element_type(info.dtype).ok_or_else(|| CheckpointError::UnsupportedDtype {
            path: path.into(),
            name: name.clone(),
            dtype: info.dtype.to_string(),
        })?;
        // The header's own check has compared shape, element type and offsets.
        let (start, end) = info.data_offsets;
        let source = Source::File { file: file.clone(), offset: data_start + start as u64, len: end - start };
        let meta = TensorMeta { dtype, shape: info.shape.clone() };
        Ok((name, TensorEntry::new(meta, source, Layout::Contiguous(0), shared_path.clone())))
    };
    header.offset_keys().into_iter().map(entry).collect()
}

fn element_type(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::F64 => DType::F64,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::U32 => DType::U32,
        Dtype::U8 => DType::U8,
        _ => return None,
    })
}
