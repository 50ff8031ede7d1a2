//! Logs that are exported, read back the way numpy reads them.

use crate::support::episode;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use crate::support::episode::{FEATURE, PARAMETERS, step, steps, write};
use serde_json::Value;
use vlm_planner_tuner::export::Trajectory;
use vlm_planner_tuner::transition::{Ending, Step, Truncation};

/// Exit code and what was said on stderr.
fn export(logs: &Path, output: &Path, rest: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_planner_tuner"));
    let output = command.arg("export").arg(logs).arg("-o").arg(output).args(rest).output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!talk.contains("panicked"), "{talk}");
    (output.status.code().unwrap(), talk)
}

/// The arrays of an archive: header as numpy writes it, and bytes.
fn arrays(path: &Path) -> BTreeMap<String, (String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut arrays = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let name = entry.name().unwrap().strip_suffix(".npy").unwrap().to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        assert_eq!((&bytes[..8], (10 + length) % 64), (b"\x93NUMPY\x01\x00".as_slice(), 0), "{name}");
        let data = bytes.split_off(10 + length);
        arrays.insert(name, (String::from_utf8(bytes[10..].to_vec()).unwrap().trim().to_owned(), data));
    }
    arrays
}

fn f32s(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn i64s(bytes: &[u8]) -> Vec<i64> {
    bytes.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect()
}

fn metadata(dataset: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(dataset.join("metadata.json")).unwrap()).unwrap()
}

#[test]
fn every_number_of_a_log_is_in_the_arrays() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, dataset) = (folder.path().join("logs"), folder.path().join("dataset"));
    let expected = steps(7, Ending::Truncated(Truncation::TimeOut));
    write(&logs, "first", &expected, 3);
    write(&logs, "second", &steps(4, Ending::Collision), 4);
    let (code, talk) = export(&logs, &dataset, &[]);
    assert_eq!(code, 0, "{talk}");
    assert!(talk.contains("wrote 2 episodes, 11 steps and 11 frames of 2 logs"), "{talk}");

    let found = arrays(&dataset.join("episode_0.npz"));
    let shape = |name: &str| {
        let header = &found[name].0;
        header.split_once("'shape': ").unwrap().1.trim_end_matches(", }").to_owned()
    };
    let (features, actions) = (format!("(8, {FEATURE})"), format!("(7, {})", PARAMETERS.len()));
    assert_eq!((shape("observations"), shape("actions"), shape("rewards")), (features, actions, "(7,)".to_owned()));
    let flat = |of: fn(&Step) -> &[f32]| expected.iter().flat_map(of).copied().collect::<Vec<f32>>();
    let mut observations = flat(|step| step.feature.values());
    observations.extend(expected[6].next_feature.as_ref().unwrap().values());
    assert_eq!(f32s(&found["observations"].1), observations);
    assert_eq!(f32s(&found["actions"].1), flat(|step| step.explored.values()));
    assert_eq!(f32s(&found["policy_actions"].1), flat(|step| step.action.values()));
    assert_eq!(f32s(&found["noise"].1), flat(|step| &step.noise));
    assert_eq!(f32s(&found["rewards"].1), expected.iter().map(|step| step.reward).collect::<Vec<_>>());
    assert_eq!(i64s(&found["stamps"].1), expected.iter().map(|step| step.stamp.nanos()).collect::<Vec<_>>());
    assert_eq!((&found["terminations"].1, &found["truncations"].1), (&vec![0; 7], &vec![0, 0, 0, 0, 0, 0, 1]));
    let crash = arrays(&dataset.join("episode_1.npz"));
    assert_eq!((&crash["terminations"].1, &crash["truncations"].1), (&vec![0, 0, 0, 1], &vec![0; 4]));

    assert!(dataset.join("to_minari.py").is_file(), "what makes a data set for Minari of it");
    let metadata = metadata(&dataset);
    assert_eq!((metadata["total_steps"].as_u64(), metadata["planner"].as_str()), (Some(11), Some("DWA")));
    let described: Vec<_> = metadata["arrays"].as_object().unwrap().keys().cloned().collect();
    let mut sorted = described.clone();
    sorted.sort();
    assert_eq!(sorted, found.into_keys().collect::<Vec<_>>(), "every array is described");
    let frame = image::open(dataset.join("episode_0/frames/000003.png")).unwrap().into_rgb8();
    assert_eq!(frame.into_raw(), episode::frame(3).rgb());
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing else is left: {names:?}");
}

#[test]
fn nothing_leads_across_a_hole() {
    let mut log = steps(10, Ending::Success);
    log.retain(|step| ![4, 6].contains(&step.index));
    let (trajectories, unusable) = Trajectory::of(&log);
    let found: Vec<_> = trajectories
        .iter()
        .map(|found| (found.steps[0].index, found.steps.len(), found.terminated, found.after.clone()))
        .collect();
    let feature = |index: u64| step(index, Ending::Continues).feature;
    // The step before a hole is the observation after its predecessor; step 5 stands alone.
    assert_eq!(found, [(0, 3, false, feature(3)), (7, 3, true, feature(9))]);
    assert_eq!(unusable, 1);
    assert_eq!(Trajectory::of(&[]), (vec![], 0));
    let unfinished = steps(2, Ending::Continues);
    assert_eq!(Trajectory::of(&unfinished).0[0].steps.len(), 1);
}

#[test]
fn logs_that_do_not_belong_together_or_nowhere_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, dataset) = (folder.path().join("logs"), folder.path().join("dataset"));
    write(&logs, "only", &steps(1, Ending::Continues), 1);
    let (code, talk) = export(&logs, &dataset, &[]);
    assert_eq!(code, 1, "{talk}");
    assert!(talk.contains("no episode of two steps or more") && !dataset.exists(), "{talk}");

    write(&logs, "more", &steps(3, Ending::Success), 1);
    let (code, talk) = export(&logs, &dataset, &[]);
    assert_eq!(code, 3, "what is lost is said: {talk}");
    let (code, talk) = export(&logs, &dataset, &[]);
    assert_eq!(code, 1, "{talk}");
    assert!(talk.contains("is there already"), "{talk}");
    assert_eq!(export(&folder.path().join("nowhere"), &folder.path().join("x"), &[]).0, 1);
}
