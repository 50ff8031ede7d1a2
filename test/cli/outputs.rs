//! Where results go: what cannot be written is refused before anything is computed, and what was done before Ctrl-C is
//! kept.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::episode::{steps, write};
use crate::support::{self, expect};
use vlm_planner_tuner::transition::{Ending, logs_in};

const PROGRAM: &str = env!("CARGO_BIN_EXE_planner_tuner");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn run(folder: &Path, args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).current_dir(folder).output().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn r13_outputs_are_checked_before_the_drive_is_computed() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::create_dir(at.join("there")).unwrap();
    std::fs::write(at.join("file"), "").unwrap();
    for (args, said) in [
        (&["replay", "--demo", "--plot", "none/x.png"][..], "--plot none/x.png: there is no folder none"),
        (&["replay", "--demo", "--plot", "there"], "--plot there: is a folder"),
        (&["replay", "--demo", "--html", "none/x.html"], "--html none/x.html: there is no folder none"),
        (&["evaluate", "--html", "there"], "--html there: is a folder"),
        (&["man", "file"], "file is a file, expected a folder"),
        (&["replay", "--demo", "--mcap", "there"], "--mcap there: is a folder"),
        (&["replay", "--demo", "--mcap", "new.mcap/"], "--mcap new.mcap/: is a folder"),
        (&["replay", "--demo", "--log", "file"], "--log file: file is a file, expected a folder"),
        (&["replay", "--demo", "--log", "/proc/new"], "nothing can be written"),
        (
            &[
                "infer",
                "--base",
                "x",
                "--checkpoint",
                "y",
                "--image",
                "z",
                "--linear-vel",
                "0",
                "--angular-vel",
                "0",
                "--attention",
                "none/a.png",
            ],
            "--attention none/a.png: there is no folder",
        ),
        (&["train", "x", "--checkpoint", "y", "--policy", "z", "-o", "file"], "--output file: file is a file"),
        (
            &["train", "x", "--checkpoint", "y", "--policy", "z", "-o", "run", "--plot", "none/c.png"],
            "--plot none/c.png",
        ),
        (
            &["train", "x", "--checkpoint", "y", "--policy", "z", "-o", "run", "--html", "none/c.html"],
            "--html none/c.html",
        ),
        (&["export", "x", "-o", "file/below"], "--output file/below: file is a file"),
        (&["relabel", "x", "--reward", "y", "-o", "file"], "--output file: file is a file"),
        (&["render", "scene.json", "-o", "there"], "--output there: is a folder"),
        (&["render", "bag.mcap", "-o", "file"], "--output file: file is a file"),
        (&["bench", "--random-weights", "s", "--chart", "none/c.png"], "--chart none/c.png: there is no folder"),
    ] {
        let output = run(at, args);
        let talk = expect(1, &output);
        assert!(talk.contains(said), "{args:?}: {talk}");
        assert!(output.stdout.is_empty(), "{args:?} has printed decisions");
    }
    assert_eq!(names(at), ["file", "there"], "nothing is left");
}

#[test]
fn r12_a_slash_at_the_end_and_an_empty_folder_are_folders_to_export_to() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(&at.join("logs"), "first", &steps(4, Ending::Collision), 4);
    std::fs::create_dir(at.join("empty")).unwrap();
    std::fs::create_dir(at.join("full")).unwrap();
    std::fs::write(at.join("full/mine"), "").unwrap();
    for output in ["exp/", "plain", "a/b/", "empty", "./dot/."] {
        expect(0, &run(at, &["export", "logs", "-o", output]));
        let files = names(&at.join(output));
        assert!(
            files.contains(&"metadata.json".to_owned()) && files.contains(&"episode_0.npz".to_owned()),
            "{files:?}"
        );
    }
    for output in ["full", "full/", "exp/"] {
        let talk = expect(1, &run(at, &["export", "logs", "-o", output]));
        assert!(talk.contains("is there already and is not empty"), "{talk}");
    }
    expect(1, &run(at, &["export", "nowhere", "-o", "new/"]));
    expect(1, &run(at, &["relabel", "nowhere", "--reward", "/nowhere.yaml", "-o", "other/"]));
    assert_eq!(names(&at.join("full")), ["mine"]);
    assert_eq!(names(at), ["a", "dot", "empty", "exp", "full", "logs", "plain"], "nothing else is left");
}

#[test]
fn r23_what_chooses_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = support::own_fixture_set("tiny_vlm");
    let path = |part: &str| model.join(part).display().to_string();
    let drive = support::own_fixture_set("demo_drive").display().to_string();
    let (base, checkpoint) = (path("base"), path("checkpoint"));
    let replay = |recording: &str, rest: &[&str]| {
        let args = ["replay", recording, "--base", &base, "--checkpoint", &checkpoint];
        expect(1, &run(folder.path(), &[&args[..], rest].concat()))
    };
    for option in ["--image-topic", "--odometry-topic"] {
        let talk = replay(&drive, &[option, "/camera/image"]);
        assert!(talk.contains("has no topics") && talk.contains(&format!("{option} /camera/image")), "{talk}");
    }
    let talk = replay(&drive, &["--scan-topic", "/scan"]);
    assert!(talk.contains("--scan-topic") && talk.contains("--image-source render"), "{talk}");
    let bag = folder.path().join("bag.mcap");
    std::fs::write(&bag, "").unwrap();
    let talk = replay(bag.to_str().unwrap(), &["--table", "frames.csv"]);
    assert!(talk.contains("leave out --table frames.csv"), "{talk}");
}

#[test]
fn r23_ctrl_c_keeps_what_a_replay_has_done() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["replay", "--demo", "--csv", "--mcap", "d.mcap", "--plot", "d.png", "--log", "logs", "--html", "d.html"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // A header and two decisions.
    for _ in 0..3 {
        lines.next().unwrap().unwrap();
    }
    let pid = Pid::from_child(&child);
    // Twice, as `timeout` and `ros2 launch` do: still one wish.
    kill_process(pid, Signal::INT).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let rest = lines.map(Result::unwrap).count();
    let output = child.wait_with_output().unwrap();
    let talk = expect(130, &output);
    let decided = 2 + rest;
    assert!(decided < 30, "{decided} decisions: it has not stopped");
    assert!(talk.contains(&format!("stopped after {decided} of 30 frames")), "{talk}");
    assert_eq!(names(folder.path()), ["d.html", "d.mcap", "d.png", "logs"]);
    let page = std::fs::read_to_string(folder.path().join("d.html")).unwrap();
    assert!(page.contains("The replay was stopped before its end."));
    let file = std::fs::read(folder.path().join("d.mcap")).unwrap();
    assert_eq!(mcap::MessageStream::new(&file).unwrap().count(), 2 * decided);
    let log = logs_in(folder.path().join("logs")).unwrap().episodes[0].read().unwrap();
    assert!(log.steps.len() == decided && log.damage.is_empty(), "{} steps", log.steps.len());
}

#[test]
fn the_demos_last_words_are_where_the_picture_is() {
    let folder = tempfile::tempdir().unwrap();
    let talk = expect(0, &run(folder.path(), &["replay", "--demo"]));
    let lines: Vec<&str> = talk.lines().filter(|line| !line.is_empty()).collect();
    let place = folder.path().canonicalize().unwrap().join("planner_tuner_demo.png");
    let (picture, summary) = (lines.last().unwrap(), lines[lines.len() - 2]);
    assert!(picture.trim() == format!("The picture:  {}", place.display()), "{talk}");
    assert!(summary.contains("30 decisions") && summary.contains("nothing skipped"), "{talk}");
    assert!(talk.ends_with("\n\n"), "an empty line sets it apart");
}

#[test]
fn rows_are_shorter_than_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let typed = format!("stty cols 80 rows 30; {PROGRAM} replay --demo --rate 0.5 2>/dev/null");
    let Ok(output) = Command::new("script")
        .args(["-qfec", &typed, "/dev/null"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
    else {
        return support::say("skipped: no `script` to make a terminal with");
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    assert!(rows.len() >= 9, "{text}");
    assert!(rows.iter().all(|row| row.chars().count() < 80), "{text}");
    assert!(text.contains("inflat") && text.contains("time"), "{text}");
}

/// Times of the chunks of a file, and its statistics: start, end, messages.
fn times(path: &Path) -> (Vec<(u64, u64)>, (u64, u64, u64)) {
    let file = std::fs::read(path).unwrap();
    let summary = mcap::Summary::read(&file).unwrap().unwrap();
    let chunks = summary.chunk_indexes.iter().map(|chunk| (chunk.message_start_time, chunk.message_end_time));
    let statistics = summary.stats.unwrap();
    (chunks.collect(), (statistics.message_start_time, statistics.message_end_time, statistics.message_count))
}

#[test]
fn r6_files_begin_with_their_first_message_and_layouts_find_their_topics() {
    let folder = tempfile::tempdir().unwrap();
    expect(0, &run(folder.path(), &["replay", "--demo", "--mcap", "d.mcap", "--log", "logs"]));
    let log = folder.path().join("logs").join(&names(&folder.path().join("logs"))[0]);
    let (first, last) = (100_000_000_000, 114_500_000_000);
    for path in [&folder.path().join("d.mcap"), &log] {
        let (chunks, statistics) = times(path);
        assert_eq!(statistics, (first, last, 60), "{}", path.display());
        assert!(!chunks.is_empty() && chunks.iter().all(|(start, end)| *start >= first && start <= end), "{chunks:?}");
        assert_eq!(chunks.iter().map(|(start, _)| *start).min(), Some(first));
    }

    // R14: every topic and path of the layout is in the file.
    let file = std::fs::read(folder.path().join("d.mcap")).unwrap();
    let mut messages = BTreeMap::<String, Value>::new();
    for message in mcap::MessageStream::new(&file).unwrap().map(Result::unwrap) {
        let content = serde_json::from_slice(&message.data).unwrap_or(Value::Null);
        messages.insert(message.channel.topic.clone(), content);
    }
    let layout = layout("foxglove_replay_layout.json");
    let paths = paths_of(&layout);
    assert!(paths.len() >= 11, "{paths:?}");
    for path in &paths {
        let (topic, fields) = path.split_once('.').unwrap_or((path, ""));
        let message = messages.get(topic).unwrap_or_else(|| panic!("{path}: no topic {topic}"));
        let found = fields.split('.').filter(|field| !field.is_empty()).try_fold(message, |at, field| at.get(field));
        assert!(fields.is_empty() || found.is_some_and(Value::is_number), "{path}: {found:?}");
    }
    let shown: Vec<&str> = paths.iter().map(|path| path.split('.').next().unwrap()).collect();
    assert!(messages.keys().all(|topic| shown.contains(&topic.as_str())), "all that is in the file is shown");
}

#[test]
fn r14_the_nodes_layout_has_the_nodes_topics() {
    // As src/ros/publishers.rs names them.
    let outlet = std::fs::read_to_string(Path::new(ROOT).join("src/ros/publishers.rs")).unwrap();
    for path in paths_of(&layout("foxglove_layout.json")) {
        let topic = path.split('.').next().unwrap();
        let name = topic.strip_prefix("/planner_tuner/").map_or(topic.to_owned(), |name| format!("~/{name}"));
        assert!(outlet.contains(&format!("create_publisher(\"{name}\"")), "{path}: the node publishes no {name}");
    }
}

fn layout(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(Path::new(ROOT).join("config").join(name)).unwrap()).unwrap()
}

/// Topics and message paths of a layout's panels, each of which has its place in the layout.
fn paths_of(layout: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    let placed = layout["layout"].to_string();
    for (panel, config) in layout["configById"].as_object().unwrap() {
        assert!(placed.contains(&format!("\"{panel}\"")), "{panel} has no place");
        let single = [&config["imageMode"]["imageTopic"], &config["topicPath"], &config["topicToRender"]];
        paths.extend(single.into_iter().filter_map(Value::as_str).map(str::to_owned));
        let plotted = config["paths"].as_array().into_iter().flatten();
        paths.extend(plotted.map(|path| path["value"].as_str().unwrap().to_owned()));
    }
    paths
}
