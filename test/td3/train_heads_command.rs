//! `planner_tuner train --train heads` as a user meets it: from the demo drive to a policy whose heads have learned.

use std::path::{Path, PathBuf};
use std::process::Output;

use super::logged_drive::{Drive, ended, golden, model_with, report, run, tensors};
use crate::support::say;
use vlm_planner_tuner::checkpoint::{PolicyCheckpoint, StateDict};
use vlm_planner_tuner::origin::identify;

fn entries(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|end| end == "entry")).collect();
    files.sort();
    files
}

#[test]
fn from_a_drive_to_heads_that_have_learned_to_a_drive_that_follows_them() {
    let drive = Drive::new();
    let finished = drive.begin("whole", "heads", "6", &["--save-every", "3"]);
    let (report, talk) = (report(&finished), ended(&finished).1);
    assert_eq!(
        (&report["train"], &report["updates"], &report["skipped_updates"]),
        (&"heads".into(), &6.into(), &0.into())
    );
    // What is computed again of the log's pictures is what the drive computed.
    let distance = talk.split("lie within ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    say(&format!("features computed again of the demo drive's log: within {distance} of the logged ones"));
    assert!(distance.parse::<f64>().unwrap() < 1e-5, "{talk}");

    // All that an action depends on has moved, in both forms; the regression has not.
    let (start, trained) = (tensors(Path::new(&golden("policy"))), tensors(&drive.path("whole/policy")));
    for (name, before) in start.iter() {
        let after = trained.get(name).unwrap();
        let change = (before - after).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert_eq!(change > 0.0, !name.contains(".mlp."), "{name} changed by {change}");
    }
    let safetensors = tensors(&drive.path("whole/policy_actor.safetensors"));
    assert!(safetensors.same_bits(&trained).unwrap());
    assert!(drive.path("whole/policy_step_3_actor").exists());

    // The policy says which extractor it is: the one that a drive with it would log.
    let origin = model_with(drive.path("whole/policy"));
    let said = PolicyCheckpoint::open(drive.path("whole/policy")).unwrap().manifest.unwrap().origin.extractor;
    assert_eq!(said, Some(identify(&origin).unwrap().1.0));
    let of_start = model_with(golden("policy").into());
    assert_ne!(said, Some(identify(&of_start).unwrap().1.0));

    let (run_folder, plot) = (drive.text("whole"), drive.text("plot.png"));
    let followed = drive.replay(&["--follow", &run_folder, "--allow-large-change", "--plot", &plot], &golden("policy"));
    let (code, talk) = ended(&followed);
    assert!(code == 0 && talk.contains("of step 6 has taken over"), "{talk}");
}

#[test]
fn interrupted_with_a_damaged_or_a_small_cache_it_ends_with_the_same_bytes() {
    let drive = Drive::new();
    let expected = report(&drive.begin("whole", "heads", "5", &[]));

    let cache = drive.text("cache");
    report(&drive.begin("part", "heads", "2", &["--cache", &cache]));
    let known = entries(&drive.path("cache"));
    assert!(known.len() > 30, "{}", known.len());
    // One entry is damaged, one is another's, one is gone.
    let mut bytes = std::fs::read(&known[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&known[0], bytes).unwrap();
    std::fs::copy(&known[2], &known[1]).unwrap();
    std::fs::remove_file(&known[3]).unwrap();
    let resumed = drive.train("part", &["--resume", "--steps", "5", "--cache", &cache]);
    let found = report(&resumed);
    assert_eq!(
        (&found["policy"]["sha256"], &found["parameters"]),
        (&expected["policy"]["sha256"], &expected["parameters"])
    );
    for name in ["training_state.safetensors", "training_state.json", "policy_actor"] {
        assert!(drive.read("part", name) == drive.read("whole", name), "{name}");
    }

    // Room for a few entries only: what does not fit is computed whenever it is drawn.
    let tight = drive.begin("tight", "heads", "5", &["--cache-limit", "0.0015"]);
    assert_eq!(report(&tight)["policy"]["sha256"], expected["policy"]["sha256"]);
    assert!(ended(&tight).1.contains("--cache-limit"), "{}", ended(&tight).1);
    let kept: u64 = entries(&drive.path("tight/hidden_states")).iter().map(|file| file.metadata().unwrap().len()).sum();
    assert!(kept > 0 && kept <= (0.0015 * f64::from(1 << 30)) as u64, "{kept}");

    // Half the room: other numbers, but close.
    let half = report(&drive.begin("half", "heads", "5", &["--cache-format", "bf16"]));
    assert_ne!(half["policy"]["sha256"], expected["policy"]["sha256"]);
    // Past frames are entries, too, of 224 x 224 pixels behind a header of 52 bytes.
    let size = |folder: &str| {
        let sizes = entries(&drive.path(folder)).into_iter().map(|file| file.metadata().unwrap().len());
        sizes.filter(|size| *size != 224 * 224 * 3 + 52).max()
    };
    let (half, whole) = (size("half/hidden_states").unwrap(), size("whole/hidden_states").unwrap());
    assert!(half * 19 / 10 < whole, "{half} {whole}");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let drive = Drive::new();
    let refused = |output: &Output, words: &[&str]| {
        let (code, talk) = ended(output);
        assert!(code != 0 && words.iter().all(|word| talk.contains(word)), "{code} {talk}");
        code
    };
    let (policy, other) = (golden("policy"), drive.path("other"));
    // Heads that did not make the logged features.
    let start = vlm_planner_tuner::checkpoint::PolicySet::read(&PolicyCheckpoint::open(&policy).unwrap()).unwrap();
    let scaled = |(name, tensor): (&str, &candle_core::Tensor)| (name.to_owned(), (tensor * 1.01).unwrap());
    let changed = StateDict::new(start.actor.iter().map(scaled).collect()).unwrap();
    vlm_planner_tuner::checkpoint::PolicySet { actor: changed, ..start }.save(&other, "policy").unwrap();
    let other = other.display().to_string();
    let heads = ["--train", "heads", "--steps", "1"];
    let by_others = drive.train("a", &[&["--policy", other.as_str()][..], &heads].concat());
    assert_eq!(refused(&by_others, &["has features of extractor", "--allow-mixed"]), 1);
    report(&drive.train("a", &[&["--policy", other.as_str(), "--allow-mixed"][..], &heads].concat()));

    // A mode is kept, and needs its model.
    assert_eq!(refused(&drive.train("a", &["--resume", "--train", "actor"]), &["begun with --train heads"]), 1);
    let (logs, checkpoint, output) = (drive.text("logs"), golden("checkpoint"), drive.text("b"));
    let without =
        run(&["train", &logs, "-o", &output, "--checkpoint", &checkpoint, "--policy", &policy, "--train", "heads"]);
    assert_eq!(refused(&without, &["--base"]), 2);
}
