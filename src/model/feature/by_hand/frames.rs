//! Past frames become pooled maps, and the way back: the convolutions of the history encoder.
#![expect(clippy::indexing_slicing, reason = "tables and buffers are made for the frames' size")]

use candle_core::Result;

use super::kernels::{Places, Windows, panels_of, relu};
use super::products::{Factors, LayerSum, SumTask};
use super::tokens::multiply_rows;
use crate::vectors::Vectors;
use crate::weights::{PANEL, PanelRow};

/// Numbers of a pixel or of a place on a map: after each convolution.
pub const CHANNELS: [usize; 4] = [3, 32, 64, 128];
/// Side of a window, stride, padding of each convolution.
const STEPS: [[usize; 3]; 3] = [[7, 4, 3], [3, 2, 1], [3, 2, 1]];
/// Places around the gradient of a map.
const MARGIN: usize = 1;
/// Side of the pooled map.
const POOLED: usize = 4;

/// A convolution for maps of one size. A map lies in memory line by line, therein place by place with the channels side by side,
/// within a margin of zeros.
#[derive(Debug, Clone)]
struct Step {
    layer: usize,
    from: usize,
    to: usize,
    padding: usize,
    /// Where the window of each place begins on the padded map.
    windows: Vec<usize>,
    runs: Vec<usize>,
    run: usize,
    /// Where each place's numbers lie in its gradient.
    gradient: Vec<usize>,
    classes: Vec<Class>,
}

/// The places of a map whose row and column leave the same remainders by the stride: the same weights lead back to all of them.
#[derive(Debug, Clone)]
struct Class {
    /// Where the window of each place begins on the gradient.
    windows: Vec<usize>,
    runs: Vec<usize>,
    /// Which number of a kernel each run belongs to: down, right.
    taps: Vec<[usize; 2]>,
    /// Row and column of each place.
    places: Vec<[usize; 2]>,
}

impl Step {
    fn new(layer: usize, from: usize) -> Self {
        let [size, stride, padding] = STEPS[layer];
        let (inputs, outputs) = (CHANNELS[layer], CHANNELS[layer + 1]);
        let (wide, to) = (from + 2 * padding, (from + 2 * padding).saturating_sub(size) / stride + 1);
        let places = || (0..to).flat_map(move |row| (0..to).map(move |column| [row, column]));
        let bordered = to + 2 * MARGIN;
        let classes = if layer == 0 { Vec::new() } else { classes(from, [size, stride, padding], bordered, outputs) };
        Self {
            layer,
            from,
            to,
            padding,
            windows: places().map(|[row, column]| (row * wide + column) * stride * inputs).collect(),
            runs: (0..size).map(|down| down * wide * inputs).collect(),
            run: size * inputs,
            gradient: places().map(|[row, column]| ((row + MARGIN) * bordered + column + MARGIN) * outputs).collect(),
            classes,
        }
    }

    fn inputs(&self) -> usize {
        CHANNELS[self.layer]
    }

    fn outputs(&self) -> usize {
        CHANNELS[self.layer + 1]
    }

    /// Numbers of the padded map that is looked at.
    fn map_len(&self) -> usize {
        (self.from + 2 * self.padding).pow(2) * self.inputs()
    }

    /// Numbers of the gradient of what comes out; it is read a panel at a time.
    fn gradient_len(&self) -> usize {
        (self.to + 2 * MARGIN).pow(2) * self.outputs() + PANEL
    }

    /// Where a place's numbers lie in the padded map.
    fn place(&self, [row, column]: [usize; 2]) -> usize {
        ((row + self.padding) * (self.from + 2 * self.padding) + column + self.padding) * self.inputs()
    }
}

fn classes(from: usize, [size, stride, padding]: [usize; 3], bordered: usize, outputs: usize) -> Vec<Class> {
    // Of the places with a remainder: the kernel's numbers that see them, each with how far its own place lies from the one
    // counted, which is their row or column divided by the stride.
    let taps = |remainder: usize| -> Vec<(usize, usize)> {
        let first = (remainder + padding) % stride;
        let ahead = (remainder + padding) / stride;
        (first..size).step_by(stride).enumerate().map(|(back, tap)| (tap, ahead + MARGIN - back)).collect()
    };
    let mut classes = Vec::new();
    for down in 0..stride {
        for right in 0..stride {
            let (mut runs, mut numbers) = (Vec::new(), Vec::new());
            for (tap_down, row) in taps(down) {
                for (tap_right, column) in taps(right) {
                    runs.push((row * bordered + column) * outputs);
                    numbers.push([tap_down, tap_right]);
                }
            }
            let rows = || (down..from).step_by(stride).enumerate();
            let columns = || (right..from).step_by(stride).enumerate();
            let places = || rows().flat_map(move |row| columns().map(move |column| (row, column)));
            classes.push(Class {
                windows: places().map(|((i, _), (j, _))| (i * bordered + j) * outputs).collect(),
                runs,
                taps: numbers,
                places: places().map(|((_, row), (_, column))| [row, column]).collect(),
            });
        }
    }
    classes
}

/// The weights of one convolution.
#[derive(Debug, Clone)]
struct StepWeights {
    forward_panels: Vec<PanelRow>,
    /// For each class of places.
    back: Vec<Vec<PanelRow>>,
    bias: Vec<f32>,
}

/// The convolutions of a history encoder, for frames of one size.
#[derive(Debug, Clone)]
pub struct FrameWeights {
    side: usize,
    steps: Vec<Step>,
    weights: Vec<StepWeights>,
    /// For each line of the last map the pooled lines that it belongs to, and its share in them.
    bins: Vec<Vec<(usize, f32)>>,
}

/// What the forward pass of a frame leaves for the backward pass.
#[derive(Debug, Default)]
pub struct FrameTape {
    /// The padded maps that the convolutions look at, and what comes out last.
    maps: [Vec<f32>; 4],
    /// `[channels, 4, 4]`
    pooled: Vec<f32>,
    of_maps: [Vec<f32>; 3],
}

/// The sums of all gradients of [`FrameWeights`].
#[derive(Debug, Clone)]
pub struct FrameSums(Vec<LayerSum>);

/// What the gradients of some frames are made of.
#[derive(Debug)]
pub struct FrameFactors<'a>(Vec<Vec<Factors<'a>>>);

impl FrameWeights {
    /// Packs the tensors below a history encoder's prefix, which `get` finds, for frames of `side` pixels.
    pub fn new(side: usize, get: &dyn Fn(&str) -> Result<Vec<f32>>) -> Result<Self> {
        let mut from = side;
        let (mut steps, mut weights) = (Vec::new(), Vec::new());
        for (layer, [size, ..]) in STEPS.into_iter().enumerate() {
            let step = Step::new(layer, from);
            from = step.to;
            let name = |part: &str| format!("img_encoder.{}.{part}", 2 * layer);
            let (weight, bias) = (get(&name("weight"))?, get(&name("bias"))?);
            let (inputs, outputs) = (step.inputs(), step.outputs());
            let at = |output: usize, input: usize, [down, right]: [usize; 2]| {
                weight[((output * inputs + input) * size + down) * size + right]
            };
            let forward_panels = panels_of(outputs, size * step.run, |output, number| {
                let (down, within) = (number / step.run, number % step.run);
                at(output, within % inputs, [down, within / inputs])
            });
            let back = |class: &Class| {
                panels_of(inputs, class.taps.len() * outputs, |input, number| {
                    at(number % outputs, input, class.taps[number / outputs])
                })
            };
            weights.push(StepWeights { forward_panels, back: step.classes.iter().map(back).collect(), bias });
            steps.push(step);
        }
        let mut bins = vec![Vec::new(); from];
        for bin in 0..POOLED {
            let (start, end) = (bin * from / POOLED, ((bin + 1) * from).div_ceil(POOLED));
            (start..end).for_each(|line| bins[line].push((bin, 1.0 / (end - start) as f32)));
        }
        Ok(Self { side, steps, weights, bins })
    }

    /// Pixels of a side.
    pub fn side(&self) -> usize {
        self.side
    }

    /// A frame `[3, side, side]` becomes the tape's pooled map.
    pub fn forward(&self, pixels: &[f32], tape: &mut FrameTape, vectors: Vectors) {
        self.make_room(tape);
        let step = &self.steps[0];
        vectors.dispatch(|| {
            for row in 0..self.side {
                let to = &mut tape.maps[0][step.place([row, 0])..][..self.side * 3];
                let line = |channel: usize| &pixels[(channel * self.side + row) * self.side..][..self.side];
                let colours = line(0).iter().zip(line(1)).zip(line(2));
                for (to, ((red, green), blue)) in to.as_chunks_mut::<3>().0.iter_mut().zip(colours) {
                    *to = [*red, *green, *blue];
                }
            }
        });
        for (step, weights) in self.steps.iter().zip(&self.weights) {
            let (before, behind) = tape.maps.split_at_mut(step.layer + 1);
            let (Some(map), Some(to)) = (before.last(), behind.first_mut()) else { continue };
            let windows = Windows { values: map, places: Places::At(&step.windows), runs: &step.runs, run: step.run };
            let outputs = step.outputs();
            let padding = self.steps.get(step.layer + 1).map_or(0, |next| next.padding);
            multiply_rows(
                windows,
                step.to * step.to,
                &weights.forward_panels,
                outputs,
                vectors,
                |row, first, values| {
                    let (line, column) = (row / step.to + padding, row % step.to + padding);
                    let place = (line * (step.to + 2 * padding) + column) * outputs + first;
                    let values = values.iter().zip(&weights.bias[first..]);
                    to[place..].iter_mut().zip(values).for_each(|(to, (value, bias))| *to = relu(value + bias));
                },
            );
        }
        self.pool(tape);
    }

    fn pool(&self, tape: &mut FrameTape) {
        let channels = CHANNELS[3];
        let mut bins = [[0.0; CHANNELS[3]]; POOLED * POOLED];
        let side = self.bins.len();
        for (place, values) in tape.maps[3].chunks_exact(channels).enumerate() {
            for (bin, share) in self.bins_of([place / side, place % side]) {
                bins[bin].iter_mut().zip(values).for_each(|(sum, value)| *sum += share * value);
            }
        }
        for (bin, values) in bins.iter().enumerate() {
            for (channel, value) in values.iter().enumerate() {
                tape.pooled[channel * POOLED * POOLED + bin] = *value;
            }
        }
    }

    /// The pooled places that a place of the last map belongs to, and its share in each.
    fn bins_of(&self, [row, column]: [usize; 2]) -> impl Iterator<Item = (usize, f32)> {
        let across = &self.bins[column];
        let each = move |(down, share): &(usize, f32)| {
            let (down, share) = (*down, *share);
            across.iter().map(move |(right, other)| (down * POOLED + right, share * other))
        };
        self.bins[row].iter().flat_map(each)
    }

    /// From the gradient of the pooled map to that of all that a sum needs.
    pub fn backward(&self, of_pooled: &[f32], tape: &mut FrameTape, vectors: Vectors) {
        let channels = CHANNELS[3];
        let last = &self.steps[2];
        let mut by_bin = [[0.0; CHANNELS[3]]; POOLED * POOLED];
        for (channel, values) in of_pooled.chunks_exact(POOLED * POOLED).enumerate() {
            by_bin.iter_mut().zip(values).for_each(|(bin, value)| bin[channel] = *value);
        }
        for (place, values) in tape.maps[3].chunks_exact(channels).enumerate() {
            let mut whole = [0.0; CHANNELS[3]];
            for (bin, share) in self.bins_of([place / last.to, place % last.to]) {
                whole.iter_mut().zip(&by_bin[bin]).for_each(|(sum, value)| *sum += share * value);
            }
            let to = tape.of_maps[2][last.gradient[place]..].iter_mut().zip(whole).zip(values);
            to.for_each(|((to, of), value)| *to = if *value > 0.0 { of } else { 0.0 });
        }
        for (step, weights) in self.steps.iter().zip(&self.weights).skip(1).rev() {
            let (before, behind) = tape.of_maps.split_at_mut(step.layer);
            let (Some(to), Some(gradient)) = (before.last_mut(), behind.first()) else { continue };
            let (map, inputs) = (&tape.maps[step.layer], step.inputs());
            let earlier = &self.steps[step.layer - 1].gradient;
            for (class, panels) in step.classes.iter().zip(&weights.back) {
                let windows = Windows {
                    values: gradient,
                    places: Places::At(&class.windows),
                    runs: &class.runs,
                    run: step.outputs(),
                };
                multiply_rows(windows, class.places.len(), panels, inputs, vectors, |row, first, values| {
                    let [line, column] = class.places[row];
                    let map = &map[step.place([line, column]) + first..];
                    let to = &mut to[earlier[line * step.from + column] + first..];
                    let to = to.iter_mut().zip(values).zip(map);
                    to.for_each(|((to, value), map)| *to = if *map > 0.0 { *value } else { 0.0 });
                });
            }
        }
    }

    fn make_room(&self, tape: &mut FrameTape) {
        let resize = |buffer: &mut Vec<f32>, length: usize| {
            // The margins stay zero for as long as the size is the same.
            if buffer.len() != length {
                buffer.clear();
                buffer.resize(length, 0.0);
            }
        };
        for (step, (map, of_map)) in self.steps.iter().zip(tape.maps.iter_mut().zip(&mut tape.of_maps)) {
            resize(map, step.map_len());
            resize(of_map, step.gradient_len());
        }
        resize(&mut tape.maps[3], self.bins.len().pow(2) * CHANNELS[3]);
        resize(&mut tape.pooled, CHANNELS[3] * POOLED * POOLED);
    }

    /// Nothing learned yet.
    pub fn zeros(&self) -> FrameSums {
        let sum = |step: &Step| LayerSum::zeros(&step.runs, step.run, step.outputs());
        FrameSums(self.steps.iter().map(sum).collect())
    }
}

impl FrameTape {
    /// The pooled map, `[channels, 4, 4]`.
    pub fn pooled(&self) -> &[f32] {
        &self.pooled
    }
}

impl<'a> FrameFactors<'a> {
    /// Of tapes on which the way back was gone.
    pub fn new(weights: &'a FrameWeights, tapes: &[&'a FrameTape]) -> Self {
        let of_step = |step: &'a Step| {
            let factors = |tape: &&'a FrameTape| {
                let values = tape.maps[step.layer].as_slice();
                let windows = Windows { values, places: Places::At(&step.windows), runs: &step.runs, run: step.run };
                let values = tape.of_maps[step.layer].as_slice();
                let gradient = Windows { values, places: Places::At(&step.gradient), runs: &[0], run: step.outputs() };
                Factors { windows, rows: step.to * step.to, gradient }
            };
            tapes.iter().map(factors).collect()
        };
        Self(weights.steps.iter().map(of_step).collect())
    }
}

impl FrameSums {
    /// All that is to be added of some frames.
    pub fn tasks<'a>(&'a mut self, factors: &'a FrameFactors<'a>, tasks: &mut Vec<SumTask<'a>>) {
        self.0.iter_mut().zip(&factors.0).for_each(|(sum, factors)| sum.tasks(factors, tasks));
    }

    /// Each gradient under its tensor's name below the encoder's prefix.
    pub fn named(&self, weights: &FrameWeights) -> Vec<(String, Vec<f32>)> {
        let mut named = Vec::new();
        for (step, sum) in weights.steps.iter().zip(&self.0) {
            let (inputs, size) = (step.inputs(), STEPS[step.layer][0]);
            let mut matrix = Vec::with_capacity(step.outputs() * inputs * size * size);
            for output in 0..step.outputs() {
                for input in 0..inputs {
                    for number in 0..size * size {
                        let (down, right) = (number / size, number % size);
                        matrix.push(sum.at(output, down * step.run + right * inputs + input));
                    }
                }
            }
            named.push((format!("img_encoder.{}.weight", 2 * step.layer), matrix));
            named.push((format!("img_encoder.{}.bias", 2 * step.layer), sum.bias().to_vec()));
        }
        named
    }
}
