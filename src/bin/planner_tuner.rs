//! The command line of the package; see `planner_tuner --help`.

fn main() -> std::process::ExitCode {
    vlm_planner_tuner::thread_count::settle();
    vlm_planner_tuner::cli::main()
}
