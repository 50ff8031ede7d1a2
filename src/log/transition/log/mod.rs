//! The log of an episode: MCAP files that open in Foxglove, survive a power cut and read back after any truncation.
//!
//! | record | content |
//! | --- | --- |
//! | metadata [`SESSION_METADATA`] | the [`Session`](super::Session), the part's number, the reward's weights |
//! | topic [`FRAME_TOPIC`] | `sensor_msgs/msg/CompressedImage` (ros2msg, CDR): the frames, PNG, each once, by sequence |
//! | topic [`STEP_TOPIC`] | JSON with a JSON schema: one [`Step`](super::Step) a message |
//!
//! [`EpisodeWriter`] writes, [`BackgroundLog`] does so on a thread of its own, [`LoggedEpisode`] reads. A file that was cut
//! off is left as it is: it reads up to the cut, and whoever goes on logging begins a new one.

mod background;
mod check;
mod damage;
mod episode;
mod episode_folder;
mod file_reader;
mod frames;
mod head;
mod part;
mod status;
mod step_fault;
mod step_record;
mod store;
mod worker;
mod writer;

pub use background::{BackgroundLog, LogEntry, LogSettings};
pub use check::StepRefusal;
pub use damage::Damage;
pub use episode::{EpisodeFiles, LogFolder, LoggedEpisode, logs_in};
pub use episode_folder::EpisodeFolder;
pub use frames::{LoggedFrameError, LoggedFrames};
pub use head::{LogHead, SESSION_METADATA, SessionError};
pub use part::PartError;
pub use status::{LogState, LogStatus};
pub use step_fault::{StepFault, UnknownName};
pub use store::{FolderStore, LogFile, LogStore, Placement};
pub use writer::{EpisodeWriter, Rotation};

/// Topic of the frames.
pub const FRAME_TOPIC: &str = "/transition/frame";

/// Topic of the steps.
pub const STEP_TOPIC: &str = "/transition/step";
