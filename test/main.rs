//! All tests that need no ROS, in one binary: what takes long is linking. A process of its own has only what counts
//! allocations (`render_allocations`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::approx_constant)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod cli;
#[path = "generate/drive/mod.rs"]
mod drive;
mod files;
mod house;
mod log;
mod model;
mod planner;
mod recording;
mod support;
mod td3;
