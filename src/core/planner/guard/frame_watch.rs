//! What the stamps and the pixels of arriving frames say about their publisher.

use std::time::Duration;

use super::velocity_watch::span;
use super::{FrameArrival, GuardLimits, Moment, Reason};
use crate::frame::{OddAppearance, Stamp};

/// What to do with a frame that arrived.
#[derive(Debug, Clone, PartialEq)]
pub enum FrameVerdict {
    /// Decide on it when inference is free, unless a newer one comes first.
    Use {
        /// The stamp to use for it: the time of receipt where the header's was zero.
        stamp: Stamp,
        /// The pixels are those of the frame before.
        same_image: bool,
    },
    /// Drop it.
    Refuse(Reason),
}

/// Of the last ten frames, this many with a stamp that goes back mean two publishers.
const INTERLEAVED: u32 = 3;
const LAST_TEN: u16 = 0x3ff;

/// Remembers enough of past frames to judge the next.
#[derive(Debug, Clone, Default)]
pub(super) struct FrameWatch {
    newest: Option<Stamp>,
    newest_ros_now: Option<Stamp>,
    last_arrival: Option<Moment>,
    last_hash: Option<u64>,
    frozen_since: Option<Moment>,
    /// One bit a frame, newest lowest: its stamp went back.
    went_back: u16,
    stamps_are_zero: bool,
    odd: Option<OddAppearance>,
}

impl FrameWatch {
    /// Judges a frame, by its stamp first.
    pub(super) fn take(
        &mut self,
        now: Moment,
        arrival: FrameArrival,
        moving: bool,
        limits: &GuardLimits,
    ) -> FrameVerdict {
        let FrameArrival { stamp, ros_now, image_hash, odd } = arrival;
        self.last_arrival = Some(now);
        self.newest_ros_now = Some(ros_now);
        if ros_now.nanos() <= 0 {
            return FrameVerdict::Refuse(Reason::WaitingForClock);
        }
        self.stamps_are_zero = stamp.nanos() <= 0;
        let stamp = if self.stamps_are_zero { ros_now } else { stamp };
        let ahead = span(ros_now, stamp);
        if ahead > limits.future_tolerance {
            return FrameVerdict::Refuse(Reason::StampInFuture(ahead));
        }
        if self.newest == Some(stamp) {
            return FrameVerdict::Refuse(Reason::FrameRepeated);
        }
        let back = self.newest.map_or(Duration::ZERO, |newest| span(stamp, newest));
        self.newest = Some(stamp);
        self.went_back = (self.went_back << 1 | u16::from(!back.is_zero())) & LAST_TEN;
        if self.went_back.count_ones() >= INTERLEAVED {
            return FrameVerdict::Refuse(Reason::StampsInterleave);
        }
        if !back.is_zero() {
            return FrameVerdict::Refuse(Reason::StampBackwards(back));
        }
        self.odd = odd;
        let same_image = self.last_hash.replace(image_hash) == Some(image_hash);
        self.frozen_since = if same_image && moving { self.frozen_since.or(Some(now)) } else { None };
        FrameVerdict::Use { stamp, same_image }
    }

    /// Frames came that were not looked at. The first one ever must be.
    pub(super) fn keep_coming(&mut self, now: Moment) {
        self.last_arrival = self.last_arrival.map(|_| now);
    }

    /// Something came that was to become a frame.
    pub(super) fn came(&mut self, now: Moment) {
        self.last_arrival = Some(now);
    }

    /// Whether ROS time has been set back since the last frame.
    pub(super) fn clock_went_back(&self, ros_now: Stamp) -> bool {
        // Receipt times of one thread cannot overtake one another; 0.1 s leaves room for a clock that is being slewed.
        self.newest_ros_now.is_some_and(|before| span(ros_now, before) > Duration::from_millis(100))
    }

    /// Stamps restart: the clock was set back.
    pub(super) fn restart(&mut self) {
        (self.newest, self.newest_ros_now, self.frozen_since, self.went_back) = (None, None, None, 0);
    }

    /// Whether a frame ever came.
    pub(super) fn any(&self) -> bool {
        self.last_arrival.is_some()
    }

    /// Time since a frame came.
    pub(super) fn silence(&self, now: Moment) -> Option<Duration> {
        self.last_arrival.map(|last| now.since(last))
    }

    /// What is odd about frames that are used all the same.
    pub(super) fn warnings(&self, now: Moment, limits: &GuardLimits) -> impl Iterator<Item = Reason> {
        let frozen = self.frozen_since.map(|since| now.since(since)).filter(|time| *time >= limits.frozen_after);
        let odd = self.odd.map(Reason::ImageOdd);
        frozen.map(Reason::ImageFrozen).into_iter().chain(self.stamps_are_zero.then_some(Reason::StampZero)).chain(odd)
    }
}
