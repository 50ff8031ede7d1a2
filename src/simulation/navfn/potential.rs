//! A potential that grows from the robot until it reaches the goal (`NavFn::propNavFnDijkstra`).

#![expect(clippy::indexing_slicing, reason = "a wall around the grid keeps neighbours on it")]

use crate::grid::{Cell, CostGrid, INSCRIBED, UNKNOWN};

/// The potential of a cell that was not reached.
pub(super) const HIGH: f32 = 1.0e10;
/// Cost of a free cell.
pub(super) const NEUTRAL: u8 = 50;
/// Cost of an obstacle.
pub(super) const OBSTACLE: u8 = 254;
/// How much of a costmap's cost is added to a free cell's.
const FACTOR: f64 = 0.8;
/// 1/√2, to as many digits as the original has.
#[expect(clippy::approx_constant, reason = "the last bits are the original's")]
const INVERSE_ROOT_2: f64 = 0.707_106_781;
/// Most cells that wait at a time; more are lost.
const BUFFER: usize = 10_000;

/// A potential on a grid of costs. Cells wait in three buffers: this round's, the next one's, and those for later, beyond the
/// present threshold.
#[derive(Debug, Clone, Default)]
pub(super) struct Potential {
    width: usize,
    costs: Vec<u8>,
    values: Vec<f32>,
    waits: Vec<bool>,
    now: Vec<usize>,
    next: Vec<usize>,
    later: Vec<usize>,
}

impl Potential {
    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The potential of a cell by its index; [`HIGH`] outside.
    pub(super) fn at(&self, index: usize) -> f32 {
        self.values.get(index).copied().unwrap_or(HIGH)
    }

    pub(super) fn reaches(&self, Cell { x, y }: Cell) -> bool {
        self.at(y * self.width + x) < HIGH
    }

    /// Grows from one cell until another one has a potential, or nothing is left to do.
    pub(super) fn grow(&mut self, grid: &CostGrid, from: Cell, to: Cell) {
        let (width, height) = (grid.geometry().width, grid.geometry().height);
        self.prepare(grid);
        let (from, to) = (from.y * width + from.x, to.y * width + to.x);
        self.values[from] = 0.0;
        for neighbour in [from + 1, from.wrapping_sub(1), from.wrapping_sub(width), from + width] {
            wait(&self.costs, &mut self.waits, &mut self.now, neighbour);
        }
        let mut threshold = f32::from(OBSTACLE);
        for _ in 0..(width * height / 20).max(width + height) {
            if self.now.is_empty() && self.next.is_empty() {
                break;
            }
            for index in &self.now {
                self.waits[*index] = false;
            }
            let round = std::mem::take(&mut self.now);
            for index in &round {
                self.update(*index, threshold);
            }
            self.now = round;
            self.now.clear();
            std::mem::swap(&mut self.now, &mut self.next);
            if self.now.is_empty() {
                threshold += 2.0 * f32::from(NEUTRAL);
                std::mem::swap(&mut self.now, &mut self.later);
            }
            if self.values[to] < HIGH {
                break;
            }
        }
    }

    fn prepare(&mut self, grid: &CostGrid) {
        let (width, height) = (grid.geometry().width, grid.geometry().height);
        self.width = width;
        self.costs.clear();
        self.costs.extend(grid.costs().iter().map(|cost| match *cost {
            UNKNOWN => OBSTACLE - 1,
            cost if cost < INSCRIBED => ((f64::from(NEUTRAL) + FACTOR * f64::from(cost)) as u8).min(OBSTACLE - 1),
            _ => OBSTACLE,
        }));
        // A wall around everything: neighbours of a free cell are on the grid.
        let cells = self.costs.len();
        self.costs[..width].fill(OBSTACLE);
        self.costs[cells - width..].fill(OBSTACLE);
        for y in 0..height {
            self.costs[y * width] = OBSTACLE;
            self.costs[y * width + width - 1] = OBSTACLE;
        }
        self.values.clear();
        self.values.resize(cells, HIGH);
        self.waits.clear();
        self.waits.resize(cells, false);
        for buffer in [&mut self.now, &mut self.next, &mut self.later] {
            buffer.clear();
        }
    }

    /// A plane wave through a cell: from its lower neighbour on each axis.
    fn update(&mut self, index: usize, threshold: f32) {
        let neighbours = [index - 1, index + 1, index - self.width, index + self.width];
        let [left, right, below, above] = neighbours.map(|neighbour| self.values[neighbour]);
        let cost = f32::from(self.costs[index]);
        let (across, mut lower) = (left.min(right), below.min(above));
        let mut difference = across - lower;
        if difference < 0.0 {
            difference = -difference;
            lower = across;
        }
        let value = if difference >= cost {
            lower + cost
        } else {
            let share = f64::from(difference / cost);
            let part = (-0.2301 * share * share + 0.5307 * share + 0.7040) as f32;
            lower + cost * part
        };
        if value >= self.values[index] {
            return;
        }
        self.values[index] = value;
        let buffer = if value < threshold { &mut self.next } else { &mut self.later };
        for (neighbour, old) in neighbours.into_iter().zip([left, right, below, above]) {
            let step = (INVERSE_ROOT_2 * f64::from(self.costs[neighbour])) as f32;
            if old > value + step {
                wait(&self.costs, &mut self.waits, buffer, neighbour);
            }
        }
    }
}

/// Puts a cell into a buffer, unless it waits already or is an obstacle.
fn wait(costs: &[u8], waits: &mut [bool], buffer: &mut Vec<usize>, index: usize) {
    let (Some(cost), Some(waits)) = (costs.get(index), waits.get_mut(index)) else { return };
    if !*waits && *cost < OBSTACLE && buffer.len() < BUFFER {
        buffer.push(index);
        *waits = true;
    }
}
