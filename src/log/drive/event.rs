//! What ends an episode.

/// What ends an episode between two decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpisodeEvent {
    /// The goal is reached.
    Success,
    /// The robot hit something.
    Collision,
    /// The time for the episode was over, as the recording says.
    TimeOut,
    /// The goal was given up or replaced, or the operator wished it.
    Aborted,
    /// What follows lies somewhere else: the recording goes on with another run.
    Cut,
}
