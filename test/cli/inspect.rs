//! `planner_tuner inspect` over golden checkpoints and small files.

use crate::support;
use crate::support::checkpoint_files::{file, small_policy, small_safetensors};
use clap::Parser;
use serde_json::Value;
use std::path::Path;
use vlm_planner_tuner::cli::inspect::{self, InspectArgs};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    inspect: InspectArgs,
}

fn text(arguments: &[&str]) -> Result<String, String> {
    let cli = Cli::try_parse_from([&["inspect"], arguments].concat()).unwrap();
    inspect::describe(&cli.inspect).map_err(|error| format!("{error:#}"))
}

fn json(path: &Path, more: &[&str]) -> Value {
    let arguments = [&[path.to_str().unwrap(), "--json"], more].concat();
    serde_json::from_str(&text(&arguments).unwrap()).unwrap()
}

fn sum_of_shapes(part: &Value) -> u64 {
    let shapes = part["tensors"].as_array().unwrap().iter().map(|tensor| tensor["shape"].as_array().unwrap());
    shapes.map(|shape| shape.iter().map(|size| size.as_u64().unwrap()).product::<u64>()).sum()
}

#[test]
fn fixture_full_size_heads_are_counted() {
    let Some(set) = support::fixture_set("heads_full") else { return };
    for (name, count, shown) in
        [("regression_head", 3_891_337u64, "3,891,337"), ("history_encoder", 1_676_352, "1,676,352")]
    {
        let path = set.join(name).join("pytorch_model.bin");
        let report = json(&path, &[]);
        assert_eq!(report["kind"], "tensor file");
        assert_eq!(report["properties"]["format"], "torch zip");
        assert_eq!(report["parameters"], count);
        assert_eq!(sum_of_shapes(&report["parts"][0]), count);
        assert!(text(&[path.to_str().unwrap()]).unwrap().contains(shown));
    }
}

#[test]
fn fixture_heads_folder_shows_both_networks() {
    let Some(set) = support::fixture_set("heads_full") else { return };
    let report = json(&set, &[]);
    assert_eq!(report["parts"][0]["parameters"], 3_891_337);
    assert_eq!(report["parts"][1]["parameters"], 1_676_352);
}

#[test]
fn fixture_checkpoint_pair_has_a_summary() {
    let Some(set) = support::fixture_set("tiny_vlm") else { return };
    let (base, policy) = (set.join("base"), set.join("policy"));
    let more = ["--base", base.to_str().unwrap(), "--policy", policy.to_str().unwrap()];
    let report = json(&set.join("checkpoint"), &more);
    let part = |name: &str| {
        let parts = report["parts"].as_array().unwrap();
        parts.iter().find(|part| part["name"] == name).unwrap()["parameters"].as_u64().unwrap()
    };
    let networks = report["summary"]["networks"].as_array().unwrap();
    let vlm = json(&base, &[])["parameters"].as_u64().unwrap() + part("LoRA adapter");
    let expected = [(vlm, 0), (part("DPT head"), part("DPT head")), (part("history encoder"), part("history encoder"))];
    for (network, (total, trainable)) in networks.iter().zip(expected) {
        let found = ["total", "trainable", "frozen"].map(|key| network[key].as_u64().unwrap());
        assert_eq!(found, [total, trainable, total - trainable], "{}", network["name"]);
    }
    // The numbers of the saved actor, four bytes each; its file adds the names.
    let actor = json(&policy, &[])["parameters"].as_u64().unwrap();
    let bytes = report["summary"]["policy_bytes"].as_u64().unwrap();
    assert_eq!(bytes, 4 * actor);
    let saved = std::fs::metadata(json(&policy, &[])["properties"]["actor_file"].as_str().unwrap()).unwrap().len();
    assert!(bytes < saved && saved < bytes + bytes / 10, "{bytes} bytes of numbers in a file of {saved}");

    // Without the policy the size is the same, worked out from the head's shapes.
    assert_eq!(json(&set.join("checkpoint"), &[])["summary"]["policy_bytes"], bytes);
    let shown = text(&[set.join("checkpoint").to_str().unwrap(), "--brief"]).unwrap();
    assert!(shown.contains("not given") && !shown.contains("projections.0"), "{shown}");
}

#[test]
fn fixture_base_and_vectors_are_recognised() {
    let Some(set) = support::fixture_set("tiny_vlm") else { return };
    let base = json(&set.join("base"), &[]);
    assert_eq!((&base["kind"], &base["properties"]["model_type"]), (&"base model".into(), &"qwen2_5_vl".into()));
    let std = json(&set.join("checkpoint/normalization/param_std.npy"), &[]);
    assert_eq!(std["kind"], "numpy vector");
    assert!(std["properties"]["values"].as_array().unwrap().iter().all(|value| value.as_f64().unwrap() > 0.0));
}

#[test]
fn files_are_told_apart_by_their_contents() {
    let (_folder, path) = file("weights", &small_safetensors());
    let report = json(&path, &[]);
    assert_eq!((&report["properties"]["format"], &report["parameters"]), (&"safetensors".into(), &7.into()));
    let (_folder, path) = file("policy_step_30_actor", &small_policy());
    let report = json(&path, &[]);
    assert_eq!((&report["kind"], &report["properties"]["step"]), (&"policy".into(), &30.into()));
    let table = text(&[path.to_str().unwrap()]).unwrap();
    assert!(table.contains("fc.weight") && table.contains("[3, 2]"), "{table}");
}

#[test]
fn errors_name_the_path() {
    let message = text(&["/no/such/policy_step_1"]).unwrap_err();
    assert!(message.contains("/no/such/policy_step_1"), "{message}");
    let (_folder, path) = file("weights", &small_safetensors());
    let message = text(&[path.to_str().unwrap(), "--base", "/base"]).unwrap_err();
    assert!(message.contains("--base") && message.contains("weights"), "{message}");
    let (_folder, path) = file("config.json", b"{}");
    assert!(text(&[path.to_str().unwrap()]).unwrap_err().contains("config.json"));
}
