//! Which logged episodes are good enough to imitate.

use planner_tuner_log::transition::LoggedEpisode;

use crate::data::succeeded;

/// Conditions that an episode of a log has to meet, all of them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct EpisodeFilter {
    /// The sum of its rewards is at least this.
    pub min_return: Option<f64>,
    /// It reached its goal.
    pub success_only: bool,
    /// It is in this share, in (0, 1], of those with the largest sums of rewards.
    pub best: Option<f64>,
}

impl EpisodeFilter {
    /// The episodes that meet the conditions, in the order they came.
    pub fn choose(&self, episodes: Vec<LoggedEpisode>) -> Vec<LoggedEpisode> {
        let good = |episode: &LoggedEpisode| {
            self.min_return.is_none_or(|least| sum_of_rewards(episode) >= least)
                && (!self.success_only || succeeded(episode))
        };
        let mut left: Vec<LoggedEpisode> = episodes.into_iter().filter(good).collect();
        if let Some(share) = self.best {
            let mut sums: Vec<f64> = left.iter().map(sum_of_rewards).collect();
            sums.sort_by(|a, b| b.total_cmp(a));
            let kept = ((left.len() as f64 * share).ceil() as usize).max(1);
            if let Some(least) = sums.get(kept - 1) {
                left.retain(|episode| sum_of_rewards(episode) >= *least);
            }
        }
        left
    }
}

fn sum_of_rewards(episode: &LoggedEpisode) -> f64 {
    episode.steps.iter().map(|step| f64::from(step.reward)).sum()
}
