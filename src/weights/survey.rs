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
    /// Format it will be kept in.
    pub dtype: DType,
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
        wanted.insert(name.to_string(), WantedTensor { shape: shape.dims().to_vec(), dtype });
        Tensor::zeros((), dtype, device)?.broadcast_as(shape)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("tensor {name} was asked for without a shape")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}
