//! `planner_tuner bank`: from logged decisions to controllers for Nav2.

use std::process::{Command, Output};

use vlm_planner_tuner::nav2::Mapping;
use vlm_planner_tuner::planner::PlannerSpec;

use crate::support;

fn planner_tuner(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_planner_tuner")).args(args).output().unwrap()
}

#[test]
fn a_drives_decisions_become_controllers_with_a_report_of_what_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (logs, bank) = (path("logs"), path("nav2_bank.yaml"));
    support::expect(
        0,
        &planner_tuner(&["replay", "--demo", "--exploration", "0.5", "--log", &logs, "--plot", &path("p.png")]),
    );
    let made = planner_tuner(&["bank", &logs, "--size", "5", "-o", &bank]);
    support::expect(0, &made);
    let report = String::from_utf8(made.stdout).unwrap();
    for name in
        ["max_vel_x", "max_vel_theta", "vx_samples", "vtheta_samples", "path_distance_bias", "goal_distance_bias"]
    {
        assert!(report.contains(name), "{report}");
    }
    let planner = PlannerSpec::builtin("dwa").unwrap();
    let mapping = Mapping::from_yaml(&std::fs::read_to_string(&bank).unwrap(), &bank, &planner).unwrap();
    let controllers = mapping.bank().unwrap().controllers();
    assert_eq!(controllers.len(), 5);
    let safe = planner.parameters().iter().find(|parameter| parameter.name() == "max_vel_x").unwrap().safe_default();
    assert_eq!(controllers[0].values().find(|(name, _)| *name == "max_vel_x"), Some(("max_vel_x", safe)));
    let nav2: serde_yaml::Value =
        serde_yaml::from_str(&std::fs::read_to_string(path("nav2_bank_params.yaml")).unwrap()).unwrap();
    let plugins = nav2["controller_server"]["ros__parameters"]["controller_plugins"].as_sequence().unwrap();
    assert_eq!(plugins.len(), 5);
    // The same logs make the same files.
    let again = path("again.yaml");
    support::expect(0, &planner_tuner(&["bank", &logs, "--size", "5", "-o", &again]));
    assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&bank).unwrap());
}

#[test]
fn what_makes_no_bank_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir(path("empty")).unwrap();
    let bank = path("bank.yaml");
    let refusal = |code: i32, args: &[&str]| {
        let talk = support::expect(code, &planner_tuner(&[&["bank"], args].concat()));
        assert!(!folder.path().join("bank.yaml").exists(), "{talk}");
        talk
    };
    assert!(refusal(1, &[&path("empty"), "-o", &bank]).contains("empty"));
    assert!(refusal(1, &[&path("nowhere"), "-o", &bank]).contains("nowhere"));
    assert!(refusal(2, &[&path("empty"), "--size", "1", "-o", &bank]).contains("--size"));
    assert!(
        refusal(1, &[&path("empty"), "--planner", "teb", "-o", &bank]).contains("--planner teb: a bank is made of DWB")
    );
}
