//! `drive --html`: drives through one world as a page that can be sent to somebody.

use super::field::{map_of, way};
use crate::cli::page_parts::{PICTURE, picture_of, quantity_of};
use crate::frame::Frame;
use crate::page::{Finding, Page, Quantity, Timeline, Track, Weight};
use crate::picture::{PictureError, thumbnail};
use crate::planner::PlannerSpec;
use crate::simulated::parameters_of;
use crate::simulation::drive::{DriveReport, Ending};
use crate::simulation::world::World;

/// What was driven.
pub struct DrivePage<'a> {
    pub world: &'a World,
    /// Who drove, and what came of it; the last one is shown moment by moment.
    pub drives: &'a [(String, DriveReport)],
    /// What the last one saw, and when, s.
    pub seen: &'a [(f64, Frame)],
    pub planner: &'a PlannerSpec,
}

impl DrivePage<'_> {
    /// The page.
    ///
    /// # Errors
    /// In practice none; a picture that cannot be made.
    pub fn to_html(&self) -> Result<String, PictureError> {
        let names: Vec<&str> = self.drives.iter().map(|(name, _)| name.as_str()).collect();
        let world = self.world;
        let title = format!("{} driven by {}", world.name(), names.join(", "));
        let subtitle = format!("simulated Jackal, reference path {:.1} m", world.reference_length());
        let mut page = Page::new(title, subtitle);
        page.say(self.drives.iter().map(|(name, report)| {
            let weight = if report.ending() == Ending::Success { Weight::Known } else { Weight::Look };
            Finding::new(weight, format!("{}.", in_words(name, report)))
        }));
        if let (Some(first), Some(last)) = (self.drives.first(), self.drives.last().filter(|_| names.len() > 1)) {
            page.say(against(first, last).map(|text| Finding::new(Weight::Known, format!("{text}."))));
        }
        let tracks = self.drives.iter().map(|(name, report)| Track {
            name: in_words(name, report),
            points: way(report.track()),
            is_missed: report.ending() != Ending::Success,
        });
        page.add(&map_of(world, tracks.collect()));
        if let Some((_, report)) = self.drives.last() {
            let timeline = self.timeline(report)?;
            page.say(timeline.observations());
            page.show(timeline);
        }
        Ok(page.to_html())
    }

    /// What the planner was given, decision by decision, and how fast the robot was.
    fn timeline(&self, report: &DriveReport) -> Result<Timeline, PictureError> {
        let parameters = self.planner.parameters().iter().map(quantity_of);
        let measured = [("linear velocity", "m/s"), ("angular velocity", "rad/s")];
        let measured = measured.map(|(name, unit)| Quantity::measured(name, unit));
        let mut timeline = Timeline::new("decision", "s", parameters.chain(measured).collect());
        let (mut track, mut seen) = (report.track().iter().peekable(), self.seen.iter().peekable());
        for tuned in report.tunings() {
            while track.next_if(|point| point.time_s < tuned.time_s).is_some() {}
            let velocity = track.peek().map_or([f64::NAN; 2], |point| [point.velocity.linear, point.velocity.angular]);
            let values = parameters_of(&tuned.tuning, self.planner).unwrap_or_default();
            timeline.push(tuned.time_s, values.into_iter().chain(velocity).collect(), "");
            // The newest picture when the parameters came into use is the one that they were decided on.
            let mut decided_on = None;
            while let Some((_, frame)) = seen.next_if(|(time_s, _)| *time_s <= tuned.time_s) {
                decided_on = Some(frame);
            }
            if let Some(frame) = decided_on.filter(|_| timeline.wants_picture()) {
                let small = thumbnail(frame, PICTURE)?;
                timeline.add_picture(picture_of(&small)?);
            }
        }
        Ok(timeline)
    }
}

/// What came of a drive, in one line.
pub fn in_words(name: &str, report: &DriveReport) -> String {
    format!(
        "{name}: {}, {:.1} s, {:.1} m, {} contacts, nav metric {:.3}",
        report.ending().name(),
        report.time_s(),
        report.way_m(),
        report.contacts(),
        report.nav_metric()
    )
}

/// How one drive compares with another, in one line; nothing where neither reached the goal.
pub fn against((first, was): &(String, DriveReport), (last, is): &(String, DriveReport)) -> Option<String> {
    let reached = |report: &DriveReport| report.ending() == Ending::Success;
    match (reached(was), reached(is)) {
        (true, true) if is.time_s() > 0.0 => Some(format!(
            "{last} took {:.1} s where {first} took {:.1} s: {:.2} times as fast",
            is.time_s(),
            was.time_s(),
            was.time_s() / is.time_s()
        )),
        (false, true) => Some(format!("{last} reached the goal, {first} did not")),
        (true, false) => Some(format!("{first} reached the goal, {last} did not")),
        _ => None,
    }
}
