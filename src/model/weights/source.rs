//! Where a model's tensors come from.

use candle_core::{DType, Device, Tensor};

use super::WeightError;
use crate::checkpoint::TensorTable;

/// Named tensors that can be read one at a time.
pub trait WeightSource: Send + Sync {
    /// All names, sorted, without those that a forward pass never reads.
    fn names(&self) -> Vec<String>;

    /// Shape of a tensor, or `None` when there is none of that name.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;

    /// Reads one tensor, in `dtype`, to `device`.
    ///
    /// # Errors
    /// When the tensor does not exist or its file cannot be read.
    fn read(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor, WeightError>;

    /// Reads one row of a matrix, as f32.
    ///
    /// # Errors
    /// When the matrix or the row does not exist or its file cannot be read.
    fn read_row(&self, name: &str, row: usize) -> Result<Vec<f32>, WeightError>;

    /// What the tensors are and where they lie, for messages.
    fn describe(&self) -> String;
}

/// A table of tensors as it lies in its files: heads, policies.
impl WeightSource for TensorTable {
    fn names(&self) -> Vec<String> {
        TensorTable::names(self).map(str::to_string).collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.meta(name).map(|meta| meta.shape.clone())
    }

    fn read(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor, WeightError> {
        Ok(self.read_weight(name, device)?.to_dtype(dtype)?)
    }

    fn read_row(&self, name: &str, row: usize) -> Result<Vec<f32>, WeightError> {
        let values = TensorTable::read_row(self, name, row)?;
        Ok(values.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
    }

    fn describe(&self) -> String {
        let files: Vec<String> = self.files().iter().map(|path| path.display().to_string()).collect();
        files.join(", ")
    }
}
