//! `planner_tuner convert` and `replay --follow` as a user meets them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::own_fixture_set;
use vlm_planner_tuner::checkpoint::{PolicyCheckpoint, PolicySet, StateDict};

fn planner_tuner(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_planner_tuner")).args(args).output().unwrap()
}

/// Exit code and what was said on stderr.
fn run(args: &[&str]) -> (i32, String) {
    let output = planner_tuner(args);
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!talk.contains("panicked"), "{talk}");
    (output.status.code().unwrap(), talk)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn fixture_policy() -> PathBuf {
    own_fixture_set("tiny_vlm").join("policy")
}

#[test]
fn a_policy_converted_there_and_back_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (there, back) = (folder.path().join("there/"), folder.path().join("back/policy"));
    let policy = fixture_policy();
    let (code, talk) = run(&["convert", text(&policy), "-o", text(&there), "--to", "safetensors"]);
    assert_eq!(code, 0, "{talk}");
    assert!(talk.contains("wrote 80 tensors"), "{talk}");
    assert!(
        there.join("policy_step_1000_actor.safetensors").is_file() && !there.join("policy_step_1000_actor").exists()
    );
    let (code, talk) = run(&["convert", text(&there), "-o", text(&back), "--to", "pickle"]);
    assert_eq!(code, 0, "{talk}");

    let (original, converted) = (PolicyCheckpoint::open(policy).unwrap(), PolicyCheckpoint::open(back).unwrap());
    let read = |policy: &PolicyCheckpoint| PolicySet::read(policy).unwrap();
    assert!(read(&original).actor.same_bits(&read(&converted).actor).unwrap());
    assert_eq!(
        (converted.noise, converted.vlm_info, converted.step),
        (original.noise, original.vlm_info, original.step)
    );
}

#[test]
fn an_adapter_goes_along() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut policy = PolicySet::read(&PolicyCheckpoint::open(fixture_policy()).unwrap()).unwrap();
    policy.vlm_info.as_mut().unwrap().vlm_trainable = true;
    policy.save(folder.path(), "policy").unwrap();
    std::fs::create_dir(at("policy_lora_adapter")).unwrap();
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        let from = own_fixture_set("tiny_vlm").join("checkpoint").join(name);
        std::fs::copy(from, at("policy_lora_adapter").join(name)).unwrap();
    }
    let (code, talk) = run(&["convert", text(&at("policy")), "-o", text(&at("other")), "--to", "safetensors"]);
    assert_eq!(code, 0, "{talk}");
    assert!(PolicyCheckpoint::open(at("other")).unwrap().lora_adapter.is_some());
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy_actor");
    std::fs::write(&policy, "mine").unwrap();
    let (code, talk) =
        run(&["convert", text(&fixture_policy()), "-o", text(&folder.path().join("policy")), "--to", "safetensors"]);
    assert_eq!(code, 1, "{talk}");
    assert!(talk.contains("policy_actor is there already"), "{talk}");
    assert_eq!(std::fs::read(policy).unwrap(), b"mine");
    assert_eq!(run(&["convert", "nowhere", "-o", "x", "--to", "pickle"]).0, 1);
    assert_eq!(run(&["convert", text(&fixture_policy()), "-o", "x", "--to", "zip"]).0, 2);
}

/// Replays the demo drive with more options.
fn replay(rest: &[&str]) -> (i32, String) {
    let set = own_fixture_set("tiny_vlm");
    let (drive, base, checkpoint) = (own_fixture_set("demo_drive"), set.join("base"), set.join("checkpoint"));
    let mut args = vec!["replay", text(&drive), "--base", text(&base), "--checkpoint", text(&checkpoint)];
    args.extend(["--max-pixels", "9408", "--rate", "0.5"]);
    args.extend(rest);
    run(&args)
}

fn save(folder: &Path, change: impl Fn(f32) -> f32) {
    let policy = PolicySet::read(&PolicyCheckpoint::open(fixture_policy()).unwrap()).unwrap();
    let tensors = policy.actor.iter().map(|(name, tensor)| {
        let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
        let values = values.into_iter().map(&change).collect();
        (name.to_owned(), candle_core::Tensor::from_vec(values, tensor.dims(), tensor.device()).unwrap())
    });
    let actor = StateDict::new(tensors.collect()).unwrap();
    PolicySet { actor, ..policy.clone() }.save(folder, "policy").unwrap();
}

#[test]
fn a_replay_follows_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let live = text(folder.path());
    let (code, talk) = replay(&["--follow", live]);
    assert_eq!(code, 1);
    assert!(talk.contains("there is no policy in it yet"), "{talk}");

    save(folder.path(), |value| value * 0.99);
    let policy = fixture_policy();
    let (code, talk) = replay(&["--follow", live, "--policy", text(&policy)]);
    assert_eq!(code, 0, "{talk}");
    assert!(talk.contains("of step 1000 has taken over: no decision to compare with yet"), "{talk}");
    let (code, talk) = replay(&["--follow", live]);
    assert_eq!(code, 0, "{talk}");
    assert!(!talk.contains("taken over"), "it is in use from the start: {talk}");

    save(folder.path(), |_| f32::NAN);
    let (code, talk) = replay(&["--follow", live, "--policy", text(&policy)]);
    assert_eq!(code, 0, "the replay goes on: {talk}");
    assert!(talk.contains("the policy in use stays: ") && talk.contains("NaN"), "{talk}");
    assert_eq!(replay(&["--allow-large-change"]).0, 2);
}
