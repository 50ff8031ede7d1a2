//! A rosbag2 recording: one or several bag files, read in the order of recording.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clock::{ClockWatch, Times};
use super::message::ImageMessage;
use super::recording::Observation;
use super::robots::Robots;
use super::survey::{BagFiles, MessagePlace, Survey};
use super::topic::{Topic, TopicKind, TopicQuery};
use super::velocity_track::VelocityTrack;
use super::{RecordingError, RecordingOptions, SkipCounts, SkipReason, Skipped, StampSource};
use planner_tuner_core::frame::StampedFrame;

/// An open bag. Odometry and the places of the images have been read, the images have not.
pub(super) struct Bag {
    files: BagFiles,
    image_topic: Topic,
    odometry_topic: Topic,
    images: std::vec::IntoIter<MessagePlace>,
    velocities: VelocityTrack,
    stamps: StampSource,
    clocks: ClockWatch,
    warned_of_zero_stamps: bool,
}

impl Bag {
    /// Opens the files of one recording, given in the order they were recorded.
    pub(super) fn open(
        path: &Path,
        files: Vec<PathBuf>,
        options: &RecordingOptions,
        skips: &mut SkipCounts,
    ) -> Result<Self, RecordingError> {
        let is_image = |kind| matches!(kind, TopicKind::Image | TopicKind::CompressedImage);
        let (files, mut survey) = Survey::of(files, is_image, options.stamps, skips)?;
        let mut robots = Robots::among(survey.topics());
        let chosen = [&options.image_topic, &options.odometry_topic];
        chosen.into_iter().flatten().for_each(|topic| robots.follow(path, topic));
        let image_topic = robots.select(path, &TopicQuery::image(options.image_topic.as_deref()))?;
        let odometry_topic = robots.select(path, &TopicQuery::odometry(options.odometry_topic.as_deref()))?;
        let clocks = survey.clock(&odometry_topic);
        let velocities = survey.velocities(&odometry_topic, skips);
        let images = survey.places(path, &image_topic);
        if images.is_empty() {
            return Err(RecordingError::NoImages { path: path.to_owned(), topic: image_topic.name });
        }
        let images = images.into_iter();
        let stamps = options.stamps;
        Ok(Self {
            files,
            image_topic,
            odometry_topic,
            images,
            velocities,
            stamps,
            clocks,
            warned_of_zero_stamps: false,
        })
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

    fn read(&mut self, image: MessagePlace) -> Result<Observation, Skipped> {
        let topic = &self.image_topic.name;
        let log_time = image.log_time();
        let unreadable = |problem: &dyn std::fmt::Display| {
            let message = format!("{topic}: the image cannot be read: {problem}");
            Skipped::new(SkipReason::UnreadableMessage, Some(log_time), message)
        };
        let payload = self.files.payload(image).map_err(|error| unreadable(&error))?;
        let message = match self.image_topic.kind() {
            Some(TopicKind::CompressedImage) => ImageMessage::compressed(&payload),
            _ => ImageMessage::raw(&payload),
        };
        let message = message.map_err(|error| unreadable(&error))?;
        let warns_of_zero = message.stamp().is_none() && self.stamps == StampSource::Header;
        if warns_of_zero && !std::mem::replace(&mut self.warned_of_zero_stamps, true) {
            log::warn!("{topic}: header stamps are zero, the time of recording is taken instead");
        }
        let stamp = self.stamps.choose(message.stamp(), log_time);
        let was_zero = message.stamp().is_none();
        self.clocks.check(&self.image_topic, Times { log_time, stamp, was_zero })?;
        let frame = message.decode().map_err(|error| Skipped::frame(&error, Some(stamp), topic))?;
        let velocity = self.velocities.at(log_time, stamp);
        let (velocity, velocity_age_s) = velocity.map_err(|no| no.skipped(stamp, &self.odometry_topic))?;
        let frame = StampedFrame { stamp, frame: Arc::new(frame) };
        Ok(Observation {
            frame,
            velocity,
            velocity_age_s,
            age_s: log_time.seconds_since(stamp),
            episode: 0,
            drawing: None,
            history: None,
        })
    }
}

impl Iterator for Bag {
    type Item = Result<Observation, Skipped>;

    fn next(&mut self) -> Option<Self::Item> {
        let image = self.images.next()?;
        Some(self.read(image))
    }
}
