//! The simulated navigation stack against numbers of the original's own classes (`test/fixtures/dwa`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::approx_constant)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod costmap;
mod drive;
mod golden;
mod navfn;
mod stack;
mod trajectory_planner;
mod trajectory_planner_times;
mod world;
