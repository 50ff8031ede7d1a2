//! Hidden states become the pooled vector, and the way back: projections, fusion blocks, attention pooling.
#![expect(clippy::indexing_slicing, reason = "the buffers are made for the sequence's length and the head's width")]

use candle_core::Result;

use super::kernels::{LongProduct, Places, WindowProduct, Windows, panels_of, relu};
use super::pairs::{PairKernel, PairSum, PairTape};
use super::products::{Factors, LayerSum, SumTask};
use crate::vectors::Vectors;
use crate::vision_language::kernels::TileColumn;
use crate::weights::{PANEL, PanelRow};

/// Epsilon of torch's LayerNorm.
const EPSILON: f32 = 1e-5;

/// A matrix with its bias, packed for the forward and for the backward pass.
#[derive(Debug, Clone, Default)]
struct Layer {
    forward_panels: Vec<PanelRow>,
    back: Vec<PanelRow>,
    bias: Vec<f32>,
}

#[derive(Debug, Clone)]
struct ProjectionWeights {
    layer: Layer,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

#[derive(Debug, Clone)]
struct BlockWeights {
    resample: Layer,
    conv1: PairKernel,
    bias1: Vec<f32>,
    conv2: PairKernel,
    bias2: Vec<f32>,
}

/// The weights of a head up to its pooled vector.
#[derive(Debug, Clone)]
pub struct TokenWeights {
    hidden: usize,
    feature: usize,
    projections: Vec<ProjectionWeights>,
    blocks: Vec<BlockWeights>,
    narrow: Layer,
    score: Vec<f32>,
    score_bias: f32,
}

/// What the forward pass of an observation leaves for the backward pass; made once and used again.
#[derive(Debug, Default)]
pub struct TokenTape {
    rows: usize,
    /// After the norm, before its scale.
    normed: [Vec<f32>; 4],
    /// One over the deviation of each row.
    inverse: [Vec<f32>; 4],
    projected: [Vec<f32>; 4],
    /// With a row of zeros before and two behind, as all that a convolution sees.
    merged: [Vec<f32>; 3],
    inner: [Vec<f32>; 3],
    pairs1: [PairTape; 3],
    pairs2: [PairTape; 3],
    out: [Vec<f32>; 3],
    narrow: Vec<f32>,
    attention: Vec<f32>,
    pooled: Vec<f32>,
    of_linear: [Vec<f32>; 4],
    of_merged: [Vec<f32>; 3],
    of_inner: [Vec<f32>; 3],
    of_outer: [Vec<f32>; 3],
    of_narrow: Vec<f32>,
    of_scale: [Vec<f32>; 4],
    of_shift: [Vec<f32>; 4],
    of_score: Vec<f32>,
    of_score_bias: f32,
    flowing: Vec<f32>,
    room: Vec<TileColumn>,
}

/// The sums of all gradients of [`TokenWeights`].
#[derive(Debug, Clone)]
pub struct TokenSums {
    projections: Vec<LayerSum>,
    scales: Vec<Vec<f32>>,
    shifts: Vec<Vec<f32>>,
    resample: Vec<LayerSum>,
    conv1: Vec<PairSum>,
    conv2: Vec<PairSum>,
    narrow: LayerSum,
    score: Vec<f32>,
    score_bias: f32,
}

impl Layer {
    /// `[outputs, inputs]` of a linear layer.
    fn linear(weight: &[f32], inputs: usize, bias: Vec<f32>) -> Self {
        let outputs = weight.len() / inputs.max(1);
        let forward_panels = panels_of(outputs, inputs, |output, input| weight[output * inputs + input]);
        let back = panels_of(inputs, outputs, |input, output| weight[output * inputs + input]);
        Self { forward_panels, back, bias }
    }
}

impl TokenWeights {
    /// Packs the tensors below a head's prefix, which `get` finds.
    pub fn new(hidden: usize, feature: usize, get: &dyn Fn(&str) -> Result<Vec<f32>>) -> Result<Self> {
        let projection = |index: usize| {
            let name = |part: &str| format!("projections.{index}.{part}");
            let layer = Layer::linear(&get(&name("0.weight"))?, hidden, get(&name("0.bias"))?);
            Ok(ProjectionWeights { layer, scale: get(&name("1.weight"))?, shift: get(&name("1.bias"))? })
        };
        let block = |index: usize| {
            let name = |part: &str| format!("fusion_blocks.{index}.{part}");
            let convolution = |conv: &str| {
                Ok::<_, candle_core::Error>(PairKernel::new(&get(&name(&format!("{conv}.weight")))?, feature))
            };
            Ok::<_, candle_core::Error>(BlockWeights {
                resample: Layer::linear(&get(&name("resample.weight"))?, feature, Vec::new()),
                conv1: convolution("conv1")?,
                bias1: get(&name("conv1.bias"))?,
                conv2: convolution("conv2")?,
                bias2: get(&name("conv2.bias"))?,
            })
        };
        Ok(Self {
            hidden,
            feature,
            projections: (0..4).map(projection).collect::<Result<_>>()?,
            blocks: (0..3).map(block).collect::<Result<_>>()?,
            narrow: Layer::linear(&get("spatial_attention.0.weight")?, feature, get("spatial_attention.0.bias")?),
            score: get("spatial_attention.2.weight")?,
            score_bias: get("spatial_attention.2.bias")?.first().copied().unwrap_or_default(),
        })
    }

    /// Width of the hidden states, of the pooled vector.
    pub fn sizes(&self) -> [usize; 2] {
        [self.hidden, self.feature]
    }

    /// Width of the narrow layer.
    fn width(&self) -> usize {
        self.score.len()
    }

    /// Hidden states `[rows, hidden]`, earliest layer first, become the tape's pooled vector.
    pub fn forward(&self, states: [&[f32]; 4], tape: &mut TokenTape, vectors: Vectors) {
        let (feature, rows) = (self.feature, states[0].len() / self.hidden.max(1));
        tape.make_room(rows, feature, self.width());
        for (index, (weights, state)) in self.projections.iter().zip(states).enumerate() {
            let (normed, inverse) = (&mut tape.normed[index], &mut tape.inverse[index]);
            for row in normed.chunks_exact_mut(feature) {
                row.copy_from_slice(&weights.layer.bias);
            }
            vectors.dispatch(LongProduct {
                inputs: state,
                width: self.hidden,
                panels: &weights.layer.forward_panels,
                sums: normed,
                outputs: feature,
                room: &mut tape.room,
            });
            let projected = &mut tape.projected[index];
            vectors.dispatch(|| normalise(weights, feature, normed, inverse, projected));
        }
        for (index, weights) in self.blocks.iter().enumerate().rev() {
            let TokenTape { projected, merged, inner, pairs1, pairs2, out, .. } = tape;
            let (out, behind) = out.split_at_mut(index + 1);
            let [skip, deepest] = [&projected[index], &projected[3]];
            let (xs, out) = (behind.first().unwrap_or(deepest).as_slice(), out[index].as_mut_slice());
            let (merged, inner) = (merged[index].as_mut_slice(), inner[index].as_mut_slice());
            let one = |values| Windows { values, places: Places::Every(feature), runs: &[0], run: feature };
            multiply_rows(one(skip), rows, &weights.resample.forward_panels, feature, vectors, |row, first, values| {
                let place = row * feature + first;
                let merged = &mut merged[place + feature..];
                merged.iter_mut().zip(values).zip(&xs[place..]).for_each(|((merged, value), xs)| *merged = value + xs);
            });
            weights.conv1.forward(merged, rows, &mut pairs1[index], vectors, |row, first, values| {
                let inner = &mut inner[(row + 1) * feature + first..];
                let values = values.iter().zip(&weights.bias1[first..]);
                inner.iter_mut().zip(values).for_each(|(inner, (value, bias))| *inner = relu(value + bias));
            });
            weights.conv2.forward(inner, rows, &mut pairs2[index], vectors, |row, first, values| {
                let place = row * feature + first;
                let values = values.iter().zip(&weights.bias2[first..]).zip(&xs[place..]);
                let out = out[place..].iter_mut().zip(values);
                out.for_each(|(out, ((value, bias), xs))| *out = relu(value + bias + xs));
            });
        }
        self.pool(rows, tape, vectors);
    }

    fn pool(&self, rows: usize, tape: &mut TokenTape, vectors: Vectors) {
        let (feature, width) = (self.feature, self.width());
        let TokenTape { out, narrow, attention, pooled, .. } = tape;
        let fused = out[0].as_slice();
        let windows = Windows { values: fused, places: Places::Every(feature), runs: &[0], run: feature };
        multiply_rows(windows, rows, &self.narrow.forward_panels, width, vectors, |row, first, values| {
            let values = values.iter().zip(&self.narrow.bias[first..]);
            let narrow = narrow[row * width + first..].iter_mut().zip(values);
            narrow.for_each(|(narrow, (value, bias))| *narrow = relu(value + bias));
        });
        for (score, narrow) in attention.iter_mut().zip(narrow.chunks_exact(width)) {
            *score = dot(narrow, &self.score) + self.score_bias;
        }
        let highest = attention.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        attention.iter_mut().for_each(|score| *score = (*score - highest).exp());
        let whole: f64 = attention.iter().copied().map(f64::from).sum();
        attention.iter_mut().for_each(|weight| *weight = (f64::from(*weight) / whole) as f32);
        pooled.fill(0.0);
        vectors.dispatch(|| {
            for (weight, row) in attention.iter().zip(fused.chunks_exact(feature)) {
                pooled.iter_mut().zip(row).for_each(|(pooled, value)| *pooled += weight * value);
            }
        });
    }

    /// From the gradient of the pooled vector to that of all that a sum needs; `of_states` gets those of the hidden states,
    /// `[rows, hidden]` each, where they are asked for.
    pub fn backward(
        &self,
        of_pooled: &[f32],
        tape: &mut TokenTape,
        of_states: Option<&mut [Vec<f32>; 4]>,
        vectors: Vectors,
    ) {
        let (feature, rows) = (self.feature, tape.rows);
        self.unpool(of_pooled, tape, vectors);
        for (index, weights) in self.blocks.iter().enumerate() {
            let TokenTape { inner, pairs1, pairs2, out, of_linear, of_merged, of_inner, of_outer, flowing, .. } = tape;
            let (inner, out) = (inner[index].as_slice(), out[index].as_slice());
            let of_inner = of_inner[index].as_mut_slice();
            let (of_outer, of_merged) = (of_outer[index].as_mut_slice(), of_merged[index].as_mut_slice());
            let one = |values| Windows { values, places: Places::Every(feature), runs: &[0], run: feature };
            vectors.dispatch(|| {
                for ((to, flowing), out) in of_outer[feature..].iter_mut().zip(flowing.iter()).zip(out) {
                    *to = if *out > 0.0 { *flowing } else { 0.0 };
                }
            });
            weights.conv2.backward(of_outer, rows, &mut pairs2[index], vectors, |row, first, values| {
                let place = (row + 1) * feature + first;
                let to = of_inner[place..].iter_mut().zip(values).zip(&inner[place..]);
                to.for_each(|((to, value), inner)| *to = if *inner > 0.0 { *value } else { 0.0 });
            });
            weights.conv1.backward(of_inner, rows, &mut pairs1[index], vectors, |row, first, values| {
                let place = row * feature + first;
                of_merged[place..].iter_mut().zip(values).for_each(|(to, value)| *to = *value);
                let flowing = flowing[place..].iter_mut().zip(values).zip(&of_outer[place + feature..]);
                flowing.for_each(|((flowing, value), outer)| *flowing = value + outer);
            });
            let of_skip = of_linear[index].as_mut_slice();
            multiply_rows(one(of_merged), rows, &weights.resample.back, feature, vectors, |row, first, values| {
                let to = of_skip[row * feature + first..].iter_mut().zip(values);
                to.for_each(|(to, value)| *to = *value);
            });
        }
        tape.of_linear[3][..rows * feature].copy_from_slice(&tape.flowing);
        for (index, weights) in self.projections.iter().enumerate() {
            let of_scale = [tape.of_scale[index].as_mut_slice(), tape.of_shift[index].as_mut_slice()];
            let of_linear = &mut tape.of_linear[index][..rows * feature];
            let (normed, inverse) = (&tape.normed[index], &tape.inverse[index]);
            vectors.dispatch(|| denormalise(&weights.scale, normed, inverse, of_linear, of_scale));
        }
        for (index, of_state) in of_states.into_iter().flatten().enumerate() {
            let hidden = self.hidden;
            of_state.clear();
            of_state.resize(rows * hidden, 0.0);
            let windows =
                Windows { values: &tape.of_linear[index], places: Places::Every(feature), runs: &[0], run: feature };
            multiply_rows(windows, rows, &self.projections[index].layer.back, hidden, vectors, |row, first, values| {
                of_state[row * hidden + first..][..values.len()].copy_from_slice(values);
            });
        }
    }

    /// From the gradient of the pooled vector to that of the fused rows, which is left flowing.
    fn unpool(&self, of_pooled: &[f32], tape: &mut TokenTape, vectors: Vectors) {
        let (feature, width, rows) = (self.feature, self.width(), tape.rows);
        let TokenTape { out, narrow, attention, of_narrow, of_score, of_score_bias, flowing, .. } = tape;
        let fused = out[0].as_slice();
        // Of each weight of the softmax, then of each score.
        let mut of_scores: Vec<f32> = fused.chunks_exact(feature).map(|row| dot(row, of_pooled)).collect();
        let mean = dot(&of_scores, attention);
        of_scores.iter_mut().zip(attention.iter()).for_each(|(of, weight)| *of = weight * (*of - mean));
        of_score.fill(0.0);
        *of_score_bias = of_scores.iter().sum();
        for ((of, narrow), to) in
            of_scores.iter().zip(narrow.chunks_exact(width)).zip(of_narrow.chunks_exact_mut(width))
        {
            of_score.iter_mut().zip(narrow).for_each(|(sum, narrow)| *sum += of * narrow);
            let scored = narrow.iter().zip(&self.score);
            to.iter_mut().zip(scored).for_each(|(to, (narrow, score))| {
                *to = if *narrow > 0.0 { of * score } else { 0.0 };
            });
        }
        let windows = Windows { values: of_narrow, places: Places::Every(width), runs: &[0], run: width };
        multiply_rows(windows, rows, &self.narrow.back, feature, vectors, |row, first, values| {
            let weight = attention[row];
            let to = flowing[row * feature + first..].iter_mut().zip(values).zip(&of_pooled[first..]);
            to.for_each(|((to, value), of_pooled)| *to = value + weight * of_pooled);
        });
    }

    /// Nothing learned yet.
    pub fn zeros(&self) -> TokenSums {
        let (hidden, feature) = (self.hidden, self.feature);
        let linear = |inputs| LayerSum::zeros(&[0], inputs, feature);
        TokenSums {
            projections: vec![linear(hidden); 4],
            scales: vec![vec![0.0; feature]; 4],
            shifts: vec![vec![0.0; feature]; 4],
            resample: vec![linear(feature); 3],
            conv1: self.blocks.iter().map(|block| block.conv1.zeros()).collect(),
            conv2: self.blocks.iter().map(|block| block.conv2.zeros()).collect(),
            narrow: LayerSum::zeros(&[0], feature, self.width()),
            score: vec![0.0; self.width()],
            score_bias: 0.0,
        }
    }
}

impl TokenTape {
    /// The vector that attention pooling left.
    pub fn pooled(&self) -> &[f32] {
        &self.pooled
    }

    fn make_room(&mut self, rows: usize, feature: usize, width: usize) {
        self.rows = rows;
        let plain = rows * feature;
        let padded = plain + 3 * feature;
        let each = |buffers: &mut [Vec<f32>], length: usize| buffers.iter_mut().for_each(|to| to.resize(length, 0.0));
        each(&mut self.normed, plain);
        each(&mut self.inverse, rows);
        each(&mut self.projected, plain);
        each(&mut self.out, plain);
        each(&mut self.of_scale, feature);
        each(&mut self.of_shift, feature);
        each(&mut self.merged, padded);
        each(&mut self.inner, padded);
        // A gradient is read a panel at a time, the last one beyond its end.
        each(&mut self.of_linear, plain + PANEL);
        each(&mut self.of_merged, plain + PANEL);
        each(&mut self.of_inner, padded + PANEL);
        each(&mut self.of_outer, padded + PANEL);
        self.narrow.resize(rows * width, 0.0);
        self.of_narrow.resize(rows * width + PANEL, 0.0);
        self.attention.resize(rows, 0.0);
        self.pooled.resize(feature, 0.0);
        self.of_score.resize(width, 0.0);
        self.flowing.resize(plain, 0.0);
        // Another sequence, of another length, may have been here.
        let both = self.merged.iter_mut().chain(&mut self.inner).chain(&mut self.of_inner).chain(&mut self.of_outer);
        for buffer in both {
            buffer[..feature].fill(0.0);
            buffer[plain + feature..].fill(0.0);
        }
    }
}

impl TokenSums {
    /// All that is to be added of some observations, given with their hidden states: the small parts at once, the rest as tasks.
    pub fn tasks<'a>(&'a mut self, factors: &'a TokenFactors<'a>) -> Vec<SumTask<'a>> {
        for tape in &factors.tapes {
            for (sums, of) in [(&mut self.scales, &tape.of_scale), (&mut self.shifts, &tape.of_shift)] {
                sums.iter_mut().zip(of).for_each(|(sum, of)| add(sum, of));
            }
            add(&mut self.score, &tape.of_score);
            self.score_bias += tape.of_score_bias;
        }
        let mut tasks = Vec::new();
        for (index, sum) in self.projections.iter_mut().enumerate() {
            sum.tasks(&factors.projections[index], &mut tasks);
        }
        for (index, sum) in self.resample.iter_mut().enumerate() {
            sum.tasks(&factors.resample[index], &mut tasks);
        }
        for (index, sum) in self.conv1.iter_mut().enumerate() {
            sum.tasks(&factors.conv1[index], &mut tasks);
        }
        for (index, sum) in self.conv2.iter_mut().enumerate() {
            sum.tasks(&factors.conv2[index], &mut tasks);
        }
        self.narrow.tasks(&factors.narrow, &mut tasks);
        tasks
    }

    /// Each gradient under its tensor's name below the head's prefix.
    pub fn named(&self, weights: &TokenWeights) -> Vec<(String, Vec<f32>)> {
        let (hidden, feature, width) = (weights.hidden, weights.feature, weights.width());
        let matrix = |sum: &LayerSum, outputs: usize, inputs: usize| -> Vec<f32> {
            (0..outputs).flat_map(|output| (0..inputs).map(move |input| sum.at(output, input))).collect()
        };
        let mut named = Vec::new();
        for (index, sum) in self.projections.iter().enumerate() {
            let mut put = |part: &str, values| named.push((format!("projections.{index}.{part}"), values));
            put("0.weight", matrix(sum, feature, hidden));
            put("0.bias", sum.bias().to_vec());
            put("1.weight", self.scales[index].clone());
            put("1.bias", self.shifts[index].clone());
        }
        for index in 0..3 {
            let mut put = |part: &str, values| named.push((format!("fusion_blocks.{index}.{part}"), values));
            put("resample.weight", matrix(&self.resample[index], feature, feature));
            put("conv1.weight", self.conv1[index].kernel(feature));
            put("conv1.bias", self.conv1[index].bias().to_vec());
            put("conv2.weight", self.conv2[index].kernel(feature));
            put("conv2.bias", self.conv2[index].bias().to_vec());
        }
        let mut put = |part: &str, values| named.push((format!("spatial_attention.{part}"), values));
        put("0.weight", matrix(&self.narrow, width, feature));
        put("0.bias", self.narrow.bias().to_vec());
        put("2.weight", self.score.clone());
        put("2.bias", vec![self.score_bias]);
        named
    }
}

/// What the gradients of some observations are made of.
#[derive(Debug)]
pub struct TokenFactors<'a> {
    tapes: Vec<&'a TokenTape>,
    projections: Vec<Vec<Factors<'a>>>,
    resample: Vec<Vec<Factors<'a>>>,
    /// Of each block, for each form of its kernel.
    conv1: Vec<[Vec<Factors<'a>>; 4]>,
    conv2: Vec<[Vec<Factors<'a>>; 4]>,
    narrow: Vec<Factors<'a>>,
}

impl<'a> TokenFactors<'a> {
    /// Of tapes on which the way back was gone, with the hidden states that they began with.
    pub fn new(weights: &TokenWeights, seen: Vec<(&'a TokenTape, [&'a [f32]; 4])>) -> Self {
        let (hidden, feature, width) = (weights.hidden, weights.feature, weights.width());
        let factors = |rows, (values, stride, run): (&'a [f32], usize, usize), gradient: &'a [f32], apart: usize| {
            let windows = Windows { values, places: Places::Every(stride), runs: &[0], run };
            let gradient = Windows { values: gradient, places: Places::Every(apart), runs: &[0], run: apart };
            Factors { windows, rows, gradient }
        };
        let each = |count: usize, of: &dyn Fn(usize, &'a TokenTape, [&'a [f32]; 4]) -> Factors<'a>| {
            let all = |index: usize| seen.iter().map(|(tape, states)| of(index, tape, *states)).collect();
            (0..count).map(all).collect::<Vec<Vec<Factors<'a>>>>()
        };
        let pairs = |of: &dyn Fn(usize, &'a TokenTape) -> [Factors<'a>; 4]| {
            let of_block = |index: usize| {
                let mut forms = [const { Vec::new() }; 4];
                for (tape, _) in &seen {
                    forms.iter_mut().zip(of(index, tape)).for_each(|(form, factors)| form.push(factors));
                }
                forms
            };
            (0..3).map(of_block).collect::<Vec<_>>()
        };
        let xs = |tape: &'a TokenTape, index: usize| tape.projected[index].as_slice();
        Self {
            projections: each(4, &|index, tape, states| {
                factors(tape.rows, (states[index], hidden, hidden), &tape.of_linear[index], feature)
            }),
            resample: each(3, &|index, tape, _| {
                factors(tape.rows, (xs(tape, index), feature, feature), &tape.of_merged[index], feature)
            }),
            conv1: pairs(&|index, tape| tape.pairs1[index].factors(&tape.of_inner[index], feature)),
            conv2: pairs(&|index, tape| tape.pairs2[index].factors(&tape.of_outer[index], feature)),
            narrow: each(1, &|_, tape, _| factors(tape.rows, (&tape.out[0], feature, feature), &tape.of_narrow, width))
                .into_iter()
                .flatten()
                .collect(),
            tapes: seen.iter().map(|(tape, _)| *tape).collect(),
        }
    }
}

/// `finish(row, first, values)` gets a row's product, some neighbouring outputs at a time.
pub fn multiply_rows(
    windows: Windows,
    rows: usize,
    panels: &[PanelRow],
    outputs: usize,
    vectors: Vectors,
    mut finish: impl FnMut(usize, usize, &[f32]),
) {
    let finish = |row: usize, panel: usize, sums: &PanelRow| {
        let first = panel * PANEL;
        finish(row, first, &sums[..PANEL.min(outputs - first)]);
    };
    vectors.dispatch(WindowProduct { windows, rows: 0..rows, panels, finish });
}

/// torch's LayerNorm, in place and scaled.
#[inline(always)]
fn normalise(
    weights: &ProjectionWeights,
    feature: usize,
    normed: &mut [f32],
    inverse: &mut [f32],
    projected: &mut [f32],
) {
    let rows = normed.chunks_exact_mut(feature).zip(projected.chunks_exact_mut(feature));
    for ((row, to), inverse) in rows.zip(inverse) {
        let mean = sum(row) / feature as f32;
        row.iter_mut().for_each(|value| *value -= mean);
        *inverse = 1.0 / (dot(row, row) / feature as f32 + EPSILON).sqrt();
        let affine = weights.scale.iter().zip(&weights.shift);
        for ((value, to), (scale, shift)) in row.iter_mut().zip(to).zip(affine) {
            *value *= *inverse;
            *to = *value * scale + shift;
        }
    }
}

/// The way back through [`normalise`], in place.
#[inline(always)]
fn denormalise(scale: &[f32], normed: &[f32], inverse: &[f32], gradient: &mut [f32], of: [&mut [f32]; 2]) {
    let feature = scale.len();
    let [of_scale, of_shift] = of;
    of_scale.fill(0.0);
    of_shift.fill(0.0);
    for ((row, normed), inverse) in gradient.chunks_exact_mut(feature).zip(normed.chunks_exact(feature)).zip(inverse) {
        for ((sum, value), normed) in of_scale.iter_mut().zip(row.iter()).zip(normed) {
            *sum += value * normed;
        }
        of_shift.iter_mut().zip(row.iter()).for_each(|(sum, value)| *sum += value);
        row.iter_mut().zip(scale).for_each(|(value, scale)| *value *= scale);
        let mean = sum(row) / feature as f32;
        let along = dot(row, normed) / feature as f32;
        for (value, normed) in row.iter_mut().zip(normed) {
            *value = inverse * (*value - mean - normed * along);
        }
    }
}

fn add(sums: &mut [f32], values: &[f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

/// In sixteen sums, which vectors can hold.
#[inline(always)]
fn sum(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<16>();
    let mut sums = [0.0; 16];
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += value);
    }
    sums.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, rest_a), (b, rest_b)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut sums = [0.0; 16];
    for (a, b) in a.iter().zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum::<f32>() + rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum::<f32>()
}
