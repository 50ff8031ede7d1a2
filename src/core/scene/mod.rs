//! A scene from what a robot publishes: laser scan, plan, odometry and transforms in, [`Scene`] out.
//!
//! [`Surroundings`] keeps the last of each, and composes a scene for a scan: the robot where it was at the scan's stamp,
//! the plan in the frame of that pose. It knows neither ROS nor a clock; the node and the reader of recordings feed it
//! the same messages in the order in which they came, and get the same scenes.
//!
//! What happens to what is missing or wrong ([`Issue`] has the names that summaries and diagnostics count by):
//!
//! | input | consequence |
//! | --- | --- |
//! | no odometry yet, or none within `max_pose_age` of the scan | no scene: a plan would be drawn in the wrong place |
//! | odometry or transform with NaN, infinity or an invalid quaternion | left out; the ones beside it count |
//! | odometry whose twist is in its own frame | turned into the robot's frame ([`OdometryTwist`]), or left out |
//! | transform that gives a frame a second parent, or closes a loop | left out; the one that was there first counts |
//! | scan from which nothing can be seen | no scene, it would look like free space ([`BadScan`]); the guard holds |
//! | scan whose beams point nowhere, more than [`LaserScan::MAX_RANGES`] of them | no scene |
//! | scan that is too old | a scene; a frame carries the stamp of its scan, by which the guard refuses old ones |
//! | no plan yet, an empty plan, a plan whose goal is over ([`GoalChange`]) | a scene without a plan |
//! | plan older than `max_plan_age`, where that is set | a scene without a plan, and that is counted |
//! | plan in another frame than odometry, and no transform between them | a scene without a plan, and that is counted |
//! | `apply_laser_mount`, and no transform from the laser to the robot | no scene |
//! | odometry or transforms whose clock is set back by a second or more | everything is forgotten |
//!
//! Between two samples of a transform lies what lies between them, however far they are apart, as in tf2. Beyond the
//! newest one nothing is extrapolated: all transforms on the way are taken at the latest time that is known of each, if
//! that is at most `max_transform_age` before the scan.
//!
//! [`LaserScan::MAX_RANGES`]: crate::frame::render::LaserScan::MAX_RANGES
//! [`Scene`]: crate::frame::render::Scene

mod issue;
mod message;
mod pose_track;
mod rules;
mod sight;
mod surroundings;
mod transforms;
mod twist;

pub use issue::{Issue, IssueCounts, NoScene, NoTransform, Refused};
pub use message::{OdometryMessage, PlanMessage, ScanMessage, SpatialPose, TransformMessage};
pub use rules::SceneRules;
pub use sight::{BadScan, Unseen};
pub use surroundings::{ComposedScene, GoalChange, PlanLayer, Surroundings};
pub use twist::{BodyTwist, OdometryTwist, TwistRemark};
