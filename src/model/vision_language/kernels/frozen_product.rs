//! The product with a matrix that stays as it is, and the way back through it.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::attention::values;
use super::gemm::{Matrix, MatrixMut, multiply};
use super::{LinearWeights, PanelMatmul};
use crate::vectors::Vectors;
use crate::weights::{PANEL, PanelRow, PanelSource};

/// Inputs of the matrix that are widened together.
const TASK_INPUTS: usize = 64;
/// Rows that one task multiplies.
const TASK_ROWS: usize = 96;

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
        CustomOp1::cpu_fwd(&PanelMatmul { layer, vectors: Vectors::in_use() }, xs, layout)
    }

    fn bwd(&self, _xs: &Tensor, _ys: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        self.back(dy).map(Some)
    }
}

impl FrozenProduct {
    /// `dx = dy W`
    fn back(&self, dy: &Tensor) -> Result<Tensor> {
        // [in, rows]
        dy.contiguous()?.apply_op1_no_bwd(&TransposedBack(self.weights.as_ref()))?.t()
    }
}

/// The same beside a LoRA: `x [rows, in]`, `a [rows, rank]`, `B [out, rank]` to `x W^T + b + a B^T`, with a gradient for each of
/// the three. What the two products give alone is not kept.
pub struct AdaptedProduct(pub FrozenProduct);

impl CustomOp3 for AdaptedProduct {
    fn name(&self) -> &'static str {
        "adapted-product"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        layout: &Layout,
        reduced: &CpuStorage,
        reduced_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((rows, rank), (outputs, _)) = (reduced_layout.shape().dims2()?, b_layout.shape().dims2()?);
        let reduced = Matrix::new(values(reduced, reduced_layout)?, rows, rank)?;
        let change = product(reduced, Matrix::new(values(b, b_layout)?, outputs, rank)?.t())?;
        let layer = LinearWeights { weights: self.0.weights.as_ref(), bias: self.0.bias.as_deref() };
        let product = PanelMatmul { layer, vectors: Vectors::in_use() };
        CustomOp2::cpu_fwd(&product, xs, layout, &CpuStorage::F32(change), &Layout::contiguous((rows, outputs)))
    }

    fn bwd(
        &self,
        _xs: &Tensor,
        reduced: &Tensor,
        b: &Tensor,
        _ys: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        Ok((Some(self.0.back(&dy)?), Some(dy.matmul(&b.detach())?), Some(dy.t()?.matmul(&reduced.detach())?)))
    }
}

/// `[rows, out] -> [in, rows]`: `W^T dy^T`. The matrix is widened a few inputs at a time.
struct TransposedBack<'w>(&'w dyn PanelSource);

impl CustomOp1 for TransposedBack<'_> {
    fn name(&self) -> &'static str {
        "frozen-product-back"
    }

    fn cpu_fwd(&self, dy: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, outputs) = layout.shape().dims2()?;
        let (weights, vectors) = (self.0, Vectors::in_use());
        let inputs = weights.cols();
        if outputs != weights.rows() {
            candle_core::bail!("a gradient of {outputs} numbers does not fit a matrix of {} outputs", weights.rows());
        }
        let dy = Matrix::new(values(dy, layout)?, rows, outputs)?;
        let mut dx = vec![0f32; inputs * rows];
        let blocks = dx.par_chunks_mut((TASK_INPUTS * rows).max(1)).enumerate();
        blocks.try_for_each_init(
            || (vec![0f32; TASK_INPUTS * outputs], vec![[0.0; PANEL]; TASK_INPUTS]),
            |(block, room): &mut (Vec<f32>, Vec<PanelRow>), (task, dx)| {
                let first = task * TASK_INPUTS;
                let range = first..inputs.min(first + TASK_INPUTS);
                let count = range.len();
                widen(weights, range, vectors, (block, room));
                let block = Matrix::new(block, count, outputs)?; // [in, out]
                multiply(MatrixMut::new(dx, count, rows, rows)?, false, block, dy.t())
            },
        )?;
        Ok((CpuStorage::F32(dx), Shape::from((inputs, rows))))
    }
}

/// Some inputs of the matrix in f32, row by row of its transpose.
fn widen(
    weights: &dyn PanelSource,
    inputs: Range<usize>,
    vectors: Vectors,
    (block, room): (&mut [f32], &mut [PanelRow]),
) {
    let outputs = weights.rows();
    for panel in 0..outputs.div_ceil(PANEL) {
        let widened = weights.panel(panel, inputs.clone(), vectors, room);
        for (row, widened) in block.chunks_exact_mut(outputs.max(1)).zip(widened) {
            row.iter_mut().skip(panel * PANEL).zip(widened).for_each(|(place, value)| *place = *value);
        }
    }
}

/// `lhs rhs`, some rows a task.
fn product(lhs: Matrix<'_>, rhs: Matrix<'_>) -> Result<Vec<f32>> {
    let (rows, cols) = (lhs.rows(), rhs.cols());
    let mut values = vec![0f32; rows * cols];
    values.par_chunks_mut((TASK_ROWS * cols).max(1)).enumerate().try_for_each(|(task, values)| {
        let first = task * TASK_ROWS;
        let count = TASK_ROWS.min(rows - first);
        multiply(MatrixMut::new(values, count, cols, cols)?, false, lhs.some_rows(first..first + count)?, rhs)
    })?;
    Ok(values)
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
            assert!(difference(&found, &expected) < 1e-4, "{}", difference(&found, &expected));
        }
    }

    fn difference(a: &Tensor, b: &Tensor) -> f32 {
        (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    #[test]
    fn beside_a_lora_it_is_the_sum_of_both_products() {
        for (rows, inputs, outputs, rank) in [(1, 1, 1, 1), (5, 70, 33, 4), (200, 130, 96, 8)] {
            let weight = Tensor::randn(0f32, 1., (outputs, inputs), &Device::Cpu).unwrap();
            let numbers = weight.flatten_all().unwrap().to_vec1().unwrap();
            let weights = Arc::new(F32Matrix::new(&numbers, [outputs, inputs]).unwrap());
            let random = |shape| Var::randn(0f32, 1., shape, &Device::Cpu).unwrap();
            let variables = [random((rows, inputs)), random((rows, rank)), random((outputs, rank))];
            let [xs, reduced, b] = &variables;
            let dy = Tensor::randn(0f32, 1., (rows, outputs), &Device::Cpu).unwrap();
            let plain = (xs.matmul(&weight.t().unwrap()).unwrap() + reduced.matmul(&b.t().unwrap()).unwrap()).unwrap();
            let product = AdaptedProduct(FrozenProduct { weights, bias: None });
            let found = xs.apply_op3(reduced, b, product).unwrap();
            assert!(difference(&found, &plain) < 1e-4);
            let gradients = |ys: &Tensor| {
                let found = (ys * &dy).unwrap().sum_all().unwrap().backward().unwrap();
                variables.each_ref().map(|variable| found.get(variable).unwrap().clone())
            };
            for (found, plain) in gradients(&found).iter().zip(&gradients(&plain)) {
                assert!(difference(found, plain) < 2e-4, "{}", difference(found, plain));
            }
        }
    }
}
