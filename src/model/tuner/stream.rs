//! One decision after another: frames come in the order of their stamps, and each is decided with those before it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use planner_tuner_core::frame::{BodyVelocity, Frame, FrameError, HistoryRing, ResetReason, Stamp};

use super::{Decision, Stage, Tuner, TunerError};
use crate::feature::EncodedFrame;

/// Decides for one frame. [`Tuner`] is the one that robots use; tests put slower and faulty ones in its place.
pub trait DecisionModel {
    /// How many decisions back each history frame lies, newest first; empty without history.
    fn history_offsets(&self) -> &[usize];

    /// Encodes a frame for the decisions after it; `None` without history.
    ///
    /// # Errors
    /// As [`Tuner::encode_for_history`].
    fn encode_for_history(&mut self, frame: &Frame) -> Result<Option<EncodedFrame>, TunerError>;

    /// Decides for one frame, with the frames before it newest first.
    ///
    /// # Errors
    /// As [`Tuner::decide`].
    fn decide(
        &mut self,
        frame: &Frame,
        velocity: BodyVelocity,
        newest_first: &[EncodedFrame],
    ) -> Result<Decision, TunerError>;
}

impl DecisionModel for Tuner {
    fn history_offsets(&self) -> &[usize] {
        Tuner::history_offsets(self)
    }

    fn encode_for_history(&mut self, frame: &Frame) -> Result<Option<EncodedFrame>, TunerError> {
        Tuner::encode_for_history(self, frame)
    }

    fn decide(
        &mut self,
        frame: &Frame,
        velocity: BodyVelocity,
        newest_first: &[EncodedFrame],
    ) -> Result<Decision, TunerError> {
        Tuner::decide(self, frame, velocity, newest_first)
    }
}

/// A frame to decide on.
#[derive(Debug, Clone, Copy)]
pub struct DecisionInput<'a> {
    /// When the frame was taken.
    pub stamp: Stamp,
    /// The frame.
    pub frame: &'a Frame,
    /// What the robot drove then.
    pub velocity: BodyVelocity,
    /// The frames before it, newest first, where a recording names them itself; else those that were decided on before.
    pub named_history: Option<&'a [Arc<Frame>]>,
}

/// The road from frames to decisions, which a running node, a replay and a simulated drive share: history is kept,
/// encoded once, and forgotten at gaps, at jumps of time and between episodes.
///
/// The model is not part of it, because a running node replaces its policy between two decisions.
#[derive(Debug)]
pub struct DecisionStream {
    ring: HistoryRing<Option<EncodedFrame>>,
}

/// What a step gave.
#[derive(Debug)]
pub struct StreamedDecision {
    /// The decision; the time for the history is among its times.
    pub decision: Decision,
    /// Why past frames were forgotten just before it, if they were.
    pub forgotten: Option<ResetReason>,
}

impl DecisionStream {
    /// Begins without a past. `max_gap` is the longest time between two decisions that still belong together.
    ///
    /// # Errors
    /// [`FrameError::HistoryOffsets`] when the model's offsets name no past frames.
    pub fn new(history_offsets: &[usize], max_gap: Duration) -> Result<Self, FrameError> {
        Ok(Self { ring: HistoryRing::new(history_offsets, max_gap)? })
    }

    /// Forgets the past: what comes next belongs to another drive.
    pub fn start_episode(&mut self) {
        self.ring.start_episode();
    }

    /// Decides on a frame. Frames between two decisions must not come here: history frames are one decision apart.
    ///
    /// # Errors
    /// As the model. The frame does not become part of the history then.
    pub fn step<M: DecisionModel + ?Sized>(
        &mut self,
        model: &mut M,
        input: DecisionInput<'_>,
    ) -> Result<StreamedDecision, TunerError> {
        let DecisionInput { stamp, frame, velocity, named_history } = input;
        let forgotten = self.ring.advance_to(stamp);
        let start = Instant::now();
        let named = named_history.map(|history| encode_named(model, history)).transpose()?;
        // Encoded once, now that it is the current frame; later decisions find it in the ring.
        let current = model.encode_for_history(frame)?;
        let encoding = start.elapsed();
        let past = match named {
            Some(named) => self.ring.select_from(&named, &current),
            None => self.ring.select(&current),
        };
        let past: Vec<EncodedFrame> = past.into_iter().flatten().collect();
        let mut decision = model.decide(frame, velocity, &past)?;
        decision.times.add(Stage::History, encoding);
        self.ring.push(stamp, current);
        Ok(StreamedDecision { decision, forgotten })
    }
}

fn encode_named<M: DecisionModel + ?Sized>(
    model: &mut M,
    history: &[Arc<Frame>],
) -> Result<Vec<Option<EncodedFrame>>, TunerError> {
    let seen = model.history_offsets().last().copied().unwrap_or_default();
    history.iter().take(seen).map(|frame| model.encode_for_history(frame)).collect()
}
