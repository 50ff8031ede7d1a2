//! The node with a stand-in for the model: slower, faster or sicker than the real one, as the variable STUB says.
//!
//! `STUB` is JSON: `seconds` that a decision takes, and at which decisions (counted from 0) it does what:
//! `nan`, `error`, `panic`, `device_lost`; `load_error` fails the loading, `out_of_memory` makes it that kind.
#![allow(clippy::unwrap_used, clippy::panic, dead_code)]

#[path = "../../src/ros/mod.rs"]
mod ros;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use vlm_planner_tuner::feature::{AttentionMap, EncodedFrame, ExtractedFeature, FeatureError};
use vlm_planner_tuner::frame::{BodyVelocity, Frame};
use vlm_planner_tuner::live::{Decider, LoadError};
use vlm_planner_tuner::numbers::{Action, Feature};
use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::tuner::{Decision, DecisionModel, HeadOutput, StageTimes, TunerError};

#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Behaviour {
    seconds: f64,
    nan: Vec<u64>,
    error: Vec<u64>,
    panic: Vec<u64>,
    device_lost: Vec<u64>,
    load_error: Option<String>,
    out_of_memory: bool,
    /// Seconds that loading takes.
    load_seconds: f64,
}

/// Decides by counting: parameters wander through their ranges, so that every decision is another one.
struct Stub {
    behaviour: Behaviour,
    planner: PlannerSpec,
    decisions: Arc<AtomicU64>,
}

impl DecisionModel for Stub {
    fn history_offsets(&self) -> &[usize] {
        &[1, 2]
    }

    fn encode_for_history(&mut self, _: &Frame) -> Result<Option<EncodedFrame>, TunerError> {
        Ok(None)
    }

    fn decide(&mut self, _: &Frame, _: BodyVelocity, _: &[EncodedFrame]) -> Result<Decision, TunerError> {
        let number = self.decisions.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_secs_f64(self.behaviour.seconds));
        let lost = candle_core::Error::Cuda("out of memory".into());
        match &self.behaviour {
            Behaviour { panic, .. } if panic.contains(&number) => panic!("injected at decision {number}"),
            Behaviour { error, .. } if error.contains(&number) => return Err(TunerError::NoPolicy),
            Behaviour { device_lost, .. } if device_lost.contains(&number) => return Err(lost.into()),
            _ => {}
        }
        let wander = ((number as f32) * 0.7).sin() * 0.8;
        let value = if self.behaviour.nan.contains(&number) { f32::NAN } else { wander };
        let values = vec![value; self.planner.parameters().len()];
        let action = Action::clamped(values).map_err(FeatureError::from)?;
        let parameters = self.planner.from_action(action.values())?;
        let feature = Feature::from_values(vec![wander; 256]).map_err(FeatureError::from)?;
        let attention = vec![1.0 / 294.0; 294];
        Ok(Decision {
            extracted: ExtractedFeature { feature, attention: attention.clone(), pooled: Vec::new(), history: None },
            attention_map: AttentionMap::new(14, 21, attention).unwrap(),
            output: HeadOutput::Actor { action, parameters },
            sequence_length: 294,
            times: StageTimes::default(),
        })
    }
}

impl Decider for Stub {
    fn reload_policy(&mut self, _: &Path) -> Result<(), TunerError> {
        Err(TunerError::NoPolicy)
    }
}

fn main() -> ExitCode {
    let behaviour = std::env::var("STUB").unwrap_or_else(|_| "{}".into());
    let behaviour: Behaviour = serde_json::from_str(&behaviour).unwrap();
    ros::run(move |settings| {
        let planner = settings.planner_spec().unwrap();
        // Counts on over a reload.
        let decisions = Arc::new(AtomicU64::new(0));
        Ok(Box::new(move || {
            std::thread::sleep(Duration::from_secs_f64(behaviour.load_seconds));
            match behaviour.load_error.clone() {
                Some(message) => Err(LoadError { message, out_of_memory: behaviour.out_of_memory }),
                None => {
                    let (behaviour, planner, decisions) = (behaviour.clone(), planner.clone(), decisions.clone());
                    Ok(Box::new(Stub { behaviour, planner, decisions }) as Box<dyn Decider>)
                }
            }
        }))
    })
}
