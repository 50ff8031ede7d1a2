//! Observations on which a new policy has to show what it does before it may decide.

use std::collections::VecDeque;

use candle_core::{Device, Tensor};

use super::TunerError;
use crate::feature::EncodedFrame;
use crate::vision_language::HiddenStates;
use planner_tuner_core::planner::PlannerParameters;

/// The last decisions' observations, with what the policy in use made of them. At most [`Self::KEPT`]: for the 3B model
/// about 25 MB each.
#[derive(Debug, Default)]
pub(super) struct GoldenFrames(VecDeque<GoldenFrame>);

/// What the heads of any policy see of one decision.
#[derive(Debug)]
pub(super) struct GoldenFrame {
    pub(super) hidden_states: HiddenStates,
    pub(super) newest_first: Vec<EncodedFrame>,
    /// What the policy in use decided.
    pub(super) decided: PlannerParameters,
}

impl GoldenFrames {
    /// Observations that are kept.
    const KEPT: usize = 4;

    pub(super) fn push(&mut self, frame: GoldenFrame) {
        if self.0.len() >= Self::KEPT {
            self.0.pop_front();
        }
        self.0.push_back(frame);
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &GoldenFrame> {
        self.0.iter()
    }
}

impl IntoIterator for GoldenFrames {
    type Item = GoldenFrame;
    type IntoIter = std::collections::vec_deque::IntoIter<GoldenFrame>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Tokens of a made-up observation.
const TOKENS: usize = 16;

/// A made-up observation for the time before the first decision: the same for every policy, of ordinary magnitude. It
/// shows whether the weights give numbers at all.
pub(super) fn made_up(hidden: usize, device: &Device) -> Result<HiddenStates, TunerError> {
    let state = |phase: usize| {
        let values = (0..TOKENS * hidden).map(|index| ((index * (phase + 3)) as f32 * 0.37).sin());
        Tensor::from_vec(values.collect(), (TOKENS, hidden), device)
    };
    Ok(HiddenStates::new([state(0)?, state(1)?, state(2)?, state(3)?]))
}
