//! Bags as recorders of all ages leave them: old metadata, compressed by rosbag2, cut off by a crash, or of ROS 1.

use std::path::Path;

use super::reading::{assert_drive, read, refusal};
use crate::support::small_bag::{
    Recorded, compress_file, compressed_messages, drive, raw_image, write_db3, write_mcap, write_mcap_in,
    write_metadata,
};
use vlm_planner_tuner::recording::{RecordingOptions, SkipReason};

fn refused(path: &Path) -> String {
    refusal(path, &RecordingOptions::default())
}

fn plain() -> mcap::WriteOptions {
    mcap::WriteOptions::new()
}

fn write_text(folder: &Path, text: &str) {
    std::fs::write(folder.join("metadata.yaml"), format!("rosbag2_bagfile_information:\n{text}")).unwrap();
}

/// The case bag-of-eloquent: below version 4 paths count from the folder above.
#[test]
fn bag_of_eloquent() {
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("drive");
    std::fs::create_dir(&folder).unwrap();
    write_db3(&folder.join("drive_0.db3"), &drive(3, raw_image));
    for version in [2, 3] {
        let files = "storage_identifier: sqlite3\n  relative_file_paths:\n    - drive/drive_0.db3";
        write_text(&folder, &format!("  version: {version}\n  {files}\n"));
        assert_drive(&read(&folder), 0..3);
        assert_drive(&read(&folder.join("metadata.yaml")), 0..3);
    }
    // Only in a folder of another name does the file's own name have to do.
    let renamed = above.path().join("renamed");
    std::fs::rename(&folder, &renamed).unwrap();
    assert_drive(&read(&renamed), 0..3);
    write_text(&renamed, "  version: 5\n  storage_identifier: sqlite3\n  files:\n    - path: drive_0.db3\n");
    assert_drive(&read(&renamed), 0..3);
}

/// The case message-compressed-bag: with metadata, without, and either storage.
#[test]
fn message_compressed_bag() {
    let folder = tempfile::tempdir().unwrap();
    let messages = compressed_messages(&drive(4, raw_image));
    for (storage, name) in [("mcap", "a.mcap"), ("sqlite3", "b.db3")] {
        let path = folder.path().join(name);
        match storage {
            "mcap" => write_mcap(&path, &messages, plain()),
            _ => write_db3(&path, &messages),
        }
        assert_drive(&read(&path), 0..4);
        let head = format!("  version: 9\n  storage_identifier: {storage}\n  relative_file_paths:\n    - {name}\n");
        write_text(folder.path(), &format!("{head}  compression_format: zstd\n  compression_mode: MESSAGE\n"));
        assert_drive(&read(folder.path()), 0..4);
        write_text(folder.path(), &format!("{head}  compression_format: lz4\n  compression_mode: MESSAGE\n"));
        let message = refused(folder.path());
        assert!(message.contains("compression_format is 'lz4'") && message.contains("expected zstd"), "{message}");
    }
}

#[test]
fn a_message_whose_frame_is_damaged_is_counted_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive.mcap");
    let mut messages = compressed_messages(&drive(3, raw_image));
    // An image, and an odometry message that is not needed for one.
    for damaged in [5, 14] {
        let middle = messages[damaged].payload.len() / 2;
        messages[damaged].payload.truncate(middle);
    }
    write_mcap(&path, &messages, plain());
    let (frames, skips) = read(&path);
    assert_eq!(frames.len(), 2);
    let lost: Vec<_> = skips.iter().collect();
    assert_eq!(lost, [(SkipReason::UnreadableMessage, 1), (SkipReason::UnreadableOdometry, 1)]);
}

/// `--compression-mode file`: the folder, a file alone, files that were decompressed by hand.
#[test]
fn file_compressed_bag() {
    let folder = tempfile::tempdir().unwrap();
    let messages = drive(10, raw_image);
    let (first, second) = messages.split_at(23);
    let names = ["drive_0.mcap", "drive_1.mcap"].map(|name| folder.path().join(name));
    write_mcap(&names[0], first, plain());
    write_mcap(&names[1], second, plain());
    names.iter().for_each(|name| compress_file(name));
    write_metadata(folder.path(), "mcap", &["drive_0.mcap.zstd", "drive_1.mcap.zstd"], "FILE");
    assert_drive(&read(folder.path()), 0..10);
    assert_eq!(folder.path().read_dir().unwrap().count(), 3, "nothing is written beside a recording");
    std::fs::remove_file(folder.path().join("metadata.yaml")).unwrap();
    assert_drive(&read(folder.path()), 0..10);

    write_mcap(&names[1], second, plain());
    write_metadata(folder.path(), "mcap", &["drive_0.mcap.zstd", "drive_1.mcap.zstd"], "FILE");
    std::fs::remove_file(folder.path().join("drive_1.mcap.zstd")).unwrap();
    assert_drive(&read(folder.path()), 0..10);

    let alone = folder.path().join("alone.db3");
    write_db3(&alone, &messages);
    compress_file(&alone);
    assert_drive(&read(&folder.path().join("alone.db3.zstd")), 0..10);
}

#[test]
fn a_compressed_file_that_is_cut_reads_up_to_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive.mcap");
    let image = |number: i64| {
        // Noise, so that the frame has blocks to be cut between.
        let noise = |at: u64| {
            (at.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23).wrapping_mul(number as u64 * 2 + 3) >> 40) as u8
        };
        let pixels: Vec<u8> = (0..300 * 200 * 3).map(noise).collect();
        let stamp = crate::support::small_bag::nanos(number * 200);
        (crate::support::small_bag::IMAGE, crate::support::small_bag::image(stamp, 300, 200, "rgb8", 900, &pixels))
    };
    write_mcap(&path, &drive(8, image), plain().compression(None).chunk_size(Some(100_000)));
    compress_file(&path);
    let compressed = folder.path().join("drive.mcap.zstd");
    let bytes = std::fs::read(&compressed).unwrap();
    std::fs::write(&compressed, &bytes[..bytes.len() * 2 / 3]).unwrap();
    let (frames, skips) = read(&compressed);
    assert!((1..8).contains(&frames.len()), "{} frames", frames.len());
    assert_eq!(skips.of(SkipReason::DamagedFile), 2, "the frame breaks off, and with it the recording: {skips}");
    std::fs::write(&compressed, &bytes[..12]).unwrap();
    let message = refused(&compressed);
    assert!(message.contains("drive.mcap.zstd") && message.contains("compressed with zstd"), "{message}");
}

#[test]
fn other_compressors_are_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    for (name, magic, remedy) in [
        ("a.mcap.lz4", &b"\x04\x22\x4D\x18more"[..], "lz4 -d a.mcap.lz4"),
        ("a.mcap.gz", b"\x1F\x8Bmore", "gunzip a.mcap.gz"),
        ("a.zip", b"PK\x03\x04more", "unzip a.zip"),
        ("a.mcap", b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, magic).unwrap();
        let message = refused(&path);
        assert!(message.contains(remedy) && message.contains("expected MCAP or SQLite"), "{message}");
    }
}

/// The case ros1-bag: the file, its folder, and its messages in an MCAP file.
#[test]
fn ros1_bag() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive.bag");
    std::fs::write(&path, b"#ROSBAG V2.0\nE\0\0\0").unwrap();
    for place in [path.as_path(), folder.path()] {
        let message = refused(place);
        for part in ["drive.bag", "ROS 1", "expected a ROS 2", "pip install rosbags", "rosbags-convert --src drive.bag"]
        {
            assert!(message.contains(part), "{message}");
        }
    }
    let path = folder.path().join("converted.mcap");
    let ros1: Vec<_> = drive(1, raw_image);
    write_mcap_in("ros1", &path, &ros1, plain());
    let message = refused(&path);
    assert!(message.contains("encoding 'ros1', expected cdr") && message.contains("rosbags-convert"), "{message}");
}

#[test]
fn messages_of_another_wire_format_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive.mcap");
    for (second, name) in [(7, "XCDR version 2"), (3, "PL_CDR")] {
        let mut messages = drive(2, raw_image);
        messages.iter_mut().filter(|message| message.topic == "/image").for_each(|message| message.payload[1] = second);
        write_mcap(&path, &messages, plain());
        let mut recording =
            vlm_planner_tuner::recording::Recording::open(&path, &RecordingOptions::default()).ok().unwrap();
        let lost: Vec<_> = recording.by_ref().filter_map(Result::err).map(|skipped| skipped.message).collect();
        assert!(lost.len() == 2 && lost.iter().all(|message| message.contains(name)), "{lost:?}");
    }
}

/// A recorder with the preset "resilient" that is killed leaves its newest messages in SQLite's write-ahead log.
#[test]
fn what_is_still_in_the_write_ahead_log_is_read() {
    let messages = drive(6, raw_image);
    let (written, pending) = messages.split_at(15);
    let recorder = tempfile::tempdir().unwrap();
    let path = recorder.path().join("drive.db3");
    write_db3(&path, written);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(())).unwrap();
    connection.execute_batch("PRAGMA wal_autocheckpoint=0").unwrap();
    for Recorded { topic, log_ms, payload, .. } in pending {
        let topic = if *topic == "/image" { 1 } else { 2 };
        let row = (topic, crate::support::small_bag::nanos(*log_ms), payload);
        connection.execute("INSERT INTO messages(topic_id, timestamp, data) VALUES (?1, ?2, ?3)", row).unwrap();
    }
    // As a crash leaves it: the files, without the recorder.
    let crashed = tempfile::tempdir().unwrap();
    for name in ["drive.db3", "drive.db3-wal"] {
        std::fs::copy(recorder.path().join(name), crashed.path().join(name)).unwrap();
    }
    let before = std::fs::read(crashed.path().join("drive.db3-wal")).unwrap();
    assert_drive(&read(&crashed.path().join("drive.db3")), 0..6);
    assert!(std::fs::read(crashed.path().join("drive.db3-wal")).unwrap() == before, "the recording is left as it was");
    assert_eq!(crashed.path().read_dir().unwrap().count(), 2);
}
