//! The costly part of the heads on a CPU, forward and backward by hand: hidden states up to the pooled vector, frames up to the pooled
//! map. What comes behind them is small and left to candle's autograd.
//!
//! Each observation goes its way on one thread, with buffers that are made once. On the way back the gradients of all products
//! are kept; the gradients of the weights, sums over observations, are then made a part of a matrix at a time.
//! [`FeatureExtractor::forward_batch`](super::FeatureExtractor::forward_batch) says the same of plain operations: it is what
//! a GPU computes, and what this is tested against.

mod frames;
mod kernels;
mod pairs;
mod products;
mod tokens;

use std::ops::{Deref, Range};
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Result, Storage, Tensor, bail};
use rayon::prelude::*;

use self::frames::{FrameFactors, FrameSums, FrameTape, FrameWeights};
use self::products::do_all;
use self::tokens::{TokenFactors, TokenSums, TokenTape, TokenWeights};
use super::HeadInput;
use crate::vectors::Vectors;

/// Finds a tensor's numbers by its name below a prefix.
type Find<'f> = &'f dyn Fn(&str) -> Result<Vec<f32>>;

/// Weights of the costly part, packed.
#[derive(Debug)]
pub struct HandWeights {
    tokens: TokenWeights,
    frames: Option<FrameWeights>,
    vectors: Vectors,
    /// Those that are not in use.
    tapes: Mutex<Vec<Tape>>,
}

/// The sums of the costly part's gradients.
#[derive(Debug, Clone)]
pub struct HandSums {
    tokens: TokenSums,
    frames: Option<FrameSums>,
}

/// What comes out of the costly part.
#[derive(Debug)]
pub struct HandOutput {
    /// `[batch, feature]`
    pub pooled: Tensor,
    /// `[batch * frames, channels * 16]`, for heads with history.
    pub maps: Option<Tensor>,
}

/// A batch between its forward and its backward pass.
#[derive(Debug)]
pub struct HandBatch {
    states: Vec<[Tensor; 4]>,
    tapes: Vec<Tape>,
}

#[derive(Debug, Default)]
struct Tape {
    tokens: TokenTape,
    frames: Vec<FrameTape>,
}

/// The numbers of a tensor, where they lie.
struct Held<G> {
    storage: G,
    range: Range<usize>,
}

/// Fails unless the numbers lie without gaps on a CPU.
fn hold<'t>(tensor: &'t Tensor) -> Result<Held<impl Deref<Target = Storage> + 't>> {
    let (storage, layout) = tensor.storage_and_layout();
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(Held { storage, range: start..end }),
        None => bail!("expected numbers without gaps"),
    }
}

impl<G: Deref<Target = Storage>> Held<G> {
    fn values(&self) -> Result<&[f32]> {
        match &*self.storage {
            Storage::Cpu(storage) => Ok(storage.as_slice::<f32>()?.get(self.range.clone()).unwrap_or_default()),
            _ => bail!("expected numbers on a CPU"),
        }
    }
}

impl HandWeights {
    /// Packs the tensors of a DPT head and, with the side of its frames, of a history encoder.
    ///
    /// # Errors
    /// When a tensor is missing.
    pub fn new([hidden, feature]: [usize; 2], head: Find, history: Option<(usize, Find)>) -> Result<Self> {
        Ok(Self {
            tokens: TokenWeights::new(hidden, feature, head)?,
            frames: history.map(|(side, encoder)| FrameWeights::new(side, encoder)).transpose()?,
            vectors: Vectors::in_use(),
            tapes: Mutex::default(),
        })
    }

    /// Packs other numbers of the same tensors.
    ///
    /// # Errors
    /// When a tensor is missing.
    pub fn change(&mut self, head: Find, encoder: Find) -> Result<()> {
        let [hidden, feature] = self.tokens.sizes();
        self.tokens = TokenWeights::new(hidden, feature, head)?;
        if let Some(frames) = &mut self.frames {
            *frames = FrameWeights::new(frames.side(), encoder)?;
        }
        Ok(())
    }

    /// No gradient yet.
    pub fn zeros(&self) -> HandSums {
        HandSums { tokens: self.tokens.zeros(), frames: self.frames.as_ref().map(FrameWeights::zeros) }
    }

    /// The forward pass of some observations.
    ///
    /// # Errors
    /// For hidden states or frames of another size.
    pub fn forward(&self, observations: &[HeadInput]) -> Result<(HandOutput, HandBatch)> {
        let states = observations.iter().map(|observation| states_of(observation)).collect::<Result<Vec<_>>>()?;
        let mut tapes = self.take_tapes(observations.len());
        let work = tapes.par_iter_mut().zip(&states).zip(observations);
        work.try_for_each(|((tape, states), observation)| self.run_forward(states, observation.newest_first, tape))?;
        let pooled: Vec<f32> = tapes.iter().flat_map(|tape| tape.tokens.pooled()).copied().collect();
        let pooled = Tensor::from_vec(pooled, (tapes.len(), self.tokens.sizes()[1]), &Device::Cpu)?;
        let maps = self.frames.is_some().then(|| {
            let frames = || tapes.iter().flat_map(|tape| &tape.frames);
            let maps: Vec<f32> = frames().flat_map(FrameTape::pooled).copied().collect();
            let count = frames().count();
            let width = maps.len() / count.max(1);
            Tensor::from_vec(maps, (count, width), &Device::Cpu)
        });
        Ok((HandOutput { pooled, maps: maps.transpose()? }, HandBatch { states, tapes }))
    }

    fn run_forward(&self, states: &[Tensor; 4], newest_first: &[Tensor], tape: &mut Tape) -> Result<()> {
        let [hidden, _] = self.tokens.sizes();
        let shape = states[0].dims2()?;
        if shape.1 != hidden || states.iter().any(|state| state.dims() != [shape.0, shape.1]) {
            bail!("hidden states of {shape:?} numbers do not fit heads for a width of {hidden}");
        }
        let held = states.each_ref().map(hold);
        let [a, b, c, d] = held;
        let held = [a?, b?, c?, d?];
        let [a, b, c, d] = held.each_ref().map(|held| held.values());
        self.tokens.forward([a?, b?, c?, d?], &mut tape.tokens, self.vectors);
        let Some(weights) = &self.frames else { return Ok(()) };
        tape.frames.resize_with(newest_first.len(), FrameTape::default);
        for (frame, tape) in newest_first.iter().zip(&mut tape.frames) {
            let side = weights.side();
            if frame.dims() != [3, side, side] {
                bail!("a past frame is {:?}, expected [3, {side}, {side}]", frame.dims());
            }
            let frame = frame.to_dtype(DType::F32)?.contiguous()?;
            weights.forward(hold(&frame)?.values()?, tape, self.vectors);
        }
        Ok(())
    }

    /// Comes back with the gradients of what [`Self::forward`] gave, and adds those of the weights to `sums`. Where they are
    /// asked for, the gradients of the hidden states.
    ///
    /// # Errors
    /// When a gradient has another shape.
    pub fn backward(
        &self,
        mut batch: HandBatch,
        of_output: &HandOutput,
        sums: &mut HandSums,
        with_states: bool,
    ) -> Result<Vec<[Tensor; 4]>> {
        let of_pooled: Vec<Vec<f32>> = of_output.pooled.to_vec2()?;
        let of_maps: Vec<Vec<f32>> = of_output.maps.as_ref().map_or(Ok(Vec::new()), Tensor::to_vec2)?;
        let frames = of_maps.len() / batch.tapes.len().max(1);
        let [hidden, _] = self.tokens.sizes();
        let work = batch.tapes.par_iter_mut().zip(&of_pooled).enumerate();
        let of_states = work.map(|(index, (tape, of_pooled))| -> Result<Option<[Tensor; 4]>> {
            let mut of_states = with_states.then(<[Vec<f32>; 4]>::default);
            self.tokens.backward(of_pooled, &mut tape.tokens, of_states.as_mut(), self.vectors);
            for (tape, of_map) in tape.frames.iter_mut().zip(of_maps.iter().skip(index * frames)) {
                if let Some(weights) = &self.frames {
                    weights.backward(of_map, tape, self.vectors);
                }
            }
            let Some(of_states) = of_states else { return Ok(None) };
            let [a, b, c, d] = of_states.map(|values| Tensor::from_vec(values, ((), hidden), &Device::Cpu));
            Ok(Some([a?, b?, c?, d?]))
        });
        let of_states = of_states.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        self.add(&batch, sums)?;
        self.put_back(batch);
        Ok(of_states)
    }

    fn add(&self, batch: &HandBatch, sums: &mut HandSums) -> Result<()> {
        let held: Vec<_> = batch.states.iter().flatten().map(hold).collect::<Result<_>>()?;
        let values: Vec<&[f32]> = held.iter().map(|held| held.values()).collect::<Result<_>>()?;
        let seen = batch.tapes.iter().zip(values.as_chunks::<4>().0);
        let tokens = TokenFactors::new(&self.tokens, seen.map(|(tape, states)| (&tape.tokens, *states)).collect());
        let mut tasks = sums.tokens.tasks(&tokens);
        let frames: Vec<&FrameTape> = batch.tapes.iter().flat_map(|tape| &tape.frames).collect();
        let factors = self.frames.as_ref().map(|weights| FrameFactors::new(weights, &frames));
        if let (Some(sums), Some(factors)) = (&mut sums.frames, &factors) {
            sums.tasks(factors, &mut tasks);
        }
        do_all(tasks, self.vectors);
        Ok(())
    }

    /// Each gradient under its tensor's name: those below a head's prefix, those below a history encoder's.
    pub fn named(&self, sums: &HandSums) -> [Vec<(String, Vec<f32>)>; 2] {
        let frames = self.frames.as_ref().zip(sums.frames.as_ref());
        [sums.tokens.named(&self.tokens), frames.map_or_else(Vec::new, |(weights, sums)| sums.named(weights))]
    }

    fn take_tapes(&self, count: usize) -> Vec<Tape> {
        let mut known = self.tapes.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = known.len().saturating_sub(count);
        let mut tapes = known.split_off(kept);
        tapes.resize_with(count, Tape::default);
        tapes
    }

    /// Leaves the buffers of a batch for the next.
    pub fn put_back(&self, batch: HandBatch) {
        self.tapes.lock().unwrap_or_else(PoisonError::into_inner).extend(batch.tapes);
    }
}

/// Whole, in f32, without gaps.
fn states_of(observation: &HeadInput) -> Result<[Tensor; 4]> {
    let [a, b, c, d] = observation.hidden_states.whole()?.map(|state| state.to_dtype(DType::F32)?.contiguous());
    Ok([a?, b?, c?, d?])
}
