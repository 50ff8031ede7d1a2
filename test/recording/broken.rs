//! The deliberately damaged recordings of `../shared/data/bags/broken`: each is read as far as it goes, and what is
//! lost is counted under the right reason; or it is refused with a message that says what is wrong.

use crate::support;
use vlm_planner_tuner::recording::SkipReason::{self, *};
use vlm_planner_tuner::recording::{Recording, RecordingOptions};

/// What a recording must come to.
enum Expected {
    /// Frames that were used, and what was lost.
    Read(usize, &'static [(SkipReason, u64)]),
    /// Parts of the message with which it is refused.
    Refused(&'static [&'static str]),
}
use Expected::{Read, Refused};

const TABLE: &[(&str, Expected)] = &[
    ("corrupt_png", Read(0, &[(UndecodableImage, 4), (FormatDisagrees, 1)])),
    ("data_short", Read(0, &[(DataLength, 4)])),
    ("empty_bag", Refused(&["no images on /costmap_image"])),
    ("encoding_16uc1", Read(0, &[(UnsupportedEncoding, 4)])),
    ("encoding_unknown", Read(0, &[(UnsupportedEncoding, 4)])),
    ("height_mismatch", Read(0, &[(DataLength, 4)])),
    ("huge_size_image", Read(0, &[(ImpossibleSize, 4)])),
    ("metadata_garbage", Refused(&["metadata.yaml", "not a rosbag2 metadata file", "ros2 bag reindex"])),
    ("metadata_wrong_file", Refused(&["names the file 'not_there.mcap'", "the folder holds metadata_wrong_file.mcap"])),
    ("missing_metadata", Read(4, &[])),
    ("nan_velocities", Read(1, &[(NoVelocity, 5), (InvalidVelocity, 5)])),
    ("only_odometry", Refused(&["no image topic", "--image-topic", "/odometry/filtered (nav_msgs/msg/Odometry)"])),
    ("short_cdr", Read(0, &[(UnreadableMessage, 5), (UnreadableOdometry, 4)])),
    ("step_mismatch", Read(0, &[(DataLength, 4)])),
    ("timestamps_backwards", Read(8, &[])),
    ("truncated_db3", Read(4, &[(UnreadableMessage, 1), (DamagedFile, 1)])),
    ("truncated_mcap", Read(6, &[(DamagedFile, 1)])),
    ("wrong_resolution", Read(4, &[])),
    ("wrong_schema", Read(0, &[(UnreadableMessage, 4)])),
    ("wrong_type", Refused(&["no image topic", "/costmap_image (std_msgs/msg/String)"])),
    ("zero_byte_file", Refused(&["zero_byte_file.mcap", "empty (0 bytes)"])),
    ("zero_quaternion", Read(4, &[])),
    ("zero_size_image", Read(0, &[(ImpossibleSize, 4)])),
];

#[test]
fn every_broken_recording_behaves() {
    let Some(folder) = support::shared_data("bags/broken") else { return };
    let mut problems = Vec::new();
    for (name, expected) in TABLE {
        let opened = Recording::open(folder.join(name), &RecordingOptions::default());
        match (opened, expected) {
            (Ok(mut recording), Read(frames, losses)) => {
                let promised = recording.remaining();
                let used = recording.by_ref().filter(Result::is_ok).count();
                let lost: Vec<_> = recording.skips().iter().collect();
                if (used, lost.as_slice()) != (*frames, *losses) {
                    problems.push(format!(
                        "{name}: {used} of {promised} frames, lost {lost:?}, expected {frames}, {losses:?}"
                    ));
                }
            }
            (Err(error), Refused(parts)) => {
                let message = error.to_string();
                if !parts.iter().all(|part| message.contains(part)) {
                    problems.push(format!("{name}: '{message}', expected {parts:?}"));
                }
            }
            (Ok(_), Refused(parts)) => problems.push(format!("{name}: opened, expected to be refused with {parts:?}")),
            (Err(error), Read(..)) => problems.push(format!("{name}: refused: {error}")),
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn no_broken_recording_is_left_out_of_the_table() {
    let Some(folder) = support::shared_data("bags/broken") else { return };
    for entry in folder.read_dir().unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let listed = TABLE.iter().any(|(listed, _)| *listed == name);
        assert!(listed || !entry.path().is_dir(), "{name} is not in the table");
    }
}

#[test]
fn frames_of_an_unexpected_size_are_counted_where_a_size_is_expected() {
    let Some(folder) = support::shared_data("bags/broken") else { return };
    let options = RecordingOptions { expected_size: Some((600, 400)), ..Default::default() };
    let mut recording = Recording::open(folder.join("wrong_resolution"), &options).unwrap();
    let messages: Vec<_> = recording.by_ref().filter_map(Result::err).map(|skipped| skipped.message).collect();
    assert_eq!(recording.skips().of(WrongSize), 4);
    assert!(
        messages.iter().all(|message| message.contains("640x480 pixels, expected 600x400; pass --image-size 640x480"))
    );
}

#[test]
fn a_topic_of_the_wrong_type_is_named_with_both_types() {
    let Some(folder) = support::shared_data("bags/broken") else { return };
    let options = RecordingOptions { image_topic: Some("/costmap_image".to_owned()), ..Default::default() };
    let Err(error) = Recording::open(folder.join("wrong_type"), &options) else { panic!("a String is no image") };
    let message = error.to_string();
    for part in ["/costmap_image is of type 'std_msgs/msg/String'", "expected sensor_msgs/msg/Image", "--image-topic"] {
        assert!(message.contains(part), "{message}");
    }
}
