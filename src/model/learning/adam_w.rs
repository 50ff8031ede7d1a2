//! AdamW: Adam with weight decay that does not go through the gradient (torch's `AdamW`).

use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, Tensor, Var};
use rayon::prelude::*;

/// How averages fade, how strongly weights decay, and what keeps a division from 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamSettings {
    /// Of the gradient's average and of its square's.
    pub betas: (f64, f64),
    /// Added to the denominator.
    pub epsilon: f64,
    /// Share of a weight that a step at learning rate 1 takes away.
    pub weight_decay: f64,
}

impl Default for AdamSettings {
    /// torch's.
    fn default() -> Self {
        Self { betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.01 }
    }
}

/// The averages of some variables, f32 in the device's memory beside them, and how often they were stepped.
#[derive(Debug)]
pub struct AdamW {
    settings: AdamSettings,
    steps: u64,
    first: Vec<Tensor>,
    second: Vec<Tensor>,
}

impl AdamW {
    /// For variables that have not moved yet.
    ///
    /// # Errors
    /// When the device has no memory for the averages.
    pub fn new(settings: AdamSettings, variables: &[Var]) -> Result<Self> {
        let zeros = || variables.iter().map(|variable| variable.zeros_like()).collect::<Result<Vec<_>>>();
        Ok(Self { settings, steps: 0, first: zeros()?, second: zeros()? })
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The averages of the gradients and of their squares, one for each variable.
    pub fn moments(&self) -> [&[Tensor]; 2] {
        [&self.first, &self.second]
    }

    /// Goes on behind `steps` steps that left these averages.
    ///
    /// # Errors
    /// When they are not those of as many variables of the same shapes.
    pub fn resume(&mut self, steps: u64, moments: [Vec<Tensor>; 2]) -> Result<()> {
        let shapes = |tensors: &[Tensor]| tensors.iter().map(|tensor| tensor.dims().to_vec()).collect::<Vec<_>>();
        let [first, second] = moments;
        if shapes(&first) != shapes(&self.first) || shapes(&second) != shapes(&self.second) {
            candle_core::bail!("the saved averages of AdamW are those of other variables");
        }
        *self = Self { settings: self.settings, steps, first, second };
        Ok(())
    }

    /// Moves each variable against its gradient times `clip`; one without a gradient stays where it is, as in torch.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn step(&mut self, variables: &[Var], gradients: &[Option<Tensor>], rate: f64, clip: f64) -> Result<()> {
        self.steps += 1;
        let numbers = StepNumbers::new(self.settings, self.steps, rate);
        let averages = self.first.iter().zip(&self.second);
        for ((variable, gradient), (first, second)) in variables.iter().zip(gradients).zip(averages) {
            let Some(gradient) = gradient else { continue };
            let gradient = if clip == 1.0 { gradient.clone() } else { (gradient * clip)? };
            let gradient = gradient.contiguous()?;
            if variable.device().is_cpu() {
                first.inplace_op2(&gradient, &Fade { kept: numbers.kept_first, power: Power::First })?;
                second.inplace_op2(&gradient, &Fade { kept: numbers.kept_second, power: Power::Second })?;
                variable.as_tensor().inplace_op3(first, second, &Move(numbers))?;
            } else {
                step_plainly(variable, &gradient, (first, second), numbers)?;
            }
        }
        Ok(())
    }
}

/// The numbers of one step, which depend on how many were taken before.
#[derive(Debug, Clone, Copy)]
struct StepNumbers {
    kept_first: f64,
    kept_second: f64,
    /// Learning rate over the first average's correction.
    rate: f64,
    /// Root of the second average's correction.
    root: f64,
    epsilon: f64,
    /// What decay leaves of a weight.
    left: f64,
}

impl StepNumbers {
    fn new(settings: AdamSettings, step: u64, rate: f64) -> Self {
        let AdamSettings { betas: (kept_first, kept_second), epsilon, weight_decay } = settings;
        let faded = |beta: f64| 1.0 - beta.powf(step as f64);
        let (rate_now, root) = (rate / faded(kept_first), faded(kept_second).sqrt());
        Self { kept_first, kept_second, rate: rate_now, root, epsilon, left: 1.0 - rate * weight_decay }
    }
}

/// The same in the operations of any device.
fn step_plainly(
    variable: &Var,
    gradient: &Tensor,
    (first, second): (&Tensor, &Tensor),
    numbers: StepNumbers,
) -> Result<()> {
    let StepNumbers { kept_first, kept_second, rate, root, epsilon, left } = numbers;
    // [..] as the variable each
    let new_first = ((first * kept_first)? + (gradient * (1.0 - kept_first))?)?;
    let new_second = ((second * kept_second)? + (gradient.sqr()? * (1.0 - kept_second))?)?;
    let denominator = ((new_second.sqrt()? / root)? + epsilon)?;
    let moved = ((variable.as_detached_tensor() * left)? - ((&new_first / denominator)? * rate)?)?;
    first.slice_set(&new_first, 0, 0)?;
    second.slice_set(&new_second, 0, 0)?;
    variable.set(&moved)
}

/// Numbers that one task works on.
const TASK: usize = 1 << 14;

enum Power {
    First,
    Second,
}

/// An average takes in the next gradient, or its square.
struct Fade {
    kept: f64,
    power: Power,
}

impl InplaceOp2 for Fade {
    fn name(&self) -> &'static str {
        "adam-average"
    }

    fn cpu_fwd(&self, average: &mut CpuStorage, at: &Layout, gradient: &CpuStorage, from: &Layout) -> Result<()> {
        let (average, gradient) = (written(average, at)?, read(gradient, from)?);
        let (kept, added) = (self.kept as f32, (1.0 - self.kept) as f32);
        average.par_chunks_mut(TASK).zip(gradient.par_chunks(TASK)).for_each(|(average, gradient)| {
            let pairs = average.iter_mut().zip(gradient);
            match self.power {
                // As torch's lerp.
                Power::First => pairs.for_each(|(average, gradient)| *average += (gradient - *average) * added),
                Power::Second => {
                    pairs.for_each(|(average, gradient)| *average = *average * kept + gradient * gradient * added);
                }
            }
        });
        Ok(())
    }
}

/// A variable decays, and moves against its averages.
struct Move(StepNumbers);

impl InplaceOp3 for Move {
    fn name(&self) -> &'static str {
        "adam-move"
    }

    fn cpu_fwd(
        &self,
        weights: &mut CpuStorage,
        at: &Layout,
        first: &CpuStorage,
        first_at: &Layout,
        second: &CpuStorage,
        second_at: &Layout,
    ) -> Result<()> {
        let StepNumbers { rate, root, epsilon, left, .. } = self.0;
        let (rate, root, epsilon, left) = (rate as f32, root as f32, epsilon as f32, left as f32);
        let (weights, first, second) = (written(weights, at)?, read(first, first_at)?, read(second, second_at)?);
        let averages = first.par_chunks(TASK).zip(second.par_chunks(TASK));
        weights.par_chunks_mut(TASK).zip(averages).for_each(|(weights, (first, second))| {
            for (weight, (first, second)) in weights.iter_mut().zip(first.iter().zip(second)) {
                *weight = *weight * left - rate * first / (second.sqrt() / root + epsilon);
            }
        });
        Ok(())
    }
}

fn read<'s>(storage: &'s CpuStorage, layout: &Layout) -> Result<&'s [f32]> {
    let (start, end) = layout.contiguous_offsets().ok_or_else(|| odd("has gaps"))?;
    storage.as_slice::<f32>()?.get(start..end).ok_or_else(|| odd("is too short"))
}

fn written<'s>(storage: &'s mut CpuStorage, layout: &Layout) -> Result<&'s mut [f32]> {
    let (start, end) = layout.contiguous_offsets().ok_or_else(|| odd("has gaps"))?;
    match storage {
        CpuStorage::F32(values) => values.get_mut(start..end).ok_or_else(|| odd("is too short")),
        _ => Err(odd("is not f32")),
    }
}

fn odd(what: &str) -> candle_core::Error {
    candle_core::Error::Msg(format!("a tensor that AdamW steps {what}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use candle_core::Device;

    use super::*;

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn the_first_steps_are_as_long_as_the_learning_rate() {
        let start = Tensor::new(&[1f32, -2.0, 0.5], &Device::Cpu).unwrap();
        let variables = [Var::from_tensor(&start).unwrap()];
        let gradient = Tensor::new(&[0.3f32, -40.0, 0.0], &Device::Cpu).unwrap();
        let settings = AdamSettings { weight_decay: 0.0, ..AdamSettings::default() };
        let mut adam = AdamW::new(settings, &variables).unwrap();
        for _ in 0..3 {
            adam.step(&variables, &[Some(gradient.clone())], 0.01, 1.0).unwrap();
        }
        let found = values(&variables[0]);
        assert!((found[0] - 0.97).abs() < 1e-5 && (found[1] + 1.97).abs() < 1e-5 && found[2] == 0.5, "{found:?}");
    }

    #[test]
    fn both_ways_of_a_step_agree() {
        let start = Tensor::randn(0f32, 1., (7, 5), &Device::Cpu).unwrap();
        let (fast, plain) = (Var::from_tensor(&start).unwrap(), Var::from_tensor(&start.copy().unwrap()).unwrap());
        let mut adam = AdamW::new(AdamSettings::default(), std::slice::from_ref(&fast)).unwrap();
        let (first, second) = (start.zeros_like().unwrap(), start.zeros_like().unwrap());
        for step in 1..=4 {
            let gradient = Tensor::randn(0f32, 1., (7, 5), &Device::Cpu).unwrap();
            adam.step(std::slice::from_ref(&fast), &[Some(gradient.clone())], 0.1, 0.5).unwrap();
            let numbers = StepNumbers::new(AdamSettings::default(), step, 0.1);
            step_plainly(&plain, &(gradient * 0.5).unwrap(), (&first, &second), numbers).unwrap();
        }
        for (fast, plain) in values(&fast).iter().zip(values(&plain)) {
            assert!((fast - plain).abs() < 1e-6, "{fast} {plain}");
        }
    }

    #[test]
    fn weights_without_a_gradient_stay_and_the_others_decay() {
        let one = || Var::from_tensor(&Tensor::new(&[1f32], &Device::Cpu).unwrap()).unwrap();
        let variables = [one(), one()];
        let zero = Tensor::new(&[0f32], &Device::Cpu).unwrap();
        let settings = AdamSettings { weight_decay: 0.5, ..AdamSettings::default() };
        AdamW::new(settings, &variables).unwrap().step(&variables, &[None, Some(zero)], 0.1, 1.0).unwrap();
        assert_eq!((values(&variables[0])[0], values(&variables[1])[0]), (1.0, 0.95));
    }
}
