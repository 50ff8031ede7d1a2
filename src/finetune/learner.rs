//! One step of learning: examples in, other numbers in LoRA and heads out.

use candle_core::{Device, Tensor, Var};
use planner_tuner_model::learning::{AdamSettings, AdamW, GradientSums, LearningModel, LoraLayers, Sight};
use planner_tuner_model::vision_language::{HiddenStates, StateVariables};

use crate::{FinetuneError, SupervisedHeads};

/// What the heads' hidden states come from.
#[derive(Debug, Clone)]
pub enum View {
    /// A picture and a prompt, which the vision-language model looks at.
    Sight(Sight),
    /// They are known: the model has looked, and does not learn.
    States(HiddenStates),
}

/// A frame as the networks are shown it, and what they should say.
#[derive(Debug, Clone)]
pub struct Example {
    /// For the vision-language model.
    pub view: View,
    /// Pixels `[3, side, side]` of the frames before, newest first, normalised for the history encoder.
    pub newest_first: Vec<Tensor>,
    /// One value for each output, normalised.
    pub target: Vec<f32>,
}

/// Which parts learn; the others stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learns {
    /// The LoRA of the vision-language model.
    pub lora: bool,
    /// The DPT head with its regression.
    pub head: bool,
    /// The history encoder.
    pub history: bool,
}

impl Learns {
    /// All of it, as in the original.
    pub const ALL: Self = Self { lora: true, head: true, history: true };
}

/// How a step is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSettings {
    /// AdamW's.
    pub adam: AdamSettings,
    /// Gradients that are longer, all variables taken together, are shortened to this.
    pub max_gradient_norm: f64,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Mean of weight x (output - target)² over examples and outputs.
    pub loss: f64,
    /// Length of the gradient before it was shortened.
    pub gradient_norm: f64,
    /// Whether the numbers moved: not where loss or gradient is NaN or infinite.
    pub moved: bool,
}

/// What an example was learned with.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    /// Its share of the loss.
    pub loss: f64,
    /// What the heads said of it before the step, normalised.
    pub outputs: Vec<f32>,
}

/// The model with its LoRA, the heads and their optimiser.
#[derive(Debug)]
pub struct Learner {
    model: LearningModel,
    lora: LoraLayers,
    heads: SupervisedHeads,
    learns: Learns,
    /// Of each output in the loss.
    output_weights: Vec<f32>,
    settings: StepSettings,
    names: Vec<String>,
    gradients: GradientSums,
    adam: AdamW,
}

impl Learner {
    /// Puts the parts together, with an optimiser that has not stepped yet.
    ///
    /// # Errors
    /// When the device has no memory for the optimiser.
    pub fn new(
        model: LearningModel,
        lora: LoraLayers,
        heads: SupervisedHeads,
        learns: Learns,
        (output_weights, settings): (Vec<f32>, StepSettings),
    ) -> Result<Self, FinetuneError> {
        let mut named: Vec<(String, Var)> = Vec::new();
        if learns.lora {
            named.extend(lora.variables().map(|(name, variable)| (name, variable.clone())));
        }
        let learned = |name: &str| if name.starts_with("history_encoder.") { learns.history } else { learns.head };
        let of_heads = heads.variables().filter(|(name, _)| learned(name));
        named.extend(of_heads.map(|(name, variable)| (name.to_owned(), variable.clone())));
        let (names, variables): (Vec<String>, Vec<Var>) = named.into_iter().unzip();
        let adam = AdamW::new(settings.adam, &variables)?;
        let gradients = GradientSums::new(variables);
        Ok(Self { model, lora, heads, learns, output_weights, settings, names, gradients, adam })
    }

    /// The model without its LoRA's settings.
    pub fn model_mut(&mut self) -> &mut LearningModel {
        &mut self.model
    }

    /// Where all of it is.
    pub fn device(&self) -> &Device {
        self.model.device()
    }

    /// The LoRA.
    pub fn lora(&self) -> &LoraLayers {
        &self.lora
    }

    /// The heads.
    pub fn heads(&self) -> &SupervisedHeads {
        &self.heads
    }

    /// The weight of each output in the loss.
    pub fn output_weights(&self) -> &[f32] {
        &self.output_weights
    }

    /// Puts saved numbers in place of those that learn, and goes on behind `steps` steps that left these averages.
    ///
    /// # Errors
    /// When they are those of other variables.
    pub fn resume(&mut self, values: &[Tensor], steps: u64, moments: [Vec<Tensor>; 2]) -> Result<(), FinetuneError> {
        if values.len() != self.names.len() {
            let problem = format!("{} tensors were saved, {} learn", values.len(), self.names.len());
            return Err(FinetuneError::Heads { problem });
        }
        for (variable, value) in self.gradients.variables().iter().zip(values) {
            variable.set(value)?;
        }
        Ok(self.adam.resume(steps, moments)?)
    }

    /// The optimiser of what learns.
    pub fn adam(&self) -> &AdamW {
        &self.adam
    }

    /// Everything that learns, under its names, in the order of the gradients.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.names.iter().map(String::as_str).zip(self.gradients.variables())
    }

    /// The gradients that have been summed since the last step, under the variables' names.
    pub fn gradients(&self) -> impl Iterator<Item = (&str, Option<&Tensor>)> {
        self.names.iter().map(String::as_str).zip(self.gradients.sums().iter().map(Option::as_ref))
    }

    /// What the heads say of an observation, one normalised value for each output. Nothing is left out, and nothing learns.
    ///
    /// # Errors
    /// When an operation fails.
    pub fn predict(&mut self, example: &Example) -> Result<Vec<f32>, FinetuneError> {
        let (_, outputs) = self.look(example)?;
        Ok(outputs.flatten_all()?.to_vec1()?)
    }

    /// The feature that the heads make of an observation. Nothing is left out, and nothing learns.
    ///
    /// # Errors
    /// When an operation fails.
    pub fn feature(&mut self, example: &Example) -> Result<Vec<f32>, FinetuneError> {
        let (feature, _) = self.look(example)?;
        Ok(feature.flatten_all()?.to_vec1()?)
    }

    fn look(&mut self, example: &Example) -> Result<(Tensor, Tensor), FinetuneError> {
        let states = self.hidden_states(&example.view)?;
        self.heads.forward(&states, &example.newest_first)
    }

    /// The hidden states of a view. Nothing is left out, and nothing learns.
    ///
    /// # Errors
    /// When an operation fails.
    pub fn hidden_states(&mut self, view: &View) -> Result<HiddenStates, FinetuneError> {
        self.lora.set_dropout(None);
        match view {
            View::Sight(sight) => Ok(self.model.hidden_states(sight)?),
            View::States(states) => Ok(states.clone()),
        }
    }

    /// What learns.
    pub fn learns(&self) -> Learns {
        self.learns
    }

    /// Adds the gradient of an example's share of a loss to the sums, and returns that share: of the mean over `examples`
    /// examples and all outputs of weight x (output - target)². `seed` chooses what dropout leaves out.
    ///
    /// # Errors
    /// When an operation fails, or the target has another number of values than there are outputs.
    pub fn add_example(
        &mut self,
        example: &Example,
        examples: usize,
        seed: Option<u64>,
    ) -> Result<Learned, FinetuneError> {
        // A LoRA that stays is not left out of either.
        self.lora.set_dropout(seed.filter(|_| self.learns.lora));
        let (states, passed) = match &example.view {
            View::Sight(sight) => {
                let (states, passed) = self.model.forward(sight)?;
                (states, Some(passed))
            }
            View::States(states) => (states.clone(), None),
        };
        let states = StateVariables::of(&states)?;
        let of_heads = seed.filter(|_| self.learns.head);
        let (_, outputs) = self.heads.forward_learning(&states.hidden_states(), &example.newest_first, of_heads)?; // [1, outputs]
        let loss = self.loss(&outputs, &example.target, examples)?;
        let found = loss.backward()?;
        self.gradients.add(&found)?;
        if let Some(passed) = passed.filter(|_| self.learns.lora) {
            let of_states = states.gradients(&found)?;
            let gradients = &mut self.gradients;
            self.model.backward(passed, &of_states, &mut |found| gradients.add(found))?;
        }
        Ok(Learned { loss: f64::from(loss.to_scalar::<f32>()?), outputs: outputs.flatten_all()?.to_vec1()? })
    }

    fn loss(&self, outputs: &Tensor, target: &[f32], examples: usize) -> Result<Tensor, FinetuneError> {
        let count = self.output_weights.len();
        if target.len() != count || outputs.dims() != [1, count] {
            let (targets, outputs) = (target.len(), outputs.dims().get(1).copied().unwrap_or_default());
            let problem =
                format!("{targets} targets and {count} weights do not fit {outputs} outputs of the regression head");
            return Err(FinetuneError::Heads { problem });
        }
        let target = Tensor::from_slice(target, (1, count), outputs.device())?;
        let weights = Tensor::from_slice(&self.output_weights, (1, count), outputs.device())?;
        let squares = ((outputs - target)?.sqr()? * weights)?;
        Ok((squares.sum_all()? / (examples * count) as f64)?)
    }

    /// Moves everything that learns against the summed gradients, at a learning rate, and begins new sums. `loss` is what
    /// [`add_example`](Self::add_example) returned, summed.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn step(&mut self, loss: f64, rate: f64) -> Result<Step, FinetuneError> {
        let gradient_norm = self.gradients.norm()?;
        let moved = loss.is_finite() && gradient_norm.is_finite();
        if moved {
            let clip = (self.settings.max_gradient_norm / (gradient_norm + 1e-6)).min(1.0);
            self.adam.step(self.gradients.variables(), self.gradients.sums(), rate, clip)?;
        }
        self.gradients.clear();
        Ok(Step { loss, gradient_norm, moved })
    }
}

/// Pixels of a past frame on a device.
///
/// # Errors
/// When there are not `3 * side * side`.
pub fn past_pixels(values: Vec<f32>, side: usize, device: &Device) -> candle_core::Result<Tensor> {
    Tensor::from_vec(values, (3, side, side), device)
}
