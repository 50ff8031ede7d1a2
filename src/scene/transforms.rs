//! How frames lie to each other, as `/tf` and `/tf_static` say.

use std::collections::HashMap;
use std::time::Duration;

use nalgebra::Isometry3;

use super::pose_track::{NoPoseAt, PoseTrack, SetBack};
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

impl Transforms {
    /// Most frames that are kept.
    const MAX_FRAMES: usize = 500;
    /// Most steps from a frame to the root. A loop, which two publishers may make together, ends here.
    const MAX_DEPTH: usize = 50;

    /// Takes a transform. A child that gets another parent moves there.
    pub(super) fn take(&mut self, message: &TransformMessage) -> Result<Result<(), SetBack>, Refused> {
        let (parent, child) = (plain(&message.frame), plain(&message.child_frame));
        if parent.is_empty() || child.is_empty() || parent == child {
            return Err(Refused::Names { parent: parent.to_owned(), child: child.to_owned() });
        }
        let pose = message.pose.isometry()?;
        if !self.edges.contains_key(child) && self.edges.len() >= Self::MAX_FRAMES {
            return Err(Refused::TooManyFrames { child: child.to_owned(), max: Self::MAX_FRAMES });
        }
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

    /// Forgets what moves. What is static still holds: it is published once.
    pub(super) fn forget_moving(&mut self) {
        self.edges.retain(|_, edge| matches!(edge.motion, Motion::Static(_)));
    }

    /// The pose of frame `from` in frame `to` at a stamp.
    pub(super) fn between(
        &self,
        to: &str,
        from: &str,
        stamp: Stamp,
        max_age: Duration,
    ) -> Result<Isometry3<f64>, NoTransform> {
        let (to, from) = (plain(to), plain(from));
        let (up_from, up_to) = (self.to_root(from), self.to_root(to));
        let common = up_from.iter().find(|frame| up_to.contains(frame));
        let common = common.ok_or_else(|| NoTransform::Unconnected { from: from.to_owned(), to: to.to_owned() })?;
        let from_in_common = self.climb(&up_from, common, stamp, max_age)?;
        let to_in_common = self.climb(&up_to, common, stamp, max_age)?;
        Ok(to_in_common.inverse() * from_in_common)
    }

    /// A frame and its ancestors.
    fn to_root<'a>(&'a self, frame: &'a str) -> Vec<&'a str> {
        let parent = |child: &&'a str| self.edges.get(*child).map(|edge| edge.parent.as_str());
        std::iter::successors(Some(frame), parent).take(Self::MAX_DEPTH).collect()
    }

    /// The pose of the first of these frames in its ancestor `common`.
    fn climb(
        &self,
        frames: &[&str],
        common: &str,
        stamp: Stamp,
        max_age: Duration,
    ) -> Result<Isometry3<f64>, NoTransform> {
        let mut pose = Isometry3::identity();
        for frame in frames.iter().take_while(|frame| **frame != common) {
            let step = match self.edges.get(*frame).map(|edge| &edge.motion) {
                Some(Motion::Static(step)) => *step,
                Some(Motion::Moving(track)) => {
                    track
                        .at(stamp, max_age)
                        .map_err(|no| NoTransform::Stale {
                            frame: (*frame).to_owned(),
                            age_s: if let NoPoseAt::Stale(age_s) = no { age_s } else { f64::INFINITY },
                            limit_s: max_age.as_secs_f64(),
                        })?
                        .pose
                }
                None => break,
            };
            pose = step * pose;
        }
        Ok(pose)
    }
}

impl Edge {
    fn new(parent: &str) -> Self {
        Self { parent: parent.to_owned(), motion: Motion::Moving(PoseTrack::default()) }
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

    const NEAR: Duration = Duration::from_millis(200);

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
        let stale = tree.between("map", "camera", stamp(500), NEAR).unwrap_err().to_string();
        assert_eq!(stale, "the transform of 'odom' is 0.500 s off, at most 0.2 s is accepted");
        assert!(tree.between("odom", "camera", stamp(500), NEAR).is_ok(), "static, whatever the time");
    }

    #[test]
    fn a_loop_ends() {
        let tree = tree(&[transform("a", "b", 0, 1.0, 0.0, true), transform("b", "a", 0, 1.0, 0.0, true)]);
        assert!(tree.between("a", "b", stamp(0), NEAR).is_ok());
        assert!(tree.between("c", "b", stamp(0), NEAR).is_err());
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
