//! The same road, from a recording: bags and folders of images.
//!
//! [`Recording::open`] finds out what a path holds and yields [`RecordedFrame`]s in the order they were recorded, each
//! with the velocity that the robot had; the images are those of the recording, or drawn from its laser scans
//! ([`DrawingOptions`]). What cannot be used is skipped, counted and logged ([`SkipCounts`]), never
//! passed over in silence. [`DecisionSchedule`] picks the frames to decide on.

mod bag;
pub(crate) mod bag_file;
pub(crate) mod cdr;
pub(crate) mod cdr_writer;
pub(crate) mod channel_form;
mod clock;
pub(crate) mod compressed_image;
mod compression;
mod drawing;
mod drawn_bag;
mod drive;
pub(crate) mod drive_message;
mod error;
mod image_folder;
mod locate;
mod mcap_chunk;
mod mcap_damage;
mod mcap_file;
pub(crate) mod mcap_record;
pub(crate) mod mcap_walk;
pub(crate) mod message;
#[expect(clippy::module_inception, reason = "the folder is named after what it holds")]
mod recording;
mod robots;
mod rosbag2;
mod run_table;
pub(crate) mod scene_message;
mod schedule;
mod scratch;
mod skip;
mod sqlite_file;
mod sqlite_journal;
mod survey;
mod topic;
mod transform_stream;
mod velocity_track;

pub use bag_file::refuse_recording;
pub use cdr::CdrError;
pub use drawing::{Drawing, DrawingOptions};
pub use drive::{Drive, DriveEvent, DriveTopics, GoalNews, GoalWatch, pose_of};
pub use drive_message::{GoalStatus, nearest_laser_of};
pub use error::RecordingError;
pub use image_folder::{LabelColumn, LabelledPicture, LabelledPictures, RowFilter};
pub use mcap_damage::McapDamage;
pub use recording::{RecordedFrame, Recording, RecordingOptions, StampSource};
pub use schedule::DecisionSchedule;
pub use skip::{SkipCounts, SkipReason, Skipped};
pub use topic::Topic;
