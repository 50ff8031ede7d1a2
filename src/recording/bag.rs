//! A rosbag2 recording: one or several bag files, read in the order of recording.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bag_file::{self, BagFile, FoundMessage, Place, Scan};
use super::cdr::CdrError;
use super::message::{ImageMessage, OdometryMessage};
use super::recording::Observation;
use super::topic::{Topic, TopicKind, TopicQuery};
use super::velocity_track::{NoVelocity, VelocitySample, VelocityTrack};
use super::{RecordingError, RecordingOptions, SkipCounts, SkipReason, Skipped};
use crate::frame::{BodyVelocity, Stamp, StampedFrame};

/// An open bag. Odometry and the places of the images have been read, the images have not.
pub(super) struct Bag {
    files: Vec<Box<dyn BagFile>>,
    image_topic: Topic,
    odometry_topic: Topic,
    images: std::vec::IntoIter<ImagePlace>,
    velocities: VelocityTrack,
    warned_of_zero_stamps: bool,
}

/// Where an image lies. Ordered by time of recording, then as it lies in the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ImagePlace {
    log_time: Stamp,
    file: usize,
    place: Place,
}

/// What the scan of all files collects, before it is known which topics are used. Topics go by their position.
#[derive(Default)]
struct Survey {
    topics: Vec<Topic>,
    images: Vec<(usize, ImagePlace)>,
    odometry: Vec<(usize, Stamp, Result<OdometryMessage, CdrError>)>,
}

impl Bag {
    /// Opens the files of one recording, given in the order they were recorded.
    pub(super) fn open(
        path: &Path,
        files: Vec<PathBuf>,
        options: &RecordingOptions,
        skips: &mut SkipCounts,
    ) -> Result<Self, RecordingError> {
        let several = files.len() > 1;
        let mut opened = Vec::with_capacity(files.len());
        let mut survey = Survey::default();
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
        let image_topic = TopicQuery::image(options.image_topic.as_deref()).select(path, &survey.topics)?.clone();
        let odometry_topic =
            TopicQuery::odometry(options.odometry_topic.as_deref()).select(path, &survey.topics)?.clone();
        let (image_position, odometry_position) =
            (survey.position_of(&image_topic), survey.position_of(&odometry_topic));

        let odometry = survey.odometry.into_iter().filter(|(topic, ..)| *topic == odometry_position);
        let samples = odometry.map(|(_, log_time, message)| velocity_sample(&odometry_topic, log_time, message, skips));
        let velocities = VelocityTrack::new(samples.collect());

        let images = survey.images.into_iter().filter(|(topic, _)| *topic == image_position);
        let mut images: Vec<_> = images.map(|(_, place)| place).collect();
        if images.is_empty() {
            return Err(RecordingError::NoImages { path: path.to_owned(), topic: image_topic.name });
        }
        if !images.is_sorted_by_key(|image| image.log_time) {
            log::warn!(
                "{}: {} was not written in the order of recording time; it is read in that order",
                path.display(),
                image_topic.name
            );
        }
        images.sort();
        let images = images.into_iter();
        Ok(Self { files: opened, image_topic, odometry_topic, images, velocities, warned_of_zero_stamps: false })
    }

    /// Images that are still to come.
    pub(super) fn remaining(&self) -> usize {
        self.images.len()
    }

    pub(super) fn image_topic(&self) -> &Topic {
        &self.image_topic
    }

    pub(super) fn odometry_topic(&self) -> &Topic {
        &self.odometry_topic
    }

    fn read(&mut self, image: ImagePlace) -> Result<Observation, Skipped> {
        let topic = &self.image_topic.name;
        let log_time = image.log_time;
        let unreadable = |problem: String| {
            let message = format!("{topic}: the image cannot be read: {problem}");
            Skipped::new(SkipReason::UnreadableMessage, Some(log_time), message)
        };
        let file = self.files.get_mut(image.file).ok_or_else(|| unreadable("its file is not open".to_owned()))?;
        let payload = file.payload(image.place);
        let payload = payload.map_err(|problem| unreadable(format!("{}: {problem}", file.path().display())))?;
        let message = match self.image_topic.kind() {
            Some(TopicKind::CompressedImage) => ImageMessage::compressed(&payload),
            _ => ImageMessage::raw(&payload),
        };
        let message = message.map_err(|error| unreadable(error.to_string()))?;
        if message.stamp.is_none() && !std::mem::replace(&mut self.warned_of_zero_stamps, true) {
            log::warn!("{topic}: header stamps are zero, the time of recording is taken instead");
        }
        let stamp = message.stamp.unwrap_or(log_time);
        let frame = message.decode().map_err(|error| Skipped::frame(&error, Some(stamp), topic))?;
        let (velocity, velocity_age_s) =
            self.velocities.at(log_time, stamp).map_err(|no| self.no_velocity(stamp, &no))?;
        let frame = StampedFrame { stamp, frame: Arc::new(frame) };
        Ok(Observation { frame, velocity, velocity_age_s, age_s: log_time.seconds_since(stamp), episode: 0 })
    }

    fn no_velocity(&self, stamp: Stamp, no: &NoVelocity) -> Skipped {
        let odometry = &self.odometry_topic.name;
        let limit = VelocityTrack::MAX_AGE as f64 * 1e-9;
        match no {
            NoVelocity::Unknown => {
                let message =
                    format!("{odometry}: no usable velocity at the image's stamp, nor within {limit} s of it");
                Skipped::new(SkipReason::NoVelocity, Some(stamp), message)
            }
            NoVelocity::Stale(age) => {
                let message =
                    format!("{odometry}: the last usable velocity is {age:.3} s old, at most {limit} s is accepted");
                Skipped::new(SkipReason::StaleVelocity, Some(stamp), message)
            }
        }
    }
}

impl Iterator for Bag {
    type Item = Result<Observation, Skipped>;

    fn next(&mut self) -> Option<Self::Item> {
        let image = self.images.next()?;
        Some(self.read(image))
    }
}

impl Survey {
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
        match kind {
            TopicKind::Odometry => {
                let message = OdometryMessage::read(&payload.unwrap_or_default());
                self.odometry.push((topic, log_time, message));
            }
            TopicKind::Image | TopicKind::CompressedImage => {
                self.images.push((topic, ImagePlace { log_time, file, place }));
            }
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
    let stamp = message.stamp.unwrap_or(log_time);
    let velocity = BodyVelocity::new(message.linear, message.angular)
        .inspect_err(|error| skips.record(&Skipped::frame(error, Some(stamp), &topic.name)))
        .ok();
    VelocitySample { log_time, stamp, velocity }
}
