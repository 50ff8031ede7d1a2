//! Marking, clearing and inflation, equal in every cell.

use planner_tuner_core::frame::render::LaserScan;
use planner_tuner_simulation::costmap::{
    Costmap, CostmapSettings, Inflation, InflationSettings, LaserMount, Unknown, Window,
};
use planner_tuner_simulation::grid::GridGeometry;
use serde::Deserialize;

use crate::golden::{GridRuns, cases, footprint};
use crate::trajectory_planner::pose;

#[derive(Deserialize)]
struct InflationCase {
    id: String,
    resolution: f64,
    inflation_radius: f64,
    cost_scaling_factor: f64,
    inflate_unknown: bool,
    footprint_padded: Vec<[f64; 2]>,
    inscribed_radius: f64,
    circumscribed_radius: f64,
    cell_inflation_radius: usize,
    window: [usize; 4],
    grid_in: GridRuns<usize>,
    grid_out: GridRuns<usize>,
}

#[test]
fn inflation_of_the_fixture() {
    let mut count = 0;
    for case in cases::<InflationCase>("inflation.json") {
        let footprint = footprint(&case.footprint_padded);
        assert_eq!(footprint.inscribed_radius(), case.inscribed_radius, "{}", case.id);
        assert_eq!(footprint.circumscribed_radius(), case.circumscribed_radius, "{}", case.id);
        let settings = InflationSettings {
            radius: case.inflation_radius,
            cost_scaling: case.cost_scaling_factor,
            inflates_unknown: case.inflate_unknown,
        };
        let mut inflation = Inflation::new(settings, footprint.inscribed_radius(), case.resolution);
        assert_eq!(inflation.reach(), case.cell_inflation_radius, "{}", case.id);
        // Twice, since the scratch is used again.
        for _ in 0..2 {
            let mut grid = case.grid_in.costs();
            let [x0, y0, x1, y1] = case.window;
            inflation.inflate(&mut grid, [x0, x1], [y0, y1]);
            assert_eq!(grid, case.grid_out.costs(), "{}", case.id);
        }
        count += 1;
    }
    println!("{count} inflated grids are equal");
}

#[derive(Deserialize)]
pub struct Scanner {
    angle_min: f32,
    angle_increment: f32,
    range_min: f32,
    range_max: f32,
}

impl Scanner {
    pub fn scan(&self, ranges: Vec<f32>) -> LaserScan {
        let Self { angle_min, angle_increment, range_min, range_max } = *self;
        LaserScan { angle_min, angle_increment, range_min, range_max, ranges }
    }
}

/// A range; what is no number in JSON is a word.
#[derive(Deserialize)]
#[serde(untagged)]
enum Range {
    Number(f32),
    Word(String),
}

#[derive(Deserialize)]
struct Step {
    pose: [f64; 3],
    ranges: Vec<Range>,
    points_xy: Vec<[f32; 2]>,
    points_z: f32,
    sensor_origin: [f64; 3],
    layer: GridRuns<usize>,
    master: GridRuns<usize>,
    update_window: [usize; 4],
}

#[derive(Deserialize)]
struct ObstacleCase {
    id: String,
    rolling_window: bool,
    track_unknown_space: bool,
    inf_is_valid: bool,
    obstacle_range: f64,
    raytrace_range: f64,
    footprint_clearing_enabled: bool,
    footprint_padded: Vec<[f64; 2]>,
    inflation_radius: f64,
    cost_scaling_factor: f64,
    initial_origin: [f64; 2],
    size: [usize; 2],
    resolution: f64,
    scan: Scanner,
    laser_in_base: [f64; 3],
    steps: Vec<Step>,
}

#[test]
fn scans_marked_and_cleared_of_the_fixture() {
    let mut scans = 0;
    for case in cases::<ObstacleCase>("obstacle_layer.json") {
        let settings = CostmapSettings {
            geometry: GridGeometry {
                width: case.size[0],
                height: case.size[1],
                resolution: case.resolution,
                origin_x: case.initial_origin[0],
                origin_y: case.initial_origin[1],
            },
            window: if case.rolling_window { Window::Rolling } else { Window::Fixed },
            unknown: if case.track_unknown_space { Unknown::IsKept } else { Unknown::IsFree },
            obstacle_range: case.obstacle_range,
            raytrace_range: case.raytrace_range,
            inf_is_valid: case.inf_is_valid,
            clears_footprint: case.footprint_clearing_enabled,
            inflation: InflationSettings {
                radius: case.inflation_radius,
                cost_scaling: case.cost_scaling_factor,
                inflates_unknown: false,
            },
        };
        let [ahead, _, height] = case.laser_in_base;
        let mut costmap = Costmap::new(settings, footprint(&case.footprint_padded), LaserMount { ahead, height });
        for (number, step) in case.steps.into_iter().enumerate() {
            let at = format!("{} step {number}", case.id);
            let ranges = step.ranges.into_iter().map(|range| match range {
                Range::Number(range) => range,
                Range::Word(word) => word.parse().unwrap(),
            });
            costmap.see(&case.scan.scan(ranges.collect()), pose(step.pose));
            let seen = costmap.seen().unwrap();
            assert_eq!((seen.points(), seen.height()), (&step.points_xy[..], step.points_z), "{at}: points");
            assert_eq!(seen.sensor(), step.sensor_origin, "{at}: the laser's place");
            costmap.update(pose(step.pose));
            let [[x0, xn], [y0, yn]] = costmap.updated();
            assert_eq!([x0, xn, y0, yn], step.update_window, "{at}: window");
            assert_eq!(costmap.obstacles(), &step.layer.costs(), "{at}: obstacles");
            assert_eq!(costmap.grid(), &step.master.costs(), "{at}: costs");
            scans += 1;
        }
    }
    println!("{scans} scans are equal");
}
