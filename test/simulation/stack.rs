//! Both costmaps, navfn and the local planner together, in a closed loop: equal in every cycle.

use planner_tuner_simulation::costmap::{Costmap, CostmapSettings, LaserMount};
use planner_tuner_simulation::grid::CostGrid;
use planner_tuner_simulation::navfn::Navfn;
use planner_tuner_simulation::trajectory_planner::{LocalPlanner, Settings, Start, TunedParameters};
use planner_tuner_simulation::velocity::Velocity;
use serde::Deserialize;

use crate::costmap::Scanner;
use crate::golden::{GridRuns, cases, footprint};
use crate::trajectory_planner::{Sums, flags, pose};

#[derive(Deserialize)]
struct Segment {
    cycle: usize,
    max_vel_x: f64,
    max_vel_theta: f64,
    vx_samples: u32,
    vtheta_samples: u32,
    path_distance_bias: f64,
    goal_distance_bias: f64,
    inflation_radius: f64,
}

#[derive(Deserialize)]
struct Cycle {
    pose: [f64; 3],
    velocity: [f64; 2],
    ranges_mm: Vec<f64>,
    update_local: bool,
    update_global: bool,
    clear_costmaps: bool,
    plan_size: usize,
    plan_sum: [f64; 2],
    ok: bool,
    command: [f64; 2],
    goal_reached: bool,
    rotating_to_goal: bool,
    flags: [u8; 5],
    plan_left: usize,
    candidates: usize,
    valid: usize,
    sum_cost: f64,
    sum_v: f64,
    sum_w: f64,
    local_origin: [f64; 2],
    local_sums: [u64; 2],
    global_sums: [u64; 2],
    local_costmap: Option<GridRuns<usize>>,
    plan: Option<Vec<[f64; 2]>>,
}

#[derive(Deserialize)]
struct StackCase {
    id: String,
    goal: [f64; 3],
    meter_scoring: bool,
    laser_in_base: [f64; 3],
    footprint_padded: Vec<[f64; 2]>,
    scan: Scanner,
    segments: Vec<Segment>,
    cycles: Vec<Cycle>,
}

/// The sum of all costs, and the same with weights that tell cells apart.
fn sums(grid: &CostGrid) -> [u64; 2] {
    let costs = || grid.costs().iter().map(|cost| u64::from(*cost));
    let weighted: u64 = costs().enumerate().map(|(index, cost)| (index as u64 + 1) * cost).sum();
    [costs().sum(), weighted % (1 << 32)]
}

#[test]
fn the_whole_stack_of_the_fixture() {
    let mut cycles = 0;
    for case in cases::<StackCase>("stack.json") {
        let footprint = footprint(&case.footprint_padded);
        let [ahead, _, height] = case.laser_in_base;
        let mount = LaserMount { ahead, height };
        let mut local = Costmap::new(CostmapSettings::local(), footprint.clone(), mount);
        let mut global = Costmap::new(CostmapSettings::global(), footprint.clone(), mount);
        let mut navfn = Navfn::default();
        let settings = Settings { meter_scoring: case.meter_scoring, ..Settings::default() };
        let mut planner = LocalPlanner::new(settings, footprint);
        let mut plan = Vec::new();
        for (number, cycle) in case.cycles.iter().enumerate() {
            let at = format!("{} cycle {number}", case.id);
            if let Some(segment) = case.segments.iter().find(|segment| segment.cycle == number) {
                planner.tune(TunedParameters {
                    max_vel_x: segment.max_vel_x,
                    max_vel_theta: segment.max_vel_theta,
                    vx_samples: segment.vx_samples,
                    vtheta_samples: segment.vtheta_samples,
                    path_distance_bias: segment.path_distance_bias,
                    goal_distance_bias: segment.goal_distance_bias,
                });
                local.set_inflation_radius(segment.inflation_radius);
                global.set_inflation_radius(segment.inflation_radius);
            }
            if cycle.clear_costmaps {
                local.clear();
                global.clear();
            }
            let robot = pose(cycle.pose);
            let ranges = cycle
                .ranges_mm
                .iter()
                .map(|range| if *range == 0.0 { f32::INFINITY } else { (*range / 1000.0) as f32 });
            let scan = case.scan.scan(ranges.collect());
            for (costmap, is_due) in [(&mut local, cycle.update_local), (&mut global, cycle.update_global)] {
                costmap.see(&scan, robot);
                if is_due {
                    costmap.update(robot);
                }
            }
            navfn.plan(global.grid_mut(), robot.position, pose(case.goal), &mut plan).unwrap();
            assert_eq!(plan.len(), cycle.plan_size, "{at}: poses of the plan");
            let sum = plan.iter().fold([0.0, 0.0], |[x, y], pose| [x + pose.x, y + pose.y]);
            assert_eq!(sum, cycle.plan_sum, "{at}: plan");
            if let Some(expected) = &cycle.plan {
                let plan: Vec<[f64; 2]> = plan.iter().map(|pose| [pose.x, pose.y]).collect();
                assert_eq!(&plan, expected, "{at}: plan");
            }
            let geometry = local.grid().geometry();
            assert_eq!([geometry.origin_x, geometry.origin_y], cycle.local_origin, "{at}: local costmap");
            assert_eq!(sums(local.grid()), cycle.local_sums, "{at}: local costmap");
            assert_eq!(sums(global.grid()), cycle.global_sums, "{at}: global costmap");
            if let Some(expected) = &cycle.local_costmap {
                assert_eq!(local.grid(), &expected.costs(), "{at}: local costmap");
            }

            planner.set_plan(&plan);
            let start =
                Start { pose: robot, velocity: Velocity { linear: cycle.velocity[0], angular: cycle.velocity[1] } };
            let mut found = Sums::default();
            let outcome = planner.next_command(local.grid(), start, |rollout| found.add(rollout));
            assert_eq!(outcome.command().is_some(), cycle.ok, "{at}: {outcome:?}");
            let command = outcome.command().unwrap_or(Velocity::ZERO);
            assert_eq!([command.linear, command.angular], cycle.command, "{at}: {outcome:?}");
            assert_eq!(planner.has_reached_goal(), cycle.goal_reached, "{at}");
            assert_eq!(planner.is_turning_at_goal(), cycle.rotating_to_goal, "{at}");
            assert_eq!(flags(planner.memory()), cycle.flags, "{at}");
            assert_eq!(planner.rest_of_plan().len(), cycle.plan_left, "{at}");
            let expected = Sums {
                candidates: cycle.candidates,
                valid: cycle.valid,
                cost: cycle.sum_cost,
                v: cycle.sum_v,
                w: cycle.sum_w,
            };
            assert_eq!(found, expected, "{at}");
            cycles += 1;
        }
    }
    println!("{cycles} cycles of the whole stack are equal");
}
