//! How patient, and how trusting, the composing of scenes is.

use std::time::Duration;

/// Limits for [`super::Surroundings`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SceneRules {
    /// Largest distance in time between a scan and the odometry that it is drawn with.
    pub max_pose_age: Duration,
    /// Oldest transforms, where none behind the scan is known: localisation may come once a second.
    pub max_transform_age: Duration,
    /// A plan older than this, by its stamp, is not drawn; `None` draws it until its goal is over or the next one comes.
    pub max_plan_age: Option<Duration>,
    /// Takes the plan's frame for the odometry's, whatever their names are.
    pub assume_same_frame: bool,
    /// Draws beams from where the laser is mounted. The training pictures ignored the mount, so this is off by default.
    pub apply_laser_mount: bool,
}

impl Default for SceneRules {
    fn default() -> Self {
        Self {
            max_pose_age: Duration::from_millis(200),
            max_transform_age: Duration::from_secs(2),
            max_plan_age: None,
            assume_same_frame: false,
            apply_laser_mount: false,
        }
    }
}
