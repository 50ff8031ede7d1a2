//! A linear layer whose matrix may be stored in a narrower format than it is computed in.

use std::sync::Arc;

use candle_core::{DType, Module, Result, Tensor};
use candle_nn::VarBuilder;

use super::kernels::{AdaptedProduct, FrozenDense, FrozenProduct, LinearWeights, PanelMatmul};
use super::nf4_on_device::Nf4OnDevice;
use super::{LoraPair, Precision};
use crate::vectors::Vectors;
use crate::weights::nf4::{AbsmaxFormat, Nf4Matrix, Nf4Panels};
use crate::weights::{Bf16Matrix, F32Matrix, PanelSource};

/// `y = x W^T + b` on rows, and `+ scale * B A x` while a LoRA learns beside it.
///
/// Where a gradient leads to `x`, one leads through `y`, too; the matrix itself never learns.
#[derive(Clone)]
pub struct Linear {
    form: Form,
    /// Outputs and inputs as published.
    shape: [usize; 2],
    lora: Option<LoraPair>,
}

/// Sees linear layers one by one, each with the name of its matrix without `.weight`.
pub type LinearVisitor<'v> = dyn FnMut(String, &mut Linear) -> Result<()> + 'v;

#[derive(Clone)]
enum Form {
    /// On a GPU, weight `[out, in]` and bias `[out]` in the activations' format.
    Dense { weight: Tensor, bias: Option<Tensor> },
    /// On a GPU in 4 bits, with the bias in the activations' format.
    Nf4 { weight: Nf4OnDevice, bias: Option<Tensor> },
    /// On a CPU, in whatever format, widened to f32 by panels.
    Panels { weights: Arc<dyn PanelSource>, bias: Option<Arc<[f32]>> },
}

impl Linear {
    /// Reads `weight` and `bias`.
    pub fn new(in_dim: usize, out_dim: usize, precision: Precision, vb: VarBuilder) -> Result<Self> {
        let bias = vb.get_with_hints_dtype(out_dim, "bias", Default::default(), precision.activations())?;
        Self::with_bias(in_dim, out_dim, precision, vb, Some(bias))
    }

    /// Reads `weight` only.
    pub fn no_bias(in_dim: usize, out_dim: usize, precision: Precision, vb: VarBuilder) -> Result<Self> {
        Self::with_bias(in_dim, out_dim, precision, vb, None)
    }

    fn with_bias(
        in_dim: usize,
        out_dim: usize,
        precision: Precision,
        vb: VarBuilder,
        bias: Option<Tensor>,
    ) -> Result<Self> {
        // What is asked for as F4 is delivered as f32, to be quantised here.
        let dtype = precision.nf4().map_or(precision.weights(), |_| DType::F4);
        let weight = vb.get_with_hints_dtype((out_dim, in_dim), "weight", Default::default(), dtype)?;
        Self::from_parts(weight, bias, precision.nf4())
    }

    /// From a matrix `[out, in]` that was put together elsewhere.
    pub fn from_weight(weight: Tensor) -> Result<Self> {
        Self::from_parts(weight, None, None)
    }

    fn from_parts(weight: Tensor, bias: Option<Tensor>, nf4: Option<AbsmaxFormat>) -> Result<Self> {
        // While tensors are surveyed, they have stride 0 and no contents.
        let shape: [usize; 2] = weight.dims2()?.into();
        let of = |form| Ok(Self { form, shape, lora: None });
        if !weight.is_contiguous() {
            return of(Form::Dense { weight, bias });
        }
        if !weight.device().is_cpu() {
            let Some(format) = nf4 else { return of(Form::Dense { weight, bias }) };
            let values = weight.flatten_all()?.to_vec1::<f32>()?;
            let quantised = Nf4Matrix::quantise(&values, shape, format).map_err(candle_core::Error::wrap)?;
            return of(Form::Nf4 { weight: Nf4OnDevice::new(&quantised, weight.device())?, bias });
        }
        let misfit = || candle_core::Error::Msg(format!("a matrix of shape {shape:?} has another number of values"));
        let flat = weight.flatten_all()?;
        let weights: Arc<dyn PanelSource> = match (nf4, weight.dtype()) {
            (Some(format), _) => {
                let quantised = Nf4Matrix::quantise(&flat.to_vec1::<f32>()?, shape, format);
                Arc::new(Nf4Panels::new(&quantised.map_err(candle_core::Error::wrap)?))
            }
            (None, DType::BF16) => Arc::new(Bf16Matrix::new(&flat.to_vec1()?, shape).ok_or_else(misfit)?),
            (None, _) => Arc::new(F32Matrix::new(&flat.to_vec1()?, shape).ok_or_else(misfit)?),
        };
        let bias = bias.map(|bias| bias.to_vec1::<f32>()).transpose()?.map(Into::into);
        of(Form::Panels { weights, bias })
    }

    /// Outputs and inputs of the matrix as published, without what was added for the sake of alignment.
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// Whether a LoRA learns beside the matrix.
    pub fn has_lora(&self) -> bool {
        self.lora.is_some()
    }

    /// Lets a LoRA learn beside the matrix, in place of one that is there.
    pub fn set_lora(&mut self, lora: Option<LoraPair>) {
        self.lora = lora;
    }
}

/// Where tensor cores are fast, rows of bf16 begin at multiples of so many numbers (16 bytes).
const ALIGNED: usize = 8;

impl Linear {
    /// On a GPU with zeros for more outputs, up to a multiple of what tensor cores are fast with: the 3B vision tower's MLP has
    /// 3420 numbers inside, and products with it take several times as long as with 3424.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn with_aligned_outputs(self) -> Result<Self> {
        self.aligned(0)
    }

    /// As [`Self::with_aligned_outputs`], for layers that take such outputs.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn with_aligned_inputs(self) -> Result<Self> {
        self.aligned(1)
    }

    fn aligned(self, dim: usize) -> Result<Self> {
        let form = match self.form.clone() {
            // While tensors are surveyed, they have no contents.
            Form::Dense { weight, bias } if weight.is_contiguous() => {
                let more = weight.dim(dim)?.next_multiple_of(ALIGNED) - weight.dim(dim)?;
                let bias = match bias {
                    Some(bias) if dim == 0 => Some(bias.pad_with_zeros(0, 0, more)?),
                    other => other,
                };
                Form::Dense { weight: weight.pad_with_zeros(dim, 0, more)?.contiguous()?, bias }
            }
            Form::Nf4 { weight, bias } => {
                let [rows, cols] = weight.shape();
                let (rows, cols, bias) = match (dim, bias) {
                    (0, bias) => {
                        let more = rows.next_multiple_of(ALIGNED) - rows;
                        (rows + more, cols, bias.map(|bias| bias.pad_with_zeros(0, 0, more)).transpose()?)
                    }
                    (_, bias) => (rows, cols.next_multiple_of(ALIGNED), bias),
                };
                Form::Nf4 { weight: weight.padded(rows, cols), bias }
            }
            other => other,
        };
        Ok(Self { form, ..self })
    }

    /// The layer for the CPU's kernels, where it is kept for them and nothing learns beside it.
    pub fn for_kernels(&self) -> Option<LinearWeights<'_>> {
        match &self.form {
            Form::Panels { weights, bias } if self.lora.is_none() => {
                Some(LinearWeights { weights: weights.as_ref(), bias: bias.as_deref() })
            }
            _ => None,
        }
    }

    /// `residual + x W^T + b`: `[rows, in]` and `[rows, out]` to `[rows, out]`.
    pub fn forward_onto(&self, xs: &Tensor, residual: &Tensor) -> Result<Tensor> {
        match self.for_kernels() {
            Some(layer) if !xs.track_op() && !residual.track_op() => xs
                .contiguous()?
                .apply_op2_no_bwd(&residual.contiguous()?, &PanelMatmul { layer, vectors: Vectors::in_use() }),
            _ => residual + self.forward(xs)?,
        }
    }

    fn forward_frozen(&self, xs: &Tensor) -> Result<Tensor> {
        match &self.form {
            Form::Panels { weights, bias } if xs.track_op() => {
                xs.contiguous()?.apply_op1(FrozenProduct { weights: Arc::clone(weights), bias: bias.clone() })
            }
            Form::Panels { weights, bias } => {
                let layer = LinearWeights { weights: weights.as_ref(), bias: bias.as_deref() };
                xs.contiguous()?.apply_op1_no_bwd(&PanelMatmul { layer, vectors: Vectors::in_use() })
            }
            Form::Dense { weight, bias } => dense(xs, weight, bias.as_ref()),
            Form::Nf4 { weight, bias } => dense(xs, &weight.dequantise(xs.dtype())?, bias.as_ref()),
        }
    }
}

impl Module for Linear {
    /// `[rows, in] -> [rows, out]`
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        match (&self.lora, &self.form) {
            (Some(lora), Form::Panels { weights, bias }) if xs.track_op() => {
                let [reduced, b] = lora.reduce(xs)?;
                let product = FrozenProduct { weights: Arc::clone(weights), bias: bias.clone() };
                xs.contiguous()?.apply_op3(&reduced.contiguous()?, &b, AdaptedProduct(product))
            }
            (Some(lora), _) => lora.add_to(&self.forward_frozen(xs)?, xs),
            (None, _) => self.forward_frozen(xs),
        }
    }
}

fn dense(xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let product = if xs.track_op() { xs.apply_op1(FrozenDense(weight.clone()))? } else { xs.matmul(&weight.t()?)? };
    match bias {
        Some(bias) => product.broadcast_add(bias),
        None => Ok(product),
    }
}

impl std::fmt::Debug for Linear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.form {
            Form::Dense { weight, .. } => write!(f, "Linear({:?} {:?})", weight.dims(), weight.dtype()),
            Form::Nf4 { weight, .. } => write!(f, "Linear({:?} nf4)", weight.shape()),
            Form::Panels { weights, .. } => {
                write!(f, "Linear([{}, {}], {} bytes)", weights.rows(), weights.cols(), weights.bytes())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::{Device, Var};

    use super::*;

    /// On a GPU a matrix has zeros around it. A LoRA beside it has the sizes of the matrix as it was published: an adapter that
    /// was learned beside the padded one would fit no base model.
    #[test]
    fn a_lora_beside_a_padded_matrix_has_the_published_sizes() {
        let random = |shape: (usize, usize)| Tensor::randn(0f32, 1., shape, &Device::Cpu).unwrap();
        let dense = |weight: &Tensor| Linear {
            shape: weight.dims2().unwrap().into(),
            form: Form::Dense { weight: weight.clone(), bias: None },
            lora: None,
        };
        let (up, down) = (random((13, 16)), random((16, 13)));
        let pair = |rows: usize, cols: usize| {
            let [a, b] = [(3, cols), (rows, 3)].map(|shape| Var::from_tensor(&random(shape)).unwrap());
            LoraPair::new(a, b, 0.5).unwrap()
        };
        let (of_up, of_down) = (pair(13, 16), pair(16, 13));
        let mlp = |aligned: bool, xs: &Tensor| {
            let (mut up, mut down) = (dense(&up), dense(&down));
            if aligned {
                (up, down) = (up.with_aligned_outputs().unwrap(), down.with_aligned_inputs().unwrap());
                assert_eq!((up.shape(), down.shape()), ([13, 16], [16, 13]));
            }
            up.set_lora(Some(of_up.clone()));
            down.set_lora(Some(of_down.clone()));
            let inside = up.forward(xs).unwrap();
            assert_eq!(inside.dim(1).unwrap(), if aligned { 16 } else { 13 });
            down.forward(&inside).unwrap()
        };
        let xs = Var::from_tensor(&random((5, 16))).unwrap();
        let (plain, aligned) = (mlp(false, &xs), mlp(true, &xs));
        let gradients = |ys: &Tensor| {
            let found = ys.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            [&xs, of_up.a(), of_up.b(), of_down.a(), of_down.b()].map(|variable| found.get(variable).unwrap().clone())
        };
        let close = |a: &Tensor, b: &Tensor| {
            let largest = b.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap() <= 1e-5 * largest
        };
        assert!(close(&aligned, &plain));
        assert!(gradients(&aligned).iter().zip(&gradients(&plain)).all(|(aligned, plain)| close(aligned, plain)));
    }
}
