//! A low-rank change that learns beside a frozen matrix.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::{DType, Result, Tensor, Var};
use planner_tuner_core::random::SplitMix;

use super::kernels::DropoutMask;

/// `scale * B A`: PEFT's LoRA of one linear layer, in f32 whatever the layer is stored in.
#[derive(Debug, Clone)]
pub struct LoraPair {
    a: Var,
    b: Var,
    scale: f64,
    dropout: Option<Dropout>,
}

impl LoraPair {
    /// From `A [rank, in]` and `B [out, rank]`.
    ///
    /// # Errors
    /// When the ranks differ, or they are not matrices.
    pub fn new(a: Var, b: Var, scale: f64) -> Result<Self> {
        let ((rank_a, _), (_, rank_b)) = (a.dims2()?, b.dims2()?);
        if rank_a != rank_b {
            candle_core::bail!("LoRA A has rank {rank_a}, B has rank {rank_b}");
        }
        Ok(Self { a, b, scale, dropout: None })
    }

    /// With a share of A's inputs left out while learning.
    #[must_use]
    pub fn with_dropout(self, dropout: Dropout) -> Self {
        Self { dropout: Some(dropout), ..self }
    }

    /// `A [rank, in]`
    pub fn a(&self) -> &Var {
        &self.a
    }

    /// `B [out, rank]`
    pub fn b(&self) -> &Var {
        &self.b
    }

    /// `y + scale * B A x` for rows of `x` and of what the frozen matrix makes of them. A gradient leads to A, B, x and y where
    /// one leads to `x`; without, nothing is remembered.
    pub(super) fn add_to(&self, ys: &Tensor, xs: &Tensor) -> Result<Tensor> {
        let [reduced, b] = self.reduce(xs)?;
        let change = reduced.matmul(&b.t()?)?; // [rows, out]
        let change = change.pad_with_zeros(1, 0, ys.dim(1)?.saturating_sub(b.dim(0)?))?;
        ys + change.to_dtype(ys.dtype())?
    }

    /// `scale * A x`, `[rows, rank]`, and B, whose product is what is added. A gradient leads to A, B and x where one leads to
    /// `x`.
    pub(super) fn reduce(&self, xs: &Tensor) -> Result<[Tensor; 2]> {
        let learned = |var: &Var| if xs.track_op() { var.as_tensor().clone() } else { var.as_detached_tensor() };
        let (a, b) = (learned(&self.a), learned(&self.b));
        // On a GPU rows may be padded with zeros, for the sake of alignment.
        let inputs = a.dim(1)?;
        let xs = if xs.dim(1)? > inputs { xs.narrow(1, 0, inputs)? } else { xs.clone() };
        let xs = xs.to_dtype(DType::F32)?;
        let xs = match &self.dropout {
            Some(dropout) => dropout.apply(&xs)?,
            None => xs,
        };
        Ok([(xs.matmul(&a.t()?)? * self.scale)?, b])
    }
}

/// Which of its inputs a LoRA leaves out, the same ones whenever a step is computed again.
#[derive(Debug, Clone)]
pub struct Dropout {
    share: f64,
    /// Tells the layers apart.
    layer: u64,
    step: DropoutStep,
}

/// Chooses the inputs of one step for all layers; 0 leaves out none. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct DropoutStep(Arc<AtomicU64>);

impl DropoutStep {
    /// The next step, by a seed of its own; `None` leaves out nothing, as in evaluation.
    pub fn set(&self, seed: Option<u64>) {
        // 0 stands for none.
        self.0.store(seed.map_or(0, |seed| seed | 1), Ordering::Relaxed);
    }
}

impl Dropout {
    /// Leaves out a share in [0, 1) of the inputs of a layer.
    pub fn new(share: f64, layer: u64, step: DropoutStep) -> Self {
        Self { share, layer, step }
    }

    /// `[rows, in]` in and out: some zeros, the others larger by as much.
    fn apply(&self, xs: &Tensor) -> Result<Tensor> {
        let step = self.step.0.load(Ordering::Relaxed);
        if step == 0 || self.share == 0.0 {
            return Ok(xs.clone());
        }
        let seed = SplitMix::new(step ^ self.layer.rotate_left(32)).bits();
        xs.contiguous()?.apply_op1(DropoutMask::new(seed, self.share))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::Device;

    use super::*;

    fn pair(dropout: f64) -> (LoraPair, DropoutStep) {
        let step = DropoutStep::default();
        let random = |shape: (usize, usize)| Var::randn(0f32, 1., shape, &Device::Cpu).unwrap();
        let pair = LoraPair::new(random((3, 40)), random((7, 3)), 0.5).unwrap();
        (pair.with_dropout(Dropout::new(dropout, 4, step.clone())), step)
    }

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn dropout_is_the_same_for_a_step_and_another_for_the_next() {
        let (pair, step) = pair(0.25);
        let xs = Tensor::ones((50, 40), DType::F32, &Device::Cpu).unwrap();
        let ys = Tensor::zeros((50, 7), DType::F32, &Device::Cpu).unwrap();
        let at = |seed| {
            step.set(seed);
            numbers(&pair.add_to(&ys, &xs).unwrap())
        };
        let whole = at(None);
        let (first, again, second) = (at(Some(10)), at(Some(10)), at(Some(12)));
        assert_eq!(first, again);
        assert!(first != second && first != whole);
        assert_eq!(at(None), whole);
        // Of ones, the mask itself is left: a quarter zeros, the rest larger by as much.
        let dropout = Dropout::new(0.25, 4, step.clone());
        step.set(Some(10));
        let mask = numbers(&dropout.apply(&xs).unwrap());
        let zeros = mask.iter().filter(|value| **value == 0.0).count();
        assert!((400..600).contains(&zeros), "{zeros} of 2000");
        assert!(mask.iter().all(|value| *value == 0.0 || (value - 4.0 / 3.0).abs() < 1e-6));
    }

    #[test]
    fn padded_rows_are_taken_and_given() {
        let (pair, _) = pair(0.0);
        let xs = Tensor::randn(0f32, 1., (5, 40), &Device::Cpu).unwrap();
        let ys = Tensor::randn(0f32, 1., (5, 7), &Device::Cpu).unwrap();
        let plain = pair.add_to(&ys, &xs).unwrap();
        let (wide_xs, wide_ys) = (xs.pad_with_zeros(1, 0, 8).unwrap(), ys.pad_with_zeros(1, 0, 1).unwrap());
        let padded = pair.add_to(&wide_ys, &wide_xs).unwrap();
        assert_eq!(numbers(&padded.narrow(1, 0, 7).unwrap()), numbers(&plain));
        assert!(numbers(&padded.narrow(1, 7, 1).unwrap()).iter().all(|value| *value == 0.0));
    }
}
