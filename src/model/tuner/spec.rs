//! Which model: its files, its head and its planner, described once for the loader, the identity and every front end.

use std::path::PathBuf;

use planner_tuner_core::planner::PlannerSpec;

use super::{DeviceChoice, Head, QuantizeChoice};
use crate::vision_language::WeightFormat;
use crate::vision_language::hub::{HubEnvironment, HubError, ModelSource};
use crate::vision_language::processor::PixelBudget;

/// All that a decision's numbers depend on, but for the device and the format of the weights, which round differently.
///
/// `Base` is where the base model comes from: a [`ModelSource`] as a user names it, or the folder that it was found in.
#[derive(Debug, Clone)]
pub struct ModelSpec<Base = PathBuf> {
    /// The base model: config.json, tokenizer.json, preprocessor_config.json, weights.
    pub base: Base,
    /// Folder of the supervised checkpoint.
    pub checkpoint: PathBuf,
    /// Prefix, folder or file of the policy.
    pub policy: Option<PathBuf>,
    /// Which head decides; without a choice the actor where there is a policy.
    pub head: Option<Head>,
    /// The planner that is tuned; the prompt names it.
    pub planner: PlannerSpec,
    /// Whether the linear layers are quantised while they are loaded.
    pub quantize: QuantizeChoice,
    /// Overrides of the image processor's pixel budget.
    pub pixels: PixelBudget,
}

/// Where a model computes, and in which format its weights are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compute {
    /// The device.
    pub device: DeviceChoice,
    /// Format of the vision-language model's weights; without a choice the device's usual one.
    pub format: Option<WeightFormat>,
}

impl ModelSpec<ModelSource> {
    /// Finds the base model, and downloads what is missing of it where the environment allows that.
    ///
    /// # Errors
    /// [`HubError`] naming what is not there.
    pub fn locate(self, hub: &HubEnvironment) -> Result<ModelSpec, HubError> {
        let base = self.base.resolve(hub)?;
        let Self { base: _, checkpoint, policy, head, planner, quantize, pixels } = self;
        Ok(ModelSpec { base, checkpoint, policy, head, planner, quantize, pixels })
    }
}
