//! Costs around obstacles (inflation_layer.cpp).

#![expect(clippy::indexing_slicing, reason = "cells are of the grid that they index")]

use super::bounds::{Bounds, CellWindow};
use crate::grid::{CostGrid, FREE, INSCRIBED, LETHAL, UNKNOWN};

/// How costs fall off around obstacles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InflationSettings {
    /// How far they reach, m; rounded up to whole cells.
    pub radius: f64,
    /// How fast they fall, 1/m.
    pub cost_scaling: f64,
    /// Whether unknown cells get a cost below the inscribed one, too.
    pub inflates_unknown: bool,
}

/// A cell that waits for its cost, and the obstacle that it is near.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    cell: u32,
    source: u32,
}

/// Costs around obstacles on one costmap: a flood from all obstacles at once, in which a cell inherits its neighbour's
/// obstacle. It is not the exact distance to the nearest one.
#[derive(Debug, Clone)]
pub struct Inflation {
    settings: InflationSettings,
    inscribed_radius: f64,
    resolution: f64,
    /// [`InflationSettings::radius`] in cells.
    reach: usize,
    /// By |dx| and |dy|: which queue a cell belongs to, counted from the obstacles; `None` beyond the reach.
    order: Vec<Option<u16>>,
    /// By |dx| and |dy|.
    costs: Vec<u8>,
    /// Cells by their distance from their obstacle, nearest first.
    queues: Vec<Vec<Waiting>>,
    seen: Vec<bool>,
    /// The radius has changed: the next update is one of everything.
    pending: bool,
    /// What was looked at the time before.
    last: Bounds,
}

impl Inflation {
    /// Inflation for a robot with this inscribed radius, m, on cells of this size, m.
    pub fn new(settings: InflationSettings, inscribed_radius: f64, resolution: f64) -> Self {
        let mut inflation = Self {
            settings,
            inscribed_radius,
            resolution,
            reach: 0,
            order: Vec::new(),
            costs: Vec::new(),
            queues: Vec::new(),
            seen: Vec::new(),
            pending: true,
            last: Bounds::EMPTY,
        };
        inflation.tabulate();
        inflation
    }

    /// How far costs reach, in cells.
    pub fn reach(&self) -> usize {
        self.reach
    }

    /// The radius, m.
    pub fn radius(&self) -> f64 {
        self.settings.radius
    }

    /// Changes the radius, m.
    pub fn set_radius(&mut self, radius: f64) {
        if radius != self.settings.radius {
            self.settings.radius = radius;
            self.pending = true;
            self.tabulate();
        }
    }

    /// As after `clear_costmaps`: a change of the radius that waits is forgotten until the next one.
    pub(super) fn reset(&mut self) {
        self.pending = false;
    }

    /// What has to be looked at: what changed now and the time before, and around it.
    pub(super) fn widen(&mut self, bounds: Bounds) -> Bounds {
        let last = std::mem::replace(&mut self.last, bounds);
        match std::mem::take(&mut self.pending) {
            true => Bounds::ALL,
            false => last.union(bounds).grown(self.settings.radius),
        }
    }

    /// Puts costs around the obstacles in a window of cells: from and to in x and y, the ends not included.
    pub fn inflate(&mut self, grid: &mut CostGrid, x: [usize; 2], y: [usize; 2]) {
        self.put_into(grid, CellWindow { x, y });
    }

    pub(super) fn put_into(&mut self, grid: &mut CostGrid, window: CellWindow) {
        if self.reach == 0 {
            return;
        }
        let (width, height) = (grid.geometry().width, grid.geometry().height);
        self.seen.clear();
        self.seen.resize(grid.costs().len(), false);
        let from = |value: usize| value.saturating_sub(self.reach);
        let to = |value: usize, end: usize| (value + self.reach).min(end);
        for y in from(window.y[0])..to(window.y[1], height) {
            for x in from(window.x[0])..to(window.x[1], width) {
                let index = y * width + x;
                if grid.costs()[index] == LETHAL
                    && let Some(obstacles) = self.queues.first_mut()
                {
                    obstacles.push(Waiting { cell: index as u32, source: index as u32 });
                }
            }
        }
        for distance in 0..self.queues.len() {
            let mut next = 0;
            // A queue can grow while it is worked through.
            while let Some(&waiting) = self.queues[distance].get(next) {
                next += 1;
                self.settle(grid, waiting);
            }
        }
        self.queues.iter_mut().for_each(Vec::clear);
    }

    fn settle(&mut self, grid: &mut CostGrid, Waiting { cell, source }: Waiting) {
        let index = cell as usize;
        if std::mem::replace(&mut self.seen[index], true) {
            return;
        }
        let (width, height) = (grid.geometry().width, grid.geometry().height);
        let (x, y) = (index % width, index / width);
        let offset = self.offset(x, y, source as usize, width);
        let cost = self.costs[offset];
        let old = &mut grid.costs_mut()[index];
        let least_for_unknown = if self.settings.inflates_unknown { FREE + 1 } else { INSCRIBED };
        *old = if *old == UNKNOWN && cost >= least_for_unknown { cost } else { cost.max(*old) };

        let mut wait = |index: usize, x: usize, y: usize| {
            if !self.seen[index]
                && let Some(order) = self.order[self.offset(x, y, source as usize, width)]
            {
                self.queues[usize::from(order)].push(Waiting { cell: index as u32, source });
            }
        };
        if x > 0 {
            wait(index - 1, x - 1, y);
        }
        if y > 0 {
            wait(index - width, x, y - 1);
        }
        if x + 1 < width {
            wait(index + 1, x + 1, y);
        }
        if y + 1 < height {
            wait(index + width, x, y + 1);
        }
    }

    /// The tables' place for a cell and its obstacle, which are at most one cell farther apart than the reach.
    fn offset(&self, x: usize, y: usize, source: usize, width: usize) -> usize {
        x.abs_diff(source % width) * (self.reach + 2) + y.abs_diff(source / width)
    }

    fn tabulate(&mut self) {
        self.reach = (self.settings.radius / self.resolution).ceil().max(0.0) as usize;
        let side = self.reach + 2;
        let distances: Vec<f64> =
            (0..side * side).map(|offset| ((offset / side) as f64).hypot((offset % side) as f64)).collect();
        let mut distinct: Vec<f64> =
            distances.iter().copied().filter(|distance| *distance <= self.reach as f64).collect();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup();
        self.order = distances
            .iter()
            .map(|distance| distinct.binary_search_by(|other| other.total_cmp(distance)).ok().map(|order| order as u16))
            .collect();
        self.costs = distances.iter().map(|distance| self.cost(*distance)).collect();
        self.queues.resize_with(distinct.len(), Vec::new);
    }

    /// The cost of a cell so many cells from an obstacle.
    fn cost(&self, cells: f64) -> u8 {
        let distance = cells * self.resolution;
        if cells == 0.0 {
            LETHAL
        } else if distance <= self.inscribed_radius {
            INSCRIBED
        } else {
            let factor = (-self.settings.cost_scaling * (distance - self.inscribed_radius)).exp();
            (f64::from(INSCRIBED - 1) * factor) as u8
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Cell, GridGeometry};

    const GEOMETRY: GridGeometry =
        GridGeometry { width: 21, height: 21, resolution: 0.1, origin_x: 0.0, origin_y: 0.0 };

    fn inflated(radius: f64) -> CostGrid {
        let settings = InflationSettings { radius, cost_scaling: 5.0, inflates_unknown: false };
        let mut grid = CostGrid::filled(GEOMETRY, FREE);
        grid.set(Cell { x: 10, y: 10 }, LETHAL);
        Inflation::new(settings, 0.265, 0.1).inflate(&mut grid, [0, 21], [0, 21]);
        grid
    }

    #[test]
    fn the_reach_is_whole_cells() {
        assert_eq!(inflated(0.31), inflated(0.4));
        assert_ne!(inflated(0.41), inflated(0.4));
    }

    #[test]
    fn costs_fall_from_the_inscribed_radius_on() {
        let grid = inflated(0.5);
        let along: Vec<u8> = (10..17).map(|x| grid.cost(Cell { x, y: 10 })).collect();
        let cost = |distance: f64| (252.0 * (-5.0 * (distance - 0.265)).exp()) as u8;
        assert_eq!(along, [LETHAL, INSCRIBED, INSCRIBED, cost(0.3), cost(0.4), cost(0.5), FREE]);
    }

    #[test]
    fn a_small_radius_cuts_the_inscribed_zone_short() {
        let grid = inflated(0.1);
        assert_eq!(grid.cost(Cell { x: 11, y: 10 }), INSCRIBED);
        assert_eq!(grid.cost(Cell { x: 12, y: 10 }), FREE);
        assert_eq!(inflated(0.0).cost(Cell { x: 11, y: 10 }), FREE);
    }
}
