//! `train --html`: a training as a page that can be sent to somebody.

use super::report::{Report, describe_logs};
use super::run::Run;
use crate::page::{Cell, Column, Finding, Page, Quantity, Table, Timeline, Weight};
use crate::td3::{ActorChange, CurveFiles};

/// What comes before a parameter's name in the name of its saturation's curve.
const SATURATION: &str = "saturation/";
/// From this share of saturated actions on, a parameter is worth a word.
const OFTEN_SATURATED: f64 = 0.2;

/// The page. A training that was stopped is told how many updates it was to have.
pub fn html_of(report: &Report<'_>, run: &Run, stopped_of: Option<u64>) -> String {
    let mut page = Page::new(format!("Training for {}", run.planner.name()), run.describe());
    let say = |weight, text: String| Finding::new(weight, text);
    let (updates, skipped) = (report.training.iteration(), report.training.skipped());
    if let Some(steps) = stopped_of {
        page.say([say(
            Weight::Lost,
            format!("Stopped after {updates} of {steps} updates; what was learned is saved."),
        )]);
    }
    if skipped > 0 {
        page.say([say(
            Weight::Lost,
            format!("{skipped} of {updates} updates were skipped: their numbers were not finite."),
        )]);
    }
    let weight = if report.logs.is_complete() { Weight::Known } else { Weight::Lost };
    page.say([say(weight, format!("Learned from {}.", describe_logs(report.logs)))]);
    page.say(saturated(report.curves));
    page.say([say(Weight::Known, format!("Saved as {}.", report.saved.prefix.display()))]);
    page.add(&changes(report));
    page.show(timeline(report.curves));
    page.to_html()
}

fn saturated(curves: &CurveFiles) -> Vec<Finding> {
    let Some(last) = curves.points().last() else { return Vec::new() };
    let moment = curves.points().len().saturating_sub(1);
    let each = curves.names().iter().zip(&last.values);
    each.filter_map(|(name, share)| {
        let (name, share) = (name.strip_prefix(SATURATION)?, share.filter(|share| *share >= OFTEN_SATURATED)?);
        let text = format!(
            "The actor ends at a limit of {name} in {:.0} % of the steps: it wants to go farther than it may.",
            share * 100.0
        );
        Some(Finding::new(Weight::Look, text).at(moment))
    })
    .collect()
}

/// The curves over the updates.
fn timeline(curves: &CurveFiles) -> Timeline {
    let quantity = |name: &String| {
        let quantity = Quantity::measured(name, "");
        if name.starts_with(SATURATION) { quantity.within((0.0, 1.0)) } else { quantity }
    };
    let mut timeline = Timeline::new("point", "updates", curves.names().iter().map(quantity).collect());
    for point in curves.points() {
        let values = point.values.iter().map(|value| value.unwrap_or(f64::NAN)).collect();
        timeline.push(point.step as f64, values, "");
    }
    timeline
}

/// What the new actor does otherwise than the old one.
fn changes(report: &Report<'_>) -> Table {
    let numbers = ["old mean", "new mean", "mean change", "largest change"].map(Column::numbers);
    let columns = ["parameter", "unit"].map(Column::words).into_iter().chain(numbers).collect();
    let mut table = Table::new("Old and new actor", columns);
    table.note(format!("On {} logged steps, without noise.", report.changes.steps));
    for ActorChange { name, unit, old, new, mean_change, largest_change } in &report.changes.parameters {
        let numbers = [old, new, mean_change].map(|value| Cell::new(format!("{value:.4}")));
        let words = [Cell::new(name), Cell::new(unit.to_string())];
        table.push(words.into_iter().chain(numbers).chain([Cell::new(format!("{largest_change:+.4}"))]).collect());
    }
    table
}
