//! The laser policy against PyTorch's numbers.

use serde_json::Value;
use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::policy::{LaserNetwork, LaserNetworkError};

use crate::support::{own_fixture_set, say, shared_data};

#[test]
fn fixture_laser_policies_act_as_under_pytorch() {
    let (Some(policies), Some(scenes)) = (shared_data("policies"), shared_data("render")) else { return };
    let read = |path: std::path::PathBuf| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    for planner in ["dwa", "ddp"] {
        let folder = policies.join(planner);
        let forward = read(folder.join("forward.json"));
        let network = LaserNetwork::open(&folder, forward["names"].as_array().unwrap().len()).unwrap();
        let mut worst = 0.0_f64;
        for case in forward["cases"].as_array().unwrap() {
            let scene = read(scenes.join(format!("{}.json", case["scene"].as_str().unwrap())));
            let number = |range: &Value| range.as_f64().map_or(f32::INFINITY, |range| range as f32);
            let ranges: Vec<f32> = scene["scan"]["ranges"].as_array().unwrap().iter().take(720).map(number).collect();
            let action = network.act(&ranges, case["local_goal_angle"].as_f64().unwrap()).unwrap();
            for (found, expected) in action.values().iter().zip(case["tanh"].as_array().unwrap()) {
                worst = worst.max((f64::from(*found) - expected.as_f64().unwrap()).abs());
            }
        }
        say(&format!("laser policy {planner}: {worst:.1e} at most (bar 1e-5)"));
        assert!(worst <= 1e-5);
    }
}

#[test]
fn another_policy_is_refused_by_its_layers() {
    let dwa = PlannerSpec::builtin("dwa").unwrap();
    let vision = own_fixture_set("tiny_vlm").join("policy");
    let mut files = std::fs::read_dir(&vision).unwrap().map(|entry| entry.unwrap().path());
    let actor = files.find(|path| path.to_string_lossy().ends_with("_actor")).unwrap();
    let error = LaserNetwork::open(&actor, dwa.parameters().len()).unwrap_err();
    assert!(matches!(&error, LaserNetworkError::Shape { layer: "head.mlp.0", .. }), "{error}");
    assert!(error.to_string().contains("this is not a policy of APPLR"), "{error}");
    assert!(LaserNetwork::open(std::path::Path::new("nowhere"), 7).is_err());
}
