//! Drawn pictures against the images that the recording holds.

use std::path::Path;

use serde_json::{Value, json};

use crate::frame::{Frame, StampedFrame};
use crate::recording::{Recording, RecordingError, RecordingOptions};

/// Largest time between a scan and the image it is compared with, s.
const NEAR_S: f64 = 0.1;

/// The recorded images, read along with the drawn ones.
pub(super) struct Comparison {
    images: Recording,
    before: Option<StampedFrame>,
    after: Option<StampedFrame>,
    compared: u64,
    equal: u64,
    total: Differences,
}

/// Pixels that differ, by the layer that one of the two has there and the other has not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Differences {
    laser: u64,
    plan: u64,
    other: u64,
}

impl Comparison {
    pub(super) fn open(recording: &Path, options: &RecordingOptions) -> Result<Self, RecordingError> {
        let images = Recording::open(recording, &RecordingOptions { drawing: None, ..options.clone() })?;
        Ok(Self { images, before: None, after: None, compared: 0, equal: 0, total: Differences::default() })
    }

    /// The differences to the image nearest in time; `None` where none is near.
    pub(super) fn compare(&mut self, drawn: &StampedFrame) -> Option<Differences> {
        while self.after.as_ref().is_none_or(|after| after.stamp <= drawn.stamp) {
            let Some(next) = self.images.by_ref().flatten().next() else { break };
            self.before = self.after.replace(next.frame);
        }
        let off = |image: &&StampedFrame| image.stamp.seconds_since(drawn.stamp).abs();
        let images = [self.before.as_ref(), self.after.as_ref()].into_iter().flatten();
        let near = images.min_by(|a, b| off(a).total_cmp(&off(b))).filter(|image| off(image) <= NEAR_S)?;
        let differences = Differences::between(&drawn.frame, &near.frame)?;
        self.compared += 1;
        self.equal += u64::from(differences.sum() == 0);
        self.total.laser += differences.laser;
        self.total.plan += differences.plan;
        self.total.other += differences.other;
        Some(differences)
    }

    pub(super) fn summary(&self) -> String {
        let Self { compared, equal, total, .. } = self;
        let mean = |pixels: u64| pixels as f64 / (*compared).max(1) as f64;
        format!(
            "{compared} compared with recorded images, {equal} equal in every pixel; pixels that differ, on average: {:.1} \
             of the laser, {:.1} of the plan, {:.1} others",
            mean(total.laser),
            mean(total.plan),
            mean(total.other)
        )
    }
}

impl Differences {
    /// `None` for images of different sizes.
    fn between(drawn: &Frame, recorded: &Frame) -> Option<Self> {
        if (drawn.width(), drawn.height()) != (recorded.width(), recorded.height()) {
            return None;
        }
        let mut differences = Self::default();
        let (ours, theirs) = (drawn.rgb().as_chunks::<3>().0, recorded.rgb().as_chunks::<3>().0);
        for (ours, theirs) in ours.iter().zip(theirs).filter(|(ours, theirs)| ours != theirs) {
            // Obstacles are the only pure red; the plan darkens what it crosses, red or grey, and ends in black.
            let is_dark = |[red, green, blue]: [u8; 3]| red.max(green).max(blue) < 110;
            let (reddish, greyish) = ([*ours, *theirs].map(is_reddish), [*ours, *theirs].map(is_grey));
            if is_dark(*ours) || is_dark(*theirs) || reddish == [true; 2] || greyish == [true; 2] {
                differences.plan += 1;
            } else if reddish != [false; 2] {
                differences.laser += 1;
            } else {
                differences.other += 1;
            }
        }
        Some(differences)
    }

    pub(super) fn sum(&self) -> u64 {
        self.laser + self.plan + self.other
    }

    pub(super) fn to_json(self) -> Value {
        json!({ "pixels": self.sum(), "laser": self.laser, "plan": self.plan, "other": self.other })
    }
}

fn is_reddish([red, green, blue]: [u8; 3]) -> bool {
    u16::from(red) > 2 * u16::from(green.max(blue)) + 50
}

fn is_grey([red, green, blue]: [u8; 3]) -> bool {
    red == green && green == blue
}
