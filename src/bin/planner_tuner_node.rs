//! The ROS 2 node; see `config/*.yaml` for its parameters.
//!
//! What knows ROS belongs to this binary, not to the library: editing it rebuilds nothing else.

#![cfg_attr(feature = "doc-only", expect(dead_code, reason = "what r2r's frozen message set lacks is left out"))]

use std::io::Write as _;

#[path = "../ros/mod.rs"]
mod ros;

fn main() -> std::process::ExitCode {
    vlm_planner_tuner::thread_count::settle();
    if let Err(error) = vlm_planner_tuner::vectors::settle() {
        // There is no log yet.
        writeln!(std::io::stderr(), "planner_tuner_node: {error}").ok();
        return std::process::ExitCode::from(2);
    }
    ros::main()
}
