//! The original recorder's folders, and the lists made from them.

use std::path::Path;

use super::reading::{read, read_with, refusal};
use crate::support;
use crate::support::small_bag::{pixels, png};
use vlm_planner_tuner::recording::{RecordedFrame, RecordingOptions, SkipReason};

fn write_picture(path: &Path, number: i64) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, png(6, 4, &pixels(number))).unwrap();
}

fn starts(frames: &[RecordedFrame]) -> Vec<bool> {
    frames.iter().map(|recorded| recorded.episode_start).collect()
}

fn numbers_shown(frames: &[RecordedFrame]) -> Vec<i64> {
    let number =
        |recorded: &RecordedFrame| (0..60).find(|number| recorded.frame.frame.rgb() == pixels(*number)).unwrap();
    frames.iter().map(number).collect()
}

#[test]
fn the_recorders_own_folder_is_a_recording() {
    let folder = tempfile::tempdir().unwrap();
    let table = "Method,img_label,linear_vel,angular_vel,next_linear_vel:,goal_dist,delta_goal_dist\n\
                 RL,7,0.5,-0.1,0,9.0,0.8\nRL,8.0,0.6,0.1,0,8.2,0.8\nRL,9,0.7,0.2,0,13.5,0.9\nHB,10,0.8,0.3,0,12.5,1.0\n\
                 HB,12,0.9,0.4,0,11.5,1.0\nHB,x,0,0,0,0,0\nHB,14,1.0,0.5,0,9.0,1.0\n";
    std::fs::write(folder.path().join("data.csv"), table).unwrap();
    std::fs::write(folder.path().join("other.csv"), "is,not,looked,at\n").unwrap();
    for below in ["", "images"] {
        for (name, number) in
            [("RL_000007", 7), ("RL_000008", 8), ("RL_000009", 9), ("HB_000010", 10), ("HB_000012", 12)]
        {
            write_picture(&folder.path().join(below).join(format!("{name}.png")), number);
        }
        let (frames, skips) = read(folder.path());
        assert_eq!(numbers_shown(&frames), [7, 8, 9, 10, 12]);
        assert_eq!(starts(&frames), [true, false, true, true, true], "a goal of its own, a method, a gap");
        let velocities: Vec<_> = frames.iter().map(|recorded| recorded.velocity.linear()).collect();
        assert_eq!(velocities, [0.5, 0.6, 0.7, 0.8, 0.9]);
        assert_eq!(frames[1].frame.stamp.nanos(), 500_000_000);
        let lost: Vec<_> = skips.iter().collect();
        assert_eq!(lost, [(SkipReason::MissingFile, 1), (SkipReason::UnreadableRow, 1)]);
        let (from_table, _) = read(&folder.path().join("data.csv"));
        assert_eq!(numbers_shown(&from_table), [7, 8, 9, 10, 12]);
        for name in ["RL_000007", "RL_000008", "RL_000009", "HB_000010", "HB_000012"] {
            std::fs::remove_file(folder.path().join(below).join(format!("{name}.png"))).unwrap();
        }
    }
    std::fs::write(folder.path().join("data.csv"), "Method,img_label,linear_vel\n").unwrap();
    let message = refusal(folder.path(), &RecordingOptions::default());
    assert!(message.contains("no column 'angular_vel', expected Method, img_label"), "{message}");
}

/// Recorded tables with the columns that were added to them taken out again: drives are told apart all the same.
#[test]
fn drives_are_told_apart_without_their_names() {
    let Some(data) = support::shared_data("jackal_frames") else { return };
    let mut table = csv::Reader::from_path(data.join("frames.csv")).unwrap();
    let mut header = table.headers().unwrap().clone();
    let added = ["file", "run_id", "index_in_run"];
    let added: Vec<usize> =
        added.iter().map(|name| header.iter().position(|column| column == *name).unwrap()).collect();
    let original = |row: &csv::StringRecord| -> csv::StringRecord {
        row.iter().enumerate().filter(|(at, _)| !added.contains(at)).map(|(_, cell)| cell).collect()
    };
    header = header.iter().map(|name| if name == "method" { "Method" } else { name }).collect();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(data.join("frames"), folder.path().join("frames")).unwrap();
    let mut written = csv::Writer::from_path(folder.path().join("data.csv")).unwrap();
    written.write_record(&original(&header)).unwrap();
    table.records().for_each(|row| written.write_record(&original(&row.unwrap())).unwrap());
    written.flush().unwrap();
    let (found, skips) = read(folder.path());
    let (expected, _) = read(&data);
    assert!(skips.is_empty() && found.len() == expected.len());
    assert_eq!(starts(&found), starts(&expected));
    assert!(found.iter().zip(&expected).all(|(found, expected)| found.frame.frame == expected.frame.frame));
}

#[test]
fn a_list_of_decisions_is_a_recording_with_its_own_history() {
    let folder = tempfile::tempdir().unwrap();
    for number in 5..10 {
        write_picture(&folder.path().join(format!("frames/RL_{number:06}.png")), number);
    }
    // Paths of the machine that it was written on, one of each form.
    let list = r#"[
        {"image": "/home/someone/train/frames/RL_000007.png",
         "history_images": ["/home/someone/train/frames/RL_000005.png", "/home/someone/train/frames/RL_000006.png"],
         "label": [0.5, 1.57, 6, 20, 0.75, 1.0, 0.3],
         "conversations": [{"from": "human", "value": "<image>\nLinear velocity: 0.500 m/s, angular velocity: -0.100 rad/s."},
                           {"from": "gpt", "value": "linear 9, angular 9"}]},
        {"image": "frames/RL_000008.png", "history_images": [], "linear_vel": 0.6, "angular_vel": 0.1},
        {"image": "frames/RL_000005.png", "history_images": ["frames/RL_000099.png"], "linear_vel": 0.6, "angular_vel": 0.1},
        {"image": "frames/RL_000009.png", "conversations": [{"from": "human", "value": "What now?"}]}
    ]"#;
    std::fs::write(folder.path().join("train.json"), list).unwrap();
    for path in [folder.path().to_owned(), folder.path().join("train.json")] {
        let (frames, skips) = read(&path);
        assert_eq!(numbers_shown(&frames), [7, 8]);
        assert_eq!(starts(&frames), [true, false]);
        assert_eq!((frames[0].velocity.linear(), frames[0].velocity.angular()), (0.5, -0.1));
        let history = |at: usize| frames[at].history.as_ref().unwrap();
        assert_eq!(history(0).len(), 2);
        assert!(history(0)[0].rgb() == pixels(6) && history(0)[1].rgb() == pixels(5), "newest first");
        assert!(history(1).is_empty());
        let lost: Vec<_> = skips.iter().collect();
        assert_eq!(lost, [(SkipReason::MissingFile, 1), (SkipReason::InvalidVelocity, 1)]);
    }
    let lines = "{\"image\": \"frames/RL_000007.png\", \"linear_vel\": 0.5, \"angular_vel\": 0}\n";
    std::fs::write(folder.path().join("train.jsonl"), lines.repeat(2)).unwrap();
    let options = RecordingOptions { csv: Some(folder.path().join("train.jsonl")), ..Default::default() };
    let (frames, _) = read_with(folder.path(), &options);
    assert!(frames.len() == 2 && frames.iter().all(|recorded| recorded.history.is_none()));
    for bad in ["[{\"label\": [1]}]", "{\"scan\": {}}", "[1, 2", "\"text\""] {
        std::fs::write(folder.path().join("bad.json"), bad).unwrap();
        let message = refusal(&folder.path().join("bad.json"), &RecordingOptions::default());
        assert!(message.contains("bad.json") && message.contains("expected a JSON array of objects"), "{message}");
    }
}
