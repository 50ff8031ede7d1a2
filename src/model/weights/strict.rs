//! Loading that never guesses: the constructor is run twice, first against a survey, then against the files.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

use super::survey::{WantedTensor, delivered, survey};
use super::{WeightError, WeightSource};

/// What a model wants from its files: known before anything is read.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    wanted: BTreeMap<String, WantedTensor>,
}

impl LoadPlan {
    /// Asks the constructor `build` which tensors it reads; `dtype` is the format of those it leaves open.
    ///
    /// # Errors
    /// [`WeightError::Tensor`] when the constructor fails for another reason than weights.
    pub fn survey<T>(
        dtype: DType,
        build: impl FnOnce(VarBuilder) -> candle_core::Result<T>,
    ) -> Result<Self, WeightError> {
        Ok(Self { wanted: survey(dtype, build)? })
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.wanted.keys().map(String::as_str)
    }

    /// Shape of a tensor; `None` for one that is not wanted.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.wanted.get(name).map(|tensor| tensor.shape.as_slice())
    }

    /// Number of values in all tensors.
    pub fn parameter_count(&self) -> u64 {
        self.wanted.values().map(WantedTensor::elements).sum()
    }

    /// Number of tensors that are loaded.
    pub fn tensor_count(&self) -> usize {
        self.wanted.values().filter(|tensor| tensor.loaded).count()
    }

    /// A tensor that must be there, but stays in its file.
    pub fn add_unloaded(&mut self, name: &str, shape: &[usize]) {
        let tensor = WantedTensor { shape: shape.to_vec(), dtype: DType::F32, loaded: false };
        self.wanted.insert(name.to_string(), tensor);
    }

    /// Bytes that the loaded tensors take.
    pub fn bytes(&self) -> u64 {
        self.wanted.values().map(|tensor| tensor.bytes_as(tensor.dtype)).sum()
    }

    /// Bytes that the loaded tensors would take if every one were kept in `dtype`.
    pub fn bytes_as(&self, dtype: DType) -> u64 {
        self.wanted.values().map(|tensor| tensor.bytes_as(dtype)).sum()
    }

    /// Compares with what a source holds.
    ///
    /// # Errors
    /// [`WeightError::Mismatch`] with the missing, extra and mis-shaped tensors.
    pub fn check(&self, source: &dyn WeightSource) -> Result<(), WeightError> {
        let mut unmet = Vec::new();
        for (name, wanted) in &self.wanted {
            match source.shape(name) {
                None => unmet.push(format!("  missing    {name}, expected shape {:?}", wanted.shape)),
                Some(found) if found != wanted.shape => {
                    unmet.push(format!("  mis-shaped {name}, expected shape {:?}, found {found:?}", wanted.shape))
                }
                Some(_) => {}
            }
        }
        let extra = source.names().into_iter().filter(|name| !self.wanted.contains_key(name));
        let extra: Vec<_> = extra.map(|name| format!("  extra      {name}, expected no such tensor")).collect();
        if unmet.is_empty() && extra.is_empty() {
            return Ok(());
        }
        Err(WeightError::Mismatch { what: source.describe(), unmet, extra })
    }
}

/// Checks `source` against what `build` wants, then builds. Every tensor of the source must be used, and `build` must
/// get every tensor it asks for: nothing is ever initialised at random.
///
/// # Errors
/// [`WeightError::Mismatch`] with the differences; otherwise what reading or building failed with.
pub fn load_strictly<T>(
    source: Arc<dyn WeightSource>,
    dtype: DType,
    device: &Device,
    build: impl Fn(VarBuilder) -> candle_core::Result<T>,
) -> Result<T, WeightError> {
    LoadPlan::survey(dtype, &build)?.check(source.as_ref())?;
    load_checked(source, dtype, device, build)
}

/// Builds from a source that a [`LoadPlan`] has been checked against.
///
/// # Errors
/// What reading or building failed with.
pub fn load_checked<T>(
    source: Arc<dyn WeightSource>,
    dtype: DType,
    device: &Device,
    build: impl Fn(VarBuilder) -> candle_core::Result<T>,
) -> Result<T, WeightError> {
    let first_error = Arc::new(Mutex::new(None));
    let backend = StrictBackend { source, first_error: first_error.clone() };
    build(VarBuilder::from_backend(Box::new(backend), dtype, device.clone())).map_err(|error| {
        // candle's error type cannot carry ours: the original is kept aside and preferred.
        let kept = first_error.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.unwrap_or(WeightError::Tensor(error))
    })
}

/// Serves a constructor from a [`WeightSource`].
struct StrictBackend {
    source: Arc<dyn WeightSource>,
    first_error: Arc<Mutex<Option<WeightError>>>,
}

impl SimpleBackend for StrictBackend {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        let tensor = self.get_unchecked(name, dtype, device)?;
        if tensor.shape() != &shape {
            candle_core::bail!("tensor {name} has shape {:?}, expected {shape:?}", tensor.shape());
        }
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        self.source.read(name, delivered(dtype), device).map_err(|error| {
            let message = error.to_string();
            self.first_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            candle_core::Error::Msg(message)
        })
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.source.shape(name).is_some()
    }
}
