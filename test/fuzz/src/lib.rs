//! What each fuzz target does with its bytes: hands them to the reader that a user's file would meet, and drops the
//! answer. An error is right; a panic, a hang or too much memory is not.
//!
//! Readers that take a path are given a file in memory (`/dev/shm` where there is one).

use std::cell::RefCell;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use candle_core::Device;
use tempfile::NamedTempFile;
use vlm_planner_tuner::checkpoint::{HistoryConfig, LoraConfig, TensorTable, npy};
use vlm_planner_tuner::frame::Frame;
use vlm_planner_tuner::nav2::Mapping;
use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::recording::{DrawingOptions, Recording, RecordingOptions};
use vlm_planner_tuner::transition::LoggedEpisode;
use vlm_planner_tuner::vision_language::ModelConfig;
use vlm_planner_tuner::vision_language::processor::{PreprocessorConfig, PromptTemplate};

pub mod bytes_of_messages;
#[path = "../../support/checkpoint_files.rs"]
pub mod checkpoint_files;
#[path = "../../support/episode.rs"]
pub mod episode;
#[path = "../../support/scene_bag.rs"]
pub mod scene_bag;
#[path = "../../support/small_bag.rs"]
pub mod small_bag;

thread_local! {
    static FILE: RefCell<NamedTempFile> = RefCell::new(empty_file());
}

fn empty_file() -> NamedTempFile {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    NamedTempFile::new_in(folder).expect("a scratch file")
}

/// Lets `read` look at a file that holds the bytes.
fn with_file(data: &[u8], read: impl FnOnce(&Path)) {
    FILE.with_borrow_mut(|file| {
        let scratch = file.as_file_mut();
        scratch.set_len(0).and_then(|()| scratch.seek(SeekFrom::Start(0))).expect("an empty scratch file");
        scratch.write_all(data).expect("room for the input");
        read(file.path());
    });
}

/// Reads every tensor that the table offers.
fn read_all(table: &TensorTable) {
    for name in table.names() {
        drop(table.read(name, &Device::Cpu));
    }
}

/// A policy's pickle.
pub fn pickle(data: &[u8]) {
    with_file(data, |path| {
        if let Ok(table) = TensorTable::open_policy_pickle(path) {
            read_all(&table);
        }
    });
}

/// torch's zip format.
pub fn torch_zip(data: &[u8]) {
    with_file(data, |path| {
        if let Ok(table) = TensorTable::open_torch(path) {
            read_all(&table);
        }
    });
}

/// A safetensors file.
pub fn safetensors(data: &[u8]) {
    with_file(data, |path| {
        if let Ok(table) = TensorTable::open_safetensors(&[path.to_owned()]) {
            read_all(&table);
        }
    });
}

/// A numpy array.
pub fn npy(data: &[u8]) {
    with_file(data, |path| drop(npy::read_vector(path)));
}

/// A PNG or JPEG, as a file and as a `CompressedImage` whose format is the bytes before the first zero.
pub fn image(data: &[u8]) {
    drop(Frame::from_image_bytes(data));
    let format = data.iter().position(|byte| *byte == 0).unwrap_or(0);
    let (format, picture) = data.split_at(format);
    drop(Frame::from_compressed(&String::from_utf8_lossy(format), picture));
}

/// An MCAP file, whatever it holds.
pub fn mcap(data: &[u8]) {
    with_file(data, |path| {
        if let Ok(recording) = Recording::open(path, &RecordingOptions::default()) {
            recording.for_each(drop);
        }
    });
}

/// Messages of the types that pictures and velocities come from, in a sound MCAP file; see [`bytes_of_messages`].
pub fn messages(data: &[u8]) {
    let mut file = Vec::new();
    bytes_of_messages::write_mcap(&bytes_of_messages::split(data), &mut file);
    with_file(&file, |path| {
        let drawn = RecordingOptions { drawing: Some(DrawingOptions::default()), ..RecordingOptions::default() };
        for options in [RecordingOptions::default(), drawn] {
            if let Ok(recording) = Recording::open(path, &options) {
                recording.for_each(drop);
            }
        }
    });
}

/// Planner and mapping files.
pub fn yaml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    drop(PlannerSpec::from_yaml(text, "fuzz.yaml"));
    if let Ok(planner) = PlannerSpec::builtin("dwa") {
        drop(Mapping::from_yaml(text, "fuzz.yaml", &planner));
    }
}

/// The JSON files of a base model and of a supervised checkpoint.
pub fn json(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        drop(ModelConfig::from_json(text));
    }
    drop(PreprocessorConfig::from_json("fuzz.json", data));
    drop(PromptTemplate::from_json("fuzz.json", data));
    with_file(data, |path| {
        drop(HistoryConfig::open(path));
        drop(LoraConfig::open(path));
    });
}

/// A transition log.
pub fn transition_log(data: &[u8]) {
    with_file(data, |path| {
        if let Ok(episode) = LoggedEpisode::read(path) {
            for step in &episode.steps {
                drop(episode.frame(step.frame));
            }
        }
    });
}
