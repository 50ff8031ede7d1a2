//! One quantity over time, as SVG that fills whatever width there is.

use std::fmt::Write as _;

use maud::{Markup, Render, html};

use super::number::{place, short};
use super::timeline::Quantity;

/// More values than this are drawn without dots.
const MOST_DOTS: usize = 100;
/// Stretches of a curve whose least and largest value are drawn, where there are more values than that.
const STRETCHES: usize = 1000;

/// What lies between the left and the right edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    first: f64,
    last: f64,
}

impl Axis {
    /// From the least to the most; never without a width.
    pub(super) fn of(places: impl Iterator<Item = f64>) -> Self {
        let finite = places.filter(|at| at.is_finite());
        let (first, last) =
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| (at.min(low), at.max(high)));
        match last - first {
            width if width > 0.0 && width.is_finite() => Self { first, last },
            _ if first.is_finite() => Self { first, last: first + 1.0 },
            _ => Self { first: 0.0, last: 1.0 },
        }
    }

    /// How far from the left, 0 to 1.
    pub(super) fn share(self, at: f64) -> f64 {
        let share = (at - self.first) / (self.last - self.first);
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Round places, about eight of them.
    fn ticks(self) -> Vec<f64> {
        let least = (self.last - self.first) / 8.0;
        let magnitude = 10f64.powf(least.log10().floor());
        let step = [1.0, 2.0, 5.0].map(|step| step * magnitude).into_iter().find(|step| *step >= least);
        let step = step.unwrap_or(10.0 * magnitude);
        let (from, to) = ((self.first / step).ceil(), (self.last / step).floor());
        (0..=(to - from).clamp(0.0, 20.0) as u32).map(|number| (from + f64::from(number)) * step).collect()
    }

    /// What stands below the panels.
    pub(super) fn labels(self, unit: &str) -> Markup {
        html! {
            @for tick in self.ticks() {
                span style={ "left:" (short(self.share(tick) * 100.0)) "%" } { (short(tick)) " " (unit) }
            }
        }
    }
}

/// A panel of the page.
pub(super) struct Plot<'a> {
    pub(super) quantity: &'a Quantity,
    /// Of the table, where its values stand.
    pub(super) column: usize,
    pub(super) axis: Axis,
    pub(super) at: &'a [f64],
    pub(super) values: &'a [f64],
    /// Where something new begins.
    pub(super) beginnings: &'a [f64],
}

impl Plot<'_> {
    /// The range of a quantity that has one, wide enough for the values in any case.
    fn heights(&self) -> Axis {
        let range = self.quantity.range();
        Axis::of(self.values.iter().copied().chain(range.into_iter().flat_map(|(low, high)| [low, high])))
    }

    /// Places of the points in thousandths, y downwards; `None` where there is no number.
    fn points(&self) -> Vec<Option<(f64, f64)>> {
        let heights = self.heights();
        let point =
            |(at, value): (&f64, &f64)| value.is_finite().then(|| (self.axis.share(*at), 1.0 - heights.share(*value)));
        let points: Vec<Option<(f64, f64)>> = self.at.iter().zip(self.values).map(point).collect();
        if points.len() <= 2 * STRETCHES { points } else { ends_of_stretches(&points) }
    }

    fn summary(&self, missing: usize) -> String {
        let finite = || self.values.iter().copied().filter(|value| value.is_finite());
        let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        let mut words = match low.is_finite() {
            true => format!("{} from {} to {}", self.quantity.name(), short(low), self.quantity.told(high)),
            false => format!("{}: no number", self.quantity.name()),
        };
        if missing > 0 && low.is_finite() {
            let _ = write!(words, ", {missing} without a number");
        }
        words
    }
}

impl Render for Plot<'_> {
    fn render(&self) -> Markup {
        let heights = self.heights();
        let points = self.points();
        let missing = self.values.iter().filter(|value| !value.is_finite()).count();
        let curve = curve(&points, self.quantity.is_chosen());
        let across = |share: f64| format!("M{} -60V1060", place(share));
        let along = |share: f64| format!("M0 {}H1000", place(share));
        let words = self.summary(missing);
        html! {
            figure.panel data-column=(self.column) data-unit=(self.quantity.unit()) {
                figcaption {
                    b { (self.quantity.name()) } " "
                    span {
                        (self.quantity.unit())
                        @if let Some(default) = self.quantity.default() { " · default " (short(default)) }
                        @if missing > 0 { " · " (missing) " without a number" }
                    }
                    output {}
                }
                @if missing < self.values.len() { div.plot {
                    svg viewBox="0 -60 1000 1120" preserveAspectRatio="none" role="img" aria-label=(words) {
                        title { (words) }
                        @for tick in self.axis.ticks() { path.grid d=(across(self.axis.share(tick))) {} }
                        @for beginning in self.beginnings { path.beginning d=(across(self.axis.share(*beginning))) {} }
                        @if let Some(default) = self.quantity.default() {
                            path.default d=(along(1.0 - heights.share(default))) {}
                        }
                        path.curve d=(curve) {}
                        @if points.len() <= MOST_DOTS { path.dots d=(dots(&points)) {} }
                    }
                    span.high { (short(heights.last)) }
                    span.low { (short(heights.first)) }
                    i.cursor {}
                } }
            }
        }
    }
}

/// Of every stretch the least and the largest value, in their order, so that nothing that sticks out is lost.
fn ends_of_stretches(points: &[Option<(f64, f64)>]) -> Vec<Option<(f64, f64)>> {
    let stretch = points.len().div_ceil(STRETCHES);
    let ends = |points: &[Option<(f64, f64)>]| -> Vec<Option<(f64, f64)>> {
        let there = || points.iter().enumerate().filter_map(|(index, point)| Some((index, (*point)?)));
        let by_height = |a: &(usize, (f64, f64)), b: &(usize, (f64, f64))| a.1.1.total_cmp(&b.1.1);
        let Some((least, most)) = there().min_by(by_height).zip(there().max_by(by_height)) else { return vec![None] };
        let (first, second) = if least.0 <= most.0 { (least.1, most.1) } else { (most.1, least.1) };
        vec![Some(first), Some(second)]
    };
    points.chunks(stretch).flat_map(ends).collect()
}

/// A step from value to value where they hold, a slope where they change gradually; a gap where there is none.
fn curve(points: &[Option<(f64, f64)>], is_held: bool) -> String {
    let mut path = String::new();
    let mut is_drawn = false;
    for point in points {
        let Some((x, y)) = point.map(|(x, y)| (place(x), place(y))) else {
            is_drawn = false;
            continue;
        };
        let _ = match (is_drawn, is_held) {
            (false, _) => write!(path, "M{x} {y}"),
            (true, true) => write!(path, "H{x}V{y}"),
            (true, false) => write!(path, "L{x} {y}"),
        };
        is_drawn = true;
    }
    path
}

/// Lines without a length, whose round ends are dots in whatever way the picture is stretched.
fn dots(points: &[Option<(f64, f64)>]) -> String {
    points.iter().flatten().map(|(x, y)| format!("M{} {}h0", place(*x), place(*y))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_a_width_and_round_ticks() {
        assert_eq!(Axis::of([3.0, 1.0, f64::NAN].into_iter()), Axis { first: 1.0, last: 3.0 });
        assert_eq!(Axis::of([2.0, 2.0].into_iter()), Axis { first: 2.0, last: 3.0 });
        assert_eq!(Axis::of([f64::NAN].into_iter()), Axis { first: 0.0, last: 1.0 });
        let ticks: Vec<f64> = Axis { first: 0.3, last: 14.0 }.ticks();
        assert_eq!(ticks, [2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0]);
        assert_eq!(Axis { first: 0.0, last: 1.0 }.share(f64::INFINITY), 0.0);
    }

    #[test]
    fn a_curve_holds_or_slopes_and_breaks_where_there_is_no_number() {
        let points = [Some((0.0, 1.0)), Some((0.5, 0.0)), None, Some((1.0, 0.25))];
        assert_eq!(curve(&points, true), "M0 1000H500V0M1000 250");
        assert_eq!(curve(&points, false), "M0 1000L500 0M1000 250");
        assert_eq!(dots(&points), "M0 1000h0M500 0h0M1000 250h0");
        assert_eq!(curve(&[None], true), "");
    }

    #[test]
    fn a_thinned_curve_keeps_what_sticks_out() {
        let mut points: Vec<Option<(f64, f64)>> = (0..100_000).map(|index| Some((index as f64 / 1e5, 0.5))).collect();
        points[77_777] = Some((0.777_77, 0.0));
        points[5] = None;
        let thinned = ends_of_stretches(&points);
        assert_eq!(thinned.len(), 2 * STRETCHES);
        assert!(thinned.contains(&Some((0.777_77, 0.0))));
        let order: Vec<f64> = thinned.iter().flatten().map(|(x, _)| *x).collect();
        assert!(order.is_sorted());
    }
}
