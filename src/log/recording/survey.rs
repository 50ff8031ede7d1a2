//! What the files of a rosbag2 recording hold: gone through once, before it is known which topics are used.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::bag_file::{self, BagFile, FoundMessage, PayloadError, Place, Scan};
use super::cdr::CdrError;
use super::clock::ClockWatch;
use super::message::OdometryMessage;
use super::topic::{Topic, TopicKind};
use super::velocity_track::{VelocitySample, VelocityTrack};
use super::{RecordingError, SkipCounts, SkipReason, Skipped, StampSource};
use planner_tuner_core::frame::{BodyVelocity, Stamp};

/// Where a message lies. Ordered by time of recording, then as it lies in the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MessagePlace {
    log_time: Stamp,
    file: usize,
    place: Place,
}

impl MessagePlace {
    /// When the message was recorded.
    pub(super) fn log_time(self) -> Stamp {
        self.log_time
    }
}

/// Why a message that was found before cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnreadMessage {
    #[error("its file is not open")]
    NotOpen,
    #[error("{path}: {source}")]
    File { path: PathBuf, source: PayloadError },
    #[error(transparent)]
    Cdr(#[from] CdrError),
}

/// The files of one recording.
pub(super) struct BagFiles(Vec<Box<dyn BagFile>>);

impl BagFiles {
    /// The payload of a message. Cheapest when asked in the order of the places.
    pub(super) fn payload(&mut self, at: MessagePlace) -> Result<Vec<u8>, UnreadMessage> {
        let file = self.0.get_mut(at.file).ok_or(UnreadMessage::NotOpen)?;
        let payload = file.payload(at.place);
        payload.map_err(|source| UnreadMessage::File { path: file.path().to_owned(), source })
    }
}

/// What was found. Topics go by their position.
pub(super) struct Survey {
    topics: Vec<Topic>,
    places: Vec<(usize, MessagePlace)>,
    odometry: Vec<(usize, Stamp, Result<OdometryMessage, CdrError>)>,
    wanted: fn(TopicKind) -> bool,
    stamps: StampSource,
}

impl Survey {
    /// Opens the files of one recording, given in the order they were recorded. The places of messages of the `wanted`
    /// kinds are kept, and all odometry.
    pub(super) fn of(
        files: Vec<PathBuf>,
        wanted: fn(TopicKind) -> bool,
        stamps: StampSource,
        skips: &mut SkipCounts,
    ) -> Result<(BagFiles, Self), RecordingError> {
        let several = files.len() > 1;
        let mut opened = Vec::with_capacity(files.len());
        let mut survey = Self { topics: Vec::new(), places: Vec::new(), odometry: Vec::new(), wanted, stamps };
        for file in files {
            match survey.open(file, opened.len()) {
                Ok((file, scan)) => {
                    scan.damage.iter().for_each(|damage| skips.record(damage));
                    opened.push(file);
                }
                // A recorder that is stopped hard leaves the last of its files empty; the others are good.
                Err(error) if several => {
                    skips.record(&Skipped::new(SkipReason::DamagedFile, None, error.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok((BagFiles(opened), survey))
    }

    pub(super) fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// The velocities of an odometry topic. What cannot be used of it is counted.
    pub(super) fn velocities(&mut self, topic: &Topic, skips: &mut SkipCounts) -> VelocityTrack {
        let position = self.position_of(topic);
        let odometry = std::mem::take(&mut self.odometry).into_iter().filter(|(topic, ..)| *topic == position);
        let stamps = self.stamps;
        let mut remarks = BTreeSet::new();
        let samples = odometry.map(|(_, log_time, message)| {
            let twist = message.as_ref().ok().and_then(|message| message.twist.as_ref().ok());
            remarks.extend(twist.and_then(|twist| twist.remark));
            velocity_sample(topic, log_time, stamps, message, skips)
        });
        let track = VelocityTrack::new(samples.collect());
        remarks.iter().for_each(|remark| log::warn!("{}: {remark}", topic.name));
        track
    }

    /// The clock of an odometry topic; to be asked for before its velocities.
    pub(super) fn clock(&self, topic: &Topic) -> ClockWatch {
        let position = self.topics.iter().position(|known| known == topic);
        let of_topic = self.odometry.iter().filter(|(topic, ..)| Some(*topic) == position);
        let readable = of_topic.filter_map(|(_, log_time, message)| Some((*log_time, message.as_ref().ok()?)));
        ClockWatch::of(
            topic,
            readable.map(|(log_time, message)| (log_time, self.stamps.choose(message.stamp, log_time))),
        )
    }

    /// The places of a topic's messages, in the order of recording.
    pub(super) fn places(&self, path: &Path, topic: &Topic) -> Vec<MessagePlace> {
        let position = self.topics.iter().position(|known| known == topic);
        let of_topic = self.places.iter().filter(|(topic, _)| Some(*topic) == position);
        let mut places: Vec<_> = of_topic.map(|(_, place)| *place).collect();
        if !places.is_sorted_by_key(|place| place.log_time) {
            log::warn!(
                "{}: {} was not written in the order of recording time; it is read in that order",
                path.display(),
                topic.name
            );
        }
        places.sort();
        places
    }

    /// Opens a file and goes through it; its messages will go by `number`.
    fn open(&mut self, path: PathBuf, number: usize) -> Result<(Box<dyn BagFile>, Scan), RecordingError> {
        let mut file = bag_file::open(path)?;
        let scan = file.scan(&mut |topic, kind, found| self.take(topic, kind, found, number))?;
        for topic in &scan.topics {
            self.position_of(topic);
        }
        Ok((file, scan))
    }

    fn take(&mut self, topic: &Topic, kind: TopicKind, found: FoundMessage, file: usize) {
        let FoundMessage { log_time, place, payload } = found;
        let topic = self.position_of(topic);
        if kind == TopicKind::Odometry {
            let message = OdometryMessage::read(&payload.unwrap_or_default());
            self.odometry.push((topic, log_time, message));
        }
        if (self.wanted)(kind) {
            self.places.push((topic, MessagePlace { log_time, file, place }));
        }
    }

    fn position_of(&mut self, topic: &Topic) -> usize {
        self.topics.iter().position(|known| known == topic).unwrap_or_else(|| {
            self.topics.push(topic.clone());
            self.topics.len() - 1
        })
    }
}

/// A sample of the track; one that cannot be used is counted and leaves a hole in it.
fn velocity_sample(
    topic: &Topic,
    log_time: Stamp,
    stamps: StampSource,
    message: Result<OdometryMessage, CdrError>,
    skips: &mut SkipCounts,
) -> VelocitySample {
    let message = match message {
        Ok(message) => message,
        Err(error) => {
            let message = format!("{}: the odometry message cannot be read: {error}", topic.name);
            skips.record(&Skipped::new(SkipReason::UnreadableOdometry, Some(log_time), message));
            return VelocitySample { log_time, stamp: log_time, velocity: None };
        }
    };
    let stamp = stamps.choose(message.stamp, log_time);
    let velocity = match message.twist {
        Ok(twist) => BodyVelocity::new(twist.linear, twist.angular)
            .inspect_err(|error| skips.record(&Skipped::frame(error, Some(stamp), &topic.name)))
            .ok(),
        Err(refused) => {
            let message = format!("{}: {refused}", topic.name);
            skips.record(&Skipped::new(SkipReason::InvalidVelocity, Some(stamp), message));
            None
        }
    };
    VelocitySample { log_time, stamp, velocity }
}
