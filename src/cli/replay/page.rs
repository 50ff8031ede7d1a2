//! `--html`: a replay as a page that can be sent to somebody.

use super::ReplayedDecision;
use super::summary::Summary;
use crate::cli::page_parts::{PICTURE, picture_of, quantity_of};
use crate::frame::Stamp;
use crate::page::{Finding, Page, Quantity, Timeline, Weight};
use crate::picture::{PictureError, attention_overlay, thumbnail};
use crate::planner::PlannerSpec;
use crate::recording::SkipCounts;

const AGE: &str = "age";
const TOOK: &str = "took";

/// Gathers what the page shows.
pub struct ReplayPage {
    timeline: Timeline,
    first: Option<Stamp>,
}

impl ReplayPage {
    /// Without a decision yet.
    pub fn new(planner: &PlannerSpec) -> Self {
        let parameters = planner.parameters().iter().map(quantity_of);
        let measured = [("linear velocity", "m/s"), ("angular velocity", "rad/s"), (AGE, "ms"), (TOOK, "ms")];
        let measured = measured.map(|(name, unit)| Quantity::measured(name, unit));
        Self { timeline: Timeline::new("decision", "s", parameters.chain(measured).collect()), first: None }
    }

    /// Adds a decision.
    ///
    /// # Errors
    /// In practice none; a picture that cannot be made.
    pub fn add(&mut self, replayed: &ReplayedDecision) -> Result<(), PictureError> {
        let ReplayedDecision { frame, velocity, age_s, decision } = replayed;
        let first = *self.first.get_or_insert(frame.stamp);
        let took_ms = decision.times.total().as_secs_f64() * 1e3;
        let measured = [velocity.linear(), velocity.angular(), age_s * 1e3, took_ms];
        let values = decision.parameters().iter().map(|(_, value)| value).chain(measured).collect();
        self.timeline.push(frame.stamp.seconds_since(first), values, "");
        if self.timeline.wants_picture() {
            let small = attention_overlay(&thumbnail(&frame.frame, PICTURE)?, &decision.attention_map)?;
            self.timeline.add_picture(picture_of(&small)?);
        }
        Ok(())
    }

    /// The page.
    pub fn finish(self, title: &str, subtitle: &str, ending: &Ending<'_>) -> String {
        let Self { timeline, .. } = self;
        let mut page = Page::new(title, subtitle);
        page.say(ending.findings());
        page.say(timeline.observations());
        if timeline.is_empty() {
            let text = "No decision was made: there was no frame, or each was skipped.";
            page.say([Finding::new(Weight::Lost, text)]);
        }
        let known = |(moment, text): (usize, String)| Finding::new(Weight::Known, text).at(moment);
        let oldest = timeline.largest(AGE).filter(|(_, age)| *age > 0.0);
        let oldest = oldest.map(|(at, age)| (at, format!("The oldest frame was {age:.0} ms old when it arrived.")));
        let slowest = timeline.largest(TOOK).map(|(at, ms)| (at, format!("The slowest decision took {ms:.0} ms.")));
        page.say(oldest.into_iter().chain(slowest).map(known));
        page.show(timeline);
        page.to_html()
    }
}

/// How the replay went, beside its decisions.
pub struct Ending<'a> {
    pub summary: &'a Summary,
    pub skips: &'a SkipCounts,
    /// Whether it was stopped before its end.
    pub is_interrupted: bool,
}

impl Ending<'_> {
    fn findings(&self) -> Vec<Finding> {
        let mut findings = vec![Finding::new(Weight::Known, format!("{}.", self.summary.describe(self.skips)))];
        let mut say = |weight, text: String| findings.push(Finding::new(weight, text));
        for (reason, count) in self.skips.iter() {
            say(Weight::Lost, format!("{count} skipped: {reason}."));
        }
        if self.summary.has_failures() {
            say(Weight::Lost, format!("{} frames were due and got no decision.", self.summary.failures()));
        }
        if self.is_interrupted {
            say(Weight::Lost, "The replay was stopped before its end.".to_owned());
        }
        findings
    }
}
