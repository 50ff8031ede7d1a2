//! Reading recordings: the good bags of `../shared/data`, and small ones that the tests write themselves.

use std::path::Path;

use crate::support;
use crate::support::small_bag;
use crate::support::small_bag::{
    Recorded, drive, nanos, odometry, pixels, png_image, raw_image, write_db3, write_mcap, write_metadata,
};
use vlm_planner_tuner::recording::{RecordedFrame, Recording, RecordingOptions, SkipCounts, SkipReason};

pub(super) fn read_with(path: &Path, options: &RecordingOptions) -> (Vec<RecordedFrame>, SkipCounts) {
    let mut recording = match Recording::open(path, options) {
        Ok(recording) => recording,
        Err(error) => panic!("{error}"),
    };
    let promised = recording.remaining();
    let items: Vec<_> = recording.by_ref().collect();
    assert_eq!((items.len(), recording.remaining()), (promised, 0));
    (items.into_iter().filter_map(Result::ok).collect(), recording.skips().clone())
}

pub(super) fn read(path: &Path) -> (Vec<RecordedFrame>, SkipCounts) {
    read_with(path, &RecordingOptions::default())
}

pub(super) fn refusal(path: &Path, options: &RecordingOptions) -> String {
    match Recording::open(path, options) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error.to_string(),
    }
}

fn assert_same(left: &[RecordedFrame], right: &[RecordedFrame]) {
    assert_eq!(left.len(), right.len());
    for (left, right) in left.iter().zip(right) {
        assert_eq!(left.frame.stamp, right.frame.stamp);
        assert!(left.frame.frame == right.frame.frame, "pixels differ at {:?}", left.frame.stamp);
        assert_eq!((left.velocity, left.velocity_age_s), (right.velocity, right.velocity_age_s));
        assert_eq!(left.episode_start, right.episode_start);
    }
}

/// The drive's images are those with these numbers, and nothing was lost.
pub(super) fn assert_drive(read: &(Vec<RecordedFrame>, SkipCounts), numbers: impl IntoIterator<Item = i64>) {
    let (frames, skips) = read;
    assert!(skips.is_empty(), "{skips}");
    let expected: Vec<_> = numbers.into_iter().map(|number| (nanos(number * 200), pixels(number))).collect();
    let found: Vec<_> =
        frames.iter().map(|recorded| (recorded.frame.stamp.nanos(), recorded.frame.frame.rgb().to_vec())).collect();
    assert!(found == expected, "frames or their order differ");
}

#[test]
fn one_bag_as_raw_mcap_and_as_png_sqlite_is_the_same_drive() {
    let Some(bags) = support::shared_data("bags") else { return };
    let (raw, raw_skips) = read(&bags.join("jackal_run"));
    let (png, png_skips) = read(&bags.join("jackal_run_db3"));
    assert!(raw_skips.is_empty() && png_skips.is_empty());
    assert_eq!(raw.len(), 60);
    assert_same(&raw, &png);
    assert_same(&raw, &read(&bags.join("jackal_run/jackal_run.mcap")).0);
    assert_same(&raw, &read(&bags.join("jackal_run_db3/jackal_run_db3.db3")).0);

    assert!(raw[0].episode_start && raw[1..].iter().all(|recorded| !recorded.episode_start));
    assert_eq!(raw[0].velocity_age_s, -0.001, "the first odometry comes 1 ms behind the first image");
    assert!(raw[1..].iter().all(|recorded| (recorded.velocity_age_s - 0.049).abs() < 1e-9));
}

#[test]
fn a_bag_holds_the_pixels_of_the_files_that_it_was_made_from() {
    let Some(data) = support::shared_data("jackal_frames") else { return };
    let table = data.join("../bags/jackal_run_frames.csv");
    let options = RecordingOptions { csv: Some(table), ..Default::default() };
    let (from_files, skips) = read_with(&data, &options);
    let (from_bag, _) = read(&data.join("../bags/jackal_run"));
    assert!(skips.is_empty());
    assert_eq!(from_files.len(), from_bag.len());
    for (file, bag) in from_files.iter().zip(&from_bag) {
        assert!(file.frame.frame == bag.frame.frame);
        assert_eq!(file.frame.stamp.nanos(), bag.frame.stamp.nanos() - small_bag::START_NANOS);
    }
    // The bag's odometry is interpolated between the images' velocities; the one used is 49 of 200 ms before the image.
    for (pair, bag) in from_files.windows(2).zip(&from_bag[1..]) {
        let [before, at] = pair else { panic!("a window of two") };
        let interpolated = at.velocity.linear() + (before.velocity.linear() - at.velocity.linear()) * 49.0 / 200.0;
        assert!((bag.velocity.linear() - interpolated).abs() < 1e-6);
    }
    let starts: Vec<_> = (0..from_files.len()).filter(|&row| from_files[row].episode_start).collect();
    assert_eq!(starts, [0, 29, 42], "runs of 29, 13 and 18 images");
}

#[test]
fn a_folder_of_images_is_read_by_its_table() {
    let Some(data) = support::shared_data("other_planners") else { return };
    let (frames, skips) = read(&data.join("ddp"));
    assert!(skips.is_empty());
    assert_eq!((frames.len(), frames.iter().filter(|recorded| recorded.episode_start).count()), (147, 7));
    assert_eq!(frames[0].velocity.linear(), 1.999992745982136);
    assert_eq!(frames[3].frame.stamp.nanos(), 1_500_000_000, "without stamps, half a second apart");
    assert_same(&frames, &read(&data.join("ddp/frames.csv")).0);
}

#[test]
fn every_storage_layout_gives_the_same_frames() {
    let folder = tempfile::tempdir().unwrap();
    let messages = drive(9, raw_image);
    let options = || mcap::WriteOptions::new().chunk_size(Some(3000));
    let layouts = [
        ("zstd", options().compression(Some(mcap::Compression::Zstd))),
        ("lz4", options().compression(Some(mcap::Compression::Lz4))),
        ("plain chunks", options().compression(None)),
        ("one chunk", options().chunk_size(None)),
        ("no chunks", options().use_chunks(false)),
        ("no index", options().emit_summary_records(false).emit_message_indexes(false)),
    ];
    let db3 = folder.path().join("drive.db3");
    write_db3(&db3, &messages);
    let expected = read(&db3);
    assert_drive(&expected, 0..9);
    for (name, options) in layouts {
        let path = folder.path().join(format!("{name}.mcap"));
        write_mcap(&path, &messages, options);
        let found = read(&path);
        assert_drive(&found, 0..9);
        assert_same(&found.0, &expected.0);
    }
    let png = folder.path().join("png.mcap");
    write_mcap(&png, &drive(9, png_image), options());
    assert_same(&read(&png).0, &expected.0);
}

#[test]
fn messages_in_big_endian_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.mcap");
    let mut messages =
        drive(1, |number| (small_bag::IMAGE, small_bag::image_in(true, nanos(0), 6, 4, "rgb8", 18, &pixels(number))));
    messages[1].payload = small_bag::odometry_in(true, nanos(1), 1.25, -2.5);
    write_mcap(&path, &messages, mcap::WriteOptions::new());
    let found = read(&path);
    assert_drive(&found, 0..1);
    assert_eq!((found.0[0].velocity.linear(), found.0[0].velocity.angular()), (1.25, -2.5));
}

#[test]
fn files_of_a_split_bag_are_one_recording() {
    let folder = tempfile::tempdir().unwrap();
    let messages = drive(10, raw_image);
    let (first, second) = messages.split_at(23);
    write_mcap(&folder.path().join("drive_0.mcap"), first, mcap::WriteOptions::new());
    write_mcap(&folder.path().join("drive_1.mcap"), second, mcap::WriteOptions::new());
    assert_drive(&read(folder.path()), 0..10);
    std::fs::write(folder.path().join("other.mcap"), "").unwrap();
    let refused = refusal(folder.path(), &RecordingOptions::default());
    assert!(
        refused.contains("no metadata.yaml") && refused.contains("drive_0.mcap, drive_1.mcap, other.mcap"),
        "{refused}"
    );
    std::fs::remove_file(folder.path().join("other.mcap")).unwrap();
    write_metadata(folder.path(), "mcap", &["drive_0.mcap", "drive_1.mcap"], "");
    assert_drive(&read(folder.path()), 0..10);

    std::fs::write(folder.path().join("drive_2.mcap"), "").unwrap();
    write_metadata(folder.path(), "mcap", &["drive_0.mcap", "drive_1.mcap", "drive_2.mcap"], "");
    let (frames, skips) = read(folder.path());
    assert_eq!((frames.len(), skips.iter().collect::<Vec<_>>()), (10, vec![(SkipReason::DamagedFile, 1)]));
}

#[test]
fn messages_are_read_in_the_order_of_recording_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut messages = drive(6, raw_image);
    messages.reverse();
    write_mcap(&folder.path().join("reversed.mcap"), &messages, mcap::WriteOptions::new().chunk_size(Some(2000)));
    assert_drive(&read(&folder.path().join("reversed.mcap")), 0..6);
    write_db3(&folder.path().join("reversed.db3"), &messages);
    assert_drive(&read(&folder.path().join("reversed.db3")), 0..6);
    messages.sort_by_key(|message| message.topic);
    write_mcap(&folder.path().join("by_topic.mcap"), &messages, mcap::WriteOptions::new());
    assert_drive(&read(&folder.path().join("by_topic.mcap")), 0..6);
}

#[test]
fn frames_without_a_fresh_velocity_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gaps.mcap");
    let mut messages = drive(10, raw_image);
    let silent = |message: &Recorded| message.topic == "/odom" && (message.log_ms < 350 || message.log_ms > 900);
    messages.retain(|message| !silent(message));
    write_mcap(&path, &messages, mcap::WriteOptions::new());
    let (frames, skips) = read(&path);
    let stamps: Vec<_> = frames.iter().map(|recorded| (recorded.frame.stamp.nanos() - nanos(0)) / 1_000_000).collect();
    assert_eq!(stamps, [200, 400, 600, 800, 1000], "odometry from 351 to 851 ms");
    assert_eq!(skips.iter().collect::<Vec<_>>(), [(SkipReason::NoVelocity, 1), (SkipReason::StaleVelocity, 4)]);
    assert!(frames[0].episode_start, "the first frame that is usable starts the episode");
}

#[test]
fn zero_stamps_give_way_to_the_time_of_recording() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zero.mcap");
    let mut messages = drive(3, |number| (small_bag::IMAGE, small_bag::image(0, 6, 4, "rgb8", 18, &pixels(number))));
    for message in messages.iter_mut().filter(|message| message.topic == "/odom") {
        message.payload = odometry(0, 0.5, 0.0);
    }
    write_mcap(&path, &messages, mcap::WriteOptions::new());
    assert_drive(&read(&path), 0..3);
}

#[test]
fn a_choice_between_topics_is_left_to_the_user() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.mcap");
    let mut messages = drive(2, raw_image);
    let second: Vec<_> = drive(2, png_image).into_iter().filter(|message| message.topic == "/image").collect();
    messages.extend(second.into_iter().map(|message| Recorded { topic: "/other", ..message }));
    write_mcap(&path, &messages, mcap::WriteOptions::new());
    let refused = refusal(&path, &RecordingOptions::default());
    assert!(refused.contains("several image topics (/image, /other); choose one with --image-topic"), "{refused}");
    for topic in ["/image", "/other"] {
        let options = RecordingOptions { image_topic: Some(topic.to_owned()), ..Default::default() };
        assert_drive(&read_with(&path, &options), 0..2);
    }
}

#[test]
fn metadata_that_asks_for_the_impossible_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_mcap(&folder.path().join("a.mcap"), &drive(1, raw_image), mcap::WriteOptions::new());
    for (storage, files, mode, expected) in [
        ("sqlite3", vec!["a.mcap"], "", "storage_identifier is 'sqlite3', but a.mcap is mcap"),
        ("rocksdb", vec!["a.mcap"], "", "storage_identifier is 'rocksdb'"),
        ("mcap", vec!["b.mcap"], "NONE", "names the file 'b.mcap'"),
    ] {
        write_metadata(folder.path(), storage, &files, mode);
        let refused = refusal(folder.path(), &RecordingOptions::default());
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn what_is_no_recording_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let refused = refusal(folder.path(), &RecordingOptions::default());
    assert!(refused.contains("neither bag files nor a CSV table") && refused.contains("rosbag2"), "{refused}");
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "not a bag").unwrap();
    assert!(refusal(&text, &RecordingOptions::default()).contains("neither MCAP nor SQLite"));
    assert!(refusal(&folder.path().join("absent"), &RecordingOptions::default()).contains("absent"));
}

#[test]
fn nothing_is_written_beside_a_recording() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dri?ve #1 100%.db3");
    write_db3(&path, &drive(2, raw_image));
    let before = std::fs::read(&path).unwrap();
    assert_drive(&read(&path), 0..2);
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    assert!(std::fs::read(&path).unwrap() == before);
}
