//! What the frozen model sees of a frame, without a head behind it: for heads that are still learning.

use super::{StageTimes, Tuner, TunerError};
use crate::checkpoint::HistoryConfig;
use crate::vision_language::HiddenStates;
use planner_tuner_core::frame::{BodyVelocity, Frame};

impl Tuner {
    /// How the heads are shown the past, where they are.
    pub fn history_config(&self) -> Option<&HistoryConfig> {
        self.history.as_ref()
    }

    /// Width of the hidden states.
    pub fn hidden_size(&self) -> usize {
        self.model.config().text.hidden_size
    }

    /// The prompt's text for a velocity, without the image's tokens: two velocities with the same text look the same.
    pub fn prompt_text(&self, velocity: BodyVelocity) -> String {
        self.template.render(velocity, self.planner.name()).text(0)
    }

    /// The last four hidden states of a frame, as [`Self::decide`] computes them.
    ///
    /// # Errors
    /// The stage that failed.
    pub fn hidden_states(&mut self, frame: &Frame, velocity: BodyVelocity) -> Result<HiddenStates, TunerError> {
        self.last_frame.turn_to(frame);
        let image = self.image_tokens(frame, &mut StageTimes::default())?;
        let prompt = self.prompt(velocity, image.grid)?;
        Ok(self.model.hidden_states(&prompt, &image.tokens, image.grid)?)
    }
}
