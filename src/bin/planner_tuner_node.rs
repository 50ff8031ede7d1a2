//! The ROS 2 node; see `config/*.yaml` for its parameters.
//!
//! What knows ROS belongs to this binary, not to the library: editing it builds nothing else anew.

#[path = "../ros/mod.rs"]
mod ros;

fn main() -> std::process::ExitCode {
    ros::main()
}
