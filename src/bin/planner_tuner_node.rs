//! The ROS 2 node.

fn main() -> std::process::ExitCode {
    let _ = r2r::Context::create();
    std::process::ExitCode::SUCCESS
}
