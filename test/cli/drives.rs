//! Simulated drives as a user meets them.

use std::process::{Command, Output};

use serde_json::Value;
use vlm_planner_tuner::frame::Frame;
use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::transition::{Ending, ParameterOutcome, Truncation, logs_in};

use crate::support::{expect, own_fixture_set, say, shared_data};

fn planner_tuner(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_planner_tuner")).args(args).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn one_worker_and_two_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let evaluated = |workers: &str| {
        let csv = folder.path().join(workers);
        let output = planner_tuner(&[
            "evaluate",
            "--worlds",
            "generated:0-3",
            "--policy",
            "default",
            "--policy",
            "fixed:max_vel_x=1.0",
            "--repeats",
            "2",
            "--slip",
            "0.05",
            "--odometry-noise",
            "0.01",
            "--time-limit",
            "20",
            "--workers",
            workers,
            "--csv",
            csv.to_str().unwrap(),
        ]);
        expect(0, &output);
        (output.stdout, std::fs::read(csv).unwrap())
    };
    let (table, csv) = evaluated("1");
    assert_eq!((table.clone(), csv.clone()), evaluated("2"));
    let table = String::from_utf8(table).unwrap();
    for part in ["all worlds", "easy worlds", "against the first", "fixed:max_vel_x=1"] {
        assert!(table.contains(part), "{part} is missing in\n{table}");
    }
    assert_eq!(csv.iter().filter(|byte| **byte == b'\n').count(), 1 + 2 * 4 * 2);
}

#[test]
fn faster_parameters_are_found_to_be_faster() {
    let output = planner_tuner(&[
        "evaluate",
        "--json",
        "--worlds",
        "generated:3",
        "--worlds",
        "generated:15",
        "--policy",
        "default",
        "--policy",
        "fixed:max_vel_x=1.2",
    ]);
    expect(0, &output);
    let found = json(&output);
    let [default, fast] = [0, 1].map(|policy| &found["policies"][policy]);
    assert_eq!((default["policy"].as_str(), fast["drives"].as_u64()), (Some("default"), Some(2)));
    let time = |policy: &Value| policy["time_s"]["mean"].as_f64().unwrap();
    assert!(time(fast) < 0.8 * time(default), "{} and {}", time(fast), time(default));
    assert!(fast["against_the_first"]["low"].as_f64().unwrap() > 0.0);
    assert_eq!(default["trials"][0]["world"], "generated:3");
}

#[test]
fn a_drive_is_told_drawn_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("drive.png");
    let set = own_fixture_set("tiny_vlm");
    let part = |name: &str| set.join(name).display().to_string();
    let model = ["--base", &part("base"), "--checkpoint", &part("checkpoint"), "--policy", &part("policy")];
    let mut args =
        vec!["drive", "--json", "--world", "generated:3", "--time-limit", "30", "--plot", picture.to_str().unwrap()];
    args.extend(model);
    let output = planner_tuner(&args);
    expect(0, &output);
    let drives = json(&output)["drives"].clone();
    // The default parameters drive first, whoever else does.
    assert_eq!(drives[0]["policy"], "default");
    assert_eq!((drives[0]["ending"].as_str(), drives[0]["contacts"].as_u64()), (Some("success"), Some(0)));
    let tuned = drives[1]["parameters"].as_array().unwrap();
    assert!(tuned.len() > 5, "the model decided {} times", tuned.len());
    // The envelope is in between: no parameter changes by more than half of its range in a second.
    for (before, after) in tuned.iter().zip(tuned.iter().skip(1)) {
        let change = |name: &str| (after[name].as_f64().unwrap() - before[name].as_f64().unwrap()).abs();
        let seconds = change("time_s");
        assert!(change("max_vel_x") <= 0.5 * 1.8 * seconds + 1e-9, "{before} {after}");
    }
    let drawn = image::open(&picture).unwrap().to_rgb8();
    let frame = Frame::from_rgb8(drawn.width(), drawn.height(), drawn.into_raw()).unwrap();
    assert_eq!(frame.width(), 1400);
}

#[test]
fn wrong_worlds_and_policies_are_refused_by_name() {
    let missing = tempfile::tempdir().unwrap();
    let nowhere = missing.path().display().to_string();
    for (args, code, part) in [
        (vec!["evaluate", "--worlds", "mars:1"], 2, "expected generated:SEED"),
        (vec!["evaluate", "--worlds", "barn"], 1, "name their folder by --barn"),
        (vec!["evaluate", "--worlds", "barn", "--barn", &nowhere], 1, "there is no grid_<number>.npy"),
        (vec!["evaluate", "--policy", "fixed:max_vel_y=1"], 1, "has no parameter max_vel_y"),
        (vec!["evaluate", "--policy", "fixed:max_vel_x=9"], 1, "expected 0.2 to 2 m/s"),
        (vec!["evaluate", "--policy", "laser:nowhere"], 1, "nowhere"),
        (vec!["evaluate", "--policy", "policy/"], 2, "--base <DIR|ID>"),
        (vec!["drive", "--world", "generated:0-5"], 1, "names 6 worlds, expected one"),
        (vec!["drive", "--plot", "nowhere/drive.png"], 1, "--plot"),
        (vec!["evaluate", "--csv", "nowhere/drives.csv"], 1, "--csv"),
        (vec!["collect", "--noise", "0.1", "--log", "nowhere"], 1, "is --exploration"),
    ] {
        let said = expect(code, &planner_tuner(&args));
        assert!(said.contains(part), "{args:?}: {said}");
    }
}

#[test]
fn published_worlds_are_driven_by_the_published_policy() {
    let (Some(barn), Some(policies)) = (shared_data("barn"), shared_data("policies")) else { return };
    let (barn, laser) = (barn.display().to_string(), format!("laser:{}", policies.join("dwa").display()));
    let output = planner_tuner(&[
        "evaluate", "--json", "--worlds", "barn:0-9", "--barn", &barn, "--policy", "default", "--policy", &laser,
    ]);
    expect(0, &output);
    let found = json(&output);
    let metric = |policy: usize| found["policies"][policy]["nav_metric"]["mean"].as_f64().unwrap();
    say(&format!("BARN worlds 0 to 9: nav metric {:.3} by default, {:.3} with APPLR", metric(0), metric(1)));
    assert!(metric(1) > metric(0));
}

#[test]
fn collected_drives_are_logs_to_train_on_and_the_same_again() {
    let set = own_fixture_set("tiny_vlm");
    let part = |name: &str| set.join(name).display().to_string();
    let (base, checkpoint, policy) = (part("base"), part("checkpoint"), part("policy"));
    let folder = tempfile::tempdir().unwrap();
    let collect = |name: &str| {
        let logs = folder.path().join(name);
        let output = planner_tuner(&[
            "collect",
            "--worlds",
            "generated:3",
            "--policy",
            &policy,
            "--base",
            &base,
            "--checkpoint",
            &checkpoint,
            "--exploration",
            "0.3",
            "--time-limit",
            "8",
            "--log",
            logs.to_str().unwrap(),
        ]);
        let said = expect(0, &output);
        assert!(said.contains("16 steps of 1 episodes") && said.contains("0 of 1 drives reached"), "{said}");
        let files: Vec<_> = std::fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        (logs, std::fs::read(&files[0]).unwrap())
    };
    let (logs, bytes) = collect("first");
    assert!(bytes == collect("again").1, "the same seed gives the same bytes");

    let found = logs_in(&logs).unwrap();
    let log = found.episodes[0].read().unwrap();
    assert!(found.refused.is_empty() && log.damage.is_empty());
    assert_eq!(log.steps.len(), 16);
    assert_eq!(log.steps.last().unwrap().ending, Ending::Truncated(Truncation::TimeOut));
    let dwa = PlannerSpec::builtin("dwa").unwrap();
    for step in &log.steps {
        assert!(step.noise.iter().any(|noise| *noise != 0.0), "step {} was not explored", step.index);
        // What was explored is what was driven.
        let driven = dwa.from_action(step.explored.values()).unwrap();
        for (sent, (parameter, value)) in step.parameters.iter().zip(driven.iter()) {
            assert_eq!((sent.name.as_str(), sent.value), (parameter.name(), value), "step {}", step.index);
            assert_eq!(sent.outcome, ParameterOutcome::Applied);
        }
        assert!(step.pose.is_some() && step.goal.is_some());
    }
    let run = folder.path().join("run");
    let output = planner_tuner(&[
        "train",
        logs.to_str().unwrap(),
        "--checkpoint",
        &checkpoint,
        "--policy",
        &policy,
        "-o",
        run.to_str().unwrap(),
        "--steps",
        "20",
    ]);
    expect(0, &output);
    // And what was trained drives.
    let model = ["--base", &base, "--checkpoint", &checkpoint, "--policy", run.to_str().unwrap()];
    let mut args = vec!["drive", "--world", "generated:3", "--time-limit", "2"];
    args.extend(model);
    expect(0, &planner_tuner(&args));
}

#[test]
fn who_has_no_model_cannot_collect() {
    let said = expect(1, &planner_tuner(&["collect", "--policy", "default", "--log", "nowhere"]));
    assert!(said.contains("has no model; give a policy checkpoint, or supervised"), "{said}");
}

#[test]
fn labelled_pictures_are_what_finetune_reads_and_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let collect = |name: &str, workers: &str| {
        let frames = folder.path().join(name);
        let args = ["collect", "--worlds", "generated:3-4", "--policy", "random", "--time-limit", "5", "--frames"];
        let said = expect(0, &planner_tuner(&[&args[..], &[frames.to_str().unwrap(), "--workers", workers]].concat()));
        assert!(said.contains("wrote 20 labelled pictures of 2 drives by random"), "{said}");
        (std::fs::read_to_string(frames.join("frames.csv")).unwrap(), frames)
    };
    let (table, frames) = collect("first", "1");
    assert_eq!(table, collect("again", "2").0);
    assert_eq!(table.lines().count(), 21);
    assert!(table.starts_with("file,run_id,time_s,linear_vel,angular_vel,max_vel_x,"), "{table}");
    assert!(table.contains("\ngenerated_4_0_0009.png,generated_4_0,1004.500,"), "{table}");
    // A folder that was written before is not mixed with another one.
    let again = ["collect", "--policy", "expert", "--frames", frames.to_str().unwrap()];
    assert!(expect(1, &planner_tuner(&again)).contains("is not empty"));

    let base = own_fixture_set("tiny_vlm").join("base").display().to_string();
    let checkpoint = folder.path().join("checkpoint");
    let small = ["--learn", "head,history", "--rank", "2", "--feature", "8", "--history-width", "8"];
    let args = ["finetune", frames.to_str().unwrap(), "--base", &base, "-o", checkpoint.to_str().unwrap()];
    let said = expect(0, &planner_tuner(&[&args[..], &small, &["--epochs", "1", "--validation", "0.5"]].concat()));
    assert!(said.contains("20 frames of 2 runs"), "{said}");
}

#[test]
fn rules_are_found_written_and_driven_by() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    let small = ["--generations", "2", "--candidates", "4", "--worlds-each", "1", "--time-limit", "10"];
    let search = |form: &[&str]| planner_tuner(&[&["search", "--worlds", "generated:3-5"], form, &small].concat());
    let output = search(&["--form", "expert", "-o", rules.to_str().unwrap()]);
    let said = expect(0, &output);
    assert!(said.contains("generation 2: nav metric"), "{said}");
    let around = ["--form", "expert", "--around", rules.to_str().unwrap()];
    expect(0, &search(&around));
    let policy = format!("expert:{}", rules.display());
    let output =
        planner_tuner(&["drive", "--world", "generated:3", "--policy", &policy, "--json", "--time-limit", "9"]);
    expect(0, &output);
    let parameters = json(&output)["drives"][1]["parameters"].as_array().unwrap().clone();
    assert!(parameters.len() > 5 && parameters.iter().any(|set| set["max_vel_x"] != parameters[0]["max_vel_x"]));

    // What is found for all of a drive is a policy as it is printed, and the same with the same seed.
    let found = |output: Output| {
        expect(0, &output);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let fixed = found(search(&[]));
    assert_eq!(fixed, found(search(&["--workers", "1"])));
    expect(0, &planner_tuner(&["evaluate", "--worlds", "generated:3", "--policy", &fixed, "--time-limit", "5"]));

    std::fs::write(&rules, "room_m: 3").unwrap();
    let said = expect(1, &planner_tuner(&["drive", "--policy", &policy]));
    assert!(said.contains("rules.yaml: room_m"), "{said}");
    let said = expect(2, &planner_tuner(&["collect", "--frames", "new", "--label", "default"]));
    assert!(said.contains("expected expert or expert:FILE"), "{said}");
    assert!(expect(2, &planner_tuner(&["collect", "--policy", "expert"])).contains("--log <DIR>"));
}

#[test]
fn learning_goes_round_by_round_and_on_from_the_last_row() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("learned");
    let set = own_fixture_set("tiny_vlm");
    let part = |name: &str| set.join(name).display().to_string();
    let learn = |rounds: &str, more: &[&str]| {
        let (base, checkpoint, policy) = (part("base"), part("checkpoint"), part("policy"));
        let model = ["learn", "--base", &base, "--checkpoint", &checkpoint, "--policy", &policy];
        let small = ["--worlds-each", "1", "--kept", "generated:3", "--steps", "3", "--time-limit", "4"];
        planner_tuner(&[&model[..], &small, &["--rounds", rounds, "-o", out.to_str().unwrap()], more].concat())
    };
    let output = learn("1", &[]);
    let said = expect(0, &output);
    // Every step is a command that can be run again.
    for step in ["planner_tuner collect --worlds generated:3000-3000", "planner_tuner train ", "planner_tuner evaluate"]
    {
        assert!(said.contains(step), "{step} in {said}");
    }
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.starts_with("round 1: nav metric 0.000 -> 0.000") && told.ends_with("1 drives; not kept\n"), "{told}");
    assert!(!out.join("policy_actor").exists(), "no policy is better yet");
    assert!(expect(1, &learn("2", &[])).contains("is not empty"));

    // What a round that was stopped has left does not count.
    std::fs::create_dir_all(out.join("round_2/logs")).unwrap();
    std::fs::write(out.join("round_2/logs/left.mcap"), "of a round that was killed").unwrap();
    let output = learn("2", &["--resume"]);
    let said = expect(0, &output);
    assert!(said.contains("generated:3001-3001") && !said.contains("generated:3000-3000"), "{said}");
    let rows = std::fs::read_to_string(out.join("rounds.csv")).unwrap();
    assert_eq!(rows.lines().count(), 3, "{rows}");
    assert!(rows.lines().nth(2).unwrap().starts_with("2,2,"), "two drives, of two rounds: {rows}");
    assert!(expect(2, &planner_tuner(&["learn", "-o", "new"])).contains("--base <DIR|ID>, or --demo"));
}

#[test]
fn a_map_of_ones_own_is_driven() {
    let folder = tempfile::tempdir().unwrap();
    // 12 x 5 m with a wall across that leaves 2 m, as a picture that is no PGM.
    let mut picture = image::GrayImage::from_pixel(240, 100, image::Luma([254]));
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let is_around = x < 2 || y < 2 || x >= 238 || y >= 98;
        if is_around || ((120..124).contains(&x) && y < 60) {
            *pixel = image::Luma([0]);
        }
    }
    picture.save(folder.path().join("lab.png")).unwrap();
    let map = folder.path().join("lab.yaml");
    std::fs::write(&map, "image: lab.png\nresolution: 0.05\norigin: [0, 0, 0]\n").unwrap();
    let world = format!("map:{}", map.display());
    let drive = |more: &[&str]| planner_tuner(&[&["drive", "--world", &world, "--start", "2,2.5,0"], more].concat());
    let output = drive(&["--goal-at", "9,2.5", "--policy", "expert", "--json"]);
    expect(0, &output);
    let found = json(&output);
    assert_eq!((found["world"].as_str(), found["drives"][1]["ending"].as_str()), (Some("map:lab"), Some("success")));
    // The way leads around the wall: below it on the map, which is to the robot's right.
    let track = found["drives"][1]["track"].as_array().unwrap();
    let rightmost = track.iter().map(|point| point["x"].as_f64().unwrap()).fold(0.0, f64::max);
    assert!((0.5..2.4).contains(&rightmost), "{rightmost}");
    assert!(expect(2, &drive(&[])).contains("--goal-at <X,Y> (for a map)"));
    assert!(expect(1, &drive(&["--goal-at", "6.1,4"])).contains("the goal at 6.10, 4.00 is inside an obstacle"));
    assert!(expect(2, &drive(&["--goal-at", "there"])).contains("expected X,Y in m"));
}

#[test]
fn learning_that_is_stopped_waits_for_its_step_and_can_go_on() {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::process::CommandExt as _;

    use rustix::process::{Pid, Signal, kill_process_group};

    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_planner_tuner"))
        .args(["learn", "--demo", "--worlds-each", "100", "-o"])
        .arg(folder.path().join("learned"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("planner_tuner collect ")), "the first step begins");
    // Long enough for both to listen; a hundred drives take longer.
    std::thread::sleep(std::time::Duration::from_secs(2));
    // As a terminal sends Ctrl-C: to both.
    kill_process_group(Pid::from_child(&child), Signal::INT).unwrap();
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    let stopped = rest.iter().position(|line| line.contains("of 100 drives; what was logged until then is kept"));
    let ended = rest.iter().position(|line| line.contains("stopped in round 1; --resume starts it again"));
    assert!(stopped.is_some() && stopped < ended, "the step first: {rest:?}");
}
