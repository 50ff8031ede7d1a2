//! What `planner_tuner` says when nothing is asked of it.

use std::io::Write as _;
use std::process::ExitCode;

const WORDS: &str = "\
planner_tuner re-tunes a classical local planner by looking at the scene: costmap image in, planner parameters out.

  see it decide      planner_tuner replay --demo              an invented drive, a small model (in a clone)
  see it drive       planner_tuner drive --demo               a simulated Jackal, tuned by the same model
  your recording     planner_tuner replay bag/ --base MODEL --checkpoint DIR --policy POLICY --html drive.html
  your policies      planner_tuner evaluate --policy default --policy fixed:max_vel_x=1.2 --html comparison.html
  train one          planner_tuner train logs/ --checkpoint DIR --policy POLICY -o run/
  what a file is     planner_tuner inspect PATH               a checkpoint, a policy, logs
  your robot         planner_tuner doctor, then planner_tuner_node in ROS 2
  everything else    planner_tuner --help, planner_tuner COMMAND --help
";

/// Whether the program was called without an argument.
pub fn is_due() -> bool {
    std::env::args_os().nth(1).is_none()
}

/// Says it. Nothing was done, so that a script whose command is empty notices.
pub fn greet() -> ExitCode {
    // Nobody is left to be told.
    std::io::stderr().lock().write_all(WORDS.as_bytes()).ok();
    ExitCode::from(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ten_lines() {
        assert_eq!(WORDS.lines().count(), 10);
        assert!(WORDS.lines().all(|line| line.len() <= 120));
    }
}
