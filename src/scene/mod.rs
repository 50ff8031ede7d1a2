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
//! | odometry or transform with NaN, infinity or a zero quaternion | left out; the ones beside it count |
//! | scan that cannot be placed, more than [`LaserScan::MAX_RANGES`] beams | no scene, see [`crate::frame::render`] |
//! | scan that is too old | a scene; a frame carries the stamp of its scan, by which the guard refuses old ones |
//! | no plan yet, an empty plan, a plan older than `max_plan_age` | a scene without a plan |
//! | plan in another frame than odometry, and no transform between them | a scene without a plan |
//! | `apply_laser_mount`, and no transform from the laser to the robot | no scene |
//! | odometry or transforms whose clock is set back by a second or more | everything is forgotten |
//!
//! [`LaserScan::MAX_RANGES`]: crate::frame::render::LaserScan::MAX_RANGES
//! [`Scene`]: crate::frame::render::Scene

mod issue;
mod message;
mod pose_track;
mod rules;
mod surroundings;
mod transforms;

pub use issue::{Issue, IssueCounts, NoScene, NoTransform, Refused};
pub use message::{OdometryMessage, PlanMessage, ScanMessage, SpatialPose, TransformMessage};
pub use rules::SceneRules;
pub use surroundings::{ComposedScene, PlanLayer, Surroundings};
