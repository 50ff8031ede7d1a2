//! How frames lie to each other, as `/tf` and `/tf_static` say.

use std::collections::HashMap;
use std::time::Duration;

use nalgebra::Isometry3;

use super::pose_track::{PoseTrack, SetBack};
use super::{NoTransform, Refused, TransformMessage};
use crate::frame::Stamp;

/// The tree of frames. Bounded in frames and in time.
#[derive(Debug, Default)]
pub(super) struct Transforms {
    /// By child frame.
    edges: HashMap<String, Edge>,
}

#[derive(Debug)]
struct Edge {
    parent: String,
    motion: Motion,
}

#[derive(Debug)]
enum Motion {
    Static(Isometry3<f64>),
    Moving(PoseTrack),
}

/// How far beyond its samples a transform may be taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From the newest sample to the moment.
    pub(super) behind: Duration,
    /// From the moment to the first sample of all.
    pub(super) before: Duration,
}

impl Transforms {
    /// Most frames that are kept.
    const MAX_FRAMES: usize = 500;
    /// Most steps from a frame to the root.
    const MAX_DEPTH: usize = 50;

    /// Takes a transform. A child moves to another parent only when the old one has not been told of for long.
    pub(super) fn take(&mut self, message: &TransformMessage) -> Result<Result<(), SetBack>, Refused> {
        let (parent, child) = (plain(&message.frame), plain(&message.child_frame));
        if parent.is_empty() || child.is_empty() || parent == child {
            return Err(Refused::Names { parent: parent.to_owned(), child: child.to_owned() });
        }
        let pose = message.pose.isometry()?;
        self.check_place(parent, child, message)?;
        let edge = self.edges.entry(child.to_owned()).or_insert_with(|| Edge::new(parent));
        if edge.parent != parent {
            *edge = Edge::new(parent);
        }
        if message.is_static {
            edge.motion = Motion::Static(pose);
            return Ok(Ok(()));
        }
        if let Motion::Static(_) = edge.motion {
            edge.motion = Motion::Moving(PoseTrack::default());
        }
        let Motion::Moving(track) = &mut edge.motion else { return Ok(Ok(())) };
        Ok(track.push(message.stamp, pose))
    }

    /// Whether the tree has a place for this.
    fn check_place(&self, parent: &str, child: &str, message: &TransformMessage) -> Result<(), Refused> {
        let (parent_name, child_name) = (|| parent.to_owned(), || child.to_owned());
        match self.edges.get(child) {
            Some(edge) if edge.parent == parent => return Ok(()),
            Some(edge) if edge.is_told_at(message) => {
                return Err(Refused::TwoParents {
                    child: child_name(),
                    parent: edge.parent.clone(),
                    other: parent_name(),
                });
            }
            Some(_) => {}
            None if self.edges.len() >= Self::MAX_FRAMES => {
                return Err(Refused::TooManyFrames { child: child_name(), max: Self::MAX_FRAMES });
            }
            None => {}
        }
        if self.to_root(parent).contains(&child) {
            return Err(Refused::Loop { child: child_name(), parent: parent_name() });
        }
        Ok(())
    }

    /// Whether this was sent by a clock that was set back.
    pub(super) fn is_set_back_by(&self, message: &TransformMessage) -> bool {
        match self.edges.get(plain(&message.child_frame)).map(|edge| &edge.motion) {
            Some(Motion::Moving(track)) => !message.is_static && track.is_set_back_by(message.stamp),
            _ => false,
        }
    }

    /// Forgets what moves. What is static still holds: it is published once.
    pub(super) fn forget_moving(&mut self) {
        self.edges.retain(|_, edge| matches!(edge.motion, Motion::Static(_)));
    }

    /// Forgets what is static.
    pub(super) fn forget_static(&mut self) {
        self.edges.retain(|_, edge| matches!(edge.motion, Motion::Moving(_)));
    }

    /// The pose of frame `from` in frame `to` at a stamp.
    pub(super) fn between(
        &self,
        to: &str,
        from: &str,
        stamp: Stamp,
        patience: Patience,
    ) -> Result<Isometry3<f64>, NoTransform> {
        let way = self.way(to, from)?;
        let newest = way.moving().filter_map(|(frame, track)| Some((track.newest()?, frame))).min();
        let oldest = way.moving().filter_map(|(frame, track)| Some((track.oldest()?, frame))).max();
        // The latest time that is known of each, or the earliest.
        let (at, frame) = match (newest, oldest) {
            (Some((newest, frame)), _) if newest < stamp => (newest, frame),
            (_, Some((oldest, frame))) if oldest > stamp => (oldest, frame),
            (Some((_, frame)), _) => (stamp, frame),
            (None, _) => (stamp, from),
        };
        let age_s = stamp.seconds_since(at);
        let limit_s = if age_s >= 0.0 { patience.behind } else { patience.before }.as_secs_f64();
        let stale = || NoTransform::Stale { frame: frame.to_owned(), age_s, limit_s };
        if age_s.abs() > limit_s {
            return Err(stale());
        }
        // Two frames of which one fell silent before the other began have no time in common.
        way.pose_at(at).ok_or_else(stale)
    }

    /// Whether later transforms could still change what lies between two frames at this stamp.
    pub(super) fn may_change(&self, to: &str, from: &str, stamp: Stamp) -> bool {
        self.way(to, from).is_ok_and(|way| way.moving().any(|(_, track)| !track.reaches(stamp)))
    }

    /// Whether the frames hang together.
    pub(super) fn connects(&self, to: &str, from: &str) -> bool {
        self.way(to, from).is_ok()
    }

    fn way<'a>(&'a self, to: &'a str, from: &'a str) -> Result<Way<'a>, NoTransform> {
        let (to, from) = (plain(to), plain(from));
        let (up_from, up_to) = (self.to_root(from), self.to_root(to));
        let common = up_from.iter().find(|frame| up_to.contains(frame)).copied();
        let common = common.ok_or_else(|| NoTransform::Unconnected { from: from.to_owned(), to: to.to_owned() })?;
        let climb = |frames: Vec<&'a str>| {
            let frames = frames.into_iter().take_while(|frame| *frame != common);
            frames.filter_map(|frame| Some((frame, &self.edges.get(frame)?.motion))).collect()
        };
        Ok(Way { up: climb(up_from), down: climb(up_to) })
    }

    /// A frame and its ancestors.
    fn to_root<'a>(&'a self, frame: &'a str) -> Vec<&'a str> {
        let parent = |child: &&'a str| self.edges.get(*child).map(|edge| edge.parent.as_str());
        std::iter::successors(Some(frame), parent).take(Self::MAX_DEPTH).collect()
    }
}

/// The edges from one frame up to an ancestor that it has in common with another, and those of the other.
struct Way<'a> {
    up: Vec<(&'a str, &'a Motion)>,
    down: Vec<(&'a str, &'a Motion)>,
}

impl<'a> Way<'a> {
    fn moving(&self) -> impl Iterator<Item = (&'a str, &'a PoseTrack)> + '_ {
        self.up.iter().chain(&self.down).filter_map(|(frame, motion)| match motion {
            Motion::Moving(track) => Some((*frame, track)),
            Motion::Static(_) => None,
        })
    }

    fn pose_at(&self, stamp: Stamp) -> Option<Isometry3<f64>> {
        let climb = |edges: &[(&str, &Motion)]| {
            edges.iter().try_fold(Isometry3::identity(), |pose, (_, motion)| {
                let step = match motion {
                    Motion::Static(step) => *step,
                    Motion::Moving(track) => track.within(stamp)?,
                };
                Some(step * pose)
            })
        };
        Some(climb(&self.down)?.inverse() * climb(&self.up)?)
    }
}

impl Edge {
    fn new(parent: &str) -> Self {
        Self { parent: parent.to_owned(), motion: Motion::Moving(PoseTrack::default()) }
    }

    /// Whether this edge still holds when a message of another parent comes.
    fn is_told_at(&self, other: &TransformMessage) -> bool {
        match &self.motion {
            Motion::Static(_) => true,
            Motion::Moving(track) => track.newest().is_some_and(|newest| {
                other.is_static || other.stamp.nanos().saturating_sub(newest.nanos()) < PoseTrack::REACH
            }),
        }
    }
}

/// ROS 1 wrote a slash before names of frames, and some drivers still do.
pub(super) fn plain(frame: &str) -> &str {
    frame.strip_prefix('/').unwrap_or(frame)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nalgebra::{Point3, Vector3};

    use super::super::SpatialPose;
    use super::*;

    const NEAR: Patience = Patience { behind: Duration::from_secs(2), before: Duration::from_millis(200) };

    fn transform(frame: &str, child: &str, ms: i64, x: f64, yaw: f64, is_static: bool) -> TransformMessage {
        TransformMessage {
            stamp: stamp(ms),
            frame: frame.into(),
            child_frame: child.into(),
            pose: SpatialPose::on_ground(x, 0.0, yaw),
            is_static,
        }
    }

    fn stamp(ms: i64) -> Stamp {
        Stamp::from_nanos(ms * 1_000_000)
    }

    fn tree(transforms: &[TransformMessage]) -> Transforms {
        let mut tree = Transforms::default();
        transforms.iter().for_each(|transform| tree.take(transform).unwrap().unwrap());
        tree
    }

    #[test]
    fn a_frame_is_told_in_another_up_and_down_the_tree() {
        let quarter = std::f64::consts::FRAC_PI_2;
        let tree = tree(&[
            transform("map", "odom", 0, 10.0, quarter, false),
            transform("odom", "base_link", 0, 1.0, 0.0, false),
            transform("/base_link", "laser", 0, 0.2, 0.0, true),
            transform("odom", "camera", 0, 3.0, 0.0, true),
        ]);
        let origin = |to, from| tree.between(to, from, stamp(0), NEAR).unwrap().transform_point(&Point3::origin());
        assert!((origin("map", "laser").coords - Vector3::new(10.0, 1.2, 0.0)).norm() < 1e-12);
        assert!((origin("laser", "camera").coords - Vector3::new(1.8, 0.0, 0.0)).norm() < 1e-12);
        assert_eq!(tree.between("map", "map", stamp(9999), NEAR).unwrap(), Isometry3::identity());
        assert_eq!(
            tree.between("map", "gripper", stamp(0), NEAR).unwrap_err().to_string(),
            "there is no transform from 'gripper' to 'map'"
        );
        let stale = |ms| tree.between("map", "camera", stamp(ms), NEAR).unwrap_err().to_string();
        assert!(stale(2001).starts_with("the transform of 'odom' is 2.001 s off, at most 2 s is accepted"));
        assert!(stale(-201).starts_with("the transform of 'odom' is -0.201 s off, at most 0.2 s is accepted"));
        assert!(tree.between("odom", "camera", stamp(9999), NEAR).is_ok(), "static, whatever the time");
    }

    #[test]
    fn between_two_samples_a_transform_is_interpolated_whatever_their_distance() {
        let tree = tree(&[
            transform("map", "odom", 0, 1.0, 0.0, false),
            transform("map", "odom", 4000, 3.0, 0.0, false),
            transform("odom", "base", 0, 0.0, 0.0, false),
            transform("odom", "base", 1000, 1.0, 0.0, false),
        ]);
        let x = |from, ms| tree.between("map", from, stamp(ms), NEAR).map(|pose| pose.translation.x);
        assert_eq!(x("odom", 1000), Ok(1.5));
        assert_eq!(x("base", 500), Ok(1.25 + 0.5));
        // Beyond the newest of one of them, all are taken at that time: nothing is extrapolated, nothing mixed.
        assert_eq!(x("base", 2500), Ok(1.5 + 1.0));
        assert!(x("base", 3500).is_err() && x("odom", 6001).is_err());
        assert!(tree.may_change("map", "base", stamp(1001)) && !tree.may_change("map", "base", stamp(1000)));
    }

    #[test]
    fn frames_that_were_never_told_of_together_have_no_transform() {
        let tree = tree(&[transform("a", "b", 0, 1.0, 0.0, false), transform("b", "c", 1000, 1.0, 0.0, false)]);
        assert!(tree.between("a", "b", stamp(1000), NEAR).is_ok());
        assert!(matches!(tree.between("a", "c", stamp(1000), NEAR), Err(NoTransform::Stale { .. })));
    }

    #[test]
    fn a_loop_and_a_second_parent_are_refused() {
        let mut tree = tree(&[
            transform("a", "b", 0, 1.0, 0.0, true),
            transform("b", "c", 0, 1.0, 0.0, true),
            transform("a", "d", 0, 1.0, 0.0, false),
        ]);
        let mut refusal = |parent, child, ms, is_static| {
            tree.take(&transform(parent, child, ms, 9.0, 0.0, is_static)).err().map(|refused| refused.to_string())
        };
        assert!(refusal("c", "a", 0, true).unwrap().contains("would close a loop"));
        assert!(refusal("x", "b", 0, true).unwrap().contains("has the parent 'a', and now 'x'"));
        assert!(refusal("x", "d", 100, false).unwrap().contains("second publisher"));
        assert_eq!(refusal("x", "d", 30_000, false), None, "the first parent has been silent for long");
        assert_eq!(tree.between("a", "c", stamp(0), NEAR).unwrap().translation.x, 2.0);
    }

    #[test]
    fn what_is_no_transform_is_refused() {
        let mut tree = Transforms::default();
        for (frame, child) in [("a", "a"), ("", "a"), ("a", ""), ("/a", "a")] {
            assert!(matches!(tree.take(&transform(frame, child, 0, 0.0, 0.0, false)), Err(Refused::Names { .. })));
        }
        assert!(matches!(tree.take(&transform("a", "b", 0, f64::NAN, 0.0, true)), Err(Refused::NotFinite { .. })));
        for number in 0..Transforms::MAX_FRAMES {
            tree.take(&transform("a", &format!("frame {number}"), 0, 0.0, 0.0, true)).unwrap().unwrap();
        }
        let full = tree.take(&transform("a", "one more", 0, 0.0, 0.0, true)).unwrap_err().to_string();
        assert_eq!(full, "frame 'one more' is one too many: 500 frames are kept");
    }

    #[test]
    fn a_clock_that_is_set_back_is_noticed_and_static_transforms_survive() {
        let mut tree = tree(&[transform("a", "b", 5000, 0.0, 0.0, false), transform("b", "c", 0, 0.0, 0.0, true)]);
        assert_eq!(tree.take(&transform("a", "b", 100, 0.0, 0.0, false)), Ok(Err(SetBack)));
        tree.forget_moving();
        assert!(tree.between("b", "c", stamp(0), NEAR).is_ok());
        assert!(tree.between("a", "c", stamp(5000), NEAR).is_err());
    }
}
