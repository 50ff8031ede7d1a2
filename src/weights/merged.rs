//! A base model with its adapter merged in while it is read, one tensor at a time.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};

use super::names::{canonical, is_unused};
use super::{LoraAdapter, WeightError, WeightSource};
use crate::checkpoint::TensorTable;

/// Called after each tensor with the number of tensors read so far.
pub type OnTensorRead = Box<dyn Fn(usize) + Send + Sync>;

/// The tensors of a base model under their canonical names, with `W + scale * B A` where an adapter has a say.
pub struct MergedWeights {
    table: TensorTable,
    stored_names: BTreeMap<String, String>,
    adapter: Option<LoraAdapter>,
    read_count: std::sync::atomic::AtomicUsize,
    on_read: Option<OnTensorRead>,
}

impl MergedWeights {
    /// Canonicalises the names and checks that the adapter fits.
    ///
    /// # Errors
    /// [`WeightError::Ambiguous`] when two names mean one tensor, [`WeightError::Adapter`] when the adapter is for
    /// another model.
    pub fn new(table: TensorTable, adapter: Option<LoraAdapter>) -> Result<Self, WeightError> {
        let mut stored_names = BTreeMap::new();
        for stored in table.names() {
            let name = canonical(stored);
            if is_unused(&name) {
                continue;
            }
            if let Some(first) = stored_names.insert(name.clone(), stored.to_string()) {
                let (what, second) = (table.describe(), stored.to_string());
                return Err(WeightError::Ambiguous { what, canonical: name, first, second });
            }
        }
        if let Some(adapter) = &adapter {
            adapter.check(|name| Some(table.meta(stored_names.get(name)?)?.shape.clone()))?;
        }
        Ok(Self { table, stored_names, adapter, read_count: 0.into(), on_read: None })
    }

    /// Reports progress: how many tensors have been read.
    pub fn on_read(mut self, report: OnTensorRead) -> Self {
        self.on_read = Some(report);
        self
    }
}

impl WeightSource for MergedWeights {
    fn names(&self) -> Vec<String> {
        self.stored_names.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        Some(self.table.meta(self.stored_names.get(name)?)?.shape.clone())
    }

    fn read(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor, WeightError> {
        let stored = self.stored_names.get(name).map_or(name, String::as_str);
        let tensor = self.table.read_weight(stored, device)?;
        let merged = match &self.adapter {
            Some(adapter) => adapter.merge(name, &tensor, device)?,
            None => None,
        };
        let tensor = merged.unwrap_or(tensor).to_dtype(dtype)?;
        let count = 1 + self.read_count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if let Some(report) = &self.on_read {
            report(count);
        }
        Ok(tensor)
    }

    fn describe(&self) -> String {
        self.table.describe()
    }
}
