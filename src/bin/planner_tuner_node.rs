//! The ROS 2 node; see `config/*.yaml` for its parameters.

fn main() -> std::process::ExitCode {
    vlm_planner_tuner::ros::main()
}
