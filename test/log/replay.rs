//! `replay --log`, `relabel` and `inspect` as a user meets them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support;
use crate::support::expect;
use crate::support::small_bag::{Cdr, Recorded, compressed_image, nanos, png, write_db3, write_mcap};
use serde_json::Value;
use vlm_planner_tuner::transition::{Ending, FrameNumber, LoggedEpisode, Truncation, logs_in};

fn planner_tuner(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_planner_tuner")).args(args).output().unwrap()
}

fn model() -> Vec<String> {
    let path = |part: &str| support::own_fixture_set("tiny_vlm").join(part).display().to_string();
    let (base, checkpoint, policy) = (path("base"), path("checkpoint"), path("policy"));
    ["--base", &base, "--checkpoint", &checkpoint, "--policy", &policy].map(str::to_owned).to_vec()
}

fn replay(recording: &Path, log: &Path, rest: &[&str]) -> Output {
    let model = model();
    let mut args = vec!["replay", recording.to_str().unwrap(), "--log", log.to_str().unwrap()];
    args.extend(model.iter().map(String::as_str));
    args.extend(rest);
    planner_tuner(&args)
}

fn demo_drive() -> PathBuf {
    support::own_fixture_set("demo_drive")
}

/// The files of a folder with their contents.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn the_demo_leaves_a_log_and_the_same_one_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    let output = Command::new(env!("CARGO_BIN_EXE_planner_tuner"))
        .args(["replay", "--demo", "--log", "logs", "--csv"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let talk = expect(0, &output);
    assert!(talk.contains("wrote 30 steps of 1 episodes to logs"), "{talk}");
    let first = contents(&logs);
    assert_eq!(first.len(), 1, "one episode, one file");

    // Everything else is as without a log: all columns but the time that a decision took.
    let without =
        planner_tuner(&["replay", "--demo", "--csv", "--plot", folder.path().join("p.png").to_str().unwrap()]);
    let columns = |output: &Output| -> Vec<String> {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        text.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect()
    };
    assert_eq!(columns(&output), columns(&without));

    // The same recording, model and seed give the same bytes, in place of the old ones.
    let picture = folder.path().join("p.png").display().to_string();
    let again = |log: &Path, rest: &[&str]| {
        let args = ["replay", "--demo", "--plot", &picture, "--log", log.to_str().unwrap()];
        expect(0, &planner_tuner(&[&args[..], rest].concat()))
    };
    again(&logs, &[]);
    assert!(contents(&logs) == first, "the same bytes");
    // Other noise is another log, and explored parameters are those of the explored action.
    let noisy = folder.path().join("noisy");
    again(&noisy, &["--exploration", "0.2", "--seed", "7"]);
    assert!(contents(&noisy) != first, "other bytes");
    let noisy = logs_in(&noisy).unwrap().episodes[0].read().unwrap();
    let plain = logs_in(&logs).unwrap().episodes[0].read().unwrap();
    assert!(plain.steps.iter().all(|step| step.noise.iter().all(|noise| *noise == 0.0)));
    let planner = vlm_planner_tuner::planner::PlannerSpec::builtin("dwa").unwrap();
    for (noisy, plain) in noisy.steps.iter().zip(&plain.steps) {
        assert_eq!((&noisy.action, &noisy.feature), (&plain.action, &plain.feature));
        assert_ne!(noisy.explored, noisy.action);
        let expected = planner.from_action(noisy.explored.values()).unwrap();
        let found: Vec<_> = noisy.parameters.iter().map(|sent| (sent.name.as_str(), sent.value)).collect();
        let expected: Vec<_> = expected.iter().map(|(parameter, value)| (parameter.name(), value)).collect();
        assert_eq!(found, expected);
    }

    // What was seen is in the log, picture by picture.
    for (index, step) in plain.steps.iter().enumerate() {
        let picture = demo_drive().join(format!("frames/{index:03}.png"));
        let picture = image::open(picture).unwrap().to_rgb8();
        assert_eq!(plain.frame(step.frame).unwrap().rgb(), picture.as_raw().as_slice(), "{index}");
        assert_eq!(step.stamp.nanos(), 100_000_000_000 + index as i64 * 500_000_000);
        assert_eq!((step.reward, step.terms.progress_m), (-1.0, None), "no pose, no progress");
    }
    assert_eq!(plain.session.policy.0.len(), 64);
    assert_eq!(plain.steps[29].ending, Ending::Truncated(Truncation::End));

    inspected(&logs);
    relabelled(&logs, folder.path());
}

/// `inspect` on a whole log, and on one that was cut.
fn inspected(logs: &Path) {
    let output = planner_tuner(&["inspect", logs.to_str().unwrap(), "--json"]);
    expect(0, &output);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["kind"], &report["properties"]["steps"]), (&"transition log".into(), &30.into()));
    assert_eq!(report["properties"]["damage"], "nothing lost");
    assert_eq!(report["properties"]["ending"], "end");

    let (name, bytes) = contents(logs).pop().unwrap();
    let cut = tempfile::tempdir().unwrap();
    let file = cut.path().join(name);
    std::fs::write(&file, &bytes[..bytes.len() * 3 / 4]).unwrap();
    for path in [&file, cut.path()] {
        let output = planner_tuner(&["inspect", path.to_str().unwrap()]);
        expect(3, &output);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("bytes lost") && text.contains("the episode's end is missing"), "{text}");
    }
    std::fs::write(&file, b"nothing of the kind").unwrap();
    let talk = expect(1, &planner_tuner(&["inspect", file.to_str().unwrap()]));
    assert!(talk.contains("no transition log"), "{talk}");
}

fn relabelled(logs: &Path, folder: &Path) {
    let (weights, output) = (folder.join("reward.yaml"), folder.join("relabelled"));
    std::fs::write(&weights, "slack_reward: -0.25\n").unwrap();
    let before = contents(logs);
    let run = |output: &Path| {
        planner_tuner(&[
            "relabel",
            logs.to_str().unwrap(),
            "--reward",
            weights.to_str().unwrap(),
            "-o",
            output.to_str().unwrap(),
        ])
    };
    let talk = expect(0, &run(&output));
    assert!(talk.contains("wrote 30 steps of 1 episodes") && talk.contains("-0.250 was -1.000"), "{talk}");
    assert_eq!(contents(logs), before, "the logs that were read stay as they are");
    let old = logs_in(logs).unwrap().episodes[0].read().unwrap();
    let new = logs_in(&output).unwrap().episodes[0].read().unwrap();
    assert_eq!(new.session, old.session);
    for (new, old) in new.steps.iter().zip(&old.steps) {
        assert_eq!(new.reward, -0.25);
        let mut unchanged = new.clone();
        unchanged.reward = old.reward;
        assert_eq!(unchanged, *old);
    }
    assert_eq!(new.frame(FrameNumber(7)).unwrap(), old.frame(FrameNumber(7)).unwrap());
    let talk = expect(1, &run(logs));
    assert!(talk.contains("name another folder"), "{talk}");
    std::fs::write(&weights, "slak_reward: -0.25\n").unwrap();
    let talk = expect(1, &run(&output));
    assert!(talk.contains("did you mean 'slack_reward'?"), "{talk}");
}

fn goal_status(goals: &[(u8, i8)]) -> Vec<u8> {
    let mut cdr = Cdr::new(false);
    cdr.u32(goals.len() as u32);
    for (id, status) in goals {
        for _ in 0..16 {
            cdr.u8(*id);
        }
        cdr.u32(1_700_000_000).u32(0).u8(*status as u8);
    }
    cdr.finish()
}

fn odometry_at(ms: i64, x: f64) -> Vec<u8> {
    let mut cdr = Cdr::new(false);
    cdr.header(nanos(ms)).text("base_link");
    for value in [x, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0] {
        cdr.f64(value);
    }
    for index in 0..36 + 6 + 36 {
        cdr.f64(if index == 36 { 0.5 } else { 0.0 });
    }
    cdr.finish()
}

fn goal_at(ms: i64, x: f64) -> Vec<u8> {
    let mut cdr = Cdr::new(false);
    cdr.header(nanos(ms));
    for value in [x, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0] {
        cdr.f64(value);
    }
    cdr.finish()
}

/// Twelve returns: the nearest ten are at `range`, one is farther, one is NaN.
fn scan(ms: i64, range: f32) -> Vec<u8> {
    let mut cdr = Cdr::new(false);
    cdr.header(nanos(ms));
    for value in [-1.0, 1.0, 0.2, 0.0, 0.1, 0.05, 30.0] {
        cdr.u32(f32::to_bits(value));
    }
    cdr.u32(12);
    for index in 0..12 {
        cdr.u32(f32::to_bits([range, 9.0, f32::NAN][usize::from(index >= 10) + usize::from(index == 11)]));
    }
    cdr.u32(0);
    cdr.finish()
}

/// A drive of two goals, the first reached and the second given up, a collision and a hole in the images.
fn eventful_drive() -> Vec<Recorded> {
    let mut messages = Vec::new();
    let mut add = |topic, type_name, log_ms, payload| messages.push(Recorded { topic, type_name, log_ms, payload });
    for (ms, goals) in
        [(-50, vec![(1, 2)]), (1600, vec![(1, 4)]), (1900, vec![(1, 4), (2, 1)]), (3100, vec![(1, 4), (2, 6)])]
    {
        add("/navigate_to_pose/_action/status", "action_msgs/msg/GoalStatusArray", ms, goal_status(&goals));
    }
    add("/goal_pose", "geometry_msgs/msg/PoseStamped", -60, goal_at(-60, 100.0));
    for ms in (-100..8000).step_by(50) {
        add("/odom", "nav_msgs/msg/Odometry", ms, odometry_at(ms, 0.001 * ms as f64));
    }
    for ms in (-80..8000).step_by(100) {
        add("/scan", "sensor_msgs/msg/LaserScan", ms, scan(ms, 0.001 * (ms + 200) as f32));
    }
    for ms in (0..8000).step_by(500).filter(|ms| !(5100..6900).contains(ms)) {
        let image = compressed_image(nanos(ms), "png", &png(60, 40, &[(ms / 50) as u8; 60 * 40 * 3]));
        add("/image", "sensor_msgs/msg/CompressedImage", ms, image);
    }
    for (ms, touches) in [(100, 0), (4100, 1), (4150, 1), (4300, 0)] {
        add("/bumper", "std_msgs/msg/Bool", ms, vec![0, 1, 0, 0, touches]);
    }
    messages.sort_by_key(|message| message.log_ms);
    messages
}

#[test]
fn a_bag_tells_how_its_episodes_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (mcap_bag, db3_bag) = (folder.path().join("drive.mcap"), folder.path().join("drive.db3"));
    write_mcap(&mcap_bag, &eventful_drive(), mcap::WriteOptions::new().chunk_size(Some(4000)));
    write_db3(&db3_bag, &eventful_drive());
    let rest = ["--image-size", "any", "--collision-topic", "/bumper"];
    let mut logs = Vec::new();
    for (bag, name) in [(&mcap_bag, "mcap"), (&db3_bag, "db3")] {
        let log = folder.path().join(name);
        expect(0, &replay(bag, &log, &rest));
        logs.push(log);
    }
    let read = |log: &Path| -> Vec<LoggedEpisode> {
        logs_in(log).unwrap().episodes.iter().map(|episode| episode.read().unwrap()).collect()
    };
    let (episodes, of_db3) = (read(&logs[0]), read(&logs[1]));
    let steps = |episodes: &[LoggedEpisode]| episodes.iter().map(|episode| episode.steps.clone()).collect::<Vec<_>>();
    assert!(steps(&episodes) == steps(&of_db3), "both storages tell the same");

    let outline: Vec<_> = episodes
        .iter()
        .map(|episode| {
            let ms = |index: usize| (episode.steps[index].stamp.nanos() - nanos(0)) / 1_000_000;
            (ms(0), ms(episode.steps.len() - 1), episode.steps.last().unwrap().ending)
        })
        .collect();
    assert_eq!(
        outline,
        [
            (0, 1500, Ending::Success),
            // Decided before the second goal was accepted: no episode of it.
            (2000, 3000, Ending::Truncated(Truncation::Aborted)),
            (3500, 4000, Ending::Collision),
            (4500, 5000, Ending::Truncated(Truncation::Gap)),
            (7000, 7500, Ending::Truncated(Truncation::End)),
        ]
    );
    let first = &episodes[0].steps;
    for (step, next_ms) in first.iter().zip([500, 1000, 1500, 1600]) {
        let ms = (step.stamp.nanos() - nanos(0)) / 1_000_000;
        let progress = 0.001 * (next_ms - ms) as f64;
        assert!((step.terms.progress_m.unwrap() - progress).abs() < 1e-9, "{ms}: {:?}", step.terms);
        assert_eq!(step.goal.unwrap().x, 100.0);
        assert!((step.pose.unwrap().position.x - 0.001 * ms as f64).abs() < 1e-9);
    }
    // The last scan before the next decision: at 420 ms.
    assert!((first[0].terms.nearest_laser_m.unwrap() - 0.62).abs() < 1e-6, "{:?}", first[0].terms);
    let aborted = episodes[1].steps.last().unwrap();
    assert_eq!(aborted.next_feature.as_ref(), Some(&episodes[2].steps[0].feature));
    assert!(episodes[3].steps.last().unwrap().next_feature.is_none());
    let names: Vec<_> = episodes.iter().map(|episode| episode.session.episode.as_str()).collect();
    assert!(names.is_sorted() && names[0].starts_with("20231114T221320.000Z_dwa_"), "{names:?}");

    let limited = folder.path().join("limited");
    expect(0, &replay(&mcap_bag, &limited, &["--image-size", "any", "--time-out", "1"]));
    let first = &read(&limited)[0];
    let last = first.steps.last().unwrap();
    assert_eq!((first.steps.len(), last.ending), (2, Ending::Truncated(Truncation::TimeOut)));
    assert!(last.terms.time_out && last.next_feature.is_some());
}

#[test]
fn wrong_wishes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bag = folder.path().join("drive.mcap");
    write_mcap(&bag, &eventful_drive(), mcap::WriteOptions::new());
    let log = folder.path().join("log");
    let talk = expect(1, &replay(&bag, &log, &["--image-size", "any", "--collision-topic", "/odom"]));
    assert!(talk.contains("there is no topic /odom of type std_msgs/msg/Bool") && talk.contains("/bumper"), "{talk}");
    let talk = expect(1, &replay(&bag, &log, &["--reward", "/nowhere.yaml"]));
    assert!(talk.contains("/nowhere.yaml"), "{talk}");
    expect(2, &replay(&bag, &log, &["--exploration", "-1"]));
    expect(2, &planner_tuner(&["replay", "--demo", "--seed", "3"]));
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let talk = expect(1, &replay(&bag, &file, &["--image-size", "any"]));
    assert!(talk.contains("is a file, expected a folder"), "{talk}");
}
