//! Asks a model's constructor which tensors it wants, without any weights.

use std::collections::BTreeMap;
use std::sync::Mutex;

use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

/// A tensor that a constructor asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedTensor {
    /// Shape it must have.
    pub shape: Vec<usize>,
    /// Format it will be kept in; `F4` for what the constructor quantises itself, from f32.
    pub dtype: DType,
    /// Whether it is loaded at all, or read from its file a row at a time.
    pub loaded: bool,
}

impl WantedTensor {
    /// Number of values.
    pub fn elements(&self) -> u64 {
        self.shape.iter().map(|&side| side as u64).product()
    }

    /// Memory that the tensor takes in a format, bytes.
    pub fn bytes_as(&self, dtype: DType) -> u64 {
        match (self.loaded, dtype) {
            (false, _) => 0,
            // Half a byte, and a scale for each 64 values.
            (true, DType::F4) => self.elements() * 9 / 16,
            (true, dtype) => self.elements() * dtype.size_in_bytes() as u64,
        }
    }
}

/// The format in which a tensor is handed to the constructor that asked for it in `dtype`.
pub fn delivered(dtype: DType) -> DType {
    if dtype == DType::F4 { DType::F32 } else { dtype }
}

/// Runs `build` against a backend that hands out zeros of stride 0 (they take no memory, whatever their shape) and
/// writes down every name, shape and format. The constructor stays the only place that knows the checkpoint's names.
pub fn survey<T>(dtype: DType, build: impl FnOnce(VarBuilder) -> Result<T>) -> Result<BTreeMap<String, WantedTensor>> {
    let wanted = std::sync::Arc::new(Mutex::new(BTreeMap::new()));
    let backend = Surveyor { wanted: wanted.clone() };
    build(VarBuilder::from_backend(Box::new(backend), dtype, Device::Cpu))?;
    let mut wanted = wanted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(std::mem::take(&mut *wanted))
}

struct Surveyor {
    wanted: std::sync::Arc<Mutex<BTreeMap<String, WantedTensor>>>,
}

impl SimpleBackend for Surveyor {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let mut wanted = self.wanted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        wanted.insert(name.to_string(), WantedTensor { shape: shape.dims().to_vec(), dtype, loaded: true });
        Tensor::zeros((), delivered(dtype), device)?.broadcast_as(shape)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("tensor {name} was asked for without a shape")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}
