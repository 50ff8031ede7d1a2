//! A Jackal in a world of cylinders, driven by the navigation stack of the original: ROS 1's `move_base` with navfn and
//! `TrajectoryPlannerROS`, whose seven parameters are all live.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`world`] | cylinders, a start and a goal: BARN's worlds, and new ones |
//! | [`robot`], [`contact`] | how it moves, and when it touches something |
//! | [`laser`] | what it sees |
//! | [`grid`], [`footprint`] | cells with a cost; the robot's outline as the planner sees it |
//! | [`velocity`], [`angle`] | what moves, and how the original passes angles on |
//! | [`costmap`] | what the laser saw, marked, cleared and inflated: `costmap_2d` |
//! | [`navfn`] | the global plan through a costmap |
//! | [`trajectory_planner`] | the local planner: samples velocities, scores their arcs, chooses one |
//! | [`move_base`] | puts planners and costmaps together |
//! | [`drive`], [`score`] | the loop: a tuner decides, the robot drives; what that was worth |
//! | [`comparison`] | what many drives say about a policy |
//! | [`search`] | numbers that drive well, found by driving |
//!
//! Nothing here knows ROS, tensors, a command line or a clock: time is a number that the caller moves. The same seed gives
//! the same bytes.

pub mod angle;
pub mod comparison;
pub mod contact;
pub mod costmap;
pub mod drive;
pub mod footprint;
pub mod grid;
pub mod laser;
pub mod move_base;
pub mod navfn;
mod polygon;
pub mod robot;
pub mod score;
pub mod search;
pub mod trajectory_planner;
pub mod velocity;
pub mod world;
