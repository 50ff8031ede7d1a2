//! Weights of any shape without a file, to measure with.

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use super::{LoadPlan, WeightError, WeightSource};

/// Values that one generator makes.
const CHUNK: usize = 1 << 16;

/// Small pseudo-random numbers for every tensor of a plan; the same ones every time.
#[derive(Debug)]
pub struct RandomWeights {
    plan: LoadPlan,
}

impl RandomWeights {
    /// For the tensors of this plan.
    pub fn new(plan: LoadPlan) -> Self {
        Self { plan }
    }
}

impl WeightSource for RandomWeights {
    fn names(&self) -> Vec<String> {
        self.plan.names().map(str::to_string).collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.plan.shape(name).map(<[usize]>::to_vec)
    }

    fn read(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor, WeightError> {
        let shape = self.plan.shape(name).unwrap_or_default();
        let mut values = vec![0f32; shape.iter().product()];
        values.par_chunks_mut(CHUNK).enumerate().for_each(|(index, chunk)| fill(chunk, index as u64));
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)
    }

    fn read_row(&self, name: &str, row: usize) -> Result<Vec<f32>, WeightError> {
        let mut values = vec![0f32; self.plan.shape(name).and_then(|shape| shape.last().copied()).unwrap_or(0)];
        fill(&mut values, row as u64);
        Ok(values)
    }

    fn describe(&self) -> String {
        "random weights".into()
    }
}

/// Uniform in ±0.05, by Marsaglia's xorshift.
fn fill(values: &mut [f32], seed: u64) {
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for value in values {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *value = ((state >> 40) as f32 / (1 << 24) as f32 - 0.5) * 0.1;
    }
}
