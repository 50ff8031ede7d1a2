//! The node over DDS, against rclpy peers; README.md says which fault is shown where.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod faults;
mod first_users;
mod harness;
mod load;
mod nav2_real;
mod operator;
mod planner;
mod render;
mod road;
#[path = "../support/mod.rs"]
mod support;
mod survey;
