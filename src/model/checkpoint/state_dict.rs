//! Named tensors in an order: what a network is saved as.

use super::error::CheckpointError;
use super::pickle::{PickleWriter, TensorBytes, write_tensor};
use super::tensor_table::TensorTable;
use candle_core::{DType, Device, Tensor};
use serde_json::json;
use std::collections::BTreeSet;

/// Named tensors in the order of the network's own state dict. No name is there twice.
#[derive(Debug, Clone, Default)]
pub struct StateDict {
    tensors: Vec<(String, Tensor)>,
}

impl StateDict {
    /// Takes tensors in their order.
    ///
    /// # Errors
    /// [`CheckpointError::NotWritable`] for a name that is there twice.
    pub fn new(tensors: Vec<(String, Tensor)>) -> Result<Self, CheckpointError> {
        let mut seen = BTreeSet::new();
        match tensors.iter().find(|(name, _)| !seen.insert(name.as_str())) {
            Some((name, _)) => {
                Err(CheckpointError::NotWritable { name: name.clone(), reason: "it is there twice".into() })
            }
            None => Ok(Self { tensors }),
        }
    }

    /// Reads all tensors of a table, in the order of its file.
    ///
    /// # Errors
    /// As [`TensorTable::read`].
    pub fn read(table: &TensorTable) -> Result<Self, CheckpointError> {
        let read = |name: &str| Ok((name.to_owned(), table.read(name, &Device::Cpu)?));
        Ok(Self { tensors: table.names_in_file_order().into_iter().map(read).collect::<Result<_, _>>()? })
    }

    /// Name and tensor, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// A tensor by name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.iter().find(|(known, _)| *known == name).map(|(_, tensor)| tensor)
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there is no tensor.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// Whether both have the same tensors, bit for bit and in the same order.
    ///
    /// # Errors
    /// [`CheckpointError::NotWritable`] when a device refuses to hand out its numbers.
    pub fn same_bits(&self, other: &Self) -> Result<bool, CheckpointError> {
        if self.len() != other.len() {
            return Ok(false);
        }
        for ((name, left), (other_name, right)) in self.iter().zip(other.iter()) {
            let alike = (name, left.dtype(), left.dims()) == (other_name, right.dtype(), right.dims());
            if !alike || bytes(name, left)? != bytes(name, right)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// As a plain pickle of a dict, in which every tensor carries its numbers as an embedded legacy torch file: what
    /// `pickle.dump` of a state dict writes, and `pickle.load` under PyTorch reads.
    ///
    /// # Errors
    /// [`CheckpointError::NotWritable`] for an element type that torch's old storages do not have.
    pub fn to_pickle(&self) -> Result<Vec<u8>, CheckpointError> {
        let mut pickle = PickleWriter::new();
        let items: Vec<_> = self.iter().map(|(name, tensor)| (name, (name, tensor))).collect();
        pickle.dict(&items, |pickle, (name, tensor)| {
            let tensor = TensorBytes { dtype: tensor.dtype(), shape: tensor.dims(), bytes: bytes(name, tensor)? };
            let dtype = tensor.dtype;
            write_tensor(pickle, &tensor).ok_or_else(|| CheckpointError::NotWritable {
                name: (*name).to_owned(),
                reason: format!("torch's old storages have no element type {}; use safetensors", dtype.as_str()),
            })
        })?;
        Ok(pickle.finish())
    }

    /// As safetensors, the tensors in their order.
    ///
    /// # Errors
    /// [`CheckpointError::NotWritable`] for an element type that is not read here either.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, CheckpointError> {
        let mut header = serde_json::Map::new();
        let mut data = Vec::new();
        for (name, tensor) in self.iter() {
            let dtype = safetensors_name(tensor.dtype()).ok_or_else(|| CheckpointError::NotWritable {
                name: name.to_owned(),
                reason: format!("element type {} is not supported", tensor.dtype().as_str()),
            })?;
            let start = data.len();
            data.extend(bytes(name, tensor)?);
            let entry = json!({"dtype": dtype, "shape": tensor.dims(), "data_offsets": [start, data.len()]});
            header.insert(name.to_owned(), entry);
        }
        let mut header = serde_json::Value::Object(header).to_string().into_bytes();
        // The format's own alignment of the numbers.
        header.resize(header.len().next_multiple_of(8), b' ');
        Ok([(header.len() as u64).to_le_bytes().as_slice(), &header, &data].concat())
    }
}

/// The numbers in row-major order, little-endian.
pub(super) fn bytes(name: &str, tensor: &Tensor) -> Result<Vec<u8>, CheckpointError> {
    let mut bytes = Vec::with_capacity(tensor.elem_count() * tensor.dtype().size_in_bytes());
    let written = tensor.write_bytes(&mut bytes);
    written
        .map_err(|error| CheckpointError::NotWritable { name: name.to_owned(), reason: error.to_string() })
        .map(|()| bytes)
}

fn safetensors_name(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::F32 => "F32",
        DType::F16 => "F16",
        DType::BF16 => "BF16",
        DType::F64 => "F64",
        DType::I64 => "I64",
        DType::I32 => "I32",
        DType::I16 => "I16",
        DType::U32 => "U32",
        DType::U8 => "U8",
        _ => return None,
    })
}
