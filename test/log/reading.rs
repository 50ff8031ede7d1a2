//! The transition log: what is written is read back to the bit, and whatever happens to a file, what is left of it reads
//! and what is missing is counted.

use crate::support::episode;
use std::path::{Path, PathBuf};

use crate::support::episode::{frame, head, step, steps, write, writer};
use crate::support::say;
use proptest::prelude::*;
use vlm_planner_tuner::numbers::Feature;
use vlm_planner_tuner::transition::log::Rotation;
use vlm_planner_tuner::transition::{
    Damage, Ending, FrameNumber, LoggedEpisode, StepRefusal, TransitionError, Truncation, logs_in,
};

fn only_file(folder: &Path) -> PathBuf {
    let files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[test]
fn an_episode_is_read_back_as_it_was_written() {
    for ending in [Ending::Success, Ending::Collision, Ending::Truncated(Truncation::TimeOut)] {
        let folder = tempfile::tempdir().unwrap();
        let written = steps(40, ending);
        write(folder.path(), "run", &written, 7);
        let read = LoggedEpisode::read(only_file(folder.path())).unwrap();
        assert_eq!((&read.session, &read.weights), (&head("run").session, &head("run").weights));
        assert_eq!(read.steps, written);
        assert_eq!(read.damage, Damage::default());
        for index in [39, 0, 17] {
            assert_eq!(read.frame(FrameNumber(index)).unwrap(), frame(index));
        }
        let absent = read.frame(FrameNumber(40)).unwrap_err().to_string();
        assert!(absent.contains("frame 40 of run") && absent.contains("does not have it"), "{absent}");
    }
}

#[test]
fn a_frame_that_several_steps_share_is_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut written = steps(6, Ending::Success);
    for step in &mut written {
        step.frame = FrameNumber(step.index / 3);
    }
    write(folder.path(), "run", &written, 100);
    let bytes = std::fs::read(only_file(folder.path())).unwrap();
    let messages = mcap::MessageStream::new(&bytes).unwrap().map(|message| message.unwrap());
    assert_eq!(messages.filter(|message| message.channel.topic == "/transition/frame").count(), 2);
    assert_eq!(LoggedEpisode::read(only_file(folder.path())).unwrap().frame(FrameNumber(1)).unwrap(), frame(1));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 24, ..Default::default() })]

    #[test]
    fn every_bit_of_every_number_is_kept(
        feature in prop::collection::vec(any::<f32>().prop_filter("finite", |x| x.is_finite()), episode::FEATURE),
        noise in prop::collection::vec(any::<f32>().prop_filter("finite", |x| x.is_finite()), 3),
        value in any::<f64>().prop_filter("finite", |x| x.is_finite()),
        reward in -1000.0f32..=1000.0,
        nanos in 0..i64::MAX / 8,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut written = step(0, Ending::Success);
        written.feature = Feature::from_values(feature.clone()).unwrap();
        written.noise = noise;
        written.parameters[1].value = value;
        written.terms.progress_m = Some(value);
        written.reward = reward;
        written.stamp = vlm_planner_tuner::frame::Stamp::from_nanos(nanos);
        write(folder.path(), "run", std::slice::from_ref(&written), 1);
        let read = LoggedEpisode::read(only_file(folder.path())).unwrap();
        prop_assert_eq!(&read.steps, std::slice::from_ref(&written));
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(read.steps[0].feature.values()), bits(&feature), "the sign of zero, too");
    }
}

/// A file of its own each time: some file systems flush one that is overwritten, which takes far longer than reading it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(folder: &Path, number: u64, bytes: &[u8]) -> Self {
        let path = folder.join(format!("scratch_{number}"));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

/// The last committed steps of a log that is cut at `end` bytes: the number of steps in each prefix that a flush ended.
struct Commits(Vec<(u64, u64)>);

impl Commits {
    fn at(&self, end: u64) -> u64 {
        self.0.iter().filter(|(bytes, _)| *bytes <= end).map(|(_, steps)| *steps).max().unwrap_or(0)
    }
}

#[test]
fn a_log_cut_at_every_byte_of_its_last_chunk_keeps_every_committed_step() {
    let folder = tempfile::tempdir().unwrap();
    let written = steps(23, Ending::Success);
    let mut log = writer(folder.path(), "run", Rotation::default());
    let mut commits = Commits(Vec::new());
    for step in &written {
        log.write(step, &frame(step.frame.0)).unwrap();
        if step.index % 8 == 7 || step.index == 22 {
            log.flush().unwrap();
            commits.0.push((std::fs::metadata(log.path().unwrap()).unwrap().len(), step.index + 1));
        }
    }
    log.finish_part().unwrap();
    let whole = only_file(folder.path());
    let bytes = std::fs::read(&whole).unwrap();
    let (from, to) = (commits.0[1].0, commits.0[2].0);
    let mut recovered_beyond = 0;
    for end in from..=bytes.len() as u64 {
        let cut = Scratch::new(folder.path(), end, &bytes[..end as usize]);
        let read = LoggedEpisode::read(&cut.0).unwrap();
        let steps = read.steps.len() as u64;
        assert!(steps >= commits.at(end), "{end}: {steps} steps, {} were committed", commits.at(end));
        assert_eq!(read.steps, written[..steps as usize], "{end}: only what was written");
        assert_eq!(read.damage.without_end, steps < 23, "{end}");
        assert_eq!((read.damage.lost_steps, read.damage.refused_records()), (0, 0), "{end}");
        assert_eq!(read.damage.cut_files, u64::from(end + 50 < bytes.len() as u64 && read.damage.cut_files == 1));
        if end < to {
            // Bytes that belong to steps are counted as lost, those of the chunk's own head only without any step.
            let used = end - read.damage.lost_bytes;
            assert!(used >= from.saturating_sub(400) && used <= end, "{end}: {} bytes lost", read.damage.lost_bytes);
            recovered_beyond += steps - commits.at(end);
        } else {
            assert_eq!(read.damage.lost_bytes, 0, "{end}: behind the last step there is only an index");
        }
        for number in 0..steps {
            assert!(read.has_frame(FrameNumber(number)), "{end}: frame {number}");
        }
        if steps > 0 {
            assert_eq!(read.frame(FrameNumber(steps - 1)).unwrap(), frame(steps - 1), "{end}");
        }
    }
    assert!(recovered_beyond > 0, "an uncompressed chunk reads up to the cut");
    say(&format!(
        "transition log: cut at each of {} bytes from the last chunk on: no committed step lost",
        bytes.len() as u64 - from + 1
    ));
}

#[test]
fn a_log_cut_anywhere_before_reads_up_to_the_cut_or_is_refused_by_its_head() {
    let folder = tempfile::tempdir().unwrap();
    let written = steps(12, Ending::Success);
    write(folder.path(), "run", &written, 3);
    let bytes = std::fs::read(only_file(folder.path())).unwrap();
    let mut most = 0;
    for end in (0..bytes.len()).step_by(5) {
        let cut = Scratch::new(folder.path(), end as u64, &bytes[..end]);
        match LoggedEpisode::read(&cut.0) {
            Ok(read) => {
                assert_eq!(read.steps, written[..read.steps.len()], "{end}");
                assert!(read.steps.len() >= most && (read.steps.len() == 12 || !read.damage.is_empty()), "{end}");
                most = read.steps.len();
            }
            Err(error) => assert!(matches!(error, TransitionError::NotALog { .. }) && most == 0, "{end}: {error}"),
        }
    }
    assert_eq!(most, 12);
}

#[test]
fn overwritten_bytes_make_no_step_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let written = steps(12, Ending::Success);
    write(folder.path(), "run", &written, 3);
    let bytes = std::fs::read(only_file(folder.path())).unwrap();
    let (mut noticed, mut harmless) = (0, 0);
    // Behind the head, which has no checksum of its own.
    let first = bytes.windows(17).position(|window| window == b"/transition/frame").unwrap();
    for position in (first..bytes.len()).step_by(19) {
        for value in [0, 0xFF, bytes[position] ^ 0x10] {
            let mut bytes = bytes.clone();
            bytes[position] = value;
            let damaged = Scratch::new(folder.path(), position as u64 * 256 + u64::from(value), &bytes);
            let Ok(read) = LoggedEpisode::read(&damaged.0) else { continue };
            assert!(read.steps.iter().all(|step| written.contains(step)), "byte {position} set to {value}");
            match read.damage.is_empty() {
                true => harmless += 1,
                false => noticed += 1,
            }
            assert!(read.steps.len() == 12 || !read.damage.is_empty(), "byte {position} set to {value}");
        }
    }
    say(&format!("transition log: {noticed} overwritten bytes noticed, {harmless} in an index or unchanged"));
    assert!(noticed > 100);
}

#[test]
fn files_of_one_episode_are_joined_and_episodes_sorted() {
    let folder = tempfile::tempdir().unwrap();
    let written = steps(30, Ending::Success);
    // Half a second a step: five seconds are eleven steps.
    let mut log = writer(folder.path(), "b", Rotation { seconds: 5.0, ..Rotation::default() });
    for step in &written {
        log.write(step, &frame(step.frame.0)).unwrap();
    }
    log.finish_part().unwrap();
    write(folder.path(), "c", &steps(3, Ending::Success), 3);
    write(folder.path(), "a", &steps(3, Ending::Collision), 3);
    std::fs::write(folder.path().join("bag.mcap"), b"nothing of the kind").unwrap();
    std::fs::write(folder.path().join("empty.mcap"), b"").unwrap();
    std::fs::write(folder.path().join("notes.txt"), b"").unwrap();

    let found = logs_in(folder.path()).unwrap();
    let names: Vec<_> = found.episodes.iter().map(|files| files.session.episode.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(found.refused.len(), 2);
    assert!(found.refused.iter().all(|(_, error)| matches!(error, TransitionError::NotALog { .. })));
    let files = &found.episodes[1].files;
    assert_eq!(files.len(), 3);
    let read = found.episodes[1].read().unwrap();
    assert_eq!((read.steps.as_slice(), read.damage.is_empty()), (written.as_slice(), true));
    assert_eq!(read.frame(FrameNumber(29)).unwrap(), frame(29));

    // Each file tells the session, so the others are of use when one is gone.
    std::fs::remove_file(&files[1]).unwrap();
    let read = logs_in(folder.path()).unwrap().episodes[1].read().unwrap();
    assert_eq!(read.damage.lost_steps, 11);
    assert_eq!(read.steps.len(), 19);
    let other = LoggedEpisode::read_parts(&[&files[0], &folder.path().join("c_000.mcap")]).unwrap_err();
    assert!(matches!(other, TransitionError::Parts { .. }), "{other}");
}

#[test]
fn files_are_rotated_by_size() {
    let folder = tempfile::tempdir().unwrap();
    let written = steps(30, Ending::Success);
    let mut log = writer(folder.path(), "run", Rotation { bytes: 10_000, ..Rotation::default() });
    for step in &written {
        log.write(step, &frame(step.frame.0)).unwrap();
    }
    log.finish_part().unwrap();
    let found = logs_in(folder.path()).unwrap();
    assert!(found.episodes[0].files.len() > 2, "{:?}", found.episodes[0].files);
    assert_eq!(found.episodes[0].read().unwrap().steps, written);
}

#[test]
fn what_no_reader_would_take_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = writer(folder.path(), "run", Rotation::default());
    let mut refused = |change: &dyn Fn(&mut vlm_planner_tuner::transition::Step)| {
        let mut bad = step(0, Ending::Continues);
        change(&mut bad);
        match log.write(&bad, &frame(0)).unwrap_err() {
            TransitionError::Step { fault, .. } => fault.refusal(),
            other => panic!("{other}"),
        }
    };
    assert_eq!(refused(&|step| step.reward = f32::NAN), StepRefusal::Reward);
    assert_eq!(refused(&|step| step.reward = 1001.0), StepRefusal::Reward);
    assert_eq!(refused(&|step| step.noise[0] = f32::INFINITY), StepRefusal::Noise);
    assert_eq!(refused(&|step| step.noise.truncate(2)), StepRefusal::Noise);
    assert_eq!(refused(&|step| step.parameters.swap(0, 1)), StepRefusal::Parameters);
    assert_eq!(refused(&|step| step.parameters[0].value = f64::NAN), StepRefusal::Parameters);
    assert_eq!(refused(&|step| step.feature = Feature::from_values(vec![0.0; 4]).unwrap()), StepRefusal::Feature);
    assert_eq!(refused(&|step| step.terms.progress_m = Some(f64::NAN)), StepRefusal::Terms);
    assert_eq!(refused(&|step| step.goal.as_mut().unwrap().x = f64::INFINITY), StepRefusal::Pose);
    // The log goes on.
    log.write(&step(0, Ending::Success), &frame(0)).unwrap();
    log.finish_part().unwrap();
    assert_eq!(LoggedEpisode::read(only_file(folder.path())).unwrap().steps.len(), 1);
}

#[test]
fn sessions_that_could_not_be_told_apart_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for episode in ["", "../run", ".hidden", "a/b", "a b", &"x".repeat(200)] {
        let store = vlm_planner_tuner::transition::log::FolderStore::open(
            folder.path(),
            vlm_planner_tuner::transition::log::Placement::AtOnce,
        )
        .unwrap();
        let writer = vlm_planner_tuner::transition::EpisodeWriter::new(
            std::sync::Arc::new(store),
            std::sync::Arc::new(head(episode)),
            Rotation::default(),
        );
        assert!(matches!(writer, Err(TransitionError::Session { .. })), "{episode}");
    }
    // A file that is there already is never written over.
    write(folder.path(), "run", &steps(2, Ending::Success), 1);
    let before = std::fs::read(only_file(folder.path())).unwrap();
    let mut again = writer(folder.path(), "run", Rotation::default());
    assert!(again.write(&step(0, Ending::Continues), &frame(0)).is_err());
    assert_eq!(std::fs::read(only_file(folder.path())).unwrap(), before);
}

/// The log of one episode with its steps rewritten as JSON, each whole as far as MCAP is concerned.
fn with_steps(log: &Path, change: impl Fn(u64, &mut String)) -> Vec<u8> {
    let bytes = std::fs::read(log).unwrap();
    let mut out = std::io::Cursor::new(Vec::new());
    let mut writer = mcap::WriteOptions::new().compression(None).create(&mut out).unwrap();
    for record in mcap::read::LinearReader::new(&bytes).unwrap() {
        if let mcap::records::Record::Metadata(metadata) = record.unwrap() {
            writer.write_metadata(&metadata).unwrap();
        }
    }
    for message in mcap::MessageStream::new(&bytes).unwrap() {
        let mut message = message.unwrap();
        if message.channel.topic == "/transition/step" {
            let mut json = String::from_utf8(message.data.to_vec()).unwrap();
            change(message.sequence.into(), &mut json);
            message.data = json.into_bytes().into();
        }
        writer.write(&message).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    out.into_inner()
}

#[test]
fn records_out_of_range_are_refused_counted_and_not_fatal() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "run", &steps(12, Ending::Success), 4);
    let log = only_file(folder.path());
    let changed = folder.path().join("changed.mcap");
    let read = |index: u64, from: &str, to: &str| {
        let bytes = with_steps(&log, |number, json| {
            if number == index {
                assert!(json.contains(from), "{from} is not in {json}");
                *json = json.replacen(from, to, 1);
            }
        });
        std::fs::write(&changed, bytes).unwrap();
        LoggedEpisode::read(&changed).unwrap()
    };
    assert!(read(3, "", "").damage.is_empty(), "rewritten as it was");
    for (from, to, refusal) in [
        ("\"action\":[0.1", "\"action\":[1.1", StepRefusal::Action),
        ("\"action\":[0.1", "\"action\":[1e60", StepRefusal::Unreadable),
        ("\"explored\":[0.1", "\"explored\":[0.0,0.1", StepRefusal::Action),
        ("\"noise\":[0.0", "\"noise\":[1e60", StepRefusal::Unreadable),
        ("\"noise\":[0.0,", "\"noise\":[", StepRefusal::Noise),
        ("\"reward\":-1.0", "\"reward\":-1000.5", StepRefusal::Reward),
        ("\"reward\":-1.0", "\"reward\":1e39", StepRefusal::Unreadable),
        ("\"reward\":-1.0", "\"reward\":null", StepRefusal::Unreadable),
        ("\"feature\":[", "\"feature\":[1.0,", StepRefusal::Feature),
        ("\"feature\":[", "\"feature\":[1e60,", StepRefusal::Unreadable),
        ("\"parameters\":{\"max_vel_x\"", "\"parameters\":{\"max_vel_y\"", StepRefusal::Parameters),
        ("\"outcomes\":{\"max_vel_x\":\"stored\"", "\"outcomes\":{\"max_vel_x\":\"lost\"", StepRefusal::Parameters),
        ("\"stamp_ns\":1700", "\"stamp_ns\":-1700", StepRefusal::Stamp),
        ("\"episode\":\"run\"", "\"episode\":\"other\"", StepRefusal::Session),
        ("\"policy\":\"aaa", "\"policy\":\"bbb", StepRefusal::Session),
        ("\"index\":3", "\"index\":1", StepRefusal::Order),
        ("\"ending\":\"continues\"", "\"ending\":\"success\"", StepRefusal::Unreadable),
        ("\"ending\":\"continues\"", "\"ending\":\"onwards\"", StepRefusal::Unreadable),
        ("\"linear_vel\":", "\"linear_vel\":1e300,\"_\":", StepRefusal::Unreadable),
        ("{", "[", StepRefusal::Unreadable),
    ] {
        let read = read(3, from, to);
        let refused: Vec<_> = read.damage.refused.iter().map(|(refusal, count)| (*refusal, *count)).collect();
        assert_eq!(refused, [(refusal, 1)], "{from} -> {to}");
        assert_eq!((read.steps.len(), read.damage.lost_steps), (11, 1), "{from} -> {to}");
        assert!(!read.damage.is_empty() && read.damage.lost_bytes == 0, "{from} -> {to}");
    }
    // Steps behind the end belong to nobody.
    let early = read(
        3,
        "\"terminated\":false,\"truncated\":false,\"ending\":\"continues\"",
        "\"terminated\":true,\"truncated\":false,\"ending\":\"success\"",
    );
    assert_eq!((early.steps.len(), early.damage.refused[&StepRefusal::Order]), (4, 8));
}

#[test]
fn heads_that_lie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "run", &steps(3, Ending::Success), 4);
    let bytes = std::fs::read(only_file(folder.path())).unwrap();
    let changed = folder.path().join("changed.mcap");
    // The metadata has no checksum, so that equal lengths can be swapped in place.
    let refused = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let mut bytes = bytes.clone();
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        std::fs::write(&changed, &bytes).unwrap();
        LoggedEpisode::read(&changed).map(|read| read.steps.len()).unwrap_err().to_string()
    };
    assert!(refused("run\u{9}\0\0\0extractor", "../\u{9}\0\0\0extractor").contains("the episode is called '../'"));
    assert!(refused("format\u{1}\0\0\u{0}1", "format\u{1}\0\0\u{0}2").contains("this program reads '1'"));
    assert!(refused("inflation_radius\"]", "inflation_radius\"}").contains("parameters: "));
    assert!(refused("\"bound\":1000.0", "\"bound\":-100.0").contains("reward_weights: "));
    assert!(refused("planner_tuner.session", "planner_tuner.sesame?").contains("planner_tuner.session"));
}
