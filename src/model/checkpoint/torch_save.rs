//! State dicts in torch's zip container, as `torch.save` writes them.
//!
//! The description is a pickle of protocol 2, the only one that `torch.load(weights_only=True)` takes, with nothing in it
//! but dicts, numbers, strings and the two calls that make a tensor. Entries are stored as they are.

use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::error::CheckpointError;
use super::pickle::{storage_class, strides};
use super::state_dict::{StateDict, bytes};

/// What all entries are below.
const ROOT: &str = "archive";
/// Of the container's format, as torch notes it.
const VERSION: &[u8] = b"3\n";

impl StateDict {
    /// As `torch.save` writes an `OrderedDict` of tensors. The same tensors are always the same bytes.
    ///
    /// # Errors
    /// [`CheckpointError::NotWritable`] for an element type that torch's storages do not have.
    pub fn to_torch_zip(&self) -> Result<Vec<u8>, CheckpointError> {
        let description = self.description()?;
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        let mut put = |name: String, contents: &[u8]| -> Result<(), CheckpointError> {
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Stored)
                .last_modified_time(DateTime::default())
                .large_file(u32::try_from(contents.len()).is_err());
            let unwritten = |reason: String| CheckpointError::NotWritable { name: format!("zip entry {name}"), reason };
            archive.start_file(&*name, options).map_err(|error| unwritten(error.to_string()))?;
            archive.write_all(contents).map_err(|error| unwritten(error.to_string()))
        };
        put(format!("{ROOT}/data.pkl"), &description)?;
        put(format!("{ROOT}/byteorder"), b"little")?;
        for (key, (name, tensor)) in self.iter().enumerate() {
            put(format!("{ROOT}/data/{key}"), &bytes(name, tensor)?)?;
        }
        put(format!("{ROOT}/version"), VERSION)?;
        let finished = archive.finish().map_err(|error| CheckpointError::NotWritable {
            name: "zip container".into(),
            reason: error.to_string(),
        })?;
        Ok(finished.into_inner())
    }

    /// The pickle that says which storage each tensor is.
    fn description(&self) -> Result<Vec<u8>, CheckpointError> {
        let mut pickle = b"\x80\x02ccollections\nOrderedDict\n)R(".to_vec();
        for (key, (name, tensor)) in self.iter().enumerate() {
            let class = storage_class(tensor.dtype()).ok_or_else(|| CheckpointError::NotWritable {
                name: name.to_owned(),
                reason: format!("torch has no storage of element type {}", tensor.dtype().as_str()),
            })?;
            text(&mut pickle, name);
            // _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)
            pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            text(&mut pickle, "storage");
            pickle.extend(format!("ctorch\n{class}\n").bytes());
            text(&mut pickle, &key.to_string());
            text(&mut pickle, "cpu");
            int(&mut pickle, tensor.elem_count());
            pickle.extend(b"tQK\x00");
            tuple(&mut pickle, tensor.dims());
            tuple(&mut pickle, &strides(tensor.dims()));
            pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        }
        pickle.extend(b"u.");
        Ok(pickle)
    }
}

fn text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.as_bytes());
}

fn int(pickle: &mut Vec<u8>, value: usize) {
    match (u8::try_from(value), i32::try_from(value)) {
        (Ok(value), _) => pickle.extend([b'K', value]),
        (_, Ok(value)) => {
            pickle.push(b'J');
            pickle.extend(value.to_le_bytes());
        }
        _ => {
            // LONG1: a two's complement number of eight bytes.
            pickle.extend([0x8a, 8]);
            pickle.extend((value as u64).to_le_bytes());
        }
    }
}

fn tuple(pickle: &mut Vec<u8>, sizes: &[usize]) {
    pickle.push(b'(');
    sizes.iter().for_each(|&size| int(pickle, size));
    pickle.push(b't');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::checkpoint::TensorTable;

    #[test]
    fn what_is_written_is_read_again() {
        let tensors = [("a.weight", vec![3, 2]), ("a.bias", vec![3]), ("scalar", vec![]), ("none", vec![0, 4])];
        let tensors =
            tensors.map(|(name, shape)| (name.to_owned(), Tensor::randn(0f32, 1., shape, &Device::Cpu).unwrap()));
        let written = StateDict::new(tensors.to_vec()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pytorch_model.bin");
        std::fs::write(&path, written.to_torch_zip().unwrap()).unwrap();
        let read = StateDict::read(&TensorTable::open(&path).unwrap()).unwrap();
        assert!(read.same_bits(&written).unwrap());
        assert_eq!(written.to_torch_zip().unwrap(), std::fs::read(&path).unwrap());
    }

    /// The file that `test/fixtures/torch_zip/README.md` tells how torch has read.
    #[test]
    fn it_is_byte_for_byte_the_file_that_torch_has_read() {
        let counting = |shape: &[usize]| {
            let count: usize = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|number| number as f32 * 0.5 - 1.0).collect();
            Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        let shapes: [(&str, &[usize]); 3] =
            [("mlp.0.weight", &[3, 4]), ("mlp.0.bias", &[3]), ("conv.weight", &[2, 1, 3])];
        let tensors = shapes.map(|(name, shape)| (name.to_owned(), counting(shape))).to_vec();
        let written = StateDict::new(tensors).unwrap().to_torch_zip().unwrap();
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test/fixtures/torch_zip/pytorch_model.bin");
        if std::env::var_os("PLANNER_TUNER_WRITE_FIXTURE").is_some() {
            std::fs::write(&path, &written).unwrap();
        }
        assert!(written == std::fs::read(&path).unwrap());
    }
}
