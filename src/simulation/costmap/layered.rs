//! The cycle of an update (layered_costmap.cpp).

#![expect(clippy::indexing_slicing, reason = "windows are cut to the grid")]

use planner_tuner_core::frame::render::LaserScan;
use planner_tuner_core::pose::Pose;

use super::bounds::{Bounds, CellWindow};
use super::inflation::Inflation;
use super::observation::{LaserMount, Observation};
use super::obstacle_layer::ObstacleLayer;
use super::rolling::follow;
use super::settings::{CostmapSettings, Window};
use crate::angle::through_quaternion;
use crate::footprint::Footprint;
use crate::grid::{CostGrid, GridGeometry};

/// A costmap that a laser feeds.
#[derive(Debug, Clone)]
pub struct Costmap {
    settings: CostmapSettings,
    footprint: Footprint,
    mount: LaserMount,
    /// The newest scan. It counts again at every update until another one comes.
    seen: Option<Observation>,
    obstacles: ObstacleLayer,
    inflation: Inflation,
    master: CostGrid,
    updated: CellWindow,
}

impl Costmap {
    /// A costmap of which nothing was seen yet.
    pub fn new(settings: CostmapSettings, footprint: Footprint, mount: LaserMount) -> Self {
        Self {
            settings,
            mount,
            seen: None,
            obstacles: ObstacleLayer::new(&settings),
            inflation: Inflation::new(settings.inflation, footprint.inscribed_radius(), settings.geometry.resolution),
            master: CostGrid::filled(settings.geometry, settings.unknown.cost()),
            updated: CellWindow { x: [0; 2], y: [0; 2] },
            footprint,
        }
    }

    /// The costs: obstacles and what is around them.
    pub fn grid(&self) -> &CostGrid {
        &self.master
    }

    /// The costs, to be changed: what is written stays until an update looks at the cell again.
    pub fn grid_mut(&mut self) -> &mut CostGrid {
        &mut self.master
    }

    /// The obstacles alone.
    pub fn obstacles(&self) -> &CostGrid {
        self.obstacles.grid()
    }

    /// What was seen last.
    pub fn seen(&self) -> Option<&Observation> {
        self.seen.as_ref()
    }

    /// The cells that the last update looked at: from and to in x and y, the ends not included.
    pub fn updated(&self) -> [[usize; 2]; 2] {
        [self.updated.x, self.updated.y]
    }

    /// Keeps a scan for the updates to come.
    pub fn see(&mut self, scan: &LaserScan, robot: Pose) {
        let seen = self.seen.get_or_insert_default();
        seen.see(scan, robot, self.mount, self.settings.inf_is_valid);
    }

    /// Changes how far costs reach around obstacles, m; from the next update on.
    pub fn set_inflation_radius(&mut self, radius: f64) {
        self.inflation.set_radius(radius);
    }

    /// How far costs reach around obstacles, m.
    pub fn inflation_radius(&self) -> f64 {
        self.inflation.radius()
    }

    /// Forgets all obstacles, as the service `clear_costmaps` does. The newest scan marks again at the next update.
    pub fn clear(&mut self) {
        self.master.costs_mut().fill(self.settings.unknown.cost());
        self.obstacles.clear(&self.settings);
        self.inflation.reset();
    }

    /// Brings the costs up to what was seen.
    pub fn update(&mut self, robot: Pose) {
        let robot = Pose { yaw: through_quaternion(robot.yaw), ..robot };
        let unknown = self.settings.unknown.cost();
        if self.settings.window == Window::Rolling {
            follow(&mut self.master, robot.position.x, robot.position.y, unknown);
        }
        let mut bounds = Bounds::EMPTY;
        self.obstacles.look(&self.settings, self.seen.as_ref(), robot, &mut bounds);
        if self.settings.clears_footprint {
            self.footprint.at(robot).for_each(|[x, y]| bounds.touch(x, y));
        }
        let window = cells(self.master.geometry(), self.inflation.widen(bounds));
        self.updated = window;
        let width = self.master.geometry().width;
        for y in window.y[0]..window.y[1] {
            self.master.costs_mut()[y * width + window.x[0]..y * width + window.x[1]].fill(unknown);
        }
        let clear_at = self.settings.clears_footprint.then_some((&self.footprint, robot));
        self.obstacles.put_into(&mut self.master, window, clear_at);
        self.inflation.put_into(&mut self.master, window);
    }
}

/// The cells that bounds touch.
fn cells(geometry: &GridGeometry, bounds: Bounds) -> CellWindow {
    let GridGeometry { width, height, resolution, origin_x, origin_y } = *geometry;
    let cell = |value: f64, origin: f64, cells: usize| {
        if value < origin {
            0
        } else if value >= resolution * cells as f64 + origin {
            cells - 1
        } else {
            ((value - origin) / resolution) as usize
        }
    };
    let range = |axis: usize, origin: f64, cells: usize| {
        let from = cell(bounds.min[axis], origin, cells);
        [from, (cell(bounds.max[axis], origin, cells) + 1).min(cells).max(from)]
    };
    CellWindow { x: range(0, origin_x, width), y: range(1, origin_y, height) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{FREE, INSCRIBED, LETHAL};
    use planner_tuner_core::pose::Position;

    const ROBOT: Pose = Pose { position: Position { x: 0.0, y: 0.0 }, yaw: 0.0 };

    /// One beam ahead.
    fn scan(range: f32) -> LaserScan {
        LaserScan { angle_min: 0.0, angle_increment: 0.1, range_min: 0.1, range_max: 30.0, ranges: vec![range] }
    }

    fn costmap() -> Costmap {
        Costmap::new(CostmapSettings::local(), Footprint::jackal(), LaserMount::JACKAL)
    }

    fn ahead(costmap: &Costmap, x: f64) -> Option<u8> {
        costmap.grid().cost_at(x, 0.02)
    }

    #[test]
    fn a_beam_marks_where_it_ends_and_clears_on_its_way() {
        let mut costmap = costmap();
        costmap.see(&scan(1.0), ROBOT);
        costmap.update(ROBOT);
        assert_eq!((ahead(&costmap, 1.12), ahead(&costmap, 1.32)), (Some(LETHAL), Some(INSCRIBED)));
        costmap.see(&scan(2.0), ROBOT);
        costmap.update(ROBOT);
        assert_eq!((ahead(&costmap, 1.12), ahead(&costmap, 2.12)), (Some(FREE), Some(LETHAL)));
        // A beam that hits nothing clears nothing.
        costmap.see(&scan(f32::INFINITY), ROBOT);
        costmap.update(ROBOT);
        assert_eq!(ahead(&costmap, 2.12), Some(LETHAL));
    }

    #[test]
    fn what_is_too_far_is_no_obstacle_but_its_ray_is_clear() {
        let mut costmap = costmap();
        costmap.see(&scan(1.0), ROBOT);
        costmap.update(ROBOT);
        costmap.see(&scan(2.6), ROBOT);
        costmap.update(ROBOT);
        assert_eq!((ahead(&costmap, 1.12), ahead(&costmap, 2.72)), (Some(FREE), Some(FREE)));
    }

    #[test]
    fn a_cleared_costmap_sees_the_last_scan_again_at_the_next_update() {
        let mut costmap = costmap();
        costmap.see(&scan(1.0), ROBOT);
        costmap.update(ROBOT);
        costmap.clear();
        assert_eq!(ahead(&costmap, 1.12), Some(FREE));
        costmap.update(ROBOT);
        assert_eq!(ahead(&costmap, 1.12), Some(LETHAL));
    }

    #[test]
    fn an_obstacle_under_the_robot_is_gone_for_good() {
        let mut costmap = costmap();
        costmap.see(&scan(0.5), ROBOT);
        costmap.update(ROBOT);
        assert_eq!(ahead(&costmap, 0.62), Some(LETHAL));
        let there = Pose { position: Position { x: 0.6, y: 0.0 }, yaw: 0.0 };
        costmap.see(&scan(f32::INFINITY), there);
        costmap.update(there);
        costmap.update(ROBOT);
        assert_eq!(ahead(&costmap, 0.62), Some(FREE));
    }

    #[test]
    fn another_radius_counts_from_the_next_update_on() {
        let mut costmap = costmap();
        costmap.see(&scan(1.0), ROBOT);
        costmap.update(ROBOT);
        costmap.set_inflation_radius(0.6);
        assert_eq!((costmap.inflation_radius(), ahead(&costmap, 1.72)), (0.6, Some(FREE)));
        costmap.update(ROBOT);
        assert!(ahead(&costmap, 1.72).is_some_and(|cost| cost > FREE));
    }
}
