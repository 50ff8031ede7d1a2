//! What the settings mean for guard, envelope, sink and model.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::inference::Loader;
use super::{Decider, Following, LoadError, SettingError, Settings, policy_at_start};
use crate::nav2::{ApplierLimits, OnConflict};
use crate::planner::envelope::EnvelopeLimits;
use crate::planner::guard::{GuardLimits, Mode};
use crate::planner::{PlannerError, PlannerSpec};
use crate::recording::DecisionSchedule;
use crate::scene::SceneRules;
use crate::thread_count;
use crate::tuner::{Compute, ModelSpec, Tuner, TunerError, TunerOptions, UnknownChoice};
use crate::vision_language::hub::{HubEnvironment, ModelSource};
use crate::vision_language::processor::PixelBudget;

impl Settings {
    /// The guard's time-outs.
    pub fn guard_limits(&self) -> GuardLimits {
        let seconds = Duration::from_secs_f64;
        GuardLimits {
            max_frame_age: seconds(self.max_frame_age),
            hold_timeout: seconds(self.hold_timeout),
            frozen_after: seconds(self.frozen_after),
            future_tolerance: seconds(self.future_tolerance),
            velocity_max_age: seconds(self.velocity_max_age),
            latency_budget: seconds(self.latency_budget),
            good_frames: u32::try_from(self.good_frames).unwrap_or(1),
            assume_stationary: self.assume_stationary,
        }
    }

    /// How parameters may change.
    pub fn envelope_limits(&self) -> EnvelopeLimits {
        EnvelopeLimits {
            slew_rate: Some(self.slew_rate).filter(|rate| *rate > 0.0),
            hysteresis: self.hysteresis,
            inscribed_radius: self.inscribed_radius,
            inflation_margin: self.inflation_margin,
            allow_below_inscribed: self.allow_below_inscribed,
            ..EnvelopeLimits::default()
        }
    }

    /// How patient, and how insistent, the setting of parameters is.
    pub fn applier_limits(&self) -> ApplierLimits {
        ApplierLimits {
            call_timeout: Duration::from_secs_f64(self.call_timeout),
            apply_rate: self.apply_rate,
            hysteresis: self.hysteresis,
            poll_interval: Duration::from_secs_f64(self.poll_interval),
            on_conflict: match self.on_conflict.as_str() {
                "insist" => OnConflict::Insist,
                "stop" => OnConflict::Stop,
                _ => OnConflict::Yield,
            },
            ..ApplierLimits::default()
        }
    }

    /// Which frames are decided on.
    pub fn schedule(&self) -> DecisionSchedule {
        DecisionSchedule::at_rate(self.decision_rate).unwrap_or_default()
    }

    /// How images are drawn.
    pub fn scene_rules(&self) -> SceneRules {
        SceneRules {
            max_pose_age: Duration::from_secs_f64(self.max_pose_age),
            max_transform_age: Duration::from_secs_f64(self.max_transform_age),
            max_plan_age: (self.max_plan_age > 0.0).then(|| Duration::from_secs_f64(self.max_plan_age)),
            assume_same_frame: self.assume_same_frame,
            apply_laser_mount: self.apply_laser_mount,
        }
    }

    /// What the operator allows at start.
    pub fn operating_mode(&self) -> Mode {
        match self.mode.as_str() {
            "active" => Mode::Active,
            "disabled" => Mode::Disabled,
            _ => Mode::Shadow,
        }
    }

    /// The planner that is tuned.
    ///
    /// # Errors
    /// When there is no such planner, or its file is not in order.
    pub fn planner_spec(&self) -> Result<PlannerSpec, PlannerError> {
        let is_file = self.planner.contains(['/', '.']) || Path::new(&self.planner).exists();
        if is_file { PlannerSpec::load(Path::new(&self.planner)) } else { PlannerSpec::builtin(&self.planner) }
    }

    /// The folder whose policies are taken over while the node runs, if there is one.
    pub fn following(&self) -> Option<Following> {
        if self.policy_folder.is_empty() {
            return None;
        }
        let folder = PathBuf::from(&self.policy_folder);
        // Without another policy the model is loaded with what lies there; if that changes meanwhile, it is new.
        let in_use = if self.policy.is_empty() { policy_at_start(&folder).ok().map(|(_, files)| files) } else { None };
        Some(Following { folder, allow_large_change: self.allow_large_change, in_use })
    }

    /// The model that is meant, and how it computes.
    ///
    /// # Errors
    /// The first model setting that is missing or unknown.
    pub fn model_spec(&self) -> Result<(ModelSpec<ModelSource>, Compute), SettingError> {
        let contradiction = |text: String| SettingError::Contradiction(text);
        for (name, value, what) in [
            ("base", &self.base, "a folder, or an id on the Hugging Face Hub"),
            ("checkpoint", &self.checkpoint, "the folder of a supervised checkpoint"),
        ] {
            if value.is_empty() {
                return Err(contradiction(format!("parameter '{name}' is not set, expected {what}")));
            }
        }
        let refuse = |name: &str, error: &dyn std::fmt::Display| contradiction(format!("parameter '{name}': {error}"));
        let device = self.device.parse().map_err(|error: UnknownChoice| refuse("device", &error))?;
        let format = match self.dtype.as_str() {
            "auto" => None,
            name => Some(name.parse().map_err(|error: UnknownChoice| refuse("dtype", &format!("{error}, or auto")))?),
        };
        let head = match self.head.as_str() {
            "auto" => None,
            name => Some(name.parse().map_err(|error: UnknownChoice| refuse("head", &format!("{error}, or auto")))?),
        };
        let pixels = |pixels: i64| u64::try_from(pixels).ok().filter(|pixels| *pixels > 0);
        let spec = ModelSpec {
            base: ModelSource::parse(&self.base).map_err(|error| refuse("base", &error))?,
            checkpoint: self.checkpoint.clone().into(),
            policy: Some(&self.policy).filter(|policy| !policy.is_empty()).map(Into::into),
            head,
            planner: self.planner_spec().map_err(|error| refuse("planner", &error))?,
            quantize: self.quantize.parse().map_err(|error: UnknownChoice| refuse("quantize", &error))?,
            pixels: PixelBudget { min_pixels: pixels(self.min_pixels), max_pixels: pixels(self.max_pixels) },
        };
        Ok((spec, Compute { device, format }))
    }

    /// What loads the model, once everything that can be checked without reading it has been.
    ///
    /// # Errors
    /// The first model setting that is missing or unknown.
    pub fn model_loader(&self) -> Result<Loader, SettingError> {
        let (spec, compute) = self.model_spec()?;
        let threads = usize::try_from(self.threads).ok().and_then(NonZeroUsize::new);
        let folder = Some(&self.policy_folder).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let load = move || -> Result<Tuner, LoadError> {
            let mut spec = spec.clone();
            if let (None, Some(folder)) = (&spec.policy, &folder) {
                spec.policy = Some(policy_at_start(folder).map_err(TunerError::from)?.0.path().to_owned());
            }
            thread_count::start(threads);
            Ok(TunerOptions::open(spec, compute, &HubEnvironment::from_env())?.load(None)?)
        };
        Ok(Box::new(move || Ok(Box::new(load()?) as Box<dyn Decider>)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_defaults_are_those_of_guard_envelope_sink_and_scenes() {
        let settings = Settings::default();
        assert_eq!(settings.guard_limits(), GuardLimits::default());
        assert_eq!(settings.envelope_limits(), EnvelopeLimits::default());
        assert_eq!(settings.applier_limits(), ApplierLimits::default());
        assert_eq!(settings.scene_rules(), SceneRules::default());
    }

    #[test]
    fn what_is_missing_is_named() {
        let refusal = |settings: Settings| settings.model_loader().err().unwrap().to_string();
        let settings = Settings { base: "./base".into(), checkpoint: "checkpoint".into(), ..Settings::default() };
        assert!(refusal(Settings { base: "base".into(), ..settings.clone() }).contains("'base'"));
        assert!(refusal(Settings { base: String::new(), ..settings.clone() }).contains("'base' is not set"));
        assert!(refusal(Settings { device: "gpu".into(), ..settings.clone() }).contains("'gpu'"));
        assert!(refusal(Settings { dtype: "f8".into(), ..settings.clone() }).contains("expected f32 or bf16, or auto"));
        assert!(settings.model_loader().is_ok());
    }
}
