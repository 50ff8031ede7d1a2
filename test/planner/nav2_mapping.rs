//! The shipped mappings, and what is said about broken ones.

use std::time::Duration;

use vlm_planner_tuner::nav2::{Mapping, MappingKind, RosValue, SpeedLimit, plan, plan_under};
use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::planner::guard::Moment;

fn planner(name: &str) -> PlannerSpec {
    PlannerSpec::builtin(name).unwrap()
}

fn refused(text: &str) -> String {
    Mapping::from_yaml(text, "my.yaml", &planner("dwa")).unwrap_err().to_string()
}

/// The shipped DWB mapping with a piece replaced.
fn dwb_with(from: &str, to: &str) -> String {
    let text = include_str!("../../config/nav2/nav2_dwb.yaml");
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

fn planned(mapping: &Mapping, action: &[f32]) -> Vec<(String, String, RosValue)> {
    let parameters = mapping.planner().from_action(action).unwrap();
    let of = |batch: vlm_planner_tuner::nav2::Batch| {
        let node = batch.node.to_string();
        batch.values.into_iter().map(move |planned| (node.clone(), planned.ros_parameter, planned.value))
    };
    plan(mapping, &parameters).into_iter().flat_map(of).collect()
}

#[test]
fn dwb_sets_seven_of_which_three_are_live() {
    let mapping = Mapping::named("nav2_dwb", &planner("dwa")).unwrap();
    let expected = [
        ("controller_server", "FollowPath.max_vel_x", RosValue::Double(2.0)),
        ("controller_server", "FollowPath.max_vel_theta", RosValue::Double(3.14)),
        ("controller_server", "FollowPath.vx_samples", RosValue::Integer(12)),
        ("controller_server", "FollowPath.vtheta_samples", RosValue::Integer(40)),
        ("controller_server", "FollowPath.PathDist.scale", RosValue::Double(0.4 * 1.5)),
        ("controller_server", "FollowPath.GoalDist.scale", RosValue::Double(0.4 * 2.0)),
        ("local_costmap/local_costmap", "inflation_layer.inflation_radius", RosValue::Double(0.6)),
    ];
    let near = |a: RosValue, b: RosValue| match (a, b) {
        (RosValue::Double(a), RosValue::Double(b)) => (a - b).abs() < 1e-12,
        (a, b) => a == b,
    };
    let found = planned(&mapping, &[1.0; 7]);
    assert_eq!(found.len(), expected.len());
    for ((node, name, value), (expected_node, expected_name, expected)) in found.iter().zip(expected) {
        assert_eq!((node.as_str(), name.as_str()), (expected_node, expected_name));
        assert!(near(*value, expected), "{name} {value:?} {expected:?}");
    }
    let live: Vec<bool> = mapping.targets().iter().map(|target| target.is_live()).collect();
    assert_eq!(live, [true, true, false, false, false, false, true]);
    assert!(mapping.targets().iter().all(|target| target.is_live() == target.remedy().is_none()));
}

/// One metre off the path against one unit of obstacle cost, in both planners' own arithmetic (see nav2_dwb.yaml).
#[test]
fn the_gain_of_the_biases_keeps_the_ratio_of_path_to_obstacles() {
    let mapping = Mapping::named("nav2_dwb", &planner("dwa")).unwrap();
    for target in mapping.targets().iter().filter(|target| target.parameter().ends_with("_bias")) {
        let bias = 0.75;
        let ros_1 = bias / 0.1;
        let dwb = 0.5 * target.value_for(bias).as_f64() / 0.02;
        assert!((ros_1 - dwb).abs() < 1e-9, "{ros_1} {dwb}");
    }
}

#[test]
fn mppi_sets_eight_and_all_are_live() {
    let mapping = Mapping::named("nav2_mppi", &planner("mppi")).unwrap();
    let found = planned(&mapping, &[-1.0; 8]);
    let names: Vec<&str> = found.iter().map(|(_, name, _)| name.as_str()).collect();
    let expected = ["vx_max", "wz_max", "batch_size", "time_steps", "vx_std", "wz_std", "temperature"];
    let expected: Vec<String> = expected.iter().map(|name| format!("FollowPath.{name}")).collect();
    assert_eq!(names[..7], expected);
    assert_eq!(names[7], "inflation_layer.inflation_radius");
    assert!(mapping.targets().iter().all(|target| target.is_live()));
    assert_eq!(found[0].2, RosValue::Double(0.15), "the robot goes on");
    assert_eq!((found[2].2, found[3].2), (RosValue::Integer(1800), RosValue::Integer(56)));
    assert!((mapping.targets()[6].value_for(1.0).as_f64() - 0.3).abs() < 1e-12);
}

#[test]
fn topic_and_shadow_are_for_every_planner_and_set_nothing() {
    for name in ["dwa", "teb", "mppi", "ddp"] {
        for (mapping, kind) in [("topic", MappingKind::Topic), ("SHADOW", MappingKind::Shadow)] {
            let mapping = Mapping::named(mapping, &planner(name)).unwrap();
            assert_eq!(mapping.kind(), kind);
            assert_eq!(plan(&mapping, &planner(name).safe_defaults()), []);
        }
    }
}

#[test]
fn names_and_paths() {
    let error = Mapping::named("nav2_dbw", &planner("dwa")).unwrap_err().to_string();
    assert!(
        error.contains("no mapping is called 'nav2_dbw', built in are nav2_dwb, nav2_mppi, topic, shadow"),
        "{error}"
    );
    assert!(error.contains("did you mean 'nav2_dwb'?"), "{error}");
    let error = Mapping::named("/no/such.yaml", &planner("dwa")).unwrap_err().to_string();
    assert!(error.starts_with("mapping file /no/such.yaml: No such file"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nav2_dwb.yaml");
    std::fs::write(&path, dwb_with("plugin: FollowPath", "plugin: Jackal")).unwrap();
    let mapping = Mapping::named(path.to_str().unwrap(), &planner("dwa")).unwrap();
    assert_eq!(mapping.targets()[0].ros_parameter(), "Jackal.max_vel_x");
}

#[test]
fn another_planner_is_refused() {
    let error = Mapping::named("nav2_mppi", &planner("dwa")).unwrap_err().to_string();
    assert!(error.contains("planner is MPPI, but the policy tunes DWA"), "{error}");
    let mapping = Mapping::named("nav2_dwb", &planner("dwa")).unwrap();
    assert_eq!(plan(&mapping, &planner("teb").safe_defaults()), [], "another planner's numbers are not set");
}

#[test]
fn slips_of_the_hand_are_named_with_the_nearest_key() {
    let error = refused(&dwb_with("gain: 0.4", "gian: 0.4"));
    assert!(error.starts_with("mapping file my.yaml: parameters.path_distance_bias"), "{error}");
    assert!(
        error.contains("unknown field `gian`") && error.contains(" line ") && error.ends_with("did you mean 'gain'?"),
        "{error}"
    );
    let error = refused(&dwb_with("  max_vel_x:", "  max_vel_y:"));
    assert!(error.contains("parameters: DWA has no parameter 'max_vel_y'; did you mean 'max_vel_x'?"), "{error}");
    let error = refused(&dwb_with("  vtheta_samples:", "  vx_samples:"));
    assert!(error.contains("'vx_samples' comes twice"), "{error}");
    let error = refused(&dwb_with("sink: set_parameters", "sink: set_parameter"));
    assert!(error.contains("set_parameters"), "{error}");
    assert!(refused("name: [").starts_with("mapping file my.yaml: "));
}

#[test]
fn what_cannot_be_is_refused_by_parameter_and_field() {
    let cases = [
        (dwb_with("gain: 0.4", "gain: .nan"), "path_distance_bias: gain is NaN, expected a finite number"),
        (dwb_with("gain: 0.4", "gain: 0"), "gain is 0, expected a number other than 0"),
        (dwb_with("gain: 0.4", "gain: 1e30"), "expected a finite number within ±1e6"),
        (dwb_with("gain: 0.4", "min: 2\n      max: 1"), "min is 2, expected less than max"),
        (dwb_with("type: integer\n      live", "type: integer\n      min: 0.5\n      live"), "expected a whole number"),
        (dwb_with("node: controller_server", "node: controller server"), "node is 'controller server'"),
        (dwb_with("node: controller_server", "node: controller_server/"), "node is 'controller_server/'"),
        (dwb_with("\"{plugin}.max_vel_x\"", "\"{plug}.max_vel_x\""), "ros_parameter is '{plug}.max_vel_x'"),
        (dwb_with("\"{plugin}.max_vel_x\"", "controller_frequency"), "refuses top-level parameters"),
        (
            dwb_with("max_vel_theta\", type: double, live: true", "max_vel_theta\", type: double, live: false"),
            "remedy is missing",
        ),
        (
            dwb_with("\"{plugin}.max_vel_theta\"", "FollowPath.max_vel_x"),
            "max_vel_x and max_vel_theta both go to FollowPath.max_vel_x",
        ),
        (dwb_with("sink: set_parameters", "sink: topic"), "sink is topic, so parameters must be left out"),
        ("name: x\ndescription: y\nsink: set_parameters".to_owned(), "parameters must name where they go"),
    ];
    for (text, expected) in cases {
        let error = refused(&text);
        assert!(
            error.starts_with("mapping file my.yaml: ") && error.contains(expected),
            "{error}\nexpected {expected}"
        );
    }
}

#[test]
fn a_forgotten_parameter_must_be_excused() {
    let text = dwb_with(
        "  vx_samples:\n    - node: controller_server\n      ros_parameter: \"{plugin}.vx_samples\"\n      type: integer\n      live: false\n      remedy: DWB reads vx_samples once; use a controller_bank, Nav2's MPPI, or reconfigure the controller between goals\n",
        "",
    );
    assert!(refused(&text).contains("DWA's vx_samples is neither under parameters nor under without_twin"));
    let text = format!("{text}\nwithout_twin:\n  vx_samples: this controller samples adaptively\n");
    let mapping = Mapping::from_yaml(&text, "my.yaml", &planner("dwa")).unwrap();
    assert_eq!(mapping.targets().len(), 6);
    assert_eq!(mapping.without_twin()[0].0, "vx_samples");
}

/// The shipped DWB mapping with the bank that it shows in a comment.
fn banked() -> String {
    let text = include_str!("../../config/nav2/nav2_dwb.yaml");
    let (head, bank) = text.split_once("# controller_bank:").unwrap();
    let bank: Vec<&str> = bank.lines().map(|line| line.strip_prefix('#').unwrap_or(line)).collect();
    format!("{head}controller_bank:{}\n", bank.join("\n"))
}

#[test]
fn a_bank_sets_live_parameters_on_all_its_controllers_and_chooses_for_the_rest() {
    let mapping = Mapping::from_yaml(&banked(), "my.yaml", &planner("dwa")).unwrap();
    let names: Vec<&str> = mapping.targets().iter().map(|target| target.ros_parameter()).collect();
    assert_eq!(
        names,
        [
            "FollowPath.max_vel_x",
            "FollowPathWide.max_vel_x",
            "FollowPath.max_vel_theta",
            "FollowPathWide.max_vel_theta",
            "inflation_layer.inflation_radius"
        ]
    );
}

#[test]
fn the_bank_chooses_the_nearest_with_hysteresis_and_dwell() {
    let mapping = Mapping::from_yaml(&banked(), "my.yaml", &planner("dwa")).unwrap();
    let mut choice = mapping.bank().unwrap().choice();
    let at = |ms: u64| Moment::from_start(Duration::from_millis(ms));
    // samples and goal bias from a little to a lot, path bias the other way round
    let wanted = |a: f32| planner("dwa").from_action(&[0.0, 0.0, a, a, -a, a, 0.0]).unwrap();
    assert_eq!(choice.id(), None);
    assert_eq!(choice.update(at(0), &wanted(-0.5)), Some("FollowPath"));
    assert_eq!(choice.update(at(500), &wanted(0.9)), None, "too soon");
    assert_eq!(choice.update(at(2000), &wanted(0.9)), Some("FollowPathWide"));
    assert_eq!(choice.update(at(9000), &wanted(0.9)), None, "no change is no news");
    // Near the middle between the two, neither is left for the other.
    let middle = (0..200).map(|i| i as f32 / 100.0 - 1.0).find(|&a| {
        let mut fresh = mapping.bank().unwrap().choice();
        fresh.update(at(0), &wanted(a)) == Some("FollowPathWide")
    });
    assert_eq!(choice.update(at(20_000), &wanted(middle.unwrap() - 0.02)), None);
    assert_eq!(choice.id(), Some("FollowPathWide"));
    assert_eq!(choice.update(at(30_000), &wanted(-0.9)), Some("FollowPath"));
}

#[test]
fn a_bank_that_cannot_be_is_refused() {
    let cases = [
        (
            banked().replace("vx_samples: 10", "vx_samples: 13"),
            "vx_samples 13 of FollowPathWide, expected a value within",
        ),
        (banked().replace("vx_samples: 10, ", ""), "expected the same parameters for each"),
        (banked().replace("vx_samples: 10", "v_samples: 10"), "controller_bank: DWA has no parameter 'v_samples'"),
        (banked().replace("margin: 0.05", "margin: -1"), "controller_bank: margin is -1"),
        (banked().replace("min_dwell: 2.0", "min_dwell: .inf"), "controller_bank: min_dwell is inf"),
        (banked().replace("FollowPathWide: ", "\"Follow Path\": "), "ids of letters"),
    ];
    for (text, expected) in cases {
        let error = refused(&text);
        assert!(error.contains(expected), "{error}\nexpected {expected}");
    }
}

/// The start values in Nav2's own file for Jazzy.
#[test]
fn the_safe_defaults_of_mppi_are_nav2s_start_values() {
    let mapping = Mapping::named("nav2_mppi", &planner("mppi")).unwrap();
    let safe = plan(&mapping, &planner("mppi").safe_defaults());
    let found: Vec<f64> = safe.iter().flat_map(|batch| &batch.values).map(|planned| planned.value.as_f64()).collect();
    let expected = [0.5, 1.9, 2000.0, 56.0, 0.2, 0.4, 0.3, 0.7];
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    }
}

#[test]
fn the_noise_on_the_speed_grows_with_its_limit() {
    let mapping = Mapping::named("nav2_mppi", &planner("mppi")).unwrap();
    // 2.0 m/s, with the least noise that a policy can ask for.
    let found = planned(&mapping, &[1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0]);
    let value = |name: &str| found.iter().find(|(_, ros, _)| ros.ends_with(name)).unwrap().2.as_f64();
    assert!((value("vx_std") - 0.4 * value("vx_max")).abs() < 1e-9);
    assert_eq!(value("vx_max"), 2.0);
}

#[test]
fn a_speed_limit_caps_what_is_set() {
    let mapping = Mapping::named("nav2_dwb", &planner("dwa")).unwrap();
    let fast = planner("dwa").from_action(&[1.0; 7]).unwrap();
    for (limit, expected) in [
        (None, 2.0),
        (Some(SpeedLimit::Percent(50.0)), 1.0),
        (Some(SpeedLimit::Absolute(0.4)), 0.4),
        (Some(SpeedLimit::Absolute(9.0)), 2.0),
    ] {
        assert_eq!(plan_under(&mapping, &fast, limit)[0].values[0].value, RosValue::Double(expected), "{limit:?}");
    }
}

#[test]
fn rules_that_cannot_be_are_refused() {
    for (from, to, expected) in [
        ("apply_rate: 0.5", "apply_rate: 0", "apply: apply_rate is 0, expected 0.01 to 20 Hz"),
        ("min_change: 0.05", "min_change: .nan", "apply: min_change is NaN"),
        ("robot_max: 2.0", "robot_max: 0", "speed_limit: robot_max is 0"),
        ("parameter: max_vel_x, robot", "parameter: max_vel_y, robot", "DWA has no parameter 'max_vel_y'"),
        (
            "costmaps: [local_costmap/local",
            "costmaps: [local costmap/local",
            "costmaps: a name is 'local costmap/local_costmap'",
        ),
    ] {
        let error = refused(&dwb_with(from, to));
        assert!(error.contains(expected), "{error}\nexpected {expected}");
    }
}
