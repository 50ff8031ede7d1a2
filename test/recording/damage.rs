//! Damage to recordings that the tests write themselves: whatever is cut off or overwritten, reading does not panic,
//! invents no frame, and says that something was lost.

use std::path::Path;

use crate::support::small_bag::{drive, nanos, pixels, png, png_image, raw_image, write_db3, write_mcap};
use vlm_planner_tuner::recording::{Recording, RecordingOptions, SkipCounts, SkipReason};

const IMAGES: i64 = 8;

/// The numbers of the drive's images that are read, and what was lost; `None` when the file is refused altogether.
///
/// Panics on a frame that is none of the drive's.
fn read(path: &Path) -> Option<(Vec<i64>, SkipCounts)> {
    let mut recording = Recording::open(path, &RecordingOptions::default()).ok()?;
    let numbers = recording.by_ref().flatten().map(|recorded| {
        let number = (recorded.frame.stamp.nanos() - nanos(0)) / 200_000_000;
        assert_eq!(recorded.frame.frame.rgb(), pixels(number), "not a frame of the drive");
        number
    });
    let numbers = numbers.collect();
    Some((numbers, recording.skips().clone()))
}

/// [`read`] for these bytes. A file of its own each time: some file systems flush one that is overwritten, which takes
/// far longer than reading it.
fn read_bytes(folder: &Path, number: usize, bytes: &[u8]) -> Option<(Vec<i64>, SkipCounts)> {
    let path = folder.join(format!("damaged_{number}"));
    std::fs::write(&path, bytes).unwrap();
    let result = read(&path);
    std::fs::remove_file(&path).unwrap();
    result
}

#[test]
fn an_mcap_that_is_cut_anywhere_reads_up_to_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.mcap");
    for compression in [None, Some(mcap::Compression::Zstd), Some(mcap::Compression::Lz4)] {
        let options = mcap::WriteOptions::new().chunk_size(Some(2500)).compression(compression);
        write_mcap(&whole, &drive(IMAGES, raw_image), options);
        let bytes = std::fs::read(&whole).unwrap();
        let mut most = 0;
        for end in (0..bytes.len()).step_by(7) {
            let Some((numbers, skips)) = read_bytes(folder.path(), end, &bytes[..end]) else { continue };
            assert!(numbers.iter().copied().eq(0..numbers.len() as i64), "{numbers:?} of {end} bytes");
            assert!(numbers.len() >= most, "fewer frames than from a shorter file");
            assert!(numbers.len() as i64 == IMAGES || skips.of(SkipReason::DamagedFile) > 0, "{end} bytes: {skips}");
            most = numbers.len();
        }
        assert_eq!(most as i64, IMAGES);
    }
}

#[test]
fn a_damaged_chunk_is_left_out_and_the_next_one_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive.mcap");
    for compression in [None, Some(mcap::Compression::Zstd)] {
        write_mcap(
            &path,
            &drive(IMAGES, raw_image),
            mcap::WriteOptions::new().chunk_size(Some(2500)).compression(compression),
        );
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        // Some bytes there are an index, which nothing is lost with; look for one that is not.
        let damaged = (middle..bytes.len()).find_map(|position| {
            bytes[position] ^= 0x55;
            let result = read_bytes(folder.path(), position, &bytes);
            bytes[position] ^= 0x55;
            result.filter(|(_, skips)| !skips.is_empty())
        });
        let (numbers, skips) = damaged.unwrap();
        assert!(skips.of(SkipReason::DamagedFile) > 0, "{skips}");
        assert!(numbers.contains(&0) && numbers.contains(&(IMAGES - 1)), "{numbers:?}");
        assert!((numbers.len() as i64) < IMAGES, "{numbers:?}");
    }
}

#[test]
fn an_overwritten_byte_never_makes_a_frame_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mcap_path = folder.path().join("drive.mcap");
    let db3_path = folder.path().join("drive.db3");
    write_mcap(&mcap_path, &drive(IMAGES, raw_image), mcap::WriteOptions::new().chunk_size(Some(2500)));
    write_db3(&db3_path, &drive(2, png_image));
    // In an MCAP file the checksum of each chunk guards every message, in a PNG that of its pixels. Stamps in SQLite
    // have no guard, so only its structure is overwritten: the first page, and the headers of the others.
    let db3_structure = |position: usize| position < 4096 || position % 4096 < 24;
    for (path, step, hits) in [
        (&mcap_path, 11, &(|_| true) as &dyn Fn(usize) -> bool),
        (&db3_path, 3, &db3_structure as &dyn Fn(usize) -> bool),
    ] {
        let whole = std::fs::read(path).unwrap();
        for position in (0..whole.len()).step_by(step).filter(|position| hits(*position)) {
            for value in [0xFF, whole[position] ^ 0x10] {
                let mut bytes = whole.clone();
                bytes[position] = value;
                read_bytes(folder.path(), position, &bytes);
            }
        }
    }
}

#[test]
fn a_db3_that_is_cut_anywhere_reads_up_to_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive.db3");
    write_db3(&path, &drive(40, raw_image));
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 100_000, "long enough for a cut to matter");
    let mut some = false;
    for end in (0..bytes.len()).step_by(1500) {
        let Some((numbers, skips)) = read_bytes(folder.path(), end, &bytes[..end]) else { continue };
        assert!(!skips.is_empty(), "{end} of {} bytes: {numbers:?}", bytes.len());
        some |= !numbers.is_empty();
    }
    assert!(some, "no cut file gave a frame");
}

#[test]
fn a_db3_with_an_open_journal_says_what_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive.db3");
    write_db3(&path, &drive(2, raw_image));
    std::fs::write(folder.path().join("drive.db3-wal"), "not yet folded in").unwrap();
    let (numbers, skips) = read(&path).unwrap();
    assert_eq!((numbers.as_slice(), skips.of(SkipReason::DamagedFile)), ([0, 1].as_slice(), 1));
}

#[test]
fn a_message_that_claims_gigabytes_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive.mcap");
    let mut messages = drive(3, raw_image);
    let length_field = messages[5].payload.len() - pixels(0).len() - 4;
    messages[5].payload[length_field..length_field + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    write_mcap(&path, &messages, mcap::WriteOptions::new());
    let (numbers, skips) = read(&path).unwrap();
    assert_eq!(numbers, [0, 2]);
    assert_eq!(skips.iter().collect::<Vec<_>>(), [(SkipReason::UnreadableMessage, 1)]);
}

#[test]
fn rows_that_cannot_be_used_are_counted_by_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..3 {
        std::fs::write(folder.path().join(format!("{number}.png")), png(6, 4, &pixels(number))).unwrap();
    }
    std::fs::write(folder.path().join("cut.png"), &png(6, 4, &pixels(0))[..40]).unwrap();
    let table = "file,stamp_ns,linear_vel,angular_vel,run_id\n\
        0.png,1700000000000000000,0.5,0.1,a\n\
        cut.png,1700000000100000000,0.5,0.1,b\n\
        1.png,1700000000200000000,0.5,0.1,b\n\
        absent.png,1700000000250000000,0.5,0.1,b\n\
        2.png,1700000000300000000,NaN,0.1,b\n\
        2.png,1700000000300000000,fast,0.1,b\n\
        2.png,soon,0.5,0.1,b\n\
        2.png,1700000000300000000\n\
        2.png,1700000000400000000,-0.5,0.1,b\n";
    std::fs::write(folder.path().join("drive.csv"), table).unwrap();
    let mut recording = Recording::open(folder.path(), &RecordingOptions::default()).ok().unwrap();
    let starts: Vec<_> = recording.by_ref().flatten().map(|recorded| recorded.episode_start).collect();
    assert_eq!(starts, [true, true, false], "a run starts at its first usable frame");
    let skips: Vec<_> = recording.skips().iter().collect();
    let expected = [
        (SkipReason::UndecodableImage, 1),
        (SkipReason::MissingFile, 1),
        (SkipReason::UnreadableRow, 2),
        (SkipReason::InvalidVelocity, 2),
    ];
    assert_eq!(skips, expected);
}

#[test]
fn a_table_that_leaves_doubt_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = || Recording::open(folder.path(), &RecordingOptions::default()).err().unwrap().to_string();
    let table = folder.path().join("a.csv");
    std::fs::write(&table, "file,linear_vel\n0.png,1\n").unwrap();
    let message = refusal();
    assert!(message.contains("no column 'angular_vel'") && message.contains("found file, linear_vel"), "{message}");
    std::fs::write(&table, "file,linear_vel,angular_vel,stamp_ns,time_s\n").unwrap();
    assert!(refusal().contains("both stamp_ns and time_s"));
    std::fs::write(&table, "file,linear_vel,angular_vel\n").unwrap();
    assert!(refusal().contains("nothing to decide on"));
    std::fs::write(folder.path().join("b.csv"), "").unwrap();
    let message = refusal();
    assert!(message.contains("several tables (a.csv, b.csv)") && message.contains("--table"), "{message}");
}
