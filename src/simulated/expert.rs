//! Rules that tune as a careful person would: fast where there is room and the way is straight, slow where it is narrow or
//! turns, and something else altogether once the robot stands.
//!
//! They label the data that a model learns from ([`super::Labeller`]), and are what it is compared with. Their numbers were
//! found by driving (`planner_tuner search --form expert`), not by taste.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::outlook::Outlook;
use super::{SimulatedError, tuning_of};
use crate::planner::envelope::{Envelope, EnvelopeLimits, Enveloped};
use crate::planner::guard::Moment as GuardMoment;
use crate::planner::{PlannerParameters, PlannerSpec, did_you_mean};
use crate::simulation::drive::{Decision, Moment, Tuner};

/// The rules that come with the program.
const BUILT_IN: &str = include_str!("../../config/expert_dwa.yaml");
/// How many decisions, the current one included, the robot's speed is averaged over to tell whether it stands.
const REMEMBERED: usize = 4;

/// Ranges in which the numbers that say which parameters count may lie, for a search: narrow and wide room m, straight and
/// sharp bend rad, standing m/s. The second of a pair is what it exceeds the first by.
const THRESHOLDS: [(f64, f64); 5] = [(0.15, 0.6), (0.05, 1.0), (0.0, 1.0), (0.1, 1.5), (0.0, 0.3)];

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExpertError {
    /// The file cannot be read.
    #[error("{path}: {source}; expected a YAML file of rules, as `planner_tuner search --form expert` writes it")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not what rules look like.
    #[error("{file}: {problem}")]
    Invalid {
        /// The file.
        file: String,
        /// What is wrong.
        problem: serde_yaml::Error,
    },
    /// A value is missing, unknown or out of range.
    #[error("{file}: {field} is {found}, expected {expected}")]
    Value {
        /// The file.
        file: String,
        /// Where in it.
        field: String,
        /// What is there.
        found: String,
        /// What would do.
        expected: String,
    },
}

/// From where to where something changes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ramp {
    from: f64,
    to: f64,
}

impl Ramp {
    /// 0 below, 1 above, straight in between.
    fn at(self, value: f64) -> f64 {
        ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }
}

/// A file of rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    room_m: Ramp,
    bend_rad: Ramp,
    standing_m_s: f64,
    open: BTreeMap<String, f64>,
    tight: BTreeMap<String, f64>,
    standing: BTreeMap<String, f64>,
}

/// Three sets of parameters, and what says how much of each counts.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpertRules {
    planner: PlannerSpec,
    room_m: Ramp,
    bend_rad: Ramp,
    standing_m_s: f64,
    /// In the order of the action, each in its unit.
    open: Vec<f64>,
    tight: Vec<f64>,
    standing: Vec<f64>,
}

impl ExpertRules {
    /// The rules that come with the program, for the planner dwa.
    ///
    /// # Errors
    /// [`ExpertError::Value`] for another planner.
    pub fn builtin(planner: &PlannerSpec) -> Result<Self, ExpertError> {
        Self::from_yaml(BUILT_IN, "config/expert_dwa.yaml", planner)
    }

    /// Rules of the user's own.
    ///
    /// # Errors
    /// [`ExpertError`].
    pub fn load(path: &Path, planner: &PlannerSpec) -> Result<Self, ExpertError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ExpertError::Read { path: path.to_owned(), source })?;
        Self::from_yaml(&text, &path.display().to_string(), planner)
    }

    /// Rules from YAML; `file` names it in errors.
    ///
    /// # Errors
    /// [`ExpertError::Invalid`], [`ExpertError::Value`].
    pub fn from_yaml(text: &str, file: &str, planner: &PlannerSpec) -> Result<Self, ExpertError> {
        let read: RulesFile =
            serde_yaml::from_str(text).map_err(|problem| ExpertError::Invalid { file: file.to_owned(), problem })?;
        let wrong = |field: &str, found: String, expected: &str| ExpertError::Value {
            file: file.to_owned(),
            field: field.to_owned(),
            found,
            expected: expected.to_owned(),
        };
        for (field, ramp) in [("room_m", read.room_m), ("bend_rad", read.bend_rad)] {
            if !(ramp.from >= 0.0 && ramp.from < ramp.to && ramp.to <= 10.0) {
                return Err(wrong(field, format!("{} to {}", ramp.from, ramp.to), "0 <= from < to <= 10"));
            }
        }
        if !(0.0..=2.0).contains(&read.standing_m_s) {
            return Err(wrong("standing_m_s", read.standing_m_s.to_string(), "0 to 2"));
        }
        let values = |set: &str, given: &BTreeMap<String, f64>| {
            let names = || planner.parameters().iter().map(|parameter| parameter.name());
            if let Some(unknown) = given.keys().find(|name| !names().any(|known| known == name.as_str())) {
                let hint = did_you_mean(unknown, names());
                return Err(wrong(&format!("{set}.{unknown}"), "unknown".to_owned(), &format!("a parameter{hint}")));
            }
            let value = |parameter: &crate::planner::ParameterSpec| {
                let (name, range) = (parameter.name(), parameter.min()..=parameter.max());
                let found = given.get(name).copied();
                found.filter(|value| range.contains(value)).ok_or_else(|| {
                    let found = found.map_or("missing".to_owned(), |value| value.to_string());
                    wrong(&format!("{set}.{name}"), found, &format!("{} to {}", range.start(), range.end()))
                })
            };
            planner.parameters().iter().map(value).collect::<Result<Vec<f64>, ExpertError>>()
        };
        Ok(Self {
            planner: planner.clone(),
            room_m: read.room_m,
            bend_rad: read.bend_rad,
            standing_m_s: read.standing_m_s,
            open: values("open", &read.open)?,
            tight: values("tight", &read.tight)?,
            standing: values("standing", &read.standing)?,
        })
    }

    /// As a file that [`Self::load`] reads.
    ///
    /// # Errors
    /// None that has been seen: numbers and names can be written.
    pub fn to_yaml(&self) -> Result<String, serde_yaml::Error> {
        let names = || self.planner.parameters().iter().map(|parameter| parameter.name().to_owned());
        let named = |values: &[f64]| names().zip(values.iter().copied()).collect();
        serde_yaml::to_string(&RulesFile {
            room_m: self.room_m,
            bend_rad: self.bend_rad,
            standing_m_s: self.standing_m_s,
            open: named(&self.open),
            tight: named(&self.tight),
            standing: named(&self.standing),
        })
    }

    /// Rules from numbers from 0 to 1, as a search has them: the three sets on their parameters' ranges, then what says how
    /// much of each counts. A number that is missing is 0.
    pub fn from_unit(numbers: &[f64], planner: &PlannerSpec) -> Self {
        let mut numbers = numbers.iter().copied().chain(std::iter::repeat(0.0));
        let mut next = |(low, high): (f64, f64)| {
            let value = low + (high - low) * numbers.next().unwrap_or_default();
            // A file of rules is for people, too.
            (value * 1000.0).round() / 1000.0
        };
        let mut set = || -> Vec<f64> {
            let ranges = planner.parameters().iter().map(|parameter| (parameter.min(), parameter.max()));
            ranges.map(|(low, high)| next((low, high)).clamp(low, high)).collect()
        };
        let (open, tight, standing) = (set(), set(), set());
        let [narrow, wider, straight, sharper, standing_m_s] = THRESHOLDS.map(next);
        Self {
            planner: planner.clone(),
            room_m: Ramp { from: narrow, to: narrow + wider },
            bend_rad: Ramp { from: straight, to: straight + sharper },
            standing_m_s,
            open,
            tight,
            standing,
        }
    }

    /// The numbers that [`Self::from_unit`] takes.
    pub fn to_unit(&self) -> Vec<f64> {
        let on = |value: f64, (low, high): (f64, f64)| ((value - low) / (high - low)).clamp(0.0, 1.0);
        let ranges = || self.planner.parameters().iter().map(|parameter| (parameter.min(), parameter.max()));
        let sets = [&self.open, &self.tight, &self.standing].into_iter();
        let sets = sets.flat_map(|set| set.iter().zip(ranges()).map(|(value, range)| on(*value, range)));
        let thresholds = [
            self.room_m.from,
            self.room_m.to - self.room_m.from,
            self.bend_rad.from,
            self.bend_rad.to - self.bend_rad.from,
            self.standing_m_s,
        ];
        sets.chain(thresholds.into_iter().zip(THRESHOLDS).map(|(value, range)| on(value, range))).collect()
    }

    /// The parameters for what lies ahead. `speed` is the robot's of late, m/s; `None` when that is not known yet.
    ///
    /// # Errors
    /// None for rules that were read or made here: their values are finite.
    pub fn parameters(&self, outlook: Outlook, speed: Option<f64>) -> Result<PlannerParameters, SimulatedError> {
        let openness = self.room_m.at(outlook.room_m) * (1.0 - self.bend_rad.at(outlook.bend_rad));
        let values: Vec<f32> = match speed {
            Some(speed) if speed < self.standing_m_s => self.standing.iter().map(|value| *value as f32).collect(),
            _ => {
                let both = self.tight.iter().zip(&self.open);
                both.map(|(tight, open)| (tight + openness * (open - tight)) as f32).collect()
            }
        };
        Ok(self.planner.from_regression(&values)?.parameters)
    }
}

/// How fast the robot was at the last decisions.
#[derive(Debug, Clone, Default)]
pub struct RecentSpeed {
    speeds: VecDeque<f64>,
}

impl RecentSpeed {
    /// Notes a decision's speed; the mean of the last ones, `None` while there are too few.
    pub fn note(&mut self, linear: f64) -> Option<f64> {
        self.speeds.push_back(linear.abs());
        if self.speeds.len() > REMEMBERED {
            self.speeds.pop_front();
        }
        (self.speeds.len() == REMEMBERED).then(|| self.speeds.iter().sum::<f64>() / REMEMBERED as f64)
    }
}

/// The rules in the loop, under the envelope and the latency that a model has.
pub struct ExpertTuner<'a> {
    rules: &'a ExpertRules,
    envelope: Envelope,
    last: Option<Enveloped>,
    recent: RecentSpeed,
    latency_s: f64,
}

impl<'a> ExpertTuner<'a> {
    /// A tuner for one drive.
    ///
    /// # Errors
    /// Limits that do not fit the planner.
    pub fn new(rules: &'a ExpertRules, limits: EnvelopeLimits, latency_s: f64) -> Result<Self, SimulatedError> {
        let envelope = Envelope::new(rules.planner.clone(), limits)?;
        Ok(Self { rules, envelope, last: None, recent: RecentSpeed::default(), latency_s })
    }
}

impl Tuner for ExpertTuner<'_> {
    type Error = SimulatedError;

    fn decide(&mut self, moment: &Moment<'_>) -> Result<Option<Decision>, SimulatedError> {
        let speed = self.recent.note(moment.velocity.linear);
        let proposed = self.rules.parameters(Outlook::of(moment), speed)?;
        let now = GuardMoment::from_start(Duration::try_from_secs_f64(moment.time_s).unwrap_or_default());
        let enveloped = self.envelope.apply(&proposed, self.last.as_ref(), now);
        let tuning = tuning_of(enveloped.parameters())?;
        self.last = Some(enveloped);
        Ok(Some(Decision { tuning, latency_s: self.latency_s }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn dwa() -> PlannerSpec {
        PlannerSpec::builtin("dwa").unwrap()
    }

    fn rules() -> ExpertRules {
        ExpertRules::builtin(&dwa()).unwrap()
    }

    #[test]
    fn rules_go_to_numbers_and_to_text_and_back() {
        let rules = rules();
        let text = rules.to_yaml().unwrap();
        assert_eq!(ExpertRules::from_yaml(&text, "again", &dwa()).unwrap(), rules);
        let again = ExpertRules::from_unit(&rules.to_unit(), &dwa()).to_unit();
        assert!(again.iter().zip(rules.to_unit()).all(|(again, once)| (again - once).abs() < 2e-2), "{again:?}");
        assert_eq!(again.len(), 26);
    }

    #[test]
    fn what_counts_follows_room_bend_and_speed() {
        let mut rules = rules();
        (rules.room_m, rules.bend_rad) = (Ramp { from: 0.3, to: 0.7 }, Ramp { from: 0.5, to: 1.5 });
        rules.standing_m_s = 0.1;
        (rules.open[0], rules.tight[0], rules.standing[0]) = (2.0, 1.0, 0.4);
        let chosen = |room_m, bend_rad, speed| {
            let parameters = rules.parameters(Outlook { room_m, bend_rad }, speed).unwrap();
            (parameters.get("max_vel_x").unwrap() * 1000.0).round() / 1000.0
        };
        assert_eq!(chosen(1.0, 0.0, None), 2.0);
        assert_eq!(chosen(0.2, 0.0, Some(1.0)), 1.0);
        assert_eq!(chosen(0.5, 0.0, Some(1.0)), 1.5);
        assert_eq!(chosen(0.5, 1.0, Some(1.0)), 1.25);
        assert_eq!(chosen(1.0, 2.0, Some(1.0)), 1.0);
        assert_eq!(chosen(1.0, 0.0, Some(0.05)), 0.4);
    }

    #[test]
    fn the_speed_of_late_is_known_after_four_decisions() {
        let mut recent = RecentSpeed::default();
        let said: Vec<Option<f64>> = [1.0, -1.0, 0.0, 0.0, 0.0].map(|speed| recent.note(speed)).into();
        assert_eq!(said, [None, None, None, Some(0.5), Some(0.25)]);
    }

    #[test]
    fn wrong_rules_are_named() {
        let text = rules().to_yaml().unwrap();
        let said = |from: &str, to: &str| {
            assert!(text.contains(from), "{text}");
            ExpertRules::from_yaml(&text.replacen(from, to, 1), "my.yaml", &dwa()).unwrap_err().to_string()
        };
        assert!(said("room_m:\n  from: ", "room_m:\n  from: 9").contains("my.yaml: room_m is 9"));
        assert!(said("max_vel_x:", "max_vel_y:").contains("open.max_vel_y is unknown"));
        assert!(said("  max_vel_x: ", "  max_vel_x: 9").contains("expected 0.2 to 2"));
        assert!(said("room_m", "space").contains("my.yaml: "));
        let teb = PlannerSpec::builtin("teb").unwrap();
        assert!(ExpertRules::builtin(&teb).is_err());
    }
}
