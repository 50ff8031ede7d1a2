//! The planner that a golden set was made for, whichever that was.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)]

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use vlm_planner_tuner::planner::PlannerSpec;

/// The planner of a set by the name and the ranges that the set itself gives: the built-in one where they are its own,
/// otherwise one of the set's ranges and of as many further outputs as `outputs` asks for. A set without ranges means the
/// built-in planner.
pub fn planner_of_set(algorithm: &str, ranges: &Value, outputs: Option<usize>) -> PlannerSpec {
    match own_yaml(algorithm, ranges, outputs) {
        Some(yaml) => PlannerSpec::from_yaml(&yaml, "the set's planner").unwrap(),
        None => PlannerSpec::builtin(algorithm).unwrap(),
    }
}

/// The same for the command line: a built-in name, or a file that is written into `folder`.
pub fn planner_argument(algorithm: &str, ranges: &Value, outputs: Option<usize>, folder: &Path) -> String {
    match own_yaml(algorithm, ranges, outputs) {
        Some(yaml) => {
            let path = folder.join("planner_of_the_set.yaml");
            std::fs::write(&path, yaml).unwrap();
            path.display().to_string()
        }
        None => algorithm.to_lowercase(),
    }
}

/// The planner file of a set whose ranges are not those of the built-in planner.
fn own_yaml(algorithm: &str, ranges: &Value, outputs: Option<usize>) -> Option<String> {
    let ranges: Vec<[f64; 2]> =
        ranges.as_array()?.iter().map(|range| serde_json::from_value(range.clone()).unwrap()).collect();
    let builtin = PlannerSpec::builtin(algorithm).ok();
    let of_builtin = |planner: &PlannerSpec| {
        planner.parameters().iter().map(|spec| [spec.min(), spec.max()]).collect::<Vec<_>>() == ranges
    };
    let is_own = !builtin.as_ref().is_some_and(of_builtin);
    is_own.then(|| yaml(algorithm, &ranges, builtin.as_ref(), outputs.unwrap_or(ranges.len())))
}

fn yaml(algorithm: &str, ranges: &[[f64; 2]], builtin: Option<&PlannerSpec>, outputs: usize) -> String {
    let mut text = format!("name: {}\ndescription: a golden set's\nparameters:\n", algorithm.to_lowercase());
    for (index, [min, max]) in ranges.iter().enumerate() {
        let known = builtin.filter(|planner| planner.parameters().len() == ranges.len());
        let integer = known.is_some_and(|planner| planner.parameters()[index].is_integer());
        writeln!(
            text,
            "  - {{name: p{index}, unit: none, min: {min:?}, max: {max:?}, integer: {integer}, safe_default: {min:?}, \
             description: one of the set's}}"
        )
        .unwrap();
    }
    if outputs > ranges.len() {
        text += "predictions:\n";
        for index in ranges.len()..outputs {
            let range = "unit: m/s, min: -10.0, max: 10.0";
            writeln!(text, "  - {{name: prediction{index}, {range}, description: one of the set's}}").unwrap();
        }
    }
    text
}

/// Ranges, and a number of parameters, that no built-in planner has.
#[test]
fn a_set_of_other_ranges_has_its_own_planner() {
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let own = planner_of_set("DWA", &json("[[0.5, 1.5], [2, 9], [-1, 1]]"), Some(5));
    let ranges: Vec<[f64; 2]> = own.parameters().iter().map(|spec| [spec.min(), spec.max()]).collect();
    assert_eq!((own.name(), ranges), ("DWA", vec![[0.5, 1.5], [2.0, 9.0], [-1.0, 1.0]]));
    assert_eq!(own.predictions().len(), 2);
    assert_eq!(planner_of_set("OTHER", &json("[[0, 1]]"), None).name(), "OTHER");
    let builtin = PlannerSpec::builtin("teb").unwrap();
    assert_eq!(planner_of_set("TEB", &Value::Null, None), builtin);
    let ranges: Vec<[f64; 2]> = builtin.parameters().iter().map(|spec| [spec.min(), spec.max()]).collect();
    assert_eq!(planner_of_set("TEB", &serde_json::to_value(ranges).unwrap(), None), builtin);
}
