//! What a reward is made of, kept apart so that other weights can be tried later.

/// What happened between a decision and the next.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RewardTerms {
    /// Metres by which the goal came nearer; `None` without pose or goal.
    pub progress_m: Option<f64>,
    /// Mean of the ten nearest laser returns, metres; `None` without a scan.
    pub nearest_laser_m: Option<f64>,
    /// The robot hit something.
    pub collision: bool,
    /// The robot reached its goal.
    pub success: bool,
    /// The time for the episode was over.
    pub time_out: bool,
}
