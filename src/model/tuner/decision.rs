//! What a decision consists of.

use std::time::{Duration, Instant};

use crate::feature::{AttentionMap, ExtractedFeature};
use planner_tuner_core::numbers::Action;
use planner_tuner_core::planner::{Choice, PlannerParameters, Regression};

/// Planner parameters for one frame, and all that led to them.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The feature, with the attention over the whole sequence.
    pub extracted: ExtractedFeature,
    /// Where the model looked: the attention over the image tokens.
    pub attention_map: AttentionMap,
    /// What the head made of the feature.
    pub output: HeadOutput,
    /// Tokens in the sequence.
    pub sequence_length: usize,
    /// Where the time went.
    pub times: StageTimes,
}

/// The output of the head in use.
#[derive(Debug, Clone)]
pub enum HeadOutput {
    /// The policy's actor.
    Actor {
        /// In [-1, 1].
        action: Action,
        /// The action on the planner's ranges.
        parameters: PlannerParameters,
    },
    /// The supervised regression.
    Regression {
        /// As the head gives it.
        normalised: Vec<f32>,
        /// `normalised * std + mean`, before anything is cut to its range.
        denormalised: Vec<f32>,
        /// Parameters in range, and the velocities that the head predicts beside them.
        values: Regression,
    },
}

impl HeadOutput {
    /// The planner parameters, in range.
    pub fn parameters(&self) -> &PlannerParameters {
        match self {
            Self::Actor { parameters, .. } => parameters,
            Self::Regression { values, .. } => &values.parameters,
        }
    }
}

impl Decision {
    /// The planner parameters, in range.
    pub fn parameters(&self) -> &PlannerParameters {
        self.output.parameters()
    }

    /// The numbers behind it, for a log.
    pub fn choice(&self) -> Choice<'_> {
        let action = match &self.output {
            HeadOutput::Actor { action, .. } => Some(action),
            HeadOutput::Regression { .. } => None,
        };
        Choice { feature: &self.extracted.feature, action, parameters: self.parameters() }
    }

    /// The policy's output in [-1, 1]; `None` when the regression decided.
    pub fn action(&self) -> Option<&[f32]> {
        match &self.output {
            HeadOutput::Actor { action, .. } => Some(action.values()),
            HeadOutput::Regression { .. } => None,
        }
    }
}

/// A stage of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Bytes of a file or message become a frame.
    Decode,
    /// The frame is resized to what the image processor wants.
    Resize,
    /// The resized frame is normalised and cut into patches.
    Patches,
    /// The prompt is worded and spelled in token ids.
    Prompt,
    /// Patches become image tokens.
    Vision,
    /// Tokens become hidden states.
    Text,
    /// A frame is encoded for the decisions after this one.
    History,
    /// Hidden states become feature, action and parameters.
    Heads,
}

impl Stage {
    /// All stages in the order of the road.
    pub const ALL: [Stage; 8] = [
        Stage::Decode,
        Stage::Resize,
        Stage::Patches,
        Stage::Prompt,
        Stage::Vision,
        Stage::Text,
        Stage::History,
        Stage::Heads,
    ];

    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Decode => "decode",
            Stage::Resize => "resize",
            Stage::Patches => "patches",
            Stage::Prompt => "prompt",
            Stage::Vision => "vision",
            Stage::Text => "text",
            Stage::History => "history",
            Stage::Heads => "heads",
        }
    }
}

/// Time spent in each stage of one decision.
#[derive(Debug, Clone, Default)]
pub struct StageTimes(Vec<(Stage, Duration)>);

impl StageTimes {
    /// Runs `work` and adds its time to `stage`.
    pub fn measure<T>(&mut self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.add(stage, start.elapsed());
        result
    }

    /// Adds time to a stage.
    pub fn add(&mut self, stage: Stage, time: Duration) {
        match self.0.iter_mut().find(|(known, _)| *known == stage) {
            Some((_, sum)) => *sum += time,
            None => self.0.push((stage, time)),
        }
    }

    /// Time spent in a stage; zero when it was not run.
    pub fn of(&self, stage: Stage) -> Duration {
        self.0.iter().find(|(known, _)| *known == stage).map_or(Duration::ZERO, |(_, time)| *time)
    }

    /// Sum over all stages.
    pub fn total(&self) -> Duration {
        self.0.iter().map(|(_, time)| *time).sum()
    }

    /// Milliseconds by stage name in the order of the road, and `total`.
    pub fn to_json(&self) -> serde_json::Value {
        let milliseconds = |time: Duration| serde_json::json!((time.as_secs_f64() * 1e6).round() / 1e3);
        let stages = Stage::ALL.map(|stage| (stage.name().to_string(), milliseconds(self.of(stage))));
        let total = ("total".to_string(), milliseconds(self.total()));
        serde_json::Value::Object(stages.into_iter().chain([total]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_add_up() {
        let mut times = StageTimes::default();
        times.add(Stage::Text, Duration::from_micros(1500));
        times.add(Stage::Resize, Duration::from_micros(250));
        times.add(Stage::Text, Duration::from_micros(500));
        assert_eq!(times.total(), Duration::from_micros(2250));
        let json = times.to_json();
        assert_eq!((json["text"].as_f64(), json["vision"].as_f64()), (Some(2.0), Some(0.0)));
        assert_eq!(json.as_object().and_then(|object| object.keys().next_back().cloned()), Some("total".into()));
    }
}
