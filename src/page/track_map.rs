//! A field of obstacles from above, and the ways that were driven through it.

use std::fmt::Write as _;

use maud::{Markup, Render, html};

use super::number::short;

/// How far beyond the obstacles is shown, m.
const MARGIN: f64 = 0.3;
/// Ways that have a colour of their own; the others share the last one.
const COLOURS: usize = 4;

/// A way through the field.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// Whose, and how it went.
    pub name: String,
    /// Ahead of the start and to its left, m.
    pub points: Vec<[f64; 2]>,
    /// Whether it ended where it should not have.
    pub is_missed: bool,
}

/// The field, with the start on the left and the goal on the right.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackMap {
    /// What it is.
    pub heading: String,
    /// Of each obstacle: ahead of the start, to its left, radius, m.
    pub obstacles: Vec<[f64; 3]>,
    /// Ahead of the start and to its left, m.
    pub goal: [f64; 2],
    /// The ways.
    pub tracks: Vec<Track>,
}

/// Several fields, side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackMaps {
    /// What they are.
    pub heading: String,
    /// The fields.
    pub maps: Vec<TrackMap>,
}

impl Render for TrackMaps {
    fn render(&self) -> Markup {
        html! {
            section {
                h2 { (self.heading) }
                div.fields { @for map in &self.maps { (map) } }
            }
        }
    }
}

impl TrackMap {
    /// Least and most, ahead and to the left: of the obstacles, the goal and the ways.
    fn extent(&self) -> [[f64; 2]; 2] {
        let obstacles = self.obstacles.iter().map(|[ahead, left, _]| [*ahead, *left]);
        let ways = self.tracks.iter().flat_map(|track| track.points.iter().copied());
        let all = obstacles.chain(ways).chain([self.goal]).filter(|place| place.iter().all(|place| place.is_finite()));
        let none = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        let (low, high) = all.fold(none, |([behind, right], [ahead, left]), [x, y]| {
            ([behind.min(x), right.min(y)], [ahead.max(x), left.max(y)])
        });
        if low.iter().all(|place| place.is_finite()) {
            [low.map(|place| place - MARGIN), high.map(|place| place + MARGIN)]
        } else {
            [[0.0; 2], [1.0; 2]]
        }
    }
}

impl Render for TrackMap {
    fn render(&self) -> Markup {
        let [[behind, right], [ahead, left]] = self.extent();
        // On the page: to the right, down.
        let x = |place: f64| round(place - behind);
        let y = |place: f64| round(left - place);
        let colour = |number: usize| format!("track c{}", number.min(COLOURS - 1));
        let way = |track: &Track| {
            let mut path = String::new();
            for [ahead, left] in track.points.iter().filter(|place| place.iter().all(|place| place.is_finite())) {
                let _ = write!(path, "{}{} {}", if path.is_empty() { "M" } else { "L" }, x(*ahead), y(*left));
            }
            path
        };
        html! {
            figure.field {
                figcaption { b { (self.heading) } }
                svg viewBox={ "0 0 " (round(ahead - behind)) " " (round(left - right)) } role="img" aria-label=(self.heading) {
                    title { (self.heading) }
                    @for [ahead, left, radius] in &self.obstacles {
                        circle.obstacle cx=(x(*ahead)) cy=(y(*left)) r=(round(*radius)) {}
                    }
                    circle.goal cx=(x(self.goal[0])) cy=(y(self.goal[1])) r="0.15" {}
                    @for (number, track) in self.tracks.iter().enumerate() {
                        path class=(colour(number)) d=(way(track)) { title { (track.name) } }
                        @if let (true, Some([ahead, left])) = (track.is_missed, track.points.last()) {
                            circle class={ (colour(number)) " missed" } cx=(x(*ahead)) cy=(y(*left)) r="0.12" {}
                        }
                    }
                }
                ul.key {
                    @for (number, track) in self.tracks.iter().enumerate() {
                        li { i class=(colour(number)) {} span { (track.name) } }
                    }
                }
            }
        }
    }
}

/// To a centimetre: finer than any screen.
fn round(metres: f64) -> String {
    short((metres * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> TrackMap {
        TrackMap {
            heading: "world <7>".to_owned(),
            obstacles: vec![[2.0, 1.0, 0.075], [2.0, -1.0, 0.075]],
            goal: [10.0, 0.0],
            tracks: vec![
                Track { name: "first".to_owned(), points: vec![[0.0, 0.0], [10.0, 0.5]], is_missed: false },
                Track {
                    name: "second".to_owned(),
                    points: vec![[0.0, 0.0], [f64::NAN, 1.0], [2.0, -0.5]],
                    is_missed: true,
                },
            ],
        }
    }

    #[test]
    fn ahead_is_to_the_right_and_left_is_up() {
        let html = map().render().into_string();
        assert!(html.contains("viewBox=\"0 0 10.6 2.6\""), "{html}");
        assert!(html.contains("cx=\"2.3\" cy=\"0.3\" r=\"0.08\"") && html.contains("cx=\"2.3\" cy=\"2.3\""), "{html}");
        assert!(html.contains("d=\"M0.3 1.3L10.3 0.8\"") && html.contains("d=\"M0.3 1.3L2.3 1.8\""), "{html}");
        assert!(html.contains("world &lt;7&gt;") && !html.contains("<7>"), "{html}");
        assert_eq!(html.matches("missed").count(), 1, "{html}");
    }

    #[test]
    fn a_field_of_nothing_stands() {
        let empty = TrackMap { obstacles: Vec::new(), goal: [f64::NAN; 2], tracks: Vec::new(), ..map() };
        assert!(empty.render().into_string().contains("viewBox=\"0 0 1 1\""));
    }
}
