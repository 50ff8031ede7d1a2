//! A low-rank change that learns beside a frozen matrix.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::{DType, Device, Result, Tensor, Var};

use planner_tuner_core::random::{Random, SplitMix};

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
        let learned = |var: &Var| if xs.track_op() { var.as_tensor().clone() } else { var.as_detached_tensor() };
        let (a, b) = (learned(&self.a), learned(&self.b));
        // On a GPU rows may be padded with zeros, for the sake of alignment.
        let (inputs, outputs) = (a.dim(1)?, b.dim(0)?);
        let xs = if xs.dim(1)? > inputs { xs.narrow(1, 0, inputs)? } else { xs.clone() };
        let xs = xs.to_dtype(DType::F32)?;
        let xs = match &self.dropout {
            Some(dropout) => dropout.apply(&xs)?,
            None => xs,
        };
        let change = (xs.matmul(&a.t()?)?.matmul(&b.t()?)? * self.scale)?; // [rows, out]
        let change = change.pad_with_zeros(1, 0, ys.dim(1)?.saturating_sub(outputs))?;
        ys + change.to_dtype(ys.dtype())?
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
        let mut random = Random::new(SplitMix::new(step ^ self.layer.rotate_left(32)).bits());
        let kept = (1.0 / (1.0 - self.share)) as f32;
        let mask = (0..xs.elem_count()).map(|_| if random.uniform() < self.share { 0.0 } else { kept }).collect();
        let mask: Vec<f32> = mask;
        xs * Tensor::from_vec(mask, xs.shape(), &Device::Cpu)?.to_device(xs.device())?
    }
}
