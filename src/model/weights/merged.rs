//! A base model with its adapter merged in while it is read, one tensor at a time.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};

use super::names::{canonical, is_unused};
use super::nf4::{StoredNf4, companion_of};
use super::quantised::refuse_unread_methods;
use super::{LoraAdapter, WeightError, WeightSource};
use crate::checkpoint::TensorTable;

/// Called after each tensor with the number of tensors read so far.
pub type OnTensorRead = Box<dyn Fn(usize) + Send + Sync>;

/// The tensors of a base model under their canonical names, with `W + scale * B A` where an adapter has a say.
pub struct MergedWeights {
    table: TensorTable,
    stored_names: BTreeMap<String, String>,
    stored_nf4: BTreeMap<String, StoredNf4>,
    adapter: Option<LoraAdapter>,
    read_count: std::sync::atomic::AtomicUsize,
    on_read: Option<OnTensorRead>,
}

impl MergedWeights {
    /// Canonicalises the names and checks that the adapter fits.
    ///
    /// # Errors
    /// [`WeightError::Quantised`] for a base in fewer bits that is not read, [`WeightError::Ambiguous`] when two names mean one tensor, [`WeightError::Adapter`] when the adapter is for
    /// another model.
    pub fn new(table: TensorTable, adapter: Option<LoraAdapter>) -> Result<Self, WeightError> {
        refuse_unread_methods(&table)?;
        let mut stored_names = BTreeMap::new();
        let mut stored_nf4: BTreeMap<String, StoredNf4> = BTreeMap::new();
        for stored in table.names() {
            let name = canonical(stored);
            if is_unused(&name) || companion_of(stored).is_some_and(|weight| table.meta(weight).is_some()) {
                continue;
            }
            if let Some(quantised) = StoredNf4::find(&table, stored)? {
                stored_nf4.insert(name.clone(), quantised);
            }
            if let Some(first) = stored_names.insert(name.clone(), stored.to_string()) {
                let (what, second) = (table.describe(), stored.to_string());
                return Err(WeightError::Ambiguous { what, canonical: name, first, second });
            }
        }
        if let Some(adapter) = &adapter {
            adapter.check(|name| match stored_nf4.get(name) {
                Some(quantised) => Some(quantised.shape().to_vec()),
                None => Some(table.meta(stored_names.get(name)?)?.shape.clone()),
            })?;
        }
        Ok(Self { table, stored_names, stored_nf4, adapter, read_count: 0.into(), on_read: None })
    }

    /// Whether the files hold 4-bit matrices, as bitsandbytes saves them.
    pub fn is_quantised(&self) -> bool {
        !self.stored_nf4.is_empty()
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
        match self.stored_nf4.get(name) {
            Some(quantised) => Some(quantised.shape().to_vec()),
            None => Some(self.table.meta(self.stored_names.get(name)?)?.shape.clone()),
        }
    }

    fn read(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor, WeightError> {
        let stored = self.stored_names.get(name).map_or(name, String::as_str);
        let tensor = match self.stored_nf4.get(name) {
            Some(quantised) => {
                let [rows, cols] = quantised.shape();
                Tensor::from_vec(quantised.load(&self.table)?.dequantise(), (rows, cols), device)?
            }
            None => self.table.read_weight(stored, device)?,
        };
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

    fn read_row(&self, name: &str, row: usize) -> Result<Vec<f32>, WeightError> {
        let stored = self.stored_names.get(name).map_or(name, String::as_str);
        if self.adapter.as_ref().is_some_and(|adapter| adapter.adapts(name)) {
            let merged = self.read(name, DType::F32, &Device::Cpu)?;
            return Ok(merged.get(row)?.to_vec1()?);
        }
        WeightSource::read_row(&self.table, stored, row)
    }

    fn describe(&self) -> String {
        self.table.describe()
    }
}
