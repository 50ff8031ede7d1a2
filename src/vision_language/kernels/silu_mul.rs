//! The gate of SwiGLU in one pass.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::exp::exp;
use super::vectors::widest_vectors;

/// Values a thread takes at a time.
const CHUNK: usize = 1 << 14;

/// `silu(gate) * up`, element by element.
///
/// # Errors
/// When the shapes differ.
pub fn silu_mul(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if super::attention::is_cpu_f32(gate) {
        return gate.contiguous()?.apply_op2_no_bwd(&up.contiguous()?, &SiluMul);
    }
    gate.silu()? * up
}

struct SiluMul;

impl CustomOp2 for SiluMul {
    fn name(&self) -> &'static str {
        "silu-mul"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        gate_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let gate = super::attention::values(gate, gate_layout)?;
        let up = super::attention::values(up, up_layout)?;
        if gate.len() != up.len() {
            candle_core::bail!("silu-mul of {} and {} values", gate.len(), up.len());
        }
        let mut out = vec![0f32; gate.len()];
        out.par_chunks_mut(CHUNK).zip(gate.par_chunks(CHUNK)).zip(up.par_chunks(CHUNK)).for_each(
            |((out, gate), up)| {
                widest_vectors(|| {
                    for ((out, &gate), &up) in out.iter_mut().zip(gate).zip(up) {
                        *out = gate / (1.0 + exp(-gate)) * up;
                    }
                });
            },
        );
        Ok((CpuStorage::F32(out), gate_layout.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::Device;

    use super::*;

    #[test]
    fn equals_the_plain_operations() {
        let gate = Tensor::randn(0f32, 20., (3, 40_001), &Device::Cpu).unwrap();
        let up = Tensor::randn(0f32, 1., (3, 40_001), &Device::Cpu).unwrap();
        let plain = (gate.silu().unwrap() * &up).unwrap();
        let difference = (silu_mul(&gate, &up).unwrap() - plain).unwrap().abs().unwrap().max_all().unwrap();
        assert!(difference.to_scalar::<f32>().unwrap() < 2e-5);
    }
}
