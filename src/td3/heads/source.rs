//! Where observations come from.

use candle_core::Tensor;

use super::Observed;
use crate::TrainError;
use planner_tuner_model::vision_language::HiddenStates;

/// What the heads see of an observation.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Of the frozen model.
    pub hidden_states: HiddenStates,
    /// Pixels of the frames before, as the history encoder wants them: `[3, side, side]` each, newest first.
    pub newest_first: Vec<Tensor>,
}

/// Gives what the heads see. The same observation always looks the same, to the bit.
pub trait ObservationSource: Send {
    /// Of some observations, in their order. As many are asked for as are looked at together.
    ///
    /// # Errors
    /// When a frame or a model cannot be read or computed.
    fn see(&mut self, observations: &[&Observed]) -> Result<Vec<Seen>, TrainError>;
}
