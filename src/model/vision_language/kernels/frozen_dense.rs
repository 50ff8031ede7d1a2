//! The product with a frozen matrix of any device, and the way back through it.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Storage, Tensor};

/// `[rows, in] -> [rows, out]`: `x W^T`, with a gradient for `x` alone. A plain product would compute one for `W`, too, and keep
/// it: as many numbers as the model has.
pub struct FrozenDense(pub Tensor);

impl FrozenDense {
    fn product<S: BackendStorage>(&self, xs: &S, layout: &Layout, weight: (&S, &Layout)) -> Result<(S, Shape)> {
        let ((rows, inputs), (outputs, cols)) = (layout.shape().dims2()?, self.0.dims2()?);
        if inputs != cols {
            candle_core::bail!("rows of {inputs} numbers do not fit a matrix of {cols} inputs");
        }
        let (weight, weight_layout) = weight;
        let product = xs.matmul(weight, (1, rows, outputs, inputs), layout, &weight_layout.transpose(0, 1)?)?;
        Ok((product, Shape::from((rows, outputs))))
    }
}

impl CustomOp1 for FrozenDense {
    fn name(&self) -> &'static str {
        "frozen-dense"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (storage, at) = self.0.storage_and_layout();
        match &*storage {
            Storage::Cpu(weight) => self.product(xs, layout, (weight, at)),
            _ => candle_core::bail!("the matrix is on another device"),
        }
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, xs: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (storage, at) = self.0.storage_and_layout();
        match &*storage {
            Storage::Cuda(weight) => self.product(xs, layout, (weight, at)),
            _ => candle_core::bail!("the matrix is on another device"),
        }
    }

    fn bwd(&self, _xs: &Tensor, _ys: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        dy.contiguous()?.matmul(&self.0.detach()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn it_is_the_plain_product_and_only_x_gets_a_gradient() {
        let weight = Tensor::randn(0f32, 1., (9, 7), &Device::Cpu).unwrap();
        let xs = Var::randn(0f32, 1., (5, 7), &Device::Cpu).unwrap();
        let dy = Tensor::randn(0f32, 1., (5, 9), &Device::Cpu).unwrap();
        let (found, plain) =
            (xs.apply_op1(FrozenDense(weight.clone())).unwrap(), xs.matmul(&weight.t().unwrap()).unwrap());
        assert_eq!(found.to_vec2::<f32>().unwrap(), plain.to_vec2::<f32>().unwrap());
        let gradients = |ys: Tensor| (ys * &dy).unwrap().sum_all().unwrap().backward().unwrap();
        let (found, plain) = (gradients(found), gradients(plain));
        let of_xs = |found: &candle_core::backprop::GradStore| found.get(&xs).unwrap().to_vec2::<f32>().unwrap();
        let (found_xs, plain_xs) = (of_xs(&found), of_xs(&plain));
        assert!(found_xs.iter().flatten().zip(plain_xs.iter().flatten()).all(|(a, b)| (a - b).abs() < 1e-5));
        assert!(found.get(&weight).is_none());
    }
}
