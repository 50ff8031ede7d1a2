//! A saver that is killed at any instant, with readers at it all the time: they see old or new, never a mixture.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::support;
use candle_core::{Device, Tensor};
use vlm_planner_tuner::checkpoint::{PolicyCheckpoint, PolicyOrigin, PolicySet, StateDict, TensorTable, VlmInfo};

const ROUNDS: u64 = 200;
const FOLDER: &str = "PLANNER_TUNER_TEST_SAVER_FOLDER";
const FIRST: &str = "PLANNER_TUNER_TEST_SAVER_FIRST";

/// A policy all of whose files say `number`.
fn numbered(number: u64) -> PolicySet {
    let tensor = |shape: &[usize]| Tensor::full(number as f32, shape, &Device::Cpu).unwrap();
    let tensors = (0..8).map(|n| (format!("layer.{n}.weight"), tensor(&[64, 32]))).collect();
    let info =
        VlmInfo { checkpoint_path: number.to_string(), use_4bit: false, use_history: true, vlm_trainable: false };
    let (noise, step) = (Some(number as f64), Some(number));
    let actor = StateDict::new(tensors).unwrap();
    PolicySet { actor, noise, vlm_info: Some(info), step, origin: PolicyOrigin::default(), lora_adapter: None }
}

/// The number that all tensors of a table hold; panics when they hold different ones.
fn number_of(table: &TensorTable) -> u64 {
    let values = |name: &str| table.read(name, &Device::Cpu).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let all: Vec<f32> = table.names().flat_map(values).collect();
    assert_eq!(all.len(), 8 * 64 * 32);
    assert!(all.iter().all(|value| *value == all[0]), "tensors of different policies");
    all[0] as u64
}

/// Opens the policy and checks that everything in it is of one save.
fn read(folder: &Path) -> u64 {
    let policy = PolicyCheckpoint::open(folder).unwrap_or_else(|error| panic!("neither old nor new: {error}"));
    let number = number_of(&policy.actor);
    assert_eq!(policy.noise, Some(number as f64), "noise of another policy");
    assert_eq!(policy.vlm_info.unwrap().checkpoint_path, number.to_string(), "vlm_info of another policy");
    number
}

/// The process that is killed: saves policies with rising numbers until it is.
#[test]
#[ignore = "started by the other test, not by people"]
fn saver() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    for number in first.. {
        numbered(number).save(Path::new(&folder), "policy").unwrap();
    }
}

fn start_saver(folder: &Path, first: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "files::policy_kills::saver"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Puts plain files of the same contents where the links are, as a policy that was copied there has them.
fn make_plain(folder: &Path) {
    for name in ["policy_actor", "policy_noise", "policy_vlm_info"] {
        let copy = folder.join(name.replace("policy", "policy_copy"));
        std::fs::copy(folder.join(name), &copy).unwrap();
        std::fs::rename(copy, folder.join(name)).unwrap();
    }
}

#[test]
fn two_hundred_kills_leave_the_old_policy_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    numbered(1).save(folder, "policy").unwrap();
    let (done, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut saved_in = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut newest = 0;
            while !done.load(Ordering::Relaxed) {
                let number = read(folder);
                assert!(number >= newest, "{number} came after {newest}");
                newest = number;
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
        // As the original's tools read: by the fixed name.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                number_of(&TensorTable::open(folder.join("policy_actor")).unwrap());
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        for round in 0..ROUNDS {
            let before = read(folder);
            if round % 4 == 3 {
                make_plain(folder);
            }
            let mut saver = start_saver(folder, before + 1);
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            std::thread::sleep(Duration::from_micros(2_000 + random % 90_000));
            saver.kill().unwrap();
            saver.wait().unwrap();
            saved_in += u64::from(read(folder) > before);
        }
        done.store(true, Ordering::Relaxed);
    });
    let (last, reads) = (read(folder), reads.into_inner());
    support::say(&format!("{ROUNDS} kills: {last} policies saved in {saved_in} rounds, {reads} reads, no mixture"));
    assert!(saved_in > 0, "no saver lived long enough to save");
    numbered(last + 1).save(folder, "policy").unwrap();
    let left: Vec<_> =
        std::fs::read_dir(folder.join(".policy")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("partial-")), "{left:?}");
}
