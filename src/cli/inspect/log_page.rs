//! `inspect logs/ --html`: what a robot saw and did, as a page that can be sent to somebody.

use std::collections::BTreeMap;

use crate::cli::page_parts::{PICTURE, picture_of, quantity_of};
use crate::page::{Cell, Column, Finding, Page, Quantity, Table, Timeline, Weight, counted};
use crate::picture::{PictureError, thumbnail};
use crate::planner::PlannerSpec;
use crate::transition::{Ending, LoggedEpisode, ParameterOutcome, Session, Step};

/// Between the end of an episode and the beginning of the next, s: they are shown one after the other.
const PAUSE_S: f64 = 1.0;

/// Gathers what the page shows.
#[derive(Default)]
pub struct LogPage {
    /// Planner and parameters of the first episode, whose names the curves have.
    planner: Option<(String, Vec<String>)>,
    timeline: Option<Timeline>,
    /// Where the next episode begins on the axis.
    begins_s: f64,
    /// A row of cells for each.
    episodes: Vec<Vec<Cell>>,
    findings: Vec<Finding>,
    /// First step and count of what became of parameters that are not in use, by parameter.
    outcomes: BTreeMap<(&'static str, String), (usize, usize)>,
}

impl LogPage {
    /// Adds an episode.
    ///
    /// # Errors
    /// In practice none; a picture that cannot be made.
    pub fn add(&mut self, episode: &LoggedEpisode) -> Result<(), PictureError> {
        let session = &episode.session;
        let (planner, names) =
            self.planner.get_or_insert_with(|| (session.planner.clone(), session.parameters.clone())).clone();
        if (&planner, &names) != (&session.planner, &session.parameters) {
            let text = format!(
                "{} is of {}, with other parameters than {planner}: those of its parameters that have no curve are left out.",
                session.episode, session.planner
            );
            self.findings.push(Finding::new(Weight::Look, text));
        }
        let mut timeline = self.timeline.take().unwrap_or_else(|| Timeline::new("step", "s", quantities(session)));
        let first = timeline.len();
        timeline.begin();
        let mut last_index = None;
        for step in &episode.steps {
            if last_index.is_some_and(|last: u64| step.index != last + 1) {
                timeline.begin();
            }
            last_index = Some(step.index);
            self.add_step(&mut timeline, episode, &names, step)?;
        }
        let seconds = duration_s(&episode.steps);
        self.begins_s += seconds + PAUSE_S;
        self.timeline = Some(timeline);
        self.add_line(episode, first, seconds);
        Ok(())
    }

    fn add_step(
        &mut self,
        timeline: &mut Timeline,
        episode: &LoggedEpisode,
        names: &[String],
        step: &Step,
    ) -> Result<(), PictureError> {
        let number = timeline.len();
        let first = episode.steps.first().map_or(step.stamp, |first| first.stamp);
        let value = |name: &String| step.parameters.iter().find(|sent| sent.name == *name).map(|sent| sent.value);
        let measured = [
            Some(step.velocity.linear()),
            Some(step.velocity.angular()),
            step.terms.nearest_laser_m,
            step.terms.progress_m,
            Some(f64::from(step.reward)),
        ];
        let values = names.iter().map(value).chain(measured).map(|value| value.unwrap_or(f64::NAN)).collect();
        timeline.push(self.begins_s + step.stamp.seconds_since(first), values, remark(episode, step));
        for sent in &step.parameters {
            if matches!(sent.outcome, ParameterOutcome::Applied | ParameterOutcome::NotSet) {
                continue;
            }
            let counted = self.outcomes.entry((sent.outcome.name(), sent.name.clone())).or_insert((number, 0));
            counted.1 += 1;
        }
        if timeline.wants_picture() {
            // A frame that is lost has its place in the log's damage, or is named when it is trained on.
            if let Ok(frame) = episode.frame(step.frame) {
                let small = thumbnail(&frame, PICTURE)?;
                timeline.add_picture(picture_of(&small)?);
            }
        }
        Ok(())
    }

    /// What an episode came to: its row, and what of it deserves a word.
    fn add_line(&mut self, episode: &LoggedEpisode, first: usize, seconds: f64) {
        let (session, steps, damage) = (&episode.session, &episode.steps, &episode.damage);
        let ending = steps.last().map_or("none", |last| last.ending.name());
        let reward: f64 = steps.iter().map(|step| f64::from(step.reward)).sum();
        let is_there = !steps.is_empty();
        let say = |weight, text: String| {
            let finding = Finding::new(weight, text);
            if is_there { finding.at(first) } else { finding }
        };
        if !damage.is_empty() {
            self.findings.push(say(Weight::Lost, format!("{}: {damage}.", session.episode)));
        }
        if steps.last().is_some_and(|last| last.ending == Ending::Collision) {
            let text = format!("{} ended in a collision.", session.episode);
            self.findings.push(Finding::new(Weight::Look, text).at(first + steps.len() - 1));
        }
        let name = Cell::new(&session.episode);
        let cells = vec![
            if is_there { name.at_moment(first) } else { name },
            Cell::new(&session.planner),
            Cell::new(session.policy.0.chars().take(12).collect::<String>()),
            Cell::new(steps.len().to_string()),
            Cell::new(format!("{seconds:.1}")),
            Cell::new(ending).standing_out(ending == Ending::Collision.name()),
            Cell::new(format!("{reward:.3}")),
            Cell::new(damage.to_string()).standing_out(!damage.is_empty()),
        ];
        self.episodes.push(cells);
    }

    /// Files that could not be read.
    pub fn refused(&mut self, errors: impl Iterator<Item = String>) {
        self.findings.extend(errors.map(|error| Finding::new(Weight::Lost, error)));
    }

    /// The page.
    pub fn finish(self, path: &str) -> String {
        let Self { planner, timeline, episodes, findings, outcomes, .. } = self;
        let steps = timeline.as_ref().map_or(0, Timeline::len);
        let planner = planner.map_or(String::new(), |(planner, _)| format!("{planner} · "));
        let mut page =
            Page::new(path, format!("{planner}{}, {}", counted(episodes.len(), "episode"), counted(steps, "step")));
        page.say(findings);
        page.say(outcomes.into_iter().map(|((outcome, name), (first, count))| {
            let (weight, meaning) = meaning(outcome);
            Finding::new(weight, format!("{name} was {outcome} in {count} of {steps} steps: {meaning}.")).at(first)
        }));
        let columns = ["episode", "planner", "policy"].map(Column::words).into_iter();
        let columns = columns.chain(["steps", "seconds"].map(Column::numbers));
        let columns = columns.chain([Column::words("ending"), Column::numbers("reward"), Column::words("damage")]);
        let mut table = Table::new("Episodes", columns.collect());
        if episodes.len() > Table::MOST_ROWS {
            table.note(format!("The first {} of {} episodes.", Table::MOST_ROWS, episodes.len()));
        }
        episodes.into_iter().take(Table::MOST_ROWS).for_each(|episode| table.push(episode));
        page.add(&table);
        if let Some(timeline) = timeline {
            page.say(timeline.observations());
            page.show(timeline);
        }
        page.to_html()
    }
}

/// The parameters with their ranges, where the planner is one that is known, and what was measured.
fn quantities(session: &Session) -> Vec<Quantity> {
    let known = PlannerSpec::builtin(&session.planner).ok();
    let parameter = |name: &String| {
        let spec = known.as_ref().and_then(|known| known.parameters().iter().find(|spec| spec.name() == name));
        match spec {
            Some(spec) => quantity_of(spec),
            None => Quantity::chosen(name, "", None),
        }
    };
    let measured = [
        ("linear velocity", "m/s"),
        ("angular velocity", "rad/s"),
        ("nearest laser", "m"),
        ("progress", "m"),
        ("reward", ""),
    ];
    let measured = measured.map(|(name, unit)| Quantity::measured(name, unit));
    session.parameters.iter().map(parameter).chain(measured).collect()
}

fn duration_s(steps: &[Step]) -> f64 {
    steps.first().zip(steps.last()).map_or(0.0, |(first, last)| last.stamp.seconds_since(first.stamp))
}

/// What is to be said of a step beside its numbers.
fn remark(episode: &LoggedEpisode, step: &Step) -> String {
    let begins = episode.steps.first().is_some_and(|first| first.index == step.index);
    let begins = begins.then(|| episode.session.episode.clone());
    let ends = (step.ending != Ending::Continues).then(|| step.ending.name().to_owned());
    let unlike = |outcome: ParameterOutcome| {
        let names: Vec<&str> =
            step.parameters.iter().filter(|sent| sent.outcome == outcome).map(|sent| sent.name.as_str()).collect();
        (!names.is_empty()).then(|| format!("{}: {}", outcome.name(), names.join(", ")))
    };
    let outcomes = [ParameterOutcome::Refused, ParameterOutcome::Unreachable].into_iter().filter_map(unlike);
    begins.into_iter().chain(ends).chain(outcomes).collect::<Vec<_>>().join("; ")
}

fn meaning(outcome: &str) -> (Weight, &'static str) {
    if outcome == ParameterOutcome::Refused.name() {
        (Weight::Lost, "the planner did not take it")
    } else if outcome == ParameterOutcome::Unreachable.name() {
        (Weight::Lost, "the planner did not answer")
    } else {
        (Weight::Look, "the planner took it and does not use it while it runs")
    }
}
