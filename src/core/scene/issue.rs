//! What is missing for a scene, or was left out of one.

use std::collections::BTreeMap;
use std::fmt;

use super::BadScan;
use crate::frame::render::RenderError;

/// Why a pose or a transform was not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Numbers that say nothing.
    #[error("position {position:?} and orientation {orientation:?} are not finite; check its publisher")]
    NotFinite {
        /// x, y, z, m.
        position: [f64; 3],
        /// x, y, z, w.
        orientation: [f64; 4],
    },
    /// An orientation of zeros, or of angles.
    #[error("orientation has a length of {norm}, expected a unit quaternion; check its publisher")]
    NoRotation {
        /// Length of the quaternion.
        norm: f64,
    },
    /// A transform from a frame to itself, or without a name.
    #[error("transform from '{parent}' to '{child}', expected two names that differ")]
    Names {
        /// Parent frame.
        parent: String,
        /// Child frame.
        child: String,
    },
    /// The twist is not the robot's, and nothing tells how the robot was turned.
    #[error(
        "child_frame_id is '{frame}', the odometry's own frame, so the twist must be turned into the robot's by the pose; \
         but its orientation {orientation:?} is no rotation; name the robot's frame (base_link) in child_frame_id, or \
         publish an orientation"
    )]
    TwistCannotBeTurned {
        /// Both frames of the message.
        frame: String,
        /// x, y, z, w.
        orientation: [f64; 4],
    },
    /// Two publishers, or two robots on one topic: the first one counts.
    #[error(
        "frame '{child}' has the parent '{parent}', and now '{other}', too; is there a second publisher, or a second \
         robot with the same names?"
    )]
    TwoParents {
        /// Child frame.
        child: String,
        /// The parent that is kept.
        parent: String,
        /// The one that came later.
        other: String,
    },
    /// A frame cannot hang on one that hangs on it.
    #[error(
        "frame '{child}' in '{parent}' would close a loop, as '{parent}' hangs on '{child}' already; is there a second publisher?"
    )]
    Loop {
        /// Child frame.
        child: String,
        /// Parent frame.
        parent: String,
    },
    /// More frames than any robot has.
    #[error("frame '{child}' is one too many: {max} frames are kept")]
    TooManyFrames {
        /// Child frame.
        child: String,
        /// Most that are kept.
        max: usize,
    },
}

/// Why there is no scene for a scan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoScene {
    /// Odometry has not come, or only with poses that were refused.
    #[error("no pose of the robot at the scan's stamp: no usable odometry has come; check the odometry topic")]
    NoPose,
    /// Odometry has stopped, or its clock is another one.
    #[error(
        "no pose of the robot at the scan's stamp: the nearest odometry is {age_s:.3} s off, at most {limit_s} s is accepted (max_pose_age)"
    )]
    StalePose {
        /// Seconds from the nearest odometry to the scan.
        age_s: f64,
        /// Most that is accepted, s.
        limit_s: f64,
    },
    /// `apply_laser_mount` without a transform.
    #[error("the laser's mount is not known: {0}; publish it on /tf_static, or leave apply_laser_mount off")]
    NoLaserMount(NoTransform),
    /// The scan sees nothing, or its beams point nowhere.
    #[error(transparent)]
    Scan(#[from] BadScan),
    /// The plan, or the pose, cannot be drawn.
    #[error(transparent)]
    Undrawable(#[from] RenderError),
}

impl NoScene {
    /// The name that it is counted by.
    pub fn issue(&self) -> Issue {
        match self {
            Self::NoPose => Issue::NoPose,
            Self::StalePose { .. } => Issue::StalePose,
            Self::NoLaserMount(_) => Issue::NoLaserMount,
            Self::Scan(bad) if bad.is_blind() => Issue::BlindScan,
            Self::Scan(_) | Self::Undrawable(_) => Issue::UndrawableScene,
        }
    }

    /// Whether it is the sensor that sees nothing.
    pub fn is_blind(&self) -> bool {
        self.issue() == Issue::BlindScan
    }
}

/// Why one frame cannot be told in another.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoTransform {
    /// The frames do not hang together.
    #[error("there is no transform from '{from}' to '{to}'")]
    Unconnected {
        /// The frame of what is to be drawn.
        from: String,
        /// The frame it is wanted in.
        to: String,
    },
    /// Odometry does not name it.
    #[error("the odometry does not name the robot's frame (its child_frame_id is empty, or the odometry's own frame)")]
    NoRobotFrame,
    /// They did, at another time.
    #[error(
        "the transform of '{frame}' is {age_s:.3} s off, at most {limit_s} s is accepted (max_transform_age; \
         max_pose_age for one that is yet to come)"
    )]
    Stale {
        /// The child frame.
        frame: String,
        /// Seconds from the nearest transform.
        age_s: f64,
        /// Most that is accepted, s.
        limit_s: f64,
    },
}

/// What can be wrong with what scenes are made of. The names are stable: summaries and diagnostics count by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Issue {
    /// No usable odometry when a scan was to be drawn.
    NoPose,
    /// The nearest odometry was too far off in time.
    StalePose,
    /// The laser's mount is asked for and not known.
    NoLaserMount,
    /// A scan from which nothing can be seen.
    BlindScan,
    /// A scan whose beams point nowhere, or a plan that the renderer refuses.
    UndrawableScene,
    /// An odometry message whose pose is none.
    InvalidPose,
    /// An invalid transform.
    InvalidTransform,
    /// A plan was left out, because nothing ties its frame to the odometry's.
    PlanWithoutTransform,
    /// A plan was left out, because it is too old.
    StalePlan,
    /// A scene has NaN ranges; they were skipped.
    NanRanges,
    /// A plan has points that are not finite or out of reach; its line has gaps.
    UnusablePathPoints,
    /// The clock was set back, and what was known forgotten.
    ClockSetBack,
}

impl Issue {
    /// The stable name, in snake case.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoPose => "no_pose",
            Self::StalePose => "stale_pose",
            Self::NoLaserMount => "no_laser_mount",
            Self::BlindScan => "blind_scan",
            Self::UndrawableScene => "undrawable_scene",
            Self::InvalidPose => "invalid_pose",
            Self::InvalidTransform => "invalid_transform",
            Self::PlanWithoutTransform => "plan_without_transform",
            Self::StalePlan => "stale_plan",
            Self::NanRanges => "nan_ranges",
            Self::UnusablePathPoints => "unusable_path_points",
            Self::ClockSetBack => "clock_set_back",
        }
    }
}

/// How often each issue came up. Ordered, so that summaries always read the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IssueCounts(BTreeMap<Issue, u64>);

impl IssueCounts {
    /// Counts one.
    pub fn add(&mut self, issue: Issue) {
        *self.0.entry(issue).or_default() += 1;
    }

    /// How often one came up.
    pub fn of(&self, issue: Issue) -> u64 {
        self.0.get(&issue).copied().unwrap_or_default()
    }

    /// Those that came up, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Issue, u64)> + '_ {
        self.0.iter().map(|(issue, count)| (*issue, *count))
    }

    /// Whether nothing came up.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for IssueCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (position, (issue, count)) in self.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{} {count}", issue.name())?;
        }
        Ok(())
    }
}
