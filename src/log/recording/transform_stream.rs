//! The transforms of a recording in the order they were recorded, read ahead where a picture needs the next one.

use std::collections::VecDeque;

use super::scene_message;
use super::survey::{BagFiles, MessagePlace};
use super::{SkipReason, Skipped, StampSource};
use planner_tuner_core::frame::Stamp;
use planner_tuner_core::scene::TransformMessage;

/// Transforms that have not been taken.
pub(super) struct TransformStream {
    /// Where the messages lie, and whether they came on a static topic.
    places: std::iter::Peekable<std::vec::IntoIter<(MessagePlace, bool)>>,
    /// The rest of the message that was read last, and when it was recorded.
    read: VecDeque<TransformMessage>,
    read_at: Stamp,
    stamps: StampSource,
}

impl TransformStream {
    pub(super) fn new(mut places: Vec<(MessagePlace, bool)>, stamps: StampSource) -> Self {
        places.sort();
        let read_at = Stamp::from_nanos(i64::MIN);
        Self { places: places.into_iter().peekable(), read: VecDeque::new(), read_at, stamps }
    }

    /// The next transform that was recorded until then, unless `stops` at it. A message that cannot be read is told of.
    pub(super) fn next_until(
        &mut self,
        files: &mut BagFiles,
        until: Stamp,
        stops: impl Fn(&TransformMessage) -> bool,
    ) -> Option<Result<TransformMessage, Skipped>> {
        while self.read.is_empty() {
            let (place, is_static) = self.places.next_if(|(place, _)| place.log_time() <= until)?;
            let log_time = place.log_time();
            let transforms =
                files.payload(place).and_then(|payload| Ok(scene_message::transforms(&payload, log_time, is_static)?));
            let stamped = |mut transform: TransformMessage| {
                transform.stamp = self.stamps.choose(Some(transform.stamp), log_time);
                transform
            };
            match transforms {
                Ok(transforms) => (self.read, self.read_at) = (transforms.into_iter().map(stamped).collect(), log_time),
                Err(problem) => {
                    let message = format!("transforms cannot be read: {problem}");
                    return Some(Err(Skipped::new(SkipReason::UnreadableTransforms, Some(log_time), message)));
                }
            }
        }
        let is_due = self.read_at <= until && self.read.front().is_some_and(|next| !stops(next));
        if is_due { self.read.pop_front().map(Ok) } else { None }
    }
}
