//! `planner_tuner train --train lora` as a user meets it: from the demo drive to an adapter that a robot drives with.

use std::collections::BTreeMap;
use std::path::Path;

use super::logged_drive::{Drive, ended, golden, model_with, report, run, tensors};
use crate::support::{flat, own_fixture_set};
use vlm_planner_tuner::checkpoint::{Adapter, PolicyCheckpoint, StateDict, SupervisedCheckpoint};
use vlm_planner_tuner::origin::identify;

fn bytes_of(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file());
    files.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap())).collect()
}

fn contents(adapter: &Adapter) -> BTreeMap<String, Vec<f32>> {
    let tensors = StateDict::read(&adapter.tensors).unwrap();
    tensors.iter().map(|(name, tensor)| (name.to_owned(), flat(tensor))).collect()
}

#[test]
fn from_a_drive_to_a_lora_that_has_learned_to_a_drive_with_it() {
    let drive = Drive::new();
    let base = bytes_of(Path::new(&golden("base")));
    let finished = drive.begin("whole", "lora", "4", &["--save-every", "2"]);
    let (report, talk) = (report(&finished), ended(&finished).1);
    assert_eq!(
        (&report["train"], &report["updates"], &report["skipped_updates"]),
        (&"lora".into(), &4.into(), &0.into())
    );
    let distance = talk.split("lie within ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!(distance.parse::<f64>().unwrap() < 1e-4, "{talk}");
    assert!(bytes_of(Path::new(&golden("base"))) == base, "the base model is not written");

    // The adapter lies beside the other three, under PEFT's names, and every tensor of it has moved.
    let policy = PolicyCheckpoint::open(drive.path("whole/policy_step_4")).unwrap();
    assert!(policy.vlm_info.as_ref().unwrap().vlm_trainable);
    let trained = policy.lora_adapter.as_ref().unwrap();
    let start = SupervisedCheckpoint::open(golden("checkpoint")).unwrap().adapter.unwrap();
    assert_eq!((trained.config.rank, trained.config.scale()), (start.config.rank, start.config.scale()));
    let (before, after) = (contents(&start), contents(trained));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (name, values) in &after {
        assert!(*values != before[name] && values.iter().all(|value| value.is_finite()), "{name}");
    }
    let middle = PolicyCheckpoint::open(drive.path("whole/policy_step_2")).unwrap();
    assert!(contents(middle.lora_adapter.as_ref().unwrap()) != after, "each save has its own");
    // So has all that an action depends on besides.
    let heads = [Path::new(&golden("policy")).to_owned(), drive.path("whole/policy")].map(|path| tensors(&path));
    for (name, before) in heads[0].iter() {
        assert_eq!(flat(before) != flat(heads[1].get(name).unwrap()), !name.contains(".mlp."), "{name}");
    }

    // The policy says which extractor it is: the one that a drive with it would log.
    let origin = model_with(drive.path("whole/policy"));
    let said = PolicyCheckpoint::open(drive.path("whole/policy")).unwrap().manifest.unwrap().origin.extractor;
    assert_eq!(said, Some(identify(&origin).unwrap().1.0));

    // A drive with the policy computes what the training would: its merged weights are the base with the LoRA beside it.
    let (logs, whole, checkpoint, base) =
        (drive.text("again"), drive.text("whole/policy"), golden("checkpoint"), golden("base"));
    let (plot, recording) = (drive.text("plot.png"), own_fixture_set("demo_drive").display().to_string());
    let driven = run(&[
        "replay",
        &recording,
        "--base",
        &base,
        "--checkpoint",
        &checkpoint,
        "--policy",
        &whole,
        "--log",
        &logs,
        "--plot",
        &plot,
    ]);
    assert_eq!(ended(&driven).0, 0, "{}", ended(&driven).1);
    let (config, output) = (drive.text("quick.yaml"), drive.text("on"));
    let on = run(&[
        "train",
        &logs,
        "-o",
        &output,
        "--base",
        &base,
        "--checkpoint",
        &checkpoint,
        "--policy",
        &whole,
        "--config",
        &config,
        "--train",
        "lora",
        "--steps",
        "1",
    ]);
    let (code, talk) = ended(&on);
    let distance = talk.split("lie within ").nth(1).and_then(|rest| rest.split(' ').next());
    let distance = distance.unwrap_or_else(|| panic!("{code} {talk}"));
    assert!(code == 0 && distance.parse::<f64>().unwrap() < 1e-4, "{talk}");
}

#[test]
fn interrupted_it_ends_with_the_same_bytes() {
    let drive = Drive::new();
    let expected = report(&drive.begin("whole", "lora", "4", &[]));
    report(&drive.begin("part", "lora", "3", &[]));
    let resumed = report(&drive.train("part", &["--resume", "--steps", "4"]));
    assert_eq!(
        resumed["policy"],
        serde_json::json!({
            "prefix": drive.text("part/policy_step_4"), "sha256": expected["policy"]["sha256"],
        })
    );
    assert_eq!(resumed["parameters"], expected["parameters"]);
    let files = ["training_state.safetensors", "training_state.json", "policy_actor"];
    for name in files.into_iter().chain(["policy_lora_adapter/adapter_model.safetensors"]) {
        assert!(drive.read("part", name) == drive.read("whole", name), "{name}");
    }

    // Another mode is refused, and a LoRA is carried along where it does not learn.
    let (code, talk) = ended(&drive.train("part", &["--resume", "--train", "heads"]));
    assert!(code == 1 && talk.contains("begun with --train lora"), "{talk}");
    let (policy, config) = (drive.text("part/policy"), drive.text("quick.yaml"));
    let actor = ["--policy", &policy, "--config", &config, "--steps", "2", "--allow-mixed"];
    report(&drive.train("actor", &actor));
    let name = "policy_lora_adapter/adapter_model.safetensors";
    assert!(drive.read("actor", name) == drive.read("part", name));
}
