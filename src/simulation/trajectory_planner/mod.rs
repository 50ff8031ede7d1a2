//! The local planner, as `base_local_planner`'s `TrajectoryPlannerROS` is: velocities are sampled, their arcs scored, one is
//! chosen.
//!
//! | file | what it is | in ros-planning/navigation, noetic-devel |
//! | --- | --- | --- |
//! | `settings` | the tuned parameters and the fixed ones | `BaseLocalPlanner.cfg`, the original's yaml files |
//! | `map_grid` | steps from every cell to the path, or to its end | map_grid.cpp |
//! | `outline` | what the robot's outline would touch | costmap_model.cpp, footprint_helper.cpp |
//! | `reach`, `edge_table` | the same, found sooner | |
//! | `rollout` | one sample driven forward and scored | `TrajectoryPlanner::generateTrajectory` |
//! | `search` | all samples, and the choice among them | `createTrajectories`, `findBestPath` |
//! | `memory` | what is remembered from one cycle to the next | the members `stuck_left` to `escape_theta_` |
//! | `plan` | the part of the global plan that counts | goal_functions.cpp |
//! | `local_planner` | the robot's side: goal, stopping, turning to the goal's heading | trajectory_planner_ros.cpp |
//!
//! Numbers are equal to the original's, bit for bit (`test/simulation`): floating point is written in its order, and poses
//! and velocities are rounded to f32 where it does so.

mod edge_table;
mod local_planner;
mod map_grid;
mod memory;
mod outline;
mod plan;
mod reach;
mod rollout;
mod search;
mod settings;

pub use local_planner::{LocalPlanner, Outcome};
pub use map_grid::{Distance, MapGrid};
pub use memory::{Escape, Memory, Oscillation};
pub(crate) use outline::outline_is_free;
pub use outline::robot_cells;
pub use plan::PlanPose;
pub use rollout::{Rejection, Rollout};
pub use search::{Choice, Start, TrajectoryPlanner};
pub use settings::{AccelerationLimits, Settings, TunedParameters};
