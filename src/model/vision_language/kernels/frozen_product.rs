//! The product with a matrix that stays as it is, and the way back through it.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{LinearWeights, PanelMatmul};
use crate::vectors::Vectors;
use crate::weights::{PANEL, PanelRow, PanelSource};

/// Inputs of the matrix that one task of [`transposed`] lays out.
const TASK_INPUTS: usize = 64;

/// `[rows, in] -> [rows, out]`: `x W^T + b`, with a gradient for `x` alone.
pub struct FrozenProduct {
    /// `W`, `[out, in]`
    pub weights: Arc<dyn PanelSource>,
    /// `b`, `[out]`
    pub bias: Option<Arc<[f32]>>,
}

impl CustomOp1 for FrozenProduct {
    fn name(&self) -> &'static str {
        "frozen-product"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let layer = LinearWeights { weights: self.weights.as_ref(), bias: self.bias.as_deref() };
        PanelMatmul { layer, vectors: Vectors::in_use() }.cpu_fwd(xs, layout)
    }

    /// `dx = dy W`. The matrix is widened for it as a whole, and forgotten again.
    fn bwd(&self, _xs: &Tensor, _ys: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let shape = (self.weights.cols(), self.weights.rows());
        let transposed = Tensor::from_vec(transposed(self.weights.as_ref()), shape, dy.device())?; // [in, out]
        Ok(Some(dy.contiguous()?.matmul(&transposed.t()?)?))
    }
}

/// The matrix in f32, row by row of its transpose `[in, out]`.
fn transposed(weights: &dyn PanelSource) -> Vec<f32> {
    let (rows, cols, vectors) = (weights.rows(), weights.cols(), Vectors::in_use());
    let mut values = vec![0f32; rows * cols];
    if values.is_empty() {
        return values;
    }
    values.par_chunks_mut(TASK_INPUTS * rows).enumerate().for_each(|(task, block)| {
        let mut room: Vec<PanelRow> = vec![[0.0; PANEL]; TASK_INPUTS];
        let first = task * TASK_INPUTS;
        let inputs = first..cols.min(first + TASK_INPUTS);
        for panel in 0..rows.div_ceil(PANEL) {
            let outputs = weights.panel(panel, inputs.clone(), vectors, &mut room);
            for (row, outputs) in block.chunks_exact_mut(rows).zip(outputs) {
                row.iter_mut().skip(panel * PANEL).zip(outputs).for_each(|(place, value)| *place = *value);
            }
        }
    });
    values
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::{Device, Var};

    use super::*;
    use crate::weights::F32Matrix;

    #[test]
    fn its_gradient_is_that_of_the_plain_product() {
        for (rows, inputs, outputs) in [(1, 1, 1), (5, 70, 33), (40, 200, 96)] {
            let weight = Tensor::randn(0f32, 1., (outputs, inputs), &Device::Cpu).unwrap();
            let values = weight.flatten_all().unwrap().to_vec1().unwrap();
            let weights = Arc::new(F32Matrix::new(&values, [outputs, inputs]).unwrap());
            let xs = Var::randn(0f32, 1., (rows, inputs), &Device::Cpu).unwrap();
            let dy = Tensor::randn(0f32, 1., (rows, outputs), &Device::Cpu).unwrap();
            let gradient =
                |ys: Tensor| (ys * &dy).unwrap().sum_all().unwrap().backward().unwrap().get(&xs).unwrap().clone();
            let found = gradient(xs.apply_op1(FrozenProduct { weights, bias: None }).unwrap());
            let expected = gradient(xs.matmul(&weight.t().unwrap()).unwrap());
            let difference = (found - expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(difference < 1e-4, "{difference}");
        }
    }
}
