//! Planner files: the shipped ones against the training ranges, and what is said about broken ones.

use std::path::Path;

use vlm_planner_tuner::planner::{PlannerSpec, Unit};

/// (name, min, max, integer) as the policies were trained.
type Trained = (&'static str, f64, f64, bool);

const DWA: [Trained; 7] = [
    ("max_vel_x", 0.2, 2.0, false),
    ("max_vel_theta", 0.314, 3.14, false),
    ("vx_samples", 4.0, 12.0, true),
    ("vtheta_samples", 8.0, 40.0, true),
    ("path_distance_bias", 0.1, 1.5, false),
    ("goal_distance_bias", 0.1, 2.0, false),
    ("inflation_radius", 0.1, 0.6, false),
];
const TEB: [Trained; 7] = [
    ("max_vel_x", 0.2, 2.0, false),
    ("max_vel_x_backwards", 0.1, 0.7, false),
    ("max_vel_theta", 0.314, 3.14, false),
    ("dt_ref", 0.1, 0.35, false),
    ("min_obstacle_dist", 0.05, 0.2, false),
    ("inflation_dist", 0.01, 0.2, false),
    ("inflation_radius", 0.1, 0.6, false),
];
const MPPI: [Trained; 8] = [
    ("max_vel_x", -0.5, 2.0, false),
    ("max_vel_theta", 0.314, 3.14, false),
    ("nr_pairs_", 400.0, 800.0, true),
    ("nr_steps_", 20.0, 40.0, true),
    ("linear_stddev", 0.05, 0.15, false),
    ("angular_stddev", 0.02, 0.15, false),
    ("lambda", 0.5, 5.0, false),
    ("inflation_radius", 0.1, 0.6, false),
];
const DDP: [Trained; 6] = [
    ("max_vel_x", 0.0, 2.0, false),
    ("max_vel_theta", 0.314, 3.14, false),
    ("nr_pairs_", 400.0, 800.0, true),
    ("distance", 0.01, 0.2, false),
    ("robot_radius", 0.01, 0.05, false),
    ("inflation_radius", 0.1, 0.6, false),
];

#[test]
fn the_shipped_planners_are_the_trained_ones() {
    let trained: [(&str, &[Trained]); 4] = [("DWA", &DWA), ("TEB", &TEB), ("MPPI", &MPPI), ("DDP", &DDP)];
    for (name, expected) in trained {
        let planner = PlannerSpec::builtin(name).unwrap();
        assert_eq!(planner.name(), name);
        let found: Vec<_> = planner.parameters().iter().map(|p| (p.name(), p.min(), p.max(), p.is_integer())).collect();
        assert_eq!(found, expected, "{name}");
        let predictions: Vec<_> =
            planner.predictions().iter().map(|p| (p.name(), p.unit(), p.min(), p.max())).collect();
        assert_eq!(
            predictions,
            [
                ("next_linear_vel", Unit::MetresPerSecond, -0.5, 2.0),
                ("next_angular_vel", Unit::RadiansPerSecond, -3.14, 3.14)
            ],
            "{name}"
        );
    }
}

#[test]
fn dwa_falls_back_to_the_reference_start_values() {
    let defaults = PlannerSpec::builtin("dwa").unwrap().safe_defaults();
    let values: Vec<f64> = defaults.iter().map(|(_, value)| value).collect();
    assert_eq!(values, [0.5, 1.57, 6.0, 20.0, 0.75, 1.0, 0.30]);
}

const GOOD: &str = "\
name: mine
description: a planner of one's own
parameters:
  - name: max_vel_x
    unit: m/s
    min: 0.1
    max: 1.0
    safe_default: 0.3
    description: speed
  - name: samples
    unit: none
    min: 2
    max: 8
    integer: true
    safe_default: 4
    description: count
";

#[test]
fn a_planner_is_added_by_adding_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.yaml");
    std::fs::write(&path, GOOD).unwrap();
    let planner = PlannerSpec::load(&path).unwrap();
    assert_eq!(planner.name(), "MINE");
    assert!(planner.predictions().is_empty());
    let json = serde_json::to_string(&planner.from_action(&[1.0, -1.0]).unwrap()).unwrap();
    assert_eq!(json, r#"{"max_vel_x":1.0,"samples":2}"#);
}

/// What is said when `from` is replaced by `to` in the good file.
fn complaint(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    match PlannerSpec::from_yaml(&GOOD.replacen(from, to, 1), "mine.yaml") {
        Ok(_) => panic!("{to:?} was accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn complaints_name_file_place_parameter_and_remedy() {
    let cases = [
        (
            "max: 1.0",
            "mux: 1.0",
            "planner file mine.yaml: parameters[0]: unknown field `mux`, expected one of `name`, `unit`, `min`, `max`, `integer`, `safe_default`, `loss_weight`, `description` at line 7 column 5; did you mean 'max'?",
        ),
        (
            "parameters:",
            "parametres:",
            "planner file mine.yaml: unknown field `parametres`, expected one of `name`, `description`, `parameters`, `predictions` at line 3 column 1; did you mean 'parameters'?",
        ),
        (
            "max: 1.0",
            "max: 0.05",
            "planner file mine.yaml: parameters[0]: max_vel_x: min 0.1 is not below max 0.05; swap or widen them at line 4 column 5",
        ),
        (
            "safe_default: 0.3",
            "safe_default: 1.5",
            "planner file mine.yaml: parameters[0]: max_vel_x: safe_default 1.5 is outside its range 0.1 to 1 at line 4 column 5",
        ),
        (
            "max: 8",
            "max: 8.5",
            "planner file mine.yaml: parameters[1]: samples: max is 8.5, expected a whole number because integer is true at line 10 column 5",
        ),
        (
            "safe_default: 4",
            "safe_default: 4.5",
            "planner file mine.yaml: parameters[1]: samples: safe_default is 4.5, expected a whole number because integer is true at line 10 column 5",
        ),
        (
            "min: 0.1",
            "min: .nan",
            "planner file mine.yaml: parameters[0]: max_vel_x: min is NaN, expected a finite number within ±1e9 at line 4 column 5",
        ),
        (
            "max: 1.0",
            "max: .inf",
            "planner file mine.yaml: parameters[0]: max_vel_x: max is inf, expected a finite number within ±1e9 at line 4 column 5",
        ),
        (
            "    min: 0.1\n",
            "    min: 0.1\n    min: 0.2\n",
            "planner file mine.yaml: parameters[0]: duplicate field `min` at line 4 column 5",
        ),
        (
            "name: samples",
            "name: max_vel_x",
            "planner file mine.yaml: two entries are called 'max_vel_x'; remove or rename one",
        ),
        (
            "unit: m/s",
            "unit: mps",
            "planner file mine.yaml: parameters[0].unit: unknown variant `mps`, expected one of `m/s`, `rad/s`, `m`, `s`, `none` at line 5 column 11",
        ),
        (
            "    safe_default: 0.3\n",
            "",
            "planner file mine.yaml: parameters[0]: missing field `safe_default` at line 4 column 5",
        ),
        ("name: mine", "name: \"\"", "planner file mine.yaml: name '' is not made of letters, digits and _"),
        (
            "name: samples",
            "name: two words",
            "planner file mine.yaml: parameters[1]: name 'two words' is empty or holds blanks; use the planner's own parameter name at line 10 column 5",
        ),
    ];
    for (from, to, expected) in cases {
        assert_eq!(complaint(from, to), expected);
    }
}

#[test]
fn a_planner_without_parameters_is_refused() {
    let error = PlannerSpec::from_yaml("name: x\ndescription: y\nparameters: []\n", "x.yaml").unwrap_err().to_string();
    assert_eq!(error, "planner file x.yaml: parameters is empty, expected at least one entry");
}

#[test]
fn whatever_the_file_holds_nothing_panics() {
    for text in
        ["", "\0", "- 1", "name: [", "&a [*a]", "name: x\nname: y", "parameters: {a: 1}", "? {a: b}\n: c", "1e999"]
    {
        assert!(PlannerSpec::from_yaml(text, "odd.yaml").is_err(), "{text:?}");
    }
}

#[test]
fn an_unknown_planner_is_answered_with_the_known_ones() {
    let error = PlannerSpec::builtin("dwb").unwrap_err().to_string();
    assert_eq!(
        error,
        "no planner is called 'dwb', built in are dwa, teb, mppi, ddp; did you mean 'dwa'?; name one of them or a planner YAML file"
    );
    let error = PlannerSpec::load(Path::new("/nowhere/planner.yaml")).unwrap_err().to_string();
    assert!(error.starts_with("planner file /nowhere/planner.yaml: No such file"), "{error}");
}
