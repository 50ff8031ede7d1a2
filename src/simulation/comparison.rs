//! What many drives say about a policy: means over worlds, and how sure they are.

use planner_tuner_core::random::Random;

use crate::drive::{DriveReport, Ending};

/// Samples that an interval is found with.
const RESAMPLES: usize = 2000;

/// A drive of many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// Which world it was in: drives in the same one go together.
    pub world: usize,
    /// How it ended.
    pub ending: Ending,
    /// From the first movement to the end, s.
    pub time_s: f64,
    /// How often something was touched.
    pub contacts: usize,
    /// What it was worth, 0 to 0.5.
    pub nav_metric: f64,
}

impl Trial {
    /// A drive in a world.
    pub fn new(world: usize, report: &DriveReport) -> Self {
        Self {
            world,
            ending: report.ending(),
            time_s: report.time_s(),
            contacts: report.contacts(),
            nav_metric: report.nav_metric(),
        }
    }
}

/// A mean over worlds, and where it lies with a probability of 95 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Estimate {
    /// The mean of one value a world. The interval is that of a bootstrap over worlds (percentiles of 2000 resamples), the
    /// same on every machine; `None` without a value.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let mean_of = |sum: f64| sum / values.len() as f64;
        let mut random = Random::new(values.len() as u64);
        let mut means: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let drawn =
                    (0..values.len()).map(|_| values.get(random.below(values.len())).copied().unwrap_or_default());
                mean_of(drawn.sum())
            })
            .collect();
        means.sort_by(f64::total_cmp);
        let at = |share: f64| means.get((share * (RESAMPLES - 1) as f64).round() as usize).copied().unwrap_or_default();
        Some(Self { mean: mean_of(values.iter().sum()), low: at(0.025), high: at(0.975) })
    }
}

/// What a policy's drives come to. Worlds count the same, however often they were driven.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Drives.
    pub drives: usize,
    /// Share that reached the goal.
    pub success: Estimate,
    /// Time of those that did, s; `None` when none did.
    pub time_s: Option<Estimate>,
    /// What they were worth.
    pub nav_metric: Estimate,
    /// Contacts a drive.
    pub contacts: f64,
    /// Share that a contact ended.
    pub collisions: f64,
}

impl Summary {
    /// The summary of some drives; `None` without one.
    pub fn of(trials: &[Trial]) -> Option<Self> {
        let share = |trials: &[&Trial], ending: Ending| {
            Some(trials.iter().filter(|trial| trial.ending == ending).count() as f64 / trials.len() as f64)
        };
        let mean_time = |trials: &[&Trial]| {
            let times = trials.iter().filter(|trial| trial.ending == Ending::Success).map(|trial| trial.time_s);
            mean(times)
        };
        Some(Self {
            drives: trials.len(),
            success: Estimate::of(&by_world(trials, |trials| share(trials, Ending::Success)))?,
            time_s: Estimate::of(&by_world(trials, mean_time)),
            nav_metric: Estimate::of(&by_world(trials, nav_metric))?,
            contacts: mean(trials.iter().map(|trial| trial.contacts as f64))?,
            collisions: share(&trials.iter().collect::<Vec<_>>(), Ending::Collision)?,
        })
    }
}

/// By how much drives are worth more than others in the same worlds; `None` without a world that both were in.
pub fn paired_difference(better: &[Trial], than: &[Trial]) -> Option<Estimate> {
    let worlds = better.iter().map(|trial| trial.world).collect::<std::collections::BTreeSet<_>>();
    let of = |trials: &[Trial], world: usize| {
        nav_metric(&trials.iter().filter(|trial| trial.world == world).collect::<Vec<_>>())
    };
    let differences: Vec<f64> =
        worlds.into_iter().filter_map(|world| Some(of(better, world)? - of(than, world)?)).collect();
    Estimate::of(&differences)
}

fn nav_metric(trials: &[&Trial]) -> Option<f64> {
    mean(trials.iter().map(|trial| trial.nav_metric))
}

/// One value a world, where there is one.
fn by_world(trials: &[Trial], value: impl Fn(&[&Trial]) -> Option<f64>) -> Vec<f64> {
    let mut worlds: std::collections::BTreeMap<usize, Vec<&Trial>> = std::collections::BTreeMap::new();
    for trial in trials {
        worlds.entry(trial.world).or_default().push(trial);
    }
    worlds.values().filter_map(|trials| value(trials)).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn trial(world: usize, ending: Ending, nav_metric: f64) -> Trial {
        Trial { world, ending, time_s: 20.0 + world as f64, contacts: 0, nav_metric }
    }

    #[test]
    fn worlds_count_the_same() {
        let trials = [
            trial(0, Ending::Success, 0.4),
            trial(1, Ending::Success, 0.2),
            trial(1, Ending::TooSlow, 0.0),
            trial(1, Ending::TooSlow, 0.0),
            trial(1, Ending::TooSlow, 0.0),
        ];
        let summary = Summary::of(&trials).unwrap();
        assert_eq!((summary.drives, summary.success.mean), (5, 0.625));
        assert!((summary.nav_metric.mean - 0.225).abs() < 1e-12);
        assert_eq!(summary.time_s.unwrap().mean, 20.5);
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn an_interval_holds_the_mean_and_shrinks_with_more_worlds() {
        let values = |count: usize| (0..count).map(|index| (index % 7) as f64).collect::<Vec<_>>();
        let (few, many) = (Estimate::of(&values(14)).unwrap(), Estimate::of(&values(700)).unwrap());
        for estimate in [few, many] {
            assert!(estimate.low < 3.0 && 3.0 < estimate.high && (estimate.mean - 3.0).abs() < 1e-12, "{estimate:?}");
        }
        // The standard error of 14 draws of 0 to 6 is 2 / sqrt(14) = 0.53, of 700 it is 0.076.
        assert!(
            (few.high - few.low - 3.92 * 0.535).abs() < 0.15 && (many.high - many.low - 3.92 * 0.0756).abs() < 0.03
        );
    }

    #[test]
    fn pairs_are_worlds_that_both_were_in() {
        let tuned = [trial(0, Ending::Success, 0.5), trial(1, Ending::Success, 0.3), trial(2, Ending::Success, 0.5)];
        let default = [trial(0, Ending::Success, 0.4), trial(1, Ending::Success, 0.2)];
        let difference = paired_difference(&tuned, &default).unwrap();
        assert!((difference.mean - 0.1).abs() < 1e-12 && difference.low > 0.09);
        assert_eq!(paired_difference(&tuned, &[]), None);
    }
}
