//! Clocks that disagree: both are named, with the offset and the remedy.

use super::reading::{assert_drive, read_with};
use crate::support::small_bag::{COMPRESSED_IMAGE, compressed_image, drive, nanos, odometry, pixels, png, write_mcap};
use vlm_planner_tuner::recording::{Recording, RecordingOptions, SkipReason, StampSource};

const HOURS_MS: i64 = 3 * 3_600_000;

/// A drive whose images are stamped this much later than they were recorded.
fn write(path: &std::path::Path, ahead_ms: i64) {
    let image = |number: i64| {
        let stamp = nanos(number * 200 + ahead_ms);
        (COMPRESSED_IMAGE, compressed_image(stamp, "png", &png(6, 4, &pixels(number))))
    };
    write_mcap(path, &drive(4, image), mcap::WriteOptions::new());
}

/// The case image-stamps-three-hours-off.
#[test]
fn image_stamps_three_hours_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive.mcap");
    for (ahead_ms, direction) in [(-HOURS_MS, "behind"), (HOURS_MS, "ahead of")] {
        write(&path, ahead_ms);
        let mut recording = Recording::open(&path, &RecordingOptions::default()).ok().unwrap();
        let lost: Vec<_> = recording.by_ref().filter_map(Result::err).collect();
        assert_eq!(lost.len(), 4);
        for skipped in &lost {
            assert_eq!(skipped.reason, SkipReason::ClocksDisagree);
            let image = format!("/image: stamped 10800.000 s {direction} the time of recording");
            for part in [image.as_str(), "/odom: stamped 0.000 s behind", "--stamps recorded"] {
                assert!(skipped.message.contains(part), "{skipped}");
            }
        }
        let recorded = RecordingOptions { stamps: StampSource::Recorded, ..Default::default() };
        assert_drive(&read_with(&path, &recorded), 0..4);
    }
}

/// In a long drive there are velocities at the wrong stamps, too: the worse mistake, as nothing is missing.
#[test]
fn a_clock_that_is_off_by_less_than_the_drive_lasts_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive.mcap");
    let image = |number: i64| {
        let stamp = nanos(number * 200 - 8000);
        (COMPRESSED_IMAGE, compressed_image(stamp, "png", &png(6, 4, &pixels(number))))
    };
    write_mcap(&path, &drive(100, image), mcap::WriteOptions::new());
    let (frames, skips) = read_with(&path, &RecordingOptions::default());
    assert_eq!((frames.len(), skips.of(SkipReason::ClocksDisagree)), (0, 100));
}

/// Stamps of zero beside those of a simulation's clock.
#[test]
fn zero_stamps_beside_another_clock_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive.mcap");
    let mut messages = drive(3, |number| (COMPRESSED_IMAGE, compressed_image(0, "png", &png(6, 4, &pixels(number)))));
    for message in messages.iter_mut().filter(|message| message.topic == "/odom") {
        message.payload = odometry(message.log_ms * 1_000_000 + 100_000_000_000, 0.5, 0.0);
    }
    write_mcap(&path, &messages, mcap::WriteOptions::new());
    let mut recording = Recording::open(&path, &RecordingOptions::default()).ok().unwrap();
    let lost: Vec<_> = recording.by_ref().filter_map(Result::err).collect();
    assert!(lost.len() == 3 && lost.iter().all(|lost| lost.message.contains("/image: stamped zero")), "{lost:?}");
    let recorded = RecordingOptions { stamps: StampSource::Recorded, ..Default::default() };
    assert_drive(&read_with(&path, &recorded), 0..3);
}
