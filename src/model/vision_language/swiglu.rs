//! The gated MLP of both towers.

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;

use super::kernels::GatedMlp;
use super::linear::LinearVisitor;
use super::{Linear, Precision};
use crate::vectors::Vectors;

/// `down(silu(gate(x)) * up(x))`: HF `Qwen2MLP` without biases, `Qwen2_5_VLMLP` with them.
#[derive(Debug)]
pub struct SwiGlu {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

/// [`Linear::new`] or [`Linear::no_bias`].
type MakeLinear = fn(usize, usize, Precision, VarBuilder) -> Result<Linear>;

impl SwiGlu {
    /// Reads `gate_proj`, `up_proj` and `down_proj`.
    pub fn new(width: usize, inner: usize, linear: MakeLinear, precision: Precision, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            gate_proj: linear(width, inner, precision, vb.pp("gate_proj"))?.with_aligned_outputs()?,
            up_proj: linear(width, inner, precision, vb.pp("up_proj"))?.with_aligned_outputs()?,
            down_proj: linear(inner, width, precision, vb.pp("down_proj"))?.with_aligned_inputs()?,
        })
    }
}

impl SwiGlu {
    /// `residual + down(silu(gate(x)) * up(x))`, all `[rows, width]`.
    pub fn forward_onto(&self, xs: &Tensor, residual: &Tensor) -> Result<Tensor> {
        let [gate, up, down] = [&self.gate_proj, &self.up_proj, &self.down_proj];
        match (gate.for_kernels(), up.for_kernels(), down.for_kernels()) {
            (Some(gate), Some(up), Some(down)) if !xs.track_op() => {
                let mlp = GatedMlp { gate, up, down, vectors: Vectors::in_use() };
                xs.contiguous()?.apply_op2_no_bwd(&residual.contiguous()?, &mlp)
            }
            _ => self.forward_plainly(xs, residual),
        }
    }

    /// Calls `visit` with each linear layer and its name below `path`.
    pub fn visit_linears(&mut self, path: &str, visit: &mut LinearVisitor<'_>) -> Result<()> {
        visit(format!("{path}.gate_proj"), &mut self.gate_proj)?;
        visit(format!("{path}.up_proj"), &mut self.up_proj)?;
        visit(format!("{path}.down_proj"), &mut self.down_proj)
    }

    fn forward_plainly(&self, xs: &Tensor, residual: &Tensor) -> Result<Tensor> {
        let gated = (self.gate_proj.forward(xs)?.silu()? * self.up_proj.forward(xs)?)?;
        self.down_proj.forward_onto(&gated, residual)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::{DType, Device};
    use candle_nn::VarMap;

    use super::*;
    use crate::vision_language::Quantize;

    #[test]
    fn the_kernel_equals_the_plain_operations() {
        let forms: [(MakeLinear, Precision); 2] =
            [(Linear::new, Precision::F32), (Linear::no_bias, Precision::F32.quantised(Quantize::Nf4))];
        // One tile and many, one block of inner values and several, whole panels and parts of one.
        for (rows, width, inner) in [(1, 8, 4), (12, 64, 512), (30, 70, 530), (410, 16, 1100), (37, 600, 33)] {
            for (linear, precision) in forms {
                let weights = VarMap::new();
                let vb = VarBuilder::from_varmap(&weights, DType::F32, &Device::Cpu);
                for (name, shape) in
                    [("gate_proj", [inner, width]), ("up_proj", [inner, width]), ("down_proj", [width, inner])]
                {
                    let random = |shape: &[usize]| Tensor::randn(0f32, 1., shape, &Device::Cpu).unwrap();
                    let mut data = weights.data().lock().unwrap();
                    for (part, shape) in [("weight", shape.as_slice()), ("bias", &shape[..1])] {
                        let var = candle_core::Var::from_tensor(&random(shape)).unwrap();
                        data.insert(format!("{name}.{part}"), var);
                    }
                }
                let mlp = SwiGlu::new(width, inner, linear, precision, vb).unwrap();
                let random = || Tensor::randn(0f32, 1., (rows, width), &Device::Cpu).unwrap();
                let (xs, residual) = (random(), random());
                let fast = mlp.forward_onto(&xs, &residual).unwrap();
                let plain = mlp.forward_plainly(&xs, &residual).unwrap();
                let largest = |tensor: &Tensor| tensor.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
                let difference = largest(&(fast - &plain).unwrap()) / largest(&plain);
                assert!(difference < 1e-5, "{rows} rows, {width} to {inner}: {difference}");
            }
        }
    }
}
