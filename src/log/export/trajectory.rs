//! What a learner may take for one episode.

use crate::transition::{Ending, Step};
use planner_tuner_core::numbers::Feature;

/// Steps that follow each other without a hole, and the observation after the last of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory<'a> {
    /// The steps.
    pub steps: &'a [Step],
    /// The feature after the last step. After a true end of which no feature is known it is the last step's own: nobody
    /// may bootstrap from it.
    pub after: &'a Feature,
    /// Whether the last step is a true end; otherwise the episode is cut off there, and what follows counts.
    pub terminated: bool,
}

impl<'a> Trajectory<'a> {
    /// Cuts a log's steps where numbers are missing. A last step of which neither end nor successor is known only serves
    /// as the observation after the one before it; one that stands alone cannot be used, and is counted.
    pub fn of(steps: &'a [Step]) -> (Vec<Self>, u64) {
        let follows = |before: &Step, after: &Step| before.index.checked_add(1) == Some(after.index);
        let (mut trajectories, mut unusable) = (Vec::new(), 0);
        for run in steps.chunk_by(follows) {
            match Self::of_run(run) {
                Some(trajectory) => trajectories.push(trajectory),
                None => unusable += run.len() as u64,
            }
        }
        (trajectories, unusable)
    }

    fn of_run(run: &'a [Step]) -> Option<Self> {
        let (last, before) = run.split_last()?;
        let terminated = last.ending.terminated();
        match (&last.next_feature, last.ending) {
            (Some(after), _) => Some(Self { steps: run, after, terminated }),
            (None, Ending::Success | Ending::Collision) => Some(Self { steps: run, after: &last.feature, terminated }),
            (None, _) if before.is_empty() => None,
            (None, _) => Some(Self { steps: before, after: &last.feature, terminated: false }),
        }
    }
}
