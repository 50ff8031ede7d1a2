//! A stack of linear layers with its gradient, by hand: the networks are small, so that a general autograd would spend
//! most of an update on bookkeeping. Checked against PyTorch's numbers and against finite differences.

use std::ops::Range;

use candle_core::{Result, bail};

use planner_tuner_core::random::Random;
use planner_tuner_model::vision_language::kernels::gemm::{Matrix, MatrixMut, multiply};

/// Linear layers, a ReLU between two of them, none after the last.
///
/// All weights lie in one vector, layer by layer, weight `[out, in]` before bias, so that optimiser, target and file
/// see one row of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Mlp {
    sizes: Vec<usize>,
    values: Vec<f32>,
}

/// What a layer gave for each row of a batch, kept for the way back.
#[derive(Debug, Clone, Default)]
pub struct Activations {
    batch: usize,
    layers: Vec<Vec<f32>>,
    deltas: [Vec<f32>; 2],
}

/// A tensor of a stack under its name.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor<'a> {
    /// Such as `q1_head.0.weight`.
    pub name: String,
    /// Row-major.
    pub shape: Vec<usize>,
    /// The numbers.
    pub values: &'a [f32],
}

/// Where the way back writes the gradients that are wanted.
#[derive(Debug, Default)]
pub struct Gradients<'a> {
    /// Of all weights, in the order of [`Mlp::values`].
    pub weights: Option<&'a mut [f32]>,
    /// Of some columns of the input, row by row.
    pub inputs: Option<(Range<usize>, &'a mut [f32])>,
}

/// One layer's numbers.
struct Layer<'a> {
    weight: Matrix<'a>,
    bias: &'a [f32],
    outputs: usize,
}

impl Mlp {
    /// Layers of these sizes, the input's first, with random weights as PyTorch starts a linear layer: uniform within
    /// one over the root of the inputs.
    pub fn random(sizes: &[usize], random: &mut Random) -> Self {
        let mut values = Vec::with_capacity(number_of_values(sizes));
        for (inputs, outputs) in pairs(sizes) {
            let bound = 1.0 / (inputs as f64).sqrt();
            values.extend((0..(inputs + 1) * outputs).map(|_| ((2.0 * random.uniform() - 1.0) * bound) as f32));
        }
        Self { sizes: sizes.to_vec(), values }
    }

    /// Layers of these sizes with all weights 0.
    pub fn zeros(sizes: &[usize]) -> Self {
        Self { sizes: sizes.to_vec(), values: vec![0.0; number_of_values(sizes)] }
    }

    /// All numbers, in the order of [`named`](Self::named).
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All numbers, to be changed.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// All numbers alone.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// Number of outputs of the last layer.
    pub fn outputs(&self) -> usize {
        self.sizes.last().copied().unwrap_or_default()
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.sizes.first().copied().unwrap_or_default()
    }

    /// The tensors under the names that PyTorch gives to a `Sequential` of linear layers and ReLUs, below `prefix`; a
    /// single layer is called by the prefix alone.
    pub fn named(&self, prefix: &str) -> Vec<NamedTensor<'_>> {
        self.split(&self.values, prefix)
    }

    /// Other numbers of the same layers (gradients, an optimiser's averages) under the names of the weights.
    pub fn split<'a>(&self, values: &'a [f32], prefix: &str) -> Vec<NamedTensor<'a>> {
        let single = self.sizes.len() == 2;
        let mut named = Vec::new();
        let mut rest = values;
        for (index, (inputs, outputs)) in pairs(&self.sizes).enumerate() {
            let layer = if single { prefix.to_owned() } else { format!("{prefix}.{}", 2 * index) };
            for (part, shape) in [("weight", vec![outputs, inputs]), ("bias", vec![outputs])] {
                let (values, after) = rest.split_at(shape.iter().product::<usize>().min(rest.len()));
                named.push(NamedTensor { name: format!("{layer}.{part}"), shape, values });
                rest = after;
            }
        }
        named
    }

    /// Takes the weights from wherever `read` finds them by name and shape.
    ///
    /// # Errors
    /// Those of `read`, and a tensor of another length.
    pub fn load<E: From<candle_core::Error>>(
        sizes: &[usize],
        prefix: &str,
        mut read: impl FnMut(&str, &[usize]) -> std::result::Result<Vec<f32>, E>,
    ) -> std::result::Result<Self, E> {
        let empty = Self::zeros(sizes);
        let mut values = Vec::with_capacity(empty.values.len());
        for tensor in empty.named(prefix) {
            let read = read(&tensor.name, &tensor.shape)?;
            if read.len() != tensor.values.len() {
                let (name, shape, found) = (&tensor.name, &tensor.shape, read.len());
                return Err(candle_core::Error::Msg(format!("{name} of shape {shape:?} has {found} values")).into());
            }
            values.extend(read);
        }
        Ok(Self { sizes: sizes.to_vec(), values })
    }

    /// Computes all layers for `batch` rows of `input`.
    ///
    /// # Errors
    /// When the input has another width.
    pub fn forward(&self, input: &[f32], batch: usize, activations: &mut Activations) -> Result<()> {
        activations.batch = batch;
        activations.layers.resize(self.sizes.len().saturating_sub(1), Vec::new());
        let last = activations.layers.len().saturating_sub(1);
        let mut input = Matrix::new(input, batch, self.inputs())?;
        for (index, (layer, output)) in self.layers()?.into_iter().zip(&mut activations.layers).enumerate() {
            output.resize(batch * layer.outputs, 0.0);
            let product = MatrixMut::new(output, batch, layer.outputs, layer.outputs)?;
            multiply(product, false, input, layer.weight.t())?;
            for row in output.chunks_exact_mut(layer.outputs) {
                if index == last {
                    row.iter_mut().zip(layer.bias).for_each(|(value, bias)| *value += bias);
                } else {
                    row.iter_mut().zip(layer.bias).for_each(|(value, bias)| *value = relu(*value + bias));
                }
            }
            input = Matrix::new(output, batch, layer.outputs)?;
        }
        Ok(())
    }

    /// From the gradient of the outputs of the last [`forward`](Self::forward) to those that are `wanted`.
    ///
    /// # Errors
    /// When a length is not that of the forward pass.
    pub fn backward(
        &self,
        input: &[f32],
        activations: &mut Activations,
        outputs: &[f32],
        wanted: Gradients<'_>,
    ) -> Result<()> {
        let Gradients { mut weights, mut inputs } = wanted;
        let Activations { batch, layers: computed, deltas: [delta, next] } = activations;
        let batch = *batch;
        let layers = self.layers()?;
        if outputs.len() != batch * self.outputs() || computed.len() != layers.len() {
            bail!("a gradient of {} values does not fit {batch} rows of {}", outputs.len(), self.outputs());
        }
        delta.clear();
        delta.extend_from_slice(outputs);
        let mut end = self.values.len();
        for (index, layer) in layers.iter().enumerate().rev() {
            let below = index.checked_sub(1).and_then(|below| computed.get(below));
            let layer_input = below.map_or(input, Vec::as_slice);
            let width = layer_input.len() / batch.max(1);
            let start = end.saturating_sub((width + 1) * layer.outputs);
            let upstream = Matrix::new(delta, batch, layer.outputs)?;
            if let Some(gradient) = weights.as_deref_mut().and_then(|all| all.get_mut(start..end)) {
                let (weight, bias) = gradient.split_at_mut(width * layer.outputs);
                let weight = MatrixMut::new(weight, layer.outputs, width, width)?;
                multiply(weight, false, upstream.t(), Matrix::new(layer_input, batch, width)?)?;
                bias.fill(0.0);
                for row in delta.chunks_exact(layer.outputs) {
                    bias.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
            }
            end = start;
            match below {
                Some(below) => {
                    next.resize(batch * width, 0.0);
                    multiply(MatrixMut::new(next, batch, width, width)?, false, upstream, layer.weight)?;
                    // The ReLU lets through where it gave something.
                    for (value, activation) in next.iter_mut().zip(below) {
                        *value = if *activation > 0.0 { *value } else { 0.0 };
                    }
                    std::mem::swap(delta, next);
                }
                None => {
                    let Some((columns, gradient)) = inputs.take() else { break };
                    let width = columns.len();
                    let gradient = MatrixMut::new(gradient, batch, width, width)?;
                    multiply(gradient, false, upstream, layer.weight.columns(columns)?)?;
                }
            }
        }
        Ok(())
    }

    fn layers(&self) -> Result<Vec<Layer<'_>>> {
        let mut layers = Vec::with_capacity(self.sizes.len());
        let mut rest = self.values.as_slice();
        for (inputs, outputs) in pairs(&self.sizes) {
            let Some((weight, after)) = rest.split_at_checked(inputs * outputs) else { bail!("a layer lacks values") };
            let Some((bias, after)) = after.split_at_checked(outputs) else { bail!("a layer lacks values") };
            layers.push(Layer { weight: Matrix::new(weight, outputs, inputs)?, bias, outputs });
            rest = after;
        }
        Ok(layers)
    }
}

impl Activations {
    /// What the last layer gave, row by row.
    pub fn output(&self) -> &[f32] {
        self.layers.last().map_or(&[], Vec::as_slice)
    }
}

/// NaN passes, so that the loss shows it; `f32::max` would swallow it.
fn relu(value: f32) -> f32 {
    if value < 0.0 { 0.0 } else { value }
}

fn pairs(sizes: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    sizes.iter().copied().zip(sizes.iter().copied().skip(1))
}

fn number_of_values(sizes: &[usize]) -> usize {
    pairs(sizes).map(|(inputs, outputs)| (inputs + 1) * outputs).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    const SIZES: [usize; 4] = [5, 7, 6, 2];
    const BATCH: usize = 3;

    /// Any function of the outputs: their weighted sum.
    fn loss(mlp: &Mlp, input: &[f32], weights: &[f32]) -> f64 {
        let mut activations = Activations::default();
        mlp.forward(input, BATCH, &mut activations).unwrap();
        activations.output().iter().zip(weights).map(|(out, weight)| f64::from(*out) * f64::from(*weight)).sum()
    }

    fn difference(above: f64, below: f64, step: f32) -> f32 {
        ((above - below) / (2.0 * f64::from(step))) as f32
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let mut random = Random::new(7);
        let mut mlp = Mlp::random(&SIZES, &mut random);
        let mut numbers = |count: usize| (0..count).map(|_| random.normal()).collect::<Vec<f32>>();
        let (mut input, outputs) = (numbers(BATCH * 5), numbers(BATCH * 2));
        let mut activations = Activations::default();
        mlp.forward(&input, BATCH, &mut activations).unwrap();
        let mut weights = vec![9.0; mlp.values().len()];
        let mut inputs = vec![9.0; BATCH * 2];
        let wanted = Gradients { weights: Some(&mut weights), inputs: Some((2..4, &mut inputs)) };
        mlp.backward(&input, &mut activations, &outputs, wanted).unwrap();

        let step = 1e-3;
        let mut largest = 0.0_f32;
        for (index, gradient) in weights.iter().enumerate() {
            let at = mlp.values()[index];
            mlp.values_mut()[index] = at + step;
            let above = loss(&mlp, &input, &outputs);
            mlp.values_mut()[index] = at - step;
            let below = loss(&mlp, &input, &outputs);
            mlp.values_mut()[index] = at;
            largest = largest.max((difference(above, below, step) - gradient).abs());
        }
        for (index, gradient) in inputs.iter().enumerate() {
            let place = index / 2 * 5 + 2 + index % 2;
            let at = input[place];
            input[place] = at + step;
            let above = loss(&mlp, &input, &outputs);
            input[place] = at - step;
            let below = loss(&mlp, &input, &outputs);
            input[place] = at;
            largest = largest.max((difference(above, below, step) - gradient).abs());
        }
        assert!(largest < 2e-3, "{largest}");
    }

    #[test]
    fn names_are_those_of_pytorch() {
        let mlp = Mlp::random(&SIZES, &mut Random::new(1));
        let names: Vec<_> = mlp.named("q1_head").into_iter().map(|tensor| (tensor.name, tensor.shape)).collect();
        assert_eq!(names[0], ("q1_head.0.weight".to_owned(), vec![7, 5]));
        assert_eq!(names[5], ("q1_head.4.bias".to_owned(), vec![2]));
        assert_eq!(Mlp::zeros(&[4, 3]).named("fc")[1].name, "fc.bias");
        let all: Vec<f32> = mlp.named("q1_head").iter().flat_map(|tensor| tensor.values).copied().collect();
        assert_eq!(all, mlp.values());
        let again = Mlp::load::<candle_core::Error>(&SIZES, "q1_head", |name, _| {
            Ok(mlp.named("q1_head").into_iter().find(|tensor| tensor.name == name).unwrap().values.to_vec())
        });
        assert_eq!(again.unwrap(), mlp);
        assert!(Mlp::load::<candle_core::Error>(&SIZES, "q1_head", |_, _| Ok(vec![0.0])).is_err());
    }

    #[test]
    fn an_input_of_another_width_is_refused() {
        let mlp = Mlp::zeros(&SIZES);
        assert!(mlp.forward(&[0.0; 14], BATCH, &mut Activations::default()).is_err());
    }
}
