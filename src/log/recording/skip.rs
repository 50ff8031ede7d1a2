//! What of a recording could not be used, and why.

use std::collections::BTreeMap;

use planner_tuner_core::frame::{FrameError, Stamp};
use planner_tuner_core::scene::Issue;

/// Why something of a recording was lost. The names are stable: summaries and scripts count by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SkipReason {
    /// A message whose bytes are not those of its type: cut short, of another type, or with impossible lengths.
    UnreadableMessage,
    /// A pixel encoding that is not read.
    UnsupportedEncoding,
    /// Width or height is zero or absurd.
    ImpossibleSize,
    /// Step or height disagrees with the width or with the length of the data.
    DataLength,
    /// A PNG or JPEG that does not decode.
    UndecodableImage,
    /// The format field of a compressed image names something other than what the bytes are.
    FormatDisagrees,
    /// A sound image of another size than the caller expects.
    WrongSize,
    /// An image file that a table names cannot be read.
    MissingFile,
    /// A row of a table that cannot be read.
    UnreadableRow,
    /// No usable velocity is known yet when the image was taken.
    NoVelocity,
    /// The last known velocity is too old.
    StaleVelocity,
    /// Images and odometry are stamped by clocks that disagree.
    ClocksDisagree,
    /// A velocity that is not finite or that no ground robot has: an odometry message, or a row of a table.
    InvalidVelocity,
    /// An odometry message whose bytes are not those of an odometry message.
    UnreadableOdometry,
    /// A plan whose bytes are not those of a plan, or that is absurdly long.
    UnreadablePlan,
    /// A message of transforms whose bytes are not those of one.
    UnreadableTransforms,
    /// A picture could not be drawn, or something was left out of it.
    Drawing(Issue),
    /// A stretch of the recording's file is damaged or missing; how many messages it held is not known.
    DamagedFile,
}

impl SkipReason {
    /// The stable name, in snake case.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnreadableMessage => "unreadable_message",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::ImpossibleSize => "impossible_size",
            Self::DataLength => "data_length",
            Self::UndecodableImage => "undecodable_image",
            Self::FormatDisagrees => "format_disagrees",
            Self::WrongSize => "wrong_size",
            Self::MissingFile => "missing_file",
            Self::UnreadableRow => "unreadable_row",
            Self::NoVelocity => "no_velocity",
            Self::StaleVelocity => "stale_velocity",
            Self::ClocksDisagree => "clocks_disagree",
            Self::InvalidVelocity => "invalid_velocity",
            Self::UnreadableOdometry => "unreadable_odometry",
            Self::UnreadablePlan => "unreadable_plan",
            Self::UnreadableTransforms => "unreadable_transforms",
            Self::Drawing(issue) => issue.name(),
            Self::DamagedFile => "damaged_file",
        }
    }
}

impl std::fmt::Display for SkipReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl From<&FrameError> for SkipReason {
    fn from(error: &FrameError) -> Self {
        match error {
            FrameError::Size { .. } => Self::ImpossibleSize,
            FrameError::UnexpectedSize { .. } => Self::WrongSize,
            FrameError::Encoding { .. } | FrameError::DepthImage { .. } | FrameError::WideGrey { .. } => {
                Self::UnsupportedEncoding
            }
            FrameError::Step { .. } | FrameError::DataLength { .. } | FrameError::Length { .. } => Self::DataLength,
            FrameError::FormatDisagrees { .. } => Self::FormatDisagrees,
            FrameError::UnknownImageFile { .. } | FrameError::Decode { .. } => Self::UndecodableImage,
            FrameError::Velocity { .. } => Self::InvalidVelocity,
            // Not about a frame at all: offsets come from a checkpoint.
            FrameError::HistoryOffsets { .. } => Self::UnreadableMessage,
        }
    }
}

/// One thing that was lost: a frame, an odometry message, or a stretch of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Why.
    pub reason: SkipReason,
    /// When, where it is known: the image's stamp, or the time the message was recorded.
    pub stamp: Option<Stamp>,
    /// A sentence with the topic, file or field, what was expected, what was found.
    pub message: String,
}

impl Skipped {
    pub(super) fn new(reason: SkipReason, stamp: Option<Stamp>, message: impl Into<String>) -> Self {
        Self { reason, stamp, message: message.into() }
    }

    pub(super) fn frame(error: &FrameError, stamp: Option<Stamp>, source: impl std::fmt::Display) -> Self {
        Self::new(SkipReason::from(error), stamp, format!("{source}: {error}"))
    }
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.stamp {
            Some(stamp) => write!(f, "{} ({} at {:.3} s)", self.message, self.reason, stamp.seconds()),
            None => write!(f, "{} ({})", self.message, self.reason),
        }
    }
}

/// How much was lost, by reason. Ordered, so that summaries always read the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SkipCounts {
    counts: BTreeMap<SkipReason, u64>,
}

impl SkipCounts {
    /// How many of each reason are logged in full; the rest is only counted.
    const LOGGED_IN_FULL: u64 = 3;

    /// Counts it, and logs the first few of each reason: lost data is an error, never a warning.
    pub fn record(&mut self, skipped: &Skipped) {
        let count = self.counts.entry(skipped.reason).or_default();
        *count += 1;
        if *count <= Self::LOGGED_IN_FULL {
            log::error!("skipped: {skipped}");
        } else if *count == Self::LOGGED_IN_FULL + 1 {
            log::error!("skipped: more of {}, from here on only counted", skipped.reason);
        }
    }

    /// Number of losses for one reason.
    pub fn of(&self, reason: SkipReason) -> u64 {
        self.counts.get(&reason).copied().unwrap_or_default()
    }

    /// Number of losses altogether.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The reasons that occurred and how often.
    pub fn iter(&self) -> impl Iterator<Item = (SkipReason, u64)> + '_ {
        self.counts.iter().map(|(&reason, &count)| (reason, count))
    }
}

impl std::fmt::Display for SkipCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing skipped");
        }
        for (position, (reason, count)) in self.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{reason} {count}")?;
        }
        Ok(())
    }
}
