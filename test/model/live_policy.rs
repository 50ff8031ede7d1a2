//! Policies that change while a tuner runs: what is taken over, what is refused, and that nothing is read half-way.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::support::own_fixture_set;
use candle_core::{DType, Device, Tensor};
use vlm_planner_tuner::checkpoint::{
    AdapterFiles, Fingerprint, PolicyCheckpoint, PolicyForm, PolicySet, StateDict, StoredPolicy, SupervisedCheckpoint,
};
use vlm_planner_tuner::feature::EncodedFrame;
use vlm_planner_tuner::frame::{BodyVelocity, Frame};
use vlm_planner_tuner::live::inference::{Loader, Order, Report, spawn};
use vlm_planner_tuner::live::{Decider, Following, POLL_INTERVAL, PolicyFollower, PolicyRefusal, take_over};
use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::policy::PolicyChange;
use vlm_planner_tuner::tuner::{ModelSpec, PolicyLoader, QuantizeChoice, StagedPolicy, Tuner, TunerOptions};
use vlm_planner_tuner::vision_language::processor::PixelBudget;
use vlm_planner_tuner::weights::MemoryBudget;

/// Files without a manifest count as complete when they have not changed for this long; short, so that tests are.
const SETTLED: Duration = Duration::from_millis(500);
/// Longer than any of this takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn part(name: &str) -> PathBuf {
    own_fixture_set("tiny_vlm").join(name)
}

fn tuner(policy: Option<&Path>) -> Tuner {
    let options = TunerOptions {
        model: ModelSpec {
            base: part("base"),
            checkpoint: part("checkpoint"),
            policy: policy.map(Path::to_owned),
            head: None,
            planner: PlannerSpec::builtin("dwa").unwrap(),
            quantize: QuantizeChoice::None,
            // Small images: what happens here does not depend on their size.
            pixels: PixelBudget { min_pixels: None, max_pixels: Some(28 * 28 * 12) },
        },
        device: Device::Cpu,
        format: None,
        memory: None,
    };
    options.load(None).unwrap()
}

fn frames() -> Vec<Frame> {
    let mut files: Vec<_> = std::fs::read_dir(part("frames")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &PathBuf| {
        let image = image::open(path).unwrap().into_rgb8();
        Frame::from_rgb8(image.width(), image.height(), image.into_raw()).unwrap()
    };
    files.iter().map(read).collect()
}

fn encode(tuner: &mut Tuner, frames: &[Frame]) -> Vec<EncodedFrame> {
    frames.iter().map(|frame| tuner.encode_for_history(frame).unwrap().unwrap()).collect()
}

fn velocity() -> BodyVelocity {
    BodyVelocity::new(0.4, 0.1).unwrap()
}

/// The fixture's policy with every tensor changed by `change`.
fn changed(change: impl Fn(&str, &Tensor) -> Tensor) -> PolicySet {
    let policy = PolicySet::read(&PolicyCheckpoint::open(part("policy")).unwrap()).unwrap();
    let tensors = policy.actor.iter().map(|(name, tensor)| (name.to_owned(), change(name, tensor))).collect();
    PolicySet { actor: StateDict::new(tensors).unwrap(), ..policy }
}

/// Another policy: every weight a little different, the encoder of past frames too.
fn another() -> PolicySet {
    changed(|_, tensor| (tensor * 1.02).unwrap())
}

/// A policy whose actions differ by `shift` before the tanh.
fn shifted(shift: f64) -> PolicySet {
    changed(|name, tensor| if name == "fc.bias" { (tensor + shift).unwrap() } else { tensor.clone() })
}

fn following(folder: &Path, loader: PolicyLoader, in_use: Option<Fingerprint>) -> PolicyFollower {
    PolicyFollower::new(folder, loader, in_use).with_settle(SETTLED)
}

/// Looks until the follower has something to say.
fn wait(follower: &mut PolicyFollower) -> Result<StagedPolicy, PolicyRefusal> {
    let start = Instant::now();
    loop {
        if let Some(found) = follower.look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "nothing was said about {}", follower.folder().display());
        std::thread::sleep(POLL_INTERVAL / 10);
    }
}

/// Why the policy in a folder is refused by a tuner that has decided.
fn refusal(tuner: &mut Tuner, folder: &Path) -> String {
    let mut follower = following(folder, tuner.policy_loader(), None);
    let refused = match wait(&mut follower) {
        Err(refusal) => refusal,
        Ok(staged) => take_over(tuner, staged, false).unwrap_err().refusal,
    };
    assert!(follower.look().is_none(), "judged once");
    refused.to_string()
}

fn decide(tuner: &mut Tuner, frame: &Frame, past: &[EncodedFrame]) -> Vec<f32> {
    tuner.decide(frame, velocity(), past).unwrap().action().unwrap().to_vec()
}

#[test]
fn a_policy_that_took_over_decides_as_if_it_had_been_there_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    another().save(folder.path(), "policy").unwrap();
    let frames = frames();
    let (mut changing, mut fresh) = (tuner(Some(&part("policy"))), tuner(Some(folder.path())));
    let past = encode(&mut changing, &frames[..2]);
    let before = decide(&mut changing, &frames[2], &past);

    let mut follower = following(folder.path(), changing.policy_loader(), None);
    let taken = take_over(&mut changing, wait(&mut follower).unwrap(), false).unwrap();
    assert_eq!((taken.step, taken.change.frames()), (Some(1000), 1));
    // The past that the old policy encoded counts, in the new policy's terms.
    let after = decide(&mut changing, &frames[2], &past);
    let past = encode(&mut fresh, &frames[..2]);
    assert_eq!(after, decide(&mut fresh, &frames[2], &past));
    assert_ne!(after, before);
    let largest = taken.change.largest().unwrap();
    let expected = before.iter().zip(&after).map(|(a, b)| f64::from((a - b).abs()) / 2.0).fold(0.0, f64::max);
    // Integer parameters are rounded before they are compared.
    assert!(largest.largest > 0.0 && largest.largest <= expected + 0.1, "{largest:?}, actions {expected}");
    assert!(follower.look().is_none(), "taken once");
}

#[test]
fn every_form_is_followed() {
    let mut tuner = tuner_that_has_decided();
    let expected = change_of(&mut tuner, &another());
    let folder = tempfile::tempdir().unwrap();
    for form in [PolicyForm::Pickle, PolicyForm::Safetensors, PolicyForm::Both] {
        another().save_as(form, folder.path(), "policy").unwrap();
        let mut follower = following(folder.path(), tuner.policy_loader(), None);
        assert_eq!(tuner.examine(&mut wait(&mut follower).unwrap()).unwrap(), expected, "{form:?}");
    }

    // The original's three files, put there one by one under names that are not looked at.
    let plain = tempfile::tempdir().unwrap();
    for name in ["actor", "noise", "vlm_info"] {
        let copy = plain.path().join(format!("policy_copy_{name}"));
        std::fs::copy(folder.path().join(format!("policy_{name}")), &copy).unwrap();
    }
    let mut follower = following(plain.path(), tuner.policy_loader(), None);
    assert!(follower.look().is_none());
    for name in ["actor", "noise", "vlm_info"] {
        let at = |prefix: &str| plain.path().join(format!("{prefix}_{name}"));
        std::fs::rename(at("policy_copy"), at("policy")).unwrap();
    }
    assert!(follower.look().is_none(), "nothing says yet that it is complete");
    let mut staged = wait(&mut follower).unwrap();
    assert_eq!(tuner.examine(&mut staged).unwrap(), expected);

    // Of the policies that a training run leaves, the last one.
    let run = tempfile::tempdir().unwrap();
    shifted(0.5).save(run.path(), "policy_step_900").unwrap();
    another().save(run.path(), "policy_step_1100").unwrap();
    let mut follower = following(run.path(), tuner.policy_loader(), None);
    let taken = take_over(&mut tuner, wait(&mut follower).unwrap(), false).unwrap();
    assert_eq!(taken.step, Some(1100));
}

/// A policy with an adapter of its own: the supervised one, larger.
fn with_adapter(policy: PolicySet, factor: f64) -> PolicySet {
    let supervised = SupervisedCheckpoint::open(part("checkpoint")).unwrap().adapter.unwrap();
    let tensors = StateDict::read(&supervised.tensors).unwrap();
    let larger = |(name, tensor): (&str, &Tensor)| (name.to_owned(), (tensor * factor).unwrap());
    let tensors = StateDict::new(tensors.iter().map(larger).collect()).unwrap();
    let config = std::fs::read_to_string(part("checkpoint").join("adapter_config.json")).unwrap();
    PolicySet { lora_adapter: Some(AdapterFiles::new(config, &tensors).unwrap()), ..policy }
}

#[test]
fn a_policy_with_an_adapter_of_its_own_brings_the_model_along_and_the_next_takes_it_away() {
    let folder = tempfile::tempdir().unwrap();
    let frames = frames();
    let mut changing = tuner(Some(&part("policy")));
    let past = encode(&mut changing, &frames[..2]);
    let mut decided = vec![decide(&mut changing, &frames[2], &past)];
    let mut follower = following(folder.path(), changing.policy_loader(), None);
    let policies = [with_adapter(another(), 1.3), with_adapter(another(), 1.6), another()];
    for policy in &policies {
        policy.save(folder.path(), "policy").unwrap();
        let staged = wait(&mut follower).unwrap();
        assert!(staged.has_model());
        let taken = take_over(&mut changing, staged, true).unwrap();
        // The frames of the model before are seen again by the new one.
        assert_eq!(taken.change.frames(), 1);
        let mut fresh = tuner(Some(folder.path()));
        let after = decide(&mut changing, &frames[2], &past);
        let past = encode(&mut fresh, &frames[..2]);
        assert_eq!(after, decide(&mut fresh, &frames[2], &past));
        decided.push(after);
    }
    assert!((1..decided.len()).all(|index| !decided[..index].contains(&decided[index])), "{decided:?}");

    // Heads alone need no model; without memory for a second one the policy has to wait for a restart.
    another().save(folder.path(), "policy").unwrap();
    assert!(!wait(&mut follower).unwrap().has_model());
    let little = changing.policy_loader().with_memory(MemoryBudget::of_bytes(1 << 20));
    with_adapter(another(), 1.3).save(folder.path(), "policy").unwrap();
    let refused = wait(&mut following(folder.path(), little, None)).unwrap_err().to_string();
    assert!(
        refused.contains("no memory for a second one") && refused.contains("restart with this policy"),
        "{refused}"
    );
}

#[test]
fn an_adapter_is_replaced_together_with_its_policy() {
    let folder = tempfile::tempdir().unwrap();
    let open = || PolicyCheckpoint::open(folder.path()).unwrap();
    for factor in [1.3, 1.6] {
        let policy = with_adapter(another(), factor);
        policy.save(folder.path(), "policy").unwrap();
        assert_eq!(PolicySet::read(&open()).unwrap().lora_adapter, policy.lora_adapter);
    }
    // Whoever changes it behind the manifest's back is noticed.
    let file = open().lora_adapter.unwrap().path;
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let changed = PolicyCheckpoint::open(folder.path()).unwrap_err().to_string();
    assert!(changed.contains("adapter_model.safetensors") && changed.contains("manifest"), "{changed}");
    another().save(folder.path(), "policy").unwrap();
    assert!(open().lora_adapter.is_none() && !folder.path().join("policy_lora_adapter").exists());
    // Nor is another program's adapter taken for a part of ours.
    let theirs = folder.path().join("policy_lora_adapter");
    std::fs::create_dir(&theirs).unwrap();
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        std::fs::copy(part("checkpoint").join(name), theirs.join(name)).unwrap();
    }
    let foreign = another().save(folder.path(), "policy").unwrap_err().to_string();
    assert!(foreign.contains("an adapter of another policy lies there"), "{foreign}");
}

/// What a policy changes on the frames that the tuner has seen.
fn change_of(tuner: &mut Tuner, policy: &PolicySet) -> PolicyChange {
    let folder = tempfile::tempdir().unwrap();
    policy.save(folder.path(), "policy").unwrap();
    let stored = StoredPolicy::open(folder.path()).unwrap();
    let mut staged = tuner.policy_loader().load(&stored).unwrap();
    tuner.examine(&mut staged).unwrap()
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn the_one_folder_form_is_a_regression_head_that_was_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("policy");
    for name in ["regression_head", "history_encoder", "normalization"] {
        copy_folder(&part("checkpoint").join(name), &live.join(name));
    }
    std::fs::write(live.join("exploration_noise.pkl"), b"\x80\x04G\x3f\xb9\x99\x99\x99\x99\x99\x9a.").unwrap();
    let (mut supervised, mut policy) = (tuner(None), tuner(Some(&live)));
    let frames = frames();
    let parameters = |tuner: &mut Tuner| {
        let past = encode(tuner, &frames[..2]);
        tuner.decide(&frames[2], velocity(), &past).unwrap().parameters().clone()
    };
    assert_eq!(parameters(&mut policy), parameters(&mut supervised), "the same weights");

    let mut follower = following(folder.path(), supervised.policy_loader(), None);
    let taken = take_over(&mut supervised, wait(&mut follower).unwrap(), false).unwrap();
    assert_eq!((taken.change.largest().unwrap().largest, taken.policy), (0.0, live.clone()));
    let mut acting = tuner(Some(&part("policy")));
    assert!(refusal(&mut acting, folder.path()).contains("an actor is in use, and this policy has none"));
    std::fs::remove_file(live.join("normalization/param_std.npy")).unwrap();
    assert!(refusal(&mut supervised, folder.path()).contains("param_std.npy"));
}

#[test]
fn bad_policies_are_refused_and_the_old_one_stays() {
    let mut tuner = tuner(Some(&part("policy")));
    let frames = frames();
    let past = encode(&mut tuner, &frames[..2]);
    let before = decide(&mut tuner, &frames[2], &past);
    let mut refused = |prepare: &dyn Fn(&Path), parts: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let message = refusal(&mut tuner, folder.path());
        parts.iter().for_each(|part| assert!(message.contains(part), "'{part}' is not in: {message}"));
        let past = encode(&mut tuner, &frames[..2]);
        assert_eq!(decide(&mut tuner, &frames[2], &past), before);
    };
    let save = |policy: PolicySet| move |folder: &Path| drop(policy.save(folder, "policy").unwrap());

    let evil = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.";
    refused(
        &|folder| std::fs::write(folder.join("policy_actor"), evil).unwrap(),
        &["policy_actor", "'posix.system' at byte", "nothing was executed"],
    );
    refused(
        &|folder| {
            save(another())(folder);
            let noise = folder.join(".policy/current/policy_noise").canonicalize().unwrap();
            std::fs::write(noise, evil).unwrap();
        },
        &["policy_noise", "policy_manifest.json", "copy all files again"],
    );
    let not_finite = changed(|name, tensor| {
        if name == "fc.bias" { Tensor::full(f32::NAN, tensor.dims(), &Device::Cpu).unwrap() } else { tensor.clone() }
    });
    refused(&save(not_finite), &["action holds NaN at index 0"]);
    let infinite = changed(|name, tensor| {
        if name.ends_with("spatial_attention.2.weight") { (tensor * f64::MAX).unwrap() } else { tensor.clone() }
    });
    refused(&save(infinite), &["holds", "the model's numbers cannot be used"]);
    let longer = changed(|name, tensor| {
        if name == "fc.weight" { Tensor::ones((7, 256), DType::F32, &Device::Cpu).unwrap() } else { tensor.clone() }
    });
    refused(&save(longer), &["fc.weight", "[7, 256]", "[7, 32]"]);
    let mut of_another_planner = another();
    of_another_planner.origin.parameters = vec!["vx_std".into()];
    refused(&save(of_another_planner), &["its actions are vx_std; those of planner DWA are max_vel_x, "]);
    let mut without_history = another();
    without_history.vlm_info.as_mut().unwrap().use_history = false;
    refused(&save(without_history), &["vlm_info says use_history false"]);
    refused(
        &save(shifted(-9.0)),
        &["changes on the last 4 frames in % of each range: max_vel_x", "allow_large_change"],
    );
    refused(
        &|folder| std::fs::write(folder.join("policy_actor"), b"").unwrap(),
        &["policy_actor", "the file is empty"],
    );
}

#[test]
fn a_large_change_needs_a_word() {
    let mut tuner = tuner(Some(&part("policy")));
    let frames = frames();
    let past = encode(&mut tuner, &frames[..2]);
    decide(&mut tuner, &frames[2], &past);
    let folder = tempfile::tempdir().unwrap();
    shifted(-9.0).save(folder.path(), "policy").unwrap();
    let mut follower = following(folder.path(), tuner.policy_loader(), None);
    let kept = take_over(&mut tuner, wait(&mut follower).unwrap(), false).unwrap_err();
    let taken = take_over(&mut tuner, *kept.too_different.unwrap(), true).unwrap();
    assert!(taken.change.is_large());
    assert!(decide(&mut tuner, &frames[2], &past).iter().all(|action| *action < -0.9));
    // The operator's service takes it without a setting, and numbers only.
    assert!(tuner.reload_policy(folder.path()).is_ok());
}

#[test]
fn the_first_policy_of_all_is_tried_on_a_made_up_frame() {
    let mut tuner = tuner(Some(&part("policy")));
    let change = change_of(&mut tuner, &shifted(-9.0));
    assert_eq!((change.frames(), change.is_large()), (0, false));
    let folder = tempfile::tempdir().unwrap();
    changed(|_, tensor| (tensor * f64::NAN).unwrap()).save(folder.path(), "policy").unwrap();
    let mut staged = tuner.policy_loader().load(&StoredPolicy::open(folder.path()).unwrap()).unwrap();
    assert!(tuner.examine(&mut staged).unwrap_err().to_string().contains("NaN"));
}

/// Copies files as a slow network does: a piece at a time, over what is there. Tells the longest time in which nothing
/// may have come.
fn drip(from: &Path, to: &Path, names: &[&str]) -> Duration {
    let (mut longest, mut last) = (Duration::ZERO, Instant::now());
    for name in names {
        let bytes = std::fs::read(from.join(name)).unwrap();
        let mut file = std::fs::File::create(to.join(name)).unwrap();
        for piece in bytes.chunks(bytes.len().div_ceil(12)) {
            let before = Instant::now();
            file.write_all(piece).unwrap();
            longest = longest.max(last.elapsed());
            last = before;
            std::thread::sleep(Duration::from_millis(40));
        }
    }
    longest.max(last.elapsed())
}

#[test]
fn a_folder_that_is_copied_slowly_is_never_read_half_way() {
    let mut tuner = tuner_that_has_decided();
    let pickles = ["policy_actor", "policy_noise", "policy_vlm_info"];
    let all = ["policy_actor", "policy_manifest.json", "policy_noise", "policy_vlm_info"];
    for (names, has_manifest) in [(&pickles[..], false), (&all[..], true)] {
        let live = tempfile::tempdir().unwrap();
        let mut follower = following(live.path(), tuner.policy_loader(), None);
        // A machine that stalls the copy for half a second makes it look finished; the next piece tells otherwise.
        let (mut stall, mut too_early) = (Duration::ZERO, false);
        // A policy whose files fit its manifest is taken before the last of them is written again, and then once more.
        let mut before = None;
        // Into the empty folder, then over the files that are there.
        for policy in [another(), shifted(0.3), another()] {
            let expected = change_of(&mut tuner, &policy);
            let source = tempfile::tempdir().unwrap();
            policy.save_as(PolicyForm::Pickle, source.path(), "policy").unwrap();
            let done = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let copy = scope.spawn(|| {
                    let stall = drip(source.path(), live.path(), names);
                    done.store(true, Ordering::SeqCst);
                    stall
                });
                loop {
                    let complete = done.load(Ordering::SeqCst);
                    match wait(&mut follower) {
                        Ok(mut staged) => {
                            let change = tuner.examine(&mut staged).unwrap();
                            if change == expected {
                                break;
                            }
                            too_early |= before.as_ref() != Some(&change);
                        }
                        Err(refusal) => assert!(!complete, "refused though complete: {refusal}"),
                    }
                }
                stall = stall.max(copy.join().unwrap());
            });
            before = Some(expected);
            assert_eq!(live.path().join("policy_manifest.json").exists(), has_manifest);
        }
        assert!(!too_early || stall >= SETTLED, "something else was read though the copy never paused: {stall:?}");
    }
}

/// The original's three files over a network that rests for up to three seconds, within a file and between two: first
/// into the empty folder, then over the set that is in use.
#[test]
fn pauses_of_three_seconds_do_not_make_a_policy_of_a_half_or_a_mixed_set() {
    let mut tuner = tuner_that_has_decided();
    let live = tempfile::tempdir().unwrap();
    let mut follower = PolicyFollower::new(live.path(), tuner.policy_loader(), None);
    for (noise, policy) in [(0.07, another()), (0.05, shifted(0.3))] {
        let source = tempfile::tempdir().unwrap();
        let policy = PolicySet { noise: Some(noise), ..policy };
        policy.save_as(PolicyForm::Pickle, source.path(), "policy").unwrap();
        let expected = change_of(&mut tuner, &policy);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for (name, pause) in [("actor", 3000), ("noise", 2500), ("vlm_info", 1000)] {
                    let name = format!("policy_{name}");
                    let bytes = std::fs::read(source.path().join(&name)).unwrap();
                    let mut file = std::fs::File::create(live.path().join(&name)).unwrap();
                    let (first, rest) = bytes.split_at(bytes.len() / 2);
                    file.write_all(first).unwrap();
                    std::thread::sleep(Duration::from_millis(pause));
                    file.write_all(rest).unwrap();
                    std::thread::sleep(Duration::from_millis(if name == "policy_vlm_info" { 0 } else { 3000 }));
                }
                done.store(true, Ordering::SeqCst);
            });
            let mut taken = wait(&mut follower).unwrap();
            assert!(done.load(Ordering::SeqCst), "taken before its last byte had come");
            assert_eq!(tuner.examine(&mut taken).unwrap(), expected);
        });
        let stored = PolicyCheckpoint::open(live.path().join("policy")).unwrap();
        assert_eq!(stored.noise, Some(noise));
    }
}

/// Reports of an inference thread that follows `folder`.
fn follow(folder: &Path) -> (std::sync::mpsc::Sender<Order>, Receiver<Report>) {
    let loader: Loader = Box::new(|| Ok(Box::new(tuner_that_has_decided()) as Box<dyn Decider>));
    let (reports, received) = channel();
    let following = Following { folder: folder.into(), allow_large_change: false, in_use: None };
    let orders = spawn(loader, Duration::from_secs(1), Some(following), move |report| drop(reports.send(report)));
    (orders.unwrap(), received)
}

fn tuner_that_has_decided() -> Tuner {
    let mut tuner = tuner(Some(&part("policy")));
    let past = encode(&mut tuner, &frames()[..2]);
    decide(&mut tuner, &frames()[2], &past);
    tuner
}

#[test]
fn the_inference_thread_takes_policies_between_decisions() {
    let folder = tempfile::tempdir().unwrap();
    let (orders, reports) = follow(folder.path());
    let next = || match reports.recv_timeout(PATIENCE).unwrap() {
        Report::PolicyFollowed(followed) => followed.map_err(|refusal| refusal.to_string()),
        other => panic!("{other:?}"),
    };
    assert!(matches!(reports.recv_timeout(PATIENCE).unwrap(), Report::Loaded(_)));
    another().save(folder.path(), "policy").unwrap();
    assert_eq!(next().unwrap().change.frames(), 1);
    shifted(-9.0).save(folder.path(), "policy").unwrap();
    assert!(next().unwrap_err().contains("allow_large_change"));
    orders.send(Order::AllowLargeChange(true)).unwrap();
    assert!(next().unwrap().change.is_large());
    changed(|_, tensor| (tensor * f64::NAN).unwrap()).save(folder.path(), "policy").unwrap();
    assert!(next().unwrap_err().contains("NaN"));
    // The thread ends with its orders, and the one that follows with it.
    drop(orders);
    assert!(reports.recv_timeout(PATIENCE).is_err());
}
