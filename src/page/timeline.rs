//! What happened, moment by moment: curves over it, the pictures that belong to it, a table of it, and one cursor for all.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::number::short;
use super::picture_strip::{Picture, PictureStrip};
use super::plot::{Axis, Plot};
use super::table::{Cell, Column, RowPlace, Table};

/// Something that has a value in every moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    name: String,
    unit: String,
    range: Option<(f64, f64)>,
    default: Option<f64>,
    is_chosen: bool,
}

impl Quantity {
    /// What somebody chose: it holds until the next moment, and has an end on both sides.
    pub fn chosen(name: impl Into<String>, unit: impl Into<String>, range: Option<(f64, f64)>) -> Self {
        Self { name: name.into(), unit: unit.into(), range, default: None, is_chosen: true }
    }

    /// What was measured, and changed as it liked.
    pub fn measured(name: impl Into<String>, unit: impl Into<String>) -> Self {
        Self { name: name.into(), unit: unit.into(), range: None, default: None, is_chosen: false }
    }

    /// With the value that it has where nobody chooses.
    pub fn with_default(self, default: f64) -> Self {
        Self { default: Some(default), ..self }
    }

    /// With a natural range to be shown in.
    pub fn within(self, range: (f64, f64)) -> Self {
        Self { range: Some(range), ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn unit(&self) -> &str {
        &self.unit
    }

    pub(super) fn range(&self) -> Option<(f64, f64)> {
        self.range
    }

    pub(super) fn default(&self) -> Option<f64> {
        self.default
    }

    pub(super) fn is_chosen(&self) -> bool {
        self.is_chosen
    }

    /// A value with its unit.
    pub(super) fn told(&self, value: f64) -> String {
        let value = short(value);
        if self.unit.is_empty() { value } else { format!("{value} {}", self.unit) }
    }

    fn heading(&self) -> String {
        if self.unit.is_empty() { self.name.clone() } else { format!("{} {}", self.name, self.unit) }
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Moment {
    at: f64,
    values: Vec<f64>,
    remark: String,
}

/// Moments in order, each with a value for every quantity.
#[derive(Debug, Clone)]
pub struct Timeline {
    /// What a moment is called, such as `decision`.
    noun: &'static str,
    /// Unit of the axis; empty for a count.
    axis_unit: &'static str,
    quantities: Vec<Quantity>,
    moments: Vec<Moment>,
    /// Moments with which something new begins.
    beginnings: BTreeSet<usize>,
    pictures: PictureStrip,
}

impl Timeline {
    /// Without a moment yet. `noun` is what one is called, `axis_unit` what the axis counts.
    pub fn new(noun: &'static str, axis_unit: &'static str, quantities: Vec<Quantity>) -> Self {
        let pictures = PictureStrip::default();
        Self { noun, axis_unit, quantities, moments: Vec::new(), beginnings: BTreeSet::new(), pictures }
    }

    /// Adds a moment. A value that is missing or not a number leaves a gap; a remark may be empty.
    pub fn push(&mut self, at: f64, values: Vec<f64>, remark: impl Into<String>) {
        self.moments.push(Moment { at, values, remark: remark.into() });
    }

    /// With the next moment something new begins, as an episode does.
    pub fn begin(&mut self) {
        self.beginnings.insert(self.moments.len());
    }

    /// Whether the newest moment's picture would be kept: others need not be made, and are gone past.
    pub fn wants_picture(&mut self) -> bool {
        let wants = self.pictures.wants_next();
        if !wants {
            self.pictures.pass();
        }
        wants
    }

    /// The picture of the newest moment.
    pub fn add_picture(&mut self, picture: Picture) {
        self.pictures.push(self.moments.len().saturating_sub(1), picture);
    }

    /// How many moments there are.
    pub fn len(&self) -> usize {
        self.moments.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.moments.is_empty()
    }

    /// What a moment is called.
    pub(super) fn noun(&self) -> &'static str {
        self.noun
    }

    pub(super) fn quantities(&self) -> &[Quantity] {
        &self.quantities
    }

    /// The values of a quantity, by its place; NaN where one is missing.
    pub(super) fn values(&self, quantity: usize) -> impl Iterator<Item = f64> + '_ {
        self.moments.iter().map(move |moment| moment.values.get(quantity).copied().unwrap_or(f64::NAN))
    }

    /// Whether something new begins with a moment.
    pub(super) fn begins(&self, moment: usize) -> bool {
        self.beginnings.contains(&moment)
    }

    fn axis(&self) -> Axis {
        Axis::of(self.moments.iter().map(|moment| moment.at))
    }

    fn when(&self, at: f64) -> String {
        format!("{} {}", short((at * 1e3).round() / 1e3), self.axis_unit).trim_end().to_owned()
    }

    /// The moments that the table has: all, or so many as a page can hold, among them those with a picture and the marked.
    fn shown(&self, marked: &BTreeSet<usize>) -> BTreeSet<usize> {
        let step = self.moments.len().div_ceil(Table::MOST_ROWS).max(1);
        let last = self.moments.len().checked_sub(1);
        let there = |moment: &usize| *moment < self.moments.len();
        (0..self.moments.len())
            .step_by(step)
            .chain(last)
            .chain(self.pictures.moments())
            .chain(self.beginnings.iter().copied().take(Table::MOST_ROWS).filter(there))
            .chain(marked.iter().copied().filter(there))
            .collect()
    }

    /// The whole of it; `marked` moments are in the table in any case.
    pub(super) fn markup(&self, marked: &BTreeSet<usize>) -> Markup {
        let axis = self.axis();
        let beginnings = self.beginnings.iter().filter_map(|moment| self.moments.get(*moment)).map(|moment| moment.at);
        let beginnings: Vec<f64> = beginnings.skip(1).collect();
        let at: Vec<f64> = self.moments.iter().map(|moment| moment.at).collect();
        html! {
            div.timeline.pictured[!self.pictures.is_empty()] {
                div.stage hidden {
                    @if !self.pictures.is_empty() { img alt=""; }
                    p.now aria-live="polite" {}
                    input type="range" min="0" value="0" aria-label=(self.noun);
                }
                div.body {
                    section.panels {
                        h2 { "Over time" }
                        @for (place, quantity) in self.quantities.iter().enumerate() {
                            (Plot {
                                quantity,
                                // Number, time and remark come first in the table.
                                column: place + self.columns_before(),
                                axis,
                                at: &at,
                                values: &self.values(place).collect::<Vec<_>>(),
                                beginnings: &beginnings,
                            })
                        }
                        div.ticks { (axis.labels(self.axis_unit)) }
                    }
                    @if !self.pictures.is_empty() {
                        section.pictures {
                            h2 { "Pictures" }
                            (self.pictures.markup(|moment| {
                                self.moments.get(moment).map_or(String::new(), |moment| self.when(moment.at))
                            }))
                        }
                    }
                    (self.table(axis, &self.shown(marked)))
                }
            }
        }
    }

    fn has_remarks(&self) -> bool {
        self.moments.iter().any(|moment| !moment.remark.is_empty())
    }

    fn columns_before(&self) -> usize {
        if self.has_remarks() { 3 } else { 2 }
    }

    fn table(&self, axis: Axis, shown: &BTreeSet<usize>) -> Table {
        let remarks = self.has_remarks();
        let columns = [
            Column::numbers(self.noun),
            Column::numbers(if self.axis_unit.is_empty() { "at" } else { self.axis_unit }),
        ]
        .into_iter()
        .chain(remarks.then(|| Column::words("what")))
        .chain(self.quantities.iter().map(|quantity| Column::numbers(quantity.heading())));
        let mut table = Table::new(format!("All {}s", self.noun), columns.collect());
        if shown.len() < self.moments.len() {
            table.note(format!(
                "{} of {} {}s, so that the page stays small: every {}th, and those that are named above or have a picture. \
                 The curves keep the least and the largest value of what is left out.",
                shown.len(),
                self.moments.len(),
                self.noun,
                self.moments.len().div_ceil(Table::MOST_ROWS)
            ));
        }
        let pictured: BTreeSet<usize> = self.pictures.moments().collect();
        for (number, moment) in self.moments.iter().enumerate().filter(|(number, _)| shown.contains(number)) {
            let name = Cell::new(number.to_string());
            let name = if pictured.contains(&number) { name.at_picture(number) } else { name };
            let at = Cell::new(short((moment.at * 1e3).round() / 1e3));
            let remark = remarks.then(|| Cell::new(moment.remark.clone()));
            let values = self.quantities.iter().enumerate().map(|(place, quantity)| {
                let value = moment.values.get(place).copied().unwrap_or(f64::NAN);
                Cell::new(if value.is_nan() { "–".to_owned() } else { short(value) })
                    .standing_out(quantity.is_at_an_end(value))
            });
            let cells = [name, at].into_iter().chain(remark).chain(values).collect();
            table.push_moment(RowPlace { moment: number, share: axis.share(moment.at) }, cells);
        }
        table
    }
}

impl Quantity {
    /// Whether a chosen value lies at an end of its range: within half a percent of it.
    pub(super) fn is_at_an_end(&self, value: f64) -> bool {
        let Some((low, high)) = self.range.filter(|_| self.is_chosen) else { return false };
        let near = (high - low) * 0.005;
        value.is_finite() && (value <= low + near || value >= high - near)
    }
}
