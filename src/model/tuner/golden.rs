//! Observations on which a new policy has to show what it does before it may decide.

use std::collections::VecDeque;

use candle_core::{Device, Tensor};

use super::TunerError;
use crate::feature::EncodedFrame;
use crate::vision_language::HiddenStates;
use planner_tuner_core::frame::{BodyVelocity, Frame};
use planner_tuner_core::planner::PlannerParameters;

/// The last decisions' observations, with what the policy in use made of them. At most [`Self::KEPT`]: for the 3B model
/// about 25 MB each, of which the prompt's constant beginning is shared.
#[derive(Debug, Default)]
pub(super) struct GoldenFrames(VecDeque<GoldenFrame>);

/// What any policy sees of one decision.
#[derive(Debug)]
struct GoldenFrame {
    seen: SeenFrame,
    hidden_states: HiddenStates,
    newest_first: Vec<EncodedFrame>,
    /// What the policy in use decided.
    decided: PlannerParameters,
}

/// What a decision was made of, before any model has looked.
#[derive(Debug, Clone)]
pub(super) struct SeenFrame {
    pub(super) frame: Frame,
    pub(super) velocity: BodyVelocity,
}

impl GoldenFrames {
    /// Observations that are kept.
    const KEPT: usize = 4;

    /// Of these the newest are looked at again by a policy that brings a vision-language model of its own, which takes as long
    /// as so many decisions.
    const LOOKED_AT_AGAIN: usize = 2;

    /// Keeps an observation, with what the policy in use decided.
    pub(super) fn push(
        &mut self,
        seen: SeenFrame,
        hidden_states: HiddenStates,
        newest_first: &[EncodedFrame],
        decided: &PlannerParameters,
    ) {
        if self.0.len() >= Self::KEPT {
            self.0.pop_front();
        }
        let (newest_first, decided) = (newest_first.to_vec(), decided.clone());
        self.0.push_back(GoldenFrame { seen, hidden_states, newest_first, decided });
    }

    /// What the policy in use decided on each observation, and what another one does; the first error ends it.
    pub(super) fn compare(
        &self,
        mut decide: impl FnMut(&HiddenStates, &[EncodedFrame]) -> Result<PlannerParameters, TunerError>,
    ) -> Result<Vec<(PlannerParameters, PlannerParameters)>, TunerError> {
        let pair =
            |frame: &GoldenFrame| Ok((frame.decided.clone(), decide(&frame.hidden_states, &frame.newest_first)?));
        self.0.iter().map(pair).collect()
    }

    /// As [`compare`](Self::compare), on the newest observations, looked at again by another model: `decide` is told what was
    /// seen.
    pub(super) fn compare_seen_again(
        &self,
        mut decide: impl FnMut(&SeenFrame, &[EncodedFrame]) -> Result<PlannerParameters, TunerError>,
    ) -> Result<Vec<(PlannerParameters, PlannerParameters)>, TunerError> {
        let newest = self.0.iter().rev().take(Self::LOOKED_AT_AGAIN);
        newest.map(|frame| Ok((frame.decided.clone(), decide(&frame.seen, &frame.newest_first)?))).collect()
    }

    /// Another policy is in use: the next one is compared with it. Observations that it gives no numbers for are dropped.
    pub(super) fn decide_again(
        &mut self,
        mut decide: impl FnMut(&HiddenStates, &[EncodedFrame]) -> Result<PlannerParameters, TunerError>,
    ) {
        self.0.retain_mut(|frame| match decide(&frame.hidden_states, &frame.newest_first) {
            Ok(decided) => {
                frame.decided = decided;
                true
            }
            Err(_) => false,
        });
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
