//! What rays clear and points mark (obstacle_layer.cpp).

#![expect(clippy::indexing_slicing, reason = "cells are of the grid that they index")]

use planner_tuner_core::pose::Pose;

use super::bounds::{Bounds, CellWindow};
use super::observation::Observation;
use super::rolling::follow;
use super::settings::{CostmapSettings, Window};
use crate::footprint::Footprint;
use crate::grid::{CostGrid, FREE, GridGeometry, LETHAL, UNKNOWN};
use crate::polygon::{Line, cells_inside};

/// Points above this are no obstacles, m.
const HIGHEST_OBSTACLE: f32 = 2.0;

/// Obstacles, and nothing around them.
#[derive(Debug, Clone)]
pub(super) struct ObstacleLayer {
    grid: CostGrid,
    under_robot: Vec<usize>,
}

impl ObstacleLayer {
    pub(super) fn new(settings: &CostmapSettings) -> Self {
        Self { grid: CostGrid::filled(settings.geometry, settings.unknown.cost()), under_robot: Vec::new() }
    }

    pub(super) fn grid(&self) -> &CostGrid {
        &self.grid
    }

    /// Forgets all obstacles.
    pub(super) fn clear(&mut self, settings: &CostmapSettings) {
        self.grid.costs_mut().fill(settings.unknown.cost());
    }

    /// Clears along the rays of what was seen, then marks where they ended.
    pub(super) fn look(
        &mut self,
        settings: &CostmapSettings,
        seen: Option<&Observation>,
        robot: Pose,
        bounds: &mut Bounds,
    ) {
        if settings.window == Window::Rolling {
            follow(&mut self.grid, robot.position.x, robot.position.y, settings.unknown.cost());
        }
        if let Some(seen) = seen {
            self.clear_rays(seen, settings.raytrace_range, bounds);
            self.mark(seen, settings.obstacle_range, bounds);
        }
    }

    /// Clears the robot's own place, and puts the layer's costs into `master` where they are higher.
    pub(super) fn put_into(&mut self, master: &mut CostGrid, window: CellWindow, clear_at: Option<(&Footprint, Pose)>) {
        if let Some((footprint, robot)) = clear_at {
            let geometry = *self.grid.geometry();
            if cells_inside(&geometry, footprint.at(robot), &mut self.under_robot) {
                for index in &self.under_robot {
                    self.grid.costs_mut()[*index] = FREE;
                }
            }
        }
        let width = self.grid.geometry().width;
        for y in window.y[0]..window.y[1] {
            let row = y * width + window.x[0]..y * width + window.x[1];
            for (master, own) in master.costs_mut()[row.clone()].iter_mut().zip(&self.grid.costs()[row]) {
                if *own != UNKNOWN && (*master == UNKNOWN || *master < *own) {
                    *master = *own;
                }
            }
        }
    }

    fn clear_rays(&mut self, seen: &Observation, range: f64, bounds: &mut Bounds) {
        let geometry = *self.grid.geometry();
        let [sensor_x, sensor_y, _] = seen.sensor();
        let Some(from) = geometry.cell_at(sensor_x, sensor_y) else { return };
        bounds.touch(sensor_x, sensor_y);
        let range_cells = (range / geometry.resolution).ceil().max(0.0);
        for [x, y] in seen.points() {
            let [x, y] = clip(&geometry, [sensor_x, sensor_y], [f64::from(*x), f64::from(*y)]);
            let Some(to) = geometry.cell_at(x, y) else { continue };
            let (dx, dy) = (from.x.abs_diff(to.x) as f64, from.y.abs_diff(to.y) as f64);
            let length = dx.hypot(dy);
            let share = if length == 0.0 { 1.0 } else { (range_cells / length).min(1.0) };
            for cell in Line::between(from, to).up_to(share) {
                self.grid.set(cell, FREE);
            }
            let (way_x, way_y) = (x - sensor_x, y - sensor_y);
            let share = (range / way_x.hypot(way_y)).min(1.0);
            bounds.touch(sensor_x + way_x * share, sensor_y + way_y * share);
        }
    }

    fn mark(&mut self, seen: &Observation, range: f64, bounds: &mut Bounds) {
        let geometry = *self.grid.geometry();
        let [sensor_x, sensor_y, sensor_z] = seen.sensor();
        if seen.height() > HIGHEST_OBSTACLE {
            return;
        }
        let z = f64::from(seen.height()) - sensor_z;
        for [x, y] in seen.points() {
            let (x, y) = (f64::from(*x), f64::from(*y));
            let squared = (x - sensor_x) * (x - sensor_x) + (y - sensor_y) * (y - sensor_y) + z * z;
            if squared >= range * range {
                continue;
            }
            if let Some(cell) = geometry.cell_at(x, y) {
                self.grid.set(cell, LETHAL);
                bounds.touch(x, y);
            }
        }
    }
}

/// The end of a ray, brought onto the map. In the original's order: each cut starts from the whole ray.
fn clip(geometry: &GridGeometry, [from_x, from_y]: [f64; 2], [mut x, mut y]: [f64; 2]) -> [f64; 2] {
    let GridGeometry { width, height, resolution, origin_x, origin_y } = *geometry;
    let (end_x, end_y) = (origin_x + width as f64 * resolution, origin_y + height as f64 * resolution);
    let (way_x, way_y) = (x - from_x, y - from_y);
    if x < origin_x {
        (x, y) = (origin_x, from_y + way_y * ((origin_x - from_x) / way_x));
    }
    if y < origin_y {
        (x, y) = (from_x + way_x * ((origin_y - from_y) / way_y), origin_y);
    }
    if x > end_x {
        (x, y) = (end_x - 0.001, from_y + way_y * ((end_x - from_x) / way_x));
    }
    if y > end_y {
        (x, y) = (from_x + way_x * ((end_y - from_y) / way_y), end_y - 0.001);
    }
    [x, y]
}
