//! `planner_tuner train` as a user meets it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
fn main() {}
