//! Map grids, single choices and sequences of cycles, equal to the last bit.

use std::collections::BTreeMap;

use planner_tuner_core::pose::{Pose, Position};
use planner_tuner_simulation::grid::CostGrid;
use planner_tuner_simulation::trajectory_planner::{
    AccelerationLimits, Escape, LocalPlanner, MapGrid, Memory, Oscillation, PlanPose, Rejection, Rollout, Settings,
    Start, TrajectoryPlanner, TunedParameters, robot_cells,
};
use planner_tuner_simulation::velocity::Velocity;
use serde::Deserialize;

use crate::golden::{GridRuns, cases, footprint};

pub fn pose([x, y, yaw]: [f64; 3]) -> Pose {
    Pose { position: Position { x, y }, yaw }
}

fn plan(points: &[[f64; 2]]) -> Vec<PlanPose> {
    points.iter().map(|[x, y]| PlanPose { x: *x, y: *y, yaw: 0.0 }).collect()
}

#[derive(Deserialize)]
struct MapGridCase {
    id: String,
    costmap: GridRuns<usize>,
    plan: Vec<[f64; 2]>,
    robot_footprint_marked: bool,
    pose: [f64; 3],
    footprint_padded: Vec<[f64; 2]>,
    obstacle_cost: u32,
    unreachable_cost: u32,
    within_robot: Vec<usize>,
    path_distance: Vec<u32>,
    goal_distance: Vec<u32>,
    local_goal: [f64; 2],
}

#[test]
fn map_grids_of_the_fixture() {
    for case in cases::<MapGridCase>("map_grids.json") {
        let grid = case.costmap.costs();
        let mut cells = Vec::new();
        if case.robot_footprint_marked {
            robot_cells(&grid, &footprint(&case.footprint_padded), pose(case.pose), &mut cells);
        }
        let mut covered = vec![0; grid.costs().len()];
        cells.iter().for_each(|index| covered[*index] = 1);
        let expected: Vec<usize> =
            case.within_robot.chunks_exact(2).flat_map(|run| std::iter::repeat_n(run[0], run[1])).collect();
        assert_eq!(covered, expected, "{}: cells under the robot", case.id);

        let (mut path, mut goal) = (MapGrid::default(), MapGrid::default());
        path.measure_to_path(&grid, &plan(&case.plan), &cells);
        let end = goal.measure_to_goal(&grid, &plan(&case.plan));
        assert!(path.distances().eq(case.path_distance), "{}: path", case.id);
        assert!(goal.distances().eq(case.goal_distance), "{}: goal", case.id);
        assert_eq!(end.map(|cell| grid.geometry().centre(cell)), Some(case.local_goal), "{}", case.id);
        assert_eq!((path.obstacle_distance(), path.unreached_distance()), (case.obstacle_cost, case.unreachable_cost));
    }
}

#[derive(Deserialize)]
pub struct Parameters {
    acc_lim_x: f64,
    acc_lim_theta: f64,
    max_vel_x: f64,
    min_vel_x: f64,
    max_vel_theta: f64,
    min_vel_theta: f64,
    min_in_place_vel_theta: f64,
    sim_time: f64,
    sim_granularity: f64,
    angular_sim_granularity: f64,
    path_distance_bias: f64,
    goal_distance_bias: f64,
    occdist_scale: f64,
    oscillation_reset_dist: f64,
    escape_reset_dist: f64,
    escape_reset_theta: f64,
    heading_lookahead: f64,
    escape_vel: f64,
    sim_period: f64,
    vx_samples: u32,
    vtheta_samples: u32,
    holonomic_robot: u8,
    meter_scoring: u8,
}

impl Parameters {
    fn settings(&self) -> Settings {
        Settings {
            tuned: TunedParameters {
                max_vel_x: self.max_vel_x,
                max_vel_theta: self.max_vel_theta,
                vx_samples: self.vx_samples,
                vtheta_samples: self.vtheta_samples,
                path_distance_bias: self.path_distance_bias,
                goal_distance_bias: self.goal_distance_bias,
            },
            acceleration: AccelerationLimits { linear: self.acc_lim_x, angular: self.acc_lim_theta },
            min_vel_x: self.min_vel_x,
            min_vel_theta: self.min_vel_theta,
            min_in_place_vel_theta: self.min_in_place_vel_theta,
            sim_time: self.sim_time,
            sim_granularity: self.sim_granularity,
            angular_sim_granularity: self.angular_sim_granularity,
            sim_period: self.sim_period,
            occdist_scale: self.occdist_scale,
            heading_lookahead: self.heading_lookahead,
            oscillation_reset_dist: self.oscillation_reset_dist,
            escape_reset_dist: self.escape_reset_dist,
            escape_reset_theta: self.escape_reset_theta,
            escape_vel: self.escape_vel,
            meter_scoring: self.meter_scoring != 0,
        }
    }
}

#[derive(Deserialize, Debug, PartialEq)]
struct State {
    stuck_left: u8,
    stuck_right: u8,
    rotating_left: u8,
    rotating_right: u8,
    escaping: u8,
    prev_x: f64,
    prev_y: f64,
    escape_x: f64,
    escape_y: f64,
    escape_theta: f64,
}

impl State {
    fn of(Memory { oscillation, escape }: &Memory) -> Self {
        Self {
            stuck_left: oscillation.stuck_left.into(),
            stuck_right: oscillation.stuck_right.into(),
            rotating_left: oscillation.rotating_left.into(),
            rotating_right: oscillation.rotating_right.into(),
            escaping: escape.escaping.into(),
            prev_x: oscillation.turned_at[0],
            prev_y: oscillation.turned_at[1],
            escape_x: escape.from[0],
            escape_y: escape.from[1],
            escape_theta: escape.heading,
        }
    }

    fn memory(&self) -> Memory {
        Memory {
            oscillation: Oscillation {
                stuck_left: self.stuck_left != 0,
                stuck_right: self.stuck_right != 0,
                rotating_left: self.rotating_left != 0,
                rotating_right: self.rotating_right != 0,
                turned_at: [self.prev_x, self.prev_y],
            },
            escape: Escape {
                escaping: self.escaping != 0,
                from: [self.escape_x, self.escape_y],
                heading: self.escape_theta,
            },
        }
    }
}

#[derive(Deserialize)]
struct Best {
    v: f64,
    w: f64,
    cost: f64,
    n_points: usize,
    end: Option<[f64; 3]>,
}

#[derive(Deserialize)]
struct Command {
    v: f64,
    w: f64,
}

#[derive(Deserialize)]
struct TrajectoryCase {
    id: String,
    footprint_padded: Vec<[f64; 2]>,
    params: Parameters,
    costmap: GridRuns<usize>,
    plan: Vec<[f64; 2]>,
    pose: [f64; 3],
    velocity: [f64; 2],
    pose_f32: [f64; 3],
    velocity_f32: [f64; 3],
    state_in: State,
    best: Best,
    command: Command,
    state_out: State,
    candidates: Vec<Vec<f64>>,
}

/// The golden files' number of a reason.
fn reason(rollout: &Rollout) -> f64 {
    match rollout.rejection {
        None => 0.0,
        Some(Rejection::CentreOffMap) => 1.0,
        Some(Rejection::Obstacle) => 2.0,
        Some(Rejection::Unknown) => 3.0,
        Some(Rejection::FootprintOffMap) => 4.0,
        Some(Rejection::NoWay) => 5.0,
    }
}

#[test]
fn every_candidate_and_the_choice_of_the_fixture() {
    let (mut tried, mut holonomic) = (0, 0);
    for case in cases::<TrajectoryCase>("trajectories.json") {
        if case.params.holonomic_robot != 0 {
            holonomic += 1;
            continue;
        }
        let start =
            Start { pose: pose(case.pose), velocity: Velocity { linear: case.velocity[0], angular: case.velocity[1] } };
        let rounded = start.rounded();
        assert_eq!(rounded.pose, pose(case.pose_f32), "{}", case.id);
        assert_eq!([rounded.velocity.linear, rounded.velocity.angular], [case.velocity_f32[0], case.velocity_f32[2]]);

        let mut planner = TrajectoryPlanner::new(case.params.settings(), footprint(&case.footprint_padded));
        planner.remember(case.state_in.memory());
        let mut candidates: Vec<Vec<f64>> = Vec::new();
        let choice = planner.choose(&case.costmap.costs(), &plan(&case.plan), start, |rollout| {
            let Rollout { velocity: Velocity { linear, angular }, cost, steps, .. } = *rollout;
            candidates.push(vec![linear, angular, cost, steps as f64, reason(rollout)]);
        });
        for (number, (found, expected)) in candidates.iter().zip(&case.candidates).enumerate() {
            assert_eq!(found, expected, "{}: candidate {number}", case.id);
        }
        assert_eq!(candidates.len(), case.candidates.len(), "{}: number of candidates", case.id);
        tried += candidates.len();

        let Rollout { velocity, cost, steps, end, .. } = choice.best;
        let Best { v, w, cost: expected_cost, n_points, end: expected_end } = case.best;
        assert_eq!(
            (velocity.linear, velocity.angular, cost, steps),
            (v, w, expected_cost, n_points),
            "{}: best",
            case.id
        );
        if let Some(expected) = expected_end.filter(|_| n_points > 0) {
            assert_eq!(end, pose(expected), "{}: end of the best", case.id);
        }
        assert_eq!((choice.command.linear, choice.command.angular), (case.command.v, case.command.w), "{}", case.id);
        assert_eq!(State::of(planner.memory()), case.state_out, "{}: memory", case.id);
    }
    println!("{tried} candidates are equal; {holonomic} cases of a holonomic robot left out");
    assert!(tried > 0);
}

#[derive(Deserialize)]
struct Segment {
    cycle: usize,
    plan: Vec<[f64; 2]>,
    params: Parameters,
    costmap: GridRuns<usize>,
}

#[derive(Deserialize)]
struct Cycle {
    pose: [f64; 3],
    velocity: [f64; 2],
    plan_left: usize,
    best: [f64; 3],
    command: [f64; 2],
    candidates: usize,
    valid: usize,
    sum_cost: f64,
    sum_v: f64,
    sum_w: f64,
    flags: [u8; 5],
    prev: [f64; 2],
    escape: [f64; 3],
}

#[derive(Deserialize)]
struct SequenceCase {
    id: String,
    footprint_padded: Vec<[f64; 2]>,
    segments: Vec<Segment>,
    cycles: Vec<Cycle>,
}

/// What a cycle's samples come to.
#[derive(Debug, Default, PartialEq)]
pub struct Sums {
    pub candidates: usize,
    pub valid: usize,
    pub cost: f64,
    pub v: f64,
    pub w: f64,
}

impl Sums {
    pub fn add(&mut self, rollout: &Rollout) {
        self.candidates += 1;
        if rollout.is_legal() {
            self.valid += 1;
            self.cost += rollout.cost;
        }
        self.v += rollout.velocity.linear;
        self.w += rollout.velocity.angular;
    }
}

pub fn flags(memory: &Memory) -> [u8; 5] {
    let Memory { oscillation: Oscillation { stuck_left, stuck_right, rotating_left, rotating_right, .. }, escape } =
        memory;
    [*stuck_left, *stuck_right, *rotating_left, *rotating_right, escape.escaping].map(u8::from)
}

#[test]
fn sequences_of_cycles_of_the_fixture() {
    let mut cycles = 0;
    for case in cases::<SequenceCase>("sequences.json") {
        let segments: BTreeMap<usize, &Segment> =
            case.segments.iter().map(|segment| (segment.cycle, segment)).collect();
        let mut grid: Option<CostGrid> = None;
        let mut planner = LocalPlanner::new(Settings::default(), footprint(&case.footprint_padded));
        for (number, cycle) in case.cycles.iter().enumerate() {
            if let Some(segment) = segments.get(&number) {
                // All settings change with a segment; what is remembered stays.
                planner = planner.with_settings(segment.params.settings());
                planner.set_plan(&plan(&segment.plan));
                grid = Some(segment.costmap.costs());
            }
            let start = Start {
                pose: pose(cycle.pose),
                velocity: Velocity { linear: cycle.velocity[0], angular: cycle.velocity[1] },
            };
            let mut sums = Sums::default();
            let outcome = planner.next_command(grid.as_ref().unwrap(), start, |rollout| sums.add(rollout));
            let at = format!("{} cycle {number}", case.id);
            let expected = Sums {
                candidates: cycle.candidates,
                valid: cycle.valid,
                cost: cycle.sum_cost,
                v: cycle.sum_v,
                w: cycle.sum_w,
            };
            assert_eq!(sums, expected, "{at}");
            assert_eq!(planner.rest_of_plan().len(), cycle.plan_left, "{at}");
            assert_eq!(flags(planner.memory()), cycle.flags, "{at}");
            let Memory { oscillation, escape } = planner.memory();
            assert_eq!(oscillation.turned_at, cycle.prev, "{at}");
            assert_eq!([escape.from[0], escape.from[1], escape.heading], cycle.escape, "{at}");
            let command = outcome.command().unwrap_or(Velocity::ZERO);
            assert_eq!([command.linear, command.angular], cycle.command, "{at}");
            assert_eq!(outcome.command().is_some(), cycle.best[2] >= 0.0, "{at}");
            cycles += 1;
        }
    }
    println!("{cycles} cycles are equal");
    assert!(cycles > 0);
}
