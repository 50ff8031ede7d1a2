//! A drive from above: obstacles, the robot's tracks, and the parameters over time below.

use std::path::Path;

use plotters::prelude::*;

use super::style::{
    self, CENTRE, DEFAULT, DrawError, FINE, GRID, GROUND, LEFT, MUTED, RIGHT, TEXT, fill, letters, place, text,
};
use super::time_axis::TimeAxis;
use super::{GAP, HEADER, Line, PANEL, PLOT, Page, PlottedDecision, TIME_LABELS, WIDTH, finished, panel};
use crate::frame::Frame;
use crate::picture::{PictureError, save_png};

/// A point of a track: where the robot was, m, ahead and to the left of the start; and what the track's colour shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MapPoint {
    /// Ahead of the start, m.
    pub ahead: f64,
    /// To the left of it, m.
    pub left: f64,
    /// In the unit of [`DriveMap::scale`].
    pub value: f64,
}

/// The way of a robot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MapTrack {
    /// Whose, and what came of it.
    pub name: String,
    /// Its points in order.
    pub points: Vec<MapPoint>,
    /// Where it was when something was decided.
    pub decided_at: Vec<MapPoint>,
}

/// What the colours of a track mean.
#[derive(Debug, Clone, PartialEq)]
pub struct ColourScale {
    /// What they show, with its unit.
    pub name: String,
    /// The value of the first colour.
    pub low: f64,
    /// The value of the last one.
    pub high: f64,
}

/// Drives through one world, to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct DriveMap {
    /// Headline.
    pub title: String,
    /// One line under it.
    pub subtitle: String,
    /// Obstacles: ahead, left and radius, m.
    pub obstacles: Vec<[f64; 3]>,
    /// The goal: ahead and left, m.
    pub goal: [f64; 2],
    /// Tracks. The last one is the one that matters: it is coloured, the others are grey.
    pub tracks: Vec<MapTrack>,
    /// What its colours mean.
    pub scale: ColourScale,
}

// Pixels of the finished picture.
const MAP: (i32, i32) = (24, 1372);
const MAP_HEIGHT: i32 = 430;
const LEGEND: i32 = 30;
/// Shown at least, m: behind the start, ahead of it, and to each side.
const BEHIND_M: f64 = 3.2;
const SIDE_M: f64 = 2.6;

/// Draws drives as a PNG of 1400 pixels width; `decisions` are those of the last track. The file is replaced as a whole.
///
/// # Errors
/// [`PictureError::NothingToPlot`] without a track; those of drawing and writing.
pub fn plot_drive(path: &Path, map: &DriveMap, decisions: &[PlottedDecision]) -> Result<(), PictureError> {
    save_png(path, &draw_drive(map, decisions)?)
}

fn draw_drive(map: &DriveMap, decisions: &[PlottedDecision]) -> Result<Frame, PictureError> {
    if map.tracks.iter().all(|track| track.points.is_empty()) {
        return Err(PictureError::NothingToPlot);
    }
    let panels = decisions.first().map_or(0, |decision| decision.parameters.spec().parameters().len());
    let legend = LEGEND * i32::try_from(map.tracks.len()).unwrap_or(1);
    let map_bottom = HEADER + MAP_HEIGHT + legend + LEGEND;
    let panels_height = i32::try_from(panels).unwrap_or(i32::MAX).saturating_mul(PANEL + GAP);
    let height = map_bottom + panels_height + if panels > 0 { TIME_LABELS + GAP } else { GAP };
    finished((WIDTH, height), |page| {
        style::register_fonts()?;
        text(page, &map.title, (24, 24), letters(27, TEXT), LEFT)?;
        text(page, &map.subtitle, (24, 59), letters(16, MUTED), LEFT)?;
        draw_map(page, map)?;
        draw_legend(page, map, HEADER + MAP_HEIGHT)?;
        draw_parameters(page, decisions, map_bottom)
    })
}

/// Metres to fine pixels.
#[derive(Debug, Clone, Copy)]
struct Projection {
    per_metre: f64,
    origin: (f64, f64),
}

impl Projection {
    /// Ahead is to the right, left is up.
    fn of(map: &DriveMap) -> Self {
        let points = map.tracks.iter().flat_map(|track| &track.points).map(|point| point.ahead);
        let farthest = points.fold(map.goal[0], f64::max) + 0.6;
        let width = f64::from(place(MAP.1) - place(MAP.0));
        let per_metre = (width / (farthest + BEHIND_M)).min(f64::from(place(MAP_HEIGHT)) / (2.0 * SIDE_M));
        let middle = f64::from(place(HEADER)) + f64::from(place(MAP_HEIGHT)) / 2.0;
        Self { per_metre, origin: (f64::from(place(MAP.0)) + BEHIND_M * per_metre, middle) }
    }

    fn at(self, ahead: f64, left: f64) -> (i32, i32) {
        let (x, y) = self.origin;
        ((x + ahead * self.per_metre).round() as i32, (y - left * self.per_metre).round() as i32)
    }

    fn length(self, metres: f64) -> i32 {
        (metres * self.per_metre).round() as i32
    }
}

fn draw_map(page: &Page<'_>, map: &DriveMap) -> Result<(), DrawError> {
    let ground = [(place(MAP.0), place(HEADER)), (place(MAP.1), place(HEADER + MAP_HEIGHT))];
    fill(page, ground, GROUND.filled())?;
    let inside = page.clone().shrink(ground[0], (ground[1].0 - ground[0].0, ground[1].1 - ground[0].1));
    let offset = |(x, y): (i32, i32)| (x - ground[0].0, y - ground[0].1);
    let projection = Projection::of(map);
    let at = |ahead: f64, left: f64| offset(projection.at(ahead, left));
    // A line every metre.
    for metre in -3..=28 {
        let across = [at(f64::from(metre), -9.0), at(f64::from(metre), 9.0)];
        let along = [at(-9.0, f64::from(metre)), at(40.0, f64::from(metre))];
        for line in [across, along] {
            inside.draw(&PathElement::new(line.to_vec(), GRID.stroke_width(1)))?;
        }
    }
    for [ahead, left, radius] in &map.obstacles {
        inside.draw(&Circle::new(at(*ahead, *left), projection.length(*radius).max(2), TEXT.filled()))?;
    }
    let goal = at(map.goal[0], map.goal[1]);
    inside.draw(&Circle::new(goal, 9 * FINE, style::FIRST_VELOCITY.stroke_width(2 * FINE as u32)))?;
    let Some((last, others)) = map.tracks.split_last() else { return Ok(()) };
    for track in others {
        let line: Vec<(i32, i32)> = track.points.iter().map(|point| at(point.ahead, point.left)).collect();
        inside.draw(&PathElement::new(line, DEFAULT.stroke_width(2 * FINE as u32)))?;
    }
    for (from, to) in last.points.iter().zip(last.points.iter().skip(1)) {
        let line = vec![at(from.ahead, from.left), at(to.ahead, to.left)];
        inside.draw(&PathElement::new(line, map.scale.colour(to.value).stroke_width(3 * FINE as u32)))?;
    }
    for point in &last.decided_at {
        inside.draw(&Circle::new(at(point.ahead, point.left), 3 * FINE, TEXT.filled()))?;
    }
    let start = at(0.0, 0.0);
    inside.draw(&Circle::new(start, 6 * FINE, style::PARAMETER.filled()))?;
    Ok(())
}

/// What the lines are, and what their colours mean.
fn draw_legend(page: &Page<'_>, map: &DriveMap, top: i32) -> Result<(), DrawError> {
    let mut row = top + LEGEND / 2 + 4;
    let last = map.tracks.len().saturating_sub(1);
    for (index, track) in map.tracks.iter().enumerate() {
        // Of the coloured track, the colour that it has on average.
        let mean = track.points.iter().map(|point| point.value).sum::<f64>() / track.points.len().max(1) as f64;
        let colour = if index == last { map.scale.colour(mean) } else { DEFAULT };
        fill(page, [(place(24), place(row - 2)), (place(60), place(row + 2))], colour.filled())?;
        text(page, &track.name, (72, row), letters(16, TEXT), LEFT)?;
        row += LEGEND;
    }
    const STEPS: i32 = 60;
    let (from, to) = (1000, 1240);
    let row = top + LEGEND / 2 + 4;
    for step in 0..STEPS {
        let share = f64::from(step) / f64::from(STEPS - 1);
        let colour = map.scale.colour(map.scale.low + share * (map.scale.high - map.scale.low));
        let x = from + (to - from) * step / STEPS;
        let corners = [(place(x), place(row - 6)), (place(x + (to - from) / STEPS), place(row + 6))];
        fill(page, corners, colour.filled())?;
    }
    text(page, &format!("{:.1}", map.scale.low), (from - 8, row), letters(14, MUTED), RIGHT)?;
    text(page, &format!("{:.1}", map.scale.high), (to + 8, row), letters(14, MUTED), LEFT)?;
    text(page, &map.scale.name, ((from + to) / 2, row + 20), letters(14, MUTED), CENTRE)
}

fn draw_parameters(page: &Page<'_>, decisions: &[PlottedDecision], mut top: i32) -> Result<(), DrawError> {
    let Some(first) = decisions.first() else { return Ok(()) };
    let time = TimeAxis::of(decisions, PLOT);
    for (index, parameter) in first.parameters.spec().parameters().iter().enumerate() {
        let values = decisions.iter().filter_map(|decision| decision.parameters.iter().nth(index));
        let line = Line { values: values.map(|(_, value)| value).collect(), colour: style::PARAMETER, held: true };
        panel::draw_parameter(page, &time, (top, top + PANEL), parameter, &line)?;
        top += PANEL + GAP;
    }
    time.draw_labels(page, top - GAP)
}

impl ColourScale {
    /// From blue through green to orange.
    fn colour(&self, value: f64) -> RGBColor {
        const COLOURS: [[f64; 3]; 3] = [[48.0, 64.0, 170.0], [22.0, 150.0, 128.0], [226.0, 112.0, 24.0]];
        let width = self.high - self.low;
        let share = if width > 0.0 { ((value - self.low) / width).clamp(0.0, 1.0) } else { 1.0 };
        let [first, middle, last] = COLOURS;
        let (from, to, share) =
            if share < 0.5 { (first, middle, 2.0 * share) } else { (middle, last, 2.0 * share - 1.0) };
        let mut channels = from.iter().zip(to).map(|(from, to)| (from + (to - from) * share).round() as u8);
        let mut next = || channels.next().unwrap_or_default();
        RGBColor(next(), next(), next())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn map(points: Vec<MapPoint>) -> DriveMap {
        DriveMap {
            title: "drive".to_owned(),
            subtitle: String::new(),
            obstacles: vec![[5.0, 1.0, 0.075]],
            goal: [10.0, 0.0],
            tracks: vec![MapTrack { name: "tuned".to_owned(), points, decided_at: Vec::new() }],
            scale: ColourScale { name: "max_vel_x, m/s".to_owned(), low: 0.2, high: 2.0 },
        }
    }

    fn colour_at(frame: &Frame, (x, y): (i32, i32)) -> [u8; 3] {
        let start = ((y / FINE) as usize * frame.width() as usize + (x / FINE) as usize) * 3;
        [frame.rgb()[start], frame.rgb()[start + 1], frame.rgb()[start + 2]]
    }

    #[test]
    fn a_track_has_the_colour_of_its_values_and_lies_where_the_robot_was() {
        let points = (0..=100).map(|step| f64::from(step) / 10.0);
        let points = points.map(|ahead| MapPoint { ahead, left: -0.5, value: if ahead < 5.0 { 0.2 } else { 2.0 } });
        let map = map(points.collect());
        let frame = draw_drive(&map, &[]).unwrap();
        let projection = Projection::of(&map);
        assert_eq!(colour_at(&frame, projection.at(2.5, -0.5)), [48, 64, 170]);
        assert_eq!(colour_at(&frame, projection.at(7.5, -0.5)), [226, 112, 24]);
        assert_eq!(colour_at(&frame, projection.at(5.0, 1.0)), [32, 38, 46], "the obstacle");
    }

    #[test]
    fn without_a_track_there_is_nothing_to_draw() {
        assert!(matches!(draw_drive(&map(Vec::new()), &[]), Err(PictureError::NothingToPlot)));
    }
}
