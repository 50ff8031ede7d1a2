//! The command line as a user meets it: the real program, its output, its exit codes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support;
use crate::support::set_planner::{planner_argument, planner_of_set};
use crate::support::small_bag;
use crate::support::{Expected, Report, max_difference};
use serde_json::Value;
use vlm_planner_tuner::checkpoint::TensorTable;

fn planner_tuner(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_planner_tuner")).args(args).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Exit code; a death by signal or a panic fails the test.
fn code(output: &Output) -> i32 {
    let talk = stderr(output);
    assert!(!talk.contains("panicked"), "{talk}");
    output.status.code().unwrap_or_else(|| panic!("killed: {talk}"))
}

/// Base, checkpoint and policy of the golden set, as options.
struct Model {
    folder: PathBuf,
}

impl Model {
    fn open() -> Option<Self> {
        Some(Self { folder: support::fixture_set("tiny_vlm")? })
    }

    fn path(&self, part: &str) -> String {
        self.folder.join(part).display().to_string()
    }

    fn actor(&self) -> Vec<String> {
        let (base, checkpoint, policy) = (self.path("base"), self.path("checkpoint"), self.path("policy"));
        ["--base", &base, "--checkpoint", &checkpoint, "--policy", &policy].map(str::to_string).to_vec()
    }

    fn regression(&self) -> Vec<String> {
        self.actor().into_iter().take(4).collect()
    }
}

fn run(command: &str, model: &[String], rest: &[&str]) -> Output {
    let mut args = vec![command];
    args.extend(model.iter().map(String::as_str));
    args.extend(rest);
    planner_tuner(&args)
}

#[test]
fn fixture_infer_prints_the_numbers_of_pytorch() {
    let Some(model) = Model::open() else { return };
    let expected: Value = serde_json::from_slice(&std::fs::read(model.path("expected.json")).unwrap()).unwrap();
    let tensors = Expected::open(&model.folder.join("expected.safetensors"));
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(model.path("frames")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut report = Report::default();
    let planners = tempfile::tempdir().unwrap();
    let outputs = expected["param_mean"].as_array().map(Vec::len);
    for frame in expected["frames"].as_array().unwrap() {
        let (algorithm, ranges) = (frame["algorithm"].as_str().unwrap(), &expected["action_ranges"]);
        let planner = planner_argument(algorithm, ranges, outputs, planners.path());
        let first = planner_of_set(algorithm, ranges, outputs).parameters()[0].name().to_owned();
        let prefix = format!("frame{}", frame["frame_index"]);
        let image = model.path(frame["file"].as_str().unwrap());
        let history: Vec<String> = frame["history_frame_indices_newest_first"]
            .as_array()
            .unwrap()
            .iter()
            .map(|index| files[index.as_u64().unwrap() as usize].display().to_string())
            .collect();
        let (linear, angular) = (frame["linear_vel"].to_string(), frame["angular_vel"].to_string());
        let mut rest =
            vec!["--image", &image, "--linear-vel", &linear, "--angular-vel", &angular, "--planner", &planner];
        rest.push("--json");
        if !history.is_empty() {
            rest.push("--history");
        }
        rest.extend(history.iter().map(String::as_str));
        for (options, name, head) in
            [(model.actor(), "policy", "action"), (model.regression(), "supervised", "regression")]
        {
            let output = run("infer", &options, &rest);
            assert_eq!(code(&output), 0, "{}", stderr(&output));
            let object: Value = serde_json::from_str(stdout(&output)).unwrap();
            for key in ["feature", head] {
                let found: Vec<f32> = serde_json::from_value(object[key].clone()).unwrap();
                if let Some(wanted) = tensors.get(&format!("{prefix}.{name}.newest_first.{key}")) {
                    report.add(&format!("{name} {key}"), max_difference(&found, &wanted), 5e-4);
                }
            }
            let absent = if head == "action" { "regression" } else { "action" };
            assert!(object[absent].is_null(), "{absent}");
            assert_eq!(object["sequence_length"], frame["sequence_length"]);
            assert!(object["parameters"].as_object().is_some_and(|parameters| parameters.contains_key(&first)));
            assert!(object["timing_ms"]["total"].as_f64().is_some_and(|total| total > 0.0));
        }
    }
    report.finish("tiny_vlm: `infer --json` from the PNG, largest difference");
}

#[test]
fn the_demo_decides_on_every_frame_and_ends_in_a_picture() {
    if std::env::var_os("PLANNER_TUNER_FIXTURES").is_some() {
        return support::say("skipped: the demo has its own fixtures");
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_planner_tuner"))
        .args(["replay", "--demo"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(stdout(&output).lines().count(), 31, "a header and 30 decisions");
    let picture = image::open(folder.path().join("planner_tuner_demo.png")).unwrap().to_rgb8();
    let colours: std::collections::HashSet<_> = picture.pixels().collect();
    assert!(colours.len() > 50, "a picture with {} colours", colours.len());
}

#[test]
fn the_demo_drives_faster_than_the_default_parameters_and_ends_in_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_planner_tuner")).args(args).current_dir(folder.path()).output().unwrap()
    };
    let output = run(&["drive", "--demo"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let told = stdout(&output);
    let lines: Vec<&str> = told.lines().collect();
    let [default, demo, compared] = lines.as_slice() else { panic!("{told}") };
    assert!(default.starts_with("default: success") && demo.starts_with("demo: success"), "{told}");
    let times: f64 = compared.split_whitespace().rev().nth(3).unwrap().parse().unwrap();
    assert!(compared.starts_with("demo took ") && times > 1.5, "{compared}");
    let picture = image::open(folder.path().join("planner_tuner_drive.png")).unwrap().to_rgb8();
    assert_eq!(picture.width(), 1400);

    // Beyond one drive: the same model in worlds that it was not trained on.
    let output = run(&["evaluate", "--json", "--worlds", "generated:20-29", "--policy", "default", "--policy", "demo"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mean = |policy: usize, of: &str| found["policies"][policy][of]["mean"].as_f64().unwrap();
    support::say(&format!(
        "ten worlds: nav metric {:.3} by default, {:.3} with the demo's model",
        mean(0, "nav_metric"),
        mean(1, "nav_metric")
    ));
    assert!(mean(1, "nav_metric") > 1.2 * mean(0, "nav_metric"));
    assert!(mean(1, "success") >= mean(0, "success"));
}

#[test]
fn fixture_replay_writes_lines_csv_plot_and_mcap() {
    let Some(model) = Model::open() else { return };
    let drive = Path::new(env!("CARGO_MANIFEST_DIR")).join("test/fixtures/demo_drive").display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let (plot, log) = (folder.path().join("plot.png"), folder.path().join("log.mcap"));
    let rest = [&drive, "--rate", "1", "--json", "--plot", plot.to_str().unwrap(), "--mcap", log.to_str().unwrap()];
    let output = run("replay", &model.actor(), &rest);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let objects: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 15, "30 frames at 2 Hz, decided at 1 Hz");
    for key in ["stamp", "stamp_ns", "feature", "action", "parameters", "sequence_length", "timing_ms", "age_s"] {
        assert!(objects.iter().all(|object| !object[key].is_null()), "{key}");
    }
    image::open(&plot).unwrap();
    let bytes = std::fs::read(&log).unwrap();
    let mut by_topic = std::collections::BTreeMap::<String, usize>::new();
    for message in mcap::MessageStream::new(&bytes).unwrap() {
        *by_topic.entry(message.unwrap().channel.topic.clone()).or_default() += 1;
    }
    assert_eq!(by_topic.values().copied().collect::<Vec<_>>(), [15, 15], "{by_topic:?}");

    // The same numbers in the form for spreadsheets.
    let output = run("replay", &model.actor(), &[&drive, "--rate", "1", "--csv"]);
    let mut rows = csv::Reader::from_reader(stdout(&output).as_bytes());
    let headers = rows.headers().unwrap().clone();
    for (row, object) in rows.records().zip(&objects) {
        for (name, text) in headers.iter().zip(&row.unwrap()) {
            if let Some(value) = object["parameters"][name].as_f64() {
                assert_eq!(text.parse::<f64>().unwrap(), value, "{name}");
            }
        }
    }
}

#[test]
fn fixture_a_frame_that_cannot_be_used_is_counted_and_told() {
    let Some(model) = Model::open() else { return };
    let folder = tempfile::tempdir().unwrap();
    // Frames of 6x4 pixels: readable, but not what the checkpoint expects.
    let bag = folder.path().join("bag.mcap");
    small_bag::write_mcap(&bag, &small_bag::drive(3, small_bag::raw_image), mcap::WriteOptions::default());
    let bag = bag.display().to_string();
    let output = run("replay", &model.actor(), &[&bag]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert_eq!(stdout(&output).lines().count(), 1, "the header alone");
    let talk = stderr(&output);
    assert!(talk.contains("wrong_size 3") && talk.contains("--image-size"), "{talk}");
    assert_eq!(code(&run("replay", &model.actor(), &[&bag, "--image-size", "any"])), 0);
}

#[test]
fn wrong_usage_exits_with_two() {
    for args in [
        &["replay"][..],
        &["replay", "bag", "--demo"],
        &["replay", "bag"],
        &["replay", "bag", "--base", "x", "--checkpoint", "y", "--rate", "0"],
        &["infer", "--base", "x", "--checkpoint", "y", "--linear-vel", "0", "--angular-vel", "0"],
        &["infer", "--image", "x.png", "--linear-vel", "0", "--angular-vel", "0"],
        &[
            "infer",
            "--base",
            "x",
            "--checkpoint",
            "y",
            "--head",
            "actor",
            "--image",
            "x",
            "--linear-vel",
            "0",
            "--angular-vel",
            "0",
        ],
        &["bench", "--device", "gpu", "--image", "x"],
        &["fly"],
    ] {
        let output = planner_tuner(args);
        assert_eq!(code(&output), 2, "{args:?}: {}", stderr(&output));
        assert!(stdout(&output).is_empty() && !stderr(&output).is_empty(), "{args:?}");
    }
}

#[test]
fn fixture_what_is_wrong_is_named() {
    let Some(model) = Model::open() else { return };
    let image = model.path("frames/") + "none.png";
    let infer = |model: &[String], image: &str, rest: &[&str]| {
        let mut all = vec!["--image", image, "--linear-vel", "0", "--angular-vel", "0"];
        all.extend(rest);
        run("infer", model, &all)
    };
    let some_frame = std::fs::read_dir(model.path("frames")).unwrap().next().unwrap().unwrap().path();
    let frame = some_frame.to_str().unwrap();
    let mut elsewhere = model.actor();
    elsewhere[3] = "/nowhere".into();
    for (output, expected) in [
        (infer(&model.actor(), &image, &[]), "none.png"),
        (infer(&model.actor(), frame, &["--planner", "dva"]), "dwa"),
        (infer(&model.actor(), frame, &["--planner", "mppi"]), "fc.weight"),
        (infer(&elsewhere, frame, &[]), "/nowhere"),
        (infer(&model.actor(), frame, &["--device", "cuda:0"]), "cuda"),
    ] {
        assert_eq!(code(&output), 1, "{}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{expected}: {}", stderr(&output));
    }
}

#[test]
fn without_arguments_it_says_what_it_is_for() {
    let output = planner_tuner(&[]);
    assert_eq!(code(&output), 2, "a script whose command is empty notices");
    let said = stderr(&output);
    assert_eq!(said.lines().count(), 10);
    for command in ["replay", "drive", "evaluate", "train", "inspect", "doctor"] {
        assert!(said.contains(&format!("planner_tuner {command}")), "{command}");
    }
}

#[test]
fn shells_and_man_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man/man1");
    assert_eq!(code(&planner_tuner(&["man", pages.to_str().unwrap()])), 0);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = planner_tuner(&["completions", shell]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        for word in ["replay", "evaluate", "html", "completions"] {
            assert!(stdout(&output).contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(code(&planner_tuner(&["completions", "csh"])), 2);
    for command in ["", "-replay", "-inspect", "-man"] {
        let page = std::fs::read_to_string(pages.join(format!("planner_tuner{command}.1"))).unwrap();
        assert!(page.contains(&format!("planner_tuner{command}").replace('-', "\\-")), "{page}");
    }
}

#[test]
fn every_subcommand_has_help_with_examples() {
    for command in ["infer", "replay", "inspect", "render", "bench", "doctor", "completions", "man"] {
        let output = planner_tuner(&[command, "--help"]);
        assert_eq!(code(&output), 0);
        assert!(stdout(&output).contains("Examples:"), "{command}");
    }
}

#[test]
fn fixture_one_bag_in_both_storages_gives_identical_parameters() {
    let (Some(model), Some(bags)) = (Model::open(), support::shared_data("bags")) else { return };
    let replay = |bag: &str| {
        let output = run("replay", &model.actor(), &[bags.join(bag).to_str().unwrap(), "--csv"]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        // All columns but the last, which is the time it took.
        stdout(&output).lines().map(|line| line.rsplit_once(',').unwrap().0.to_string()).collect::<Vec<_>>()
    };
    let raw = replay("jackal_run");
    assert!(raw.len() > 20, "{} lines", raw.len());
    assert_eq!(raw, replay("jackal_run_db3"));
}

#[test]
fn fixture_broken_recordings_end_with_one_or_three() {
    let (Some(model), Some(broken)) = (Model::open(), support::shared_data("bags/broken")) else { return };
    let mut outcomes = Vec::new();
    for entry in std::fs::read_dir(broken).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let output = run("replay", &model.actor(), &[entry.path().to_str().unwrap()]);
        outcomes.push((name, code(&output)));
        assert!(!stderr(&output).is_empty());
    }
    outcomes.sort();
    // Damage that costs nothing: the frames, stamps and velocities are all there.
    let whole = ["missing_metadata", "timestamps_backwards", "zero_quaternion"];
    for (name, code) in &outcomes {
        let expected: &[i32] = if whole.contains(&name.as_str()) { &[0] } else { &[1, 3] };
        assert!(expected.contains(code), "{name} ended with {code}, expected one of {expected:?}");
    }
    support::say(&format!("broken recordings, exit codes: {outcomes:?}"));
}

#[test]
fn a_checkpoint_without_history_replays() {
    let own = support::own_fixture_set("tiny_vlm");
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path();
    for file in ["adapter_config.json", "adapter_model.safetensors", "prompt.json"] {
        std::fs::copy(own.join("checkpoint").join(file), checkpoint.join(file)).unwrap();
    }
    for part in ["normalization", "regression_head"] {
        std::fs::create_dir(checkpoint.join(part)).unwrap();
    }
    for file in ["normalization/param_mean.npy", "normalization/param_std.npy"] {
        std::fs::copy(own.join("checkpoint").join(file), checkpoint.join(file)).unwrap();
    }
    let config = r#"{"use_history": false, "num_history_frames": 2, "history_dim": 32, "history_image_size": 224}"#;
    std::fs::write(checkpoint.join("history_config.json"), config).unwrap();
    let head = TensorTable::open(own.join("checkpoint/regression_head/pytorch_model.bin")).unwrap();
    let without_fusion: std::collections::HashMap<_, _> = head
        .names()
        .filter(|name| !name.starts_with("history_fusion"))
        .map(|name| (name.to_string(), head.read(name, &candle_core::Device::Cpu).unwrap()))
        .collect();
    let file = checkpoint.join("regression_head/model.safetensors");
    candle_core::safetensors::save(&without_fusion, file).unwrap();

    let base = own.join("base");
    let model = ["--base", base.to_str().unwrap(), "--checkpoint", checkpoint.to_str().unwrap()];
    let drive = support::own_fixture_set("demo_drive").display().to_string();
    let output = run("replay", &model.map(str::to_string), &[&drive, "--rate", "0.5", "--csv"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(stdout(&output).lines().count(), 9, "a header and 8 decisions in 15 s");
}
