//! `evaluate --html`: a comparison as a page that can be sent to somebody.

use super::field::map_of;
use super::table::Column;
use super::worlds::ChosenWorld;
use crate::page::{Cell, Finding, IntervalChart, IntervalRow, Page, Table, Track, TrackMaps, Weight, counted, short};
use crate::simulation::comparison::{Estimate, Summary, Trial, paired_difference};
use crate::simulation::drive::Ending;
use crate::simulation::world::Difficulty;

/// What was evaluated.
pub struct Evaluated<'a> {
    pub columns: &'a [Column<'a>],
    /// Name and difficulty of each world.
    pub worlds: &'a [(String, Option<Difficulty>)],
    /// The worlds themselves.
    pub fields: &'a [ChosenWorld],
    /// The ways that were driven.
    pub ways: &'a [Way],
    /// Drives that were to be done.
    pub wanted: usize,
    /// Drives that failed.
    pub lost: usize,
}

/// Ahead of the start and to its left, m.
pub type Points = Vec<[f64; 2]>;

/// The way that a drive took.
pub struct Way {
    /// Whose, by number.
    pub policy: usize,
    /// What came of it.
    pub trial: Trial,
    /// Where it led.
    pub points: Points,
}

/// Worlds whose ways are drawn.
const MOST_FIELDS: usize = 6;

impl Evaluated<'_> {
    /// The page.
    pub fn to_html(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name).collect();
        let title = format!("{} in {}", names.join(", "), counted(self.worlds.len(), "world"));
        let subtitle =
            format!("{} · intervals of 95 %, a bootstrap over worlds", counted(self.done(), "simulated drive"));
        let mut page = Page::new(title, subtitle);
        page.say(self.losses());
        page.say(self.endings());
        page.say(self.differences());
        page.say(self.impossible_worlds());
        for chart in self.charts() {
            page.add(&chart);
        }
        if let Some(fields) = self.worst() {
            page.add(&fields);
        }
        page.add(&self.worlds_table());
        page.add(&self.drives_table());
        page.to_html()
    }

    fn done(&self) -> usize {
        self.columns.iter().map(|column| column.trials.len()).sum()
    }

    fn losses(&self) -> Vec<Finding> {
        let stopped = self.wanted.saturating_sub(self.done() + self.lost);
        let said = [
            (self.lost, format!("{} of {} drives failed and are in no number here.", self.lost, self.wanted)),
            (stopped, format!("The evaluation was stopped: {stopped} of {} drives were not begun.", self.wanted)),
        ];
        said.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| Finding::new(Weight::Lost, text)).collect()
    }

    fn endings(&self) -> Vec<Finding> {
        let of = |column: &Column<'_>| {
            let count = |ending| column.trials.iter().filter(|trial| trial.ending == ending).count();
            let (drives, reached) = (column.trials.len(), count(Ending::Success));
            let touched = column.trials.iter().filter(|trial| trial.contacts > 0).count();
            let text = format!(
                "{}: {reached} of {drives} drives reached the goal; {} ended in a collision, {} were too slow, {touched} \
                 touched something.",
                column.name,
                count(Ending::Collision),
                count(Ending::TooSlow)
            );
            Finding::new(if reached < drives { Weight::Look } else { Weight::Known }, text)
        };
        self.columns.iter().map(of).collect()
    }

    fn differences(&self) -> Vec<Finding> {
        let Some((first, others)) = self.columns.split_first() else { return Vec::new() };
        let of = |column: &Column<'_>| {
            let Estimate { mean, low, high } = paired_difference(column.trials, first.trials)?;
            let verdict = match (low > 0.0, high < 0.0) {
                (true, _) => "better",
                (_, true) => "worse",
                _ => "neither better nor worse than chance allows",
            };
            let text = format!(
                "{} against {}: nav metric {mean:+.3} [{low:+.3}, {high:+.3}] in the same worlds, {verdict}.",
                column.name, first.name
            );
            Some(Finding::new(Weight::Look, text))
        };
        others.iter().filter_map(of).collect()
    }

    fn impossible_worlds(&self) -> Option<Finding> {
        // Whether anybody drove there, and whether anybody arrived.
        let mut worlds = vec![(false, false); self.worlds.len()];
        for trial in self.columns.iter().flat_map(|column| column.trials) {
            if let Some((is_driven, is_reached)) = worlds.get_mut(trial.world) {
                *is_driven = true;
                *is_reached |= trial.ending == Ending::Success;
            }
        }
        let missed = self.worlds.iter().zip(worlds).filter(|(_, world)| *world == (true, false));
        let names: Vec<&str> = missed.map(|((name, _), _)| name.as_str()).collect();
        let shown = names.iter().take(10).copied().collect::<Vec<_>>().join(", ");
        let more = names.len().saturating_sub(10);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let text = format!("No policy reached the goal in {shown}{more}.");
        (!names.is_empty()).then(|| Finding::new(Weight::Look, text))
    }

    fn charts(&self) -> Vec<IntervalChart> {
        let row = |column: &Column<'_>, estimate: Option<Estimate>, scale: f64| IntervalRow {
            name: column.name.to_owned(),
            mean: estimate.map(|estimate| estimate.mean * scale),
            interval: estimate.map_or((0.0, 0.0), |estimate| (estimate.low * scale, estimate.high * scale)),
        };
        let of = |scale: f64, estimate: &dyn Fn(&Summary) -> Option<Estimate>| -> Vec<IntervalRow> {
            let columns = self.columns.iter();
            columns.map(|column| row(column, Summary::of(column.trials).as_ref().and_then(estimate), scale)).collect()
        };
        let mut charts = vec![
            IntervalChart::new("Reached the goal", "%", of(100.0, &|summary| Some(summary.success))).up_to(100.0),
            IntervalChart::new("Time of those that did", "s", of(1.0, &|summary| summary.time_s)),
            IntervalChart::new("Nav metric", "", of(1.0, &|summary| Some(summary.nav_metric))),
        ];
        if let Some((first, others)) = self.columns.split_first().filter(|(_, others)| !others.is_empty()) {
            let differences =
                others.iter().map(|column| row(column, paired_difference(column.trials, first.trials), 1.0));
            let heading = format!("Nav metric against {}", first.name);
            charts.push(IntervalChart::new(heading, "", differences.collect()));
        }
        charts
    }

    /// The worlds in which the last policy did worst, each with everybody's first drive.
    fn worst(&self) -> Option<TrackMaps> {
        let last = self.columns.last()?;
        let means = self.by_world(last.trials).into_iter().enumerate();
        let mut worlds: Vec<(f64, usize)> = means.filter_map(|(world, mean)| Some((mean?.0, world))).collect();
        // Where two are worth the same, the first comes first.
        worlds.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let maps = worlds.iter().take(MOST_FIELDS).filter_map(|(_, world)| {
            let field = self.fields.get(*world)?;
            let first = |policy: usize| self.ways.iter().find(|way| way.policy == policy && way.trial.world == *world);
            let tracks = self.columns.iter().enumerate().filter_map(|(policy, column)| {
                let Way { trial, points, .. } = first(policy)?;
                Some(Track {
                    name: format!("{}: {}, {:.1} s", column.name, trial.ending.name(), trial.time_s),
                    points: points.clone(),
                    is_missed: trial.ending != Ending::Success,
                })
            });
            Some(map_of(&field.world, tracks.collect()))
        });
        Some(TrackMaps { heading: format!("Where {} did worst", last.name), maps: maps.collect() })
    }

    /// A row a world: what it was worth to each policy.
    fn worlds_table(&self) -> Table {
        use crate::page::Column as Of;
        let policies = self.columns.iter().map(|column| Of::numbers(format!("nav metric, {}", column.name)));
        let columns = [Of::words("world"), Of::words("difficulty")].into_iter().chain(policies).collect();
        let mut table = Table::new("Worlds", columns);
        if self.worlds.len() > Table::MOST_ROWS {
            table.note(format!("The first {} of {} worlds.", Table::MOST_ROWS, self.worlds.len()));
        }
        let means: Vec<Vec<Option<(f64, bool)>>> =
            self.columns.iter().map(|column| self.by_world(column.trials)).collect();
        for (world, (name, difficulty)) in self.worlds.iter().enumerate().take(Table::MOST_ROWS) {
            let words = [Cell::new(name), Cell::new(difficulty.map_or("", Difficulty::name))];
            let numbers = means.iter().map(|means| match means.get(world).copied().flatten() {
                Some((mean, is_missed)) => Cell::new(format!("{mean:.3}")).standing_out(is_missed),
                None => Cell::new("–"),
            });
            table.push(words.into_iter().chain(numbers).collect());
        }
        table
    }

    /// The mean nav metric in each world, and whether a drive in it missed the goal.
    fn by_world(&self, trials: &[Trial]) -> Vec<Option<(f64, bool)>> {
        let mut sums = vec![(0.0, 0_u32, false); self.worlds.len()];
        for trial in trials {
            if let Some((sum, count, is_missed)) = sums.get_mut(trial.world) {
                *sum += trial.nav_metric;
                *count += 1;
                *is_missed |= trial.ending != Ending::Success;
            }
        }
        sums.into_iter().map(|(sum, count, missed)| (count > 0).then(|| (sum / f64::from(count), missed))).collect()
    }

    /// A row a drive; where there are too many, those that missed the goal come first.
    fn drives_table(&self) -> Table {
        use crate::page::Column as Of;
        let columns = ["policy", "world", "difficulty", "ending"].map(Of::words);
        let numbers = ["time s", "contacts", "nav metric"].map(Of::numbers);
        let mut table = Table::new("Drives", columns.into_iter().chain(numbers).collect());
        let drives =
            || self.columns.iter().flat_map(|column| column.trials.iter().map(move |trial| (column.name, trial)));
        let missed = |(_, trial): &(&str, &Trial)| trial.ending != Ending::Success;
        let all = self.done();
        let shown: Vec<(&str, &Trial)> = if all <= Table::MOST_ROWS {
            drives().collect()
        } else {
            let note = format!(
                "{} of {all} drives, so that the page stays small: those that missed the goal first. --csv has them all.",
                Table::MOST_ROWS
            );
            table.note(note);
            drives().filter(missed).chain(drives().filter(|drive| !missed(drive))).take(Table::MOST_ROWS).collect()
        };
        for (policy, trial) in shown {
            let (world, difficulty) = self.worlds.get(trial.world).cloned().unwrap_or_default();
            table.push(vec![
                Cell::new(policy),
                Cell::new(world),
                Cell::new(difficulty.map_or("", Difficulty::name)),
                Cell::new(trial.ending.name()).standing_out(trial.ending != Ending::Success),
                Cell::new(format!("{:.2}", trial.time_s)),
                Cell::new(trial.contacts.to_string()).standing_out(trial.contacts > 0),
                Cell::new(short(trial.nav_metric)),
            ]);
        }
        table
    }
}
