//! How long a cycle of the local planner takes, on the costmaps of the golden files. Prints; says nothing about right or wrong.

use std::time::Instant;

use planner_tuner_core::pose::{Pose, Position};
use planner_tuner_simulation::footprint::Footprint;
use planner_tuner_simulation::grid::CostGrid;
use planner_tuner_simulation::trajectory_planner::{LocalPlanner, PlanPose, Settings, Start, TunedParameters};
use planner_tuner_simulation::velocity::Velocity;
use serde::Deserialize;

use crate::golden::{GridRuns, cases};

#[derive(Deserialize)]
struct Segment {
    cycle: usize,
    plan: Vec<[f64; 2]>,
    costmap: GridRuns<usize>,
}

#[derive(Deserialize)]
struct Cycle {
    pose: [f64; 3],
    velocity: [f64; 2],
}

#[derive(Deserialize)]
struct SequenceCase {
    scenario: String,
    segments: Vec<Segment>,
    cycles: Vec<Cycle>,
}

/// What a cycle is given.
struct Given {
    grid: CostGrid,
    plan: Vec<PlanPose>,
    start: Start,
}

impl SequenceCase {
    fn given(&self) -> Vec<Given> {
        let cycles = self.cycles.iter().enumerate();
        cycles
            .map(|(number, Cycle { pose: [x, y, yaw], velocity: [linear, angular] })| {
                let segment = self.segments.iter().rfind(|segment| segment.cycle <= number).unwrap();
                Given {
                    grid: segment.costmap.costs(),
                    plan: segment.plan.iter().map(|[x, y]| PlanPose { x: *x, y: *y, yaw: 0.0 }).collect(),
                    start: Start {
                        pose: Pose { position: Position { x: *x, y: *y }, yaw: *yaw },
                        velocity: Velocity { linear: *linear, angular: *angular },
                    },
                }
            })
            .collect()
    }
}

#[test]
#[ignore = "prints times"]
fn times_of_a_cycle() {
    for (vx_samples, vtheta_samples, max_vel_x) in [(6, 20, 0.5), (6, 20, 2.0), (12, 40, 2.0)] {
        let tuned = TunedParameters { vx_samples, vtheta_samples, max_vel_x, ..TunedParameters::default() };
        let (mut all_s, mut all_cycles, mut all_steps) = (0.0, 0, 0);
        for case in cases::<SequenceCase>("sequences.json") {
            let given = case.given();
            let mut best = f64::MAX;
            let mut steps = 0;
            for _ in 0..5 {
                steps = 0;
                let mut planner = LocalPlanner::new(Settings { tuned, ..Settings::default() }, Footprint::jackal());
                let begun = Instant::now();
                for Given { grid, plan, start } in &given {
                    planner.set_plan(plan);
                    planner.next_command(grid, *start, |rollout| steps += rollout.steps);
                }
                best = best.min(begun.elapsed().as_secs_f64());
            }
            (all_s, all_cycles, all_steps) = (all_s + best, all_cycles + given.len(), all_steps + steps);
            println!(
                "{vx_samples} x {vtheta_samples}, up to {max_vel_x} m/s, {:14}: {:6.1} us a cycle, {:6} steps, {:5.1} ns a step",
                case.scenario,
                1e6 * best / given.len() as f64,
                steps / given.len(),
                1e9 * best / steps as f64,
            );
        }
        let (cycle_us, steps) = (1e6 * all_s / all_cycles as f64, all_steps / all_cycles);
        println!("{vx_samples} x {vtheta_samples}, up to {max_vel_x} m/s: {cycle_us:.1} us a cycle, {steps} steps\n");
    }
}
