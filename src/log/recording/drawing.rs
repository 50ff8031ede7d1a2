//! Pictures that are drawn from a recording instead of read from it.

use nalgebra::Isometry2;

use planner_tuner_core::frame::render::RenderReport;
use planner_tuner_core::scene::{PlanLayer, SceneRules};

/// What to draw from; see [`planner_tuner_core::scene`].
#[derive(Debug, Clone, Default)]
pub struct DrawingOptions {
    /// Topic of the laser scans; `None` takes the only one.
    pub scan_topic: Option<String>,
    /// Topic of the plans; `None` takes the one named `plan`, or else the only one. There may be none.
    pub plan_topic: Option<String>,
    /// Topic of the transforms that move; `None` takes the `tf` nearest to the namespace of odometry and scans.
    pub tf_topic: Option<String>,
    /// Topic of the static transforms; `None` takes the `tf_static` nearest to that namespace.
    pub tf_static_topic: Option<String>,
    /// Limits.
    pub rules: SceneRules,
}

/// What a picture was drawn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    /// The robot at the scan's stamp, in the plan's frame where there is a plan, else in that of the odometry.
    pub robot: Isometry2<f64>,
    /// Seconds from the nearest odometry to the scan; negative when it was measured after the scan.
    pub pose_age_s: f64,
    /// Beams of the scan.
    pub ranges: usize,
    /// Points of the plan in the picture.
    pub path_points: usize,
    /// What became of the plan.
    pub plan: PlanLayer,
    /// What was left out while drawing.
    pub report: RenderReport,
}
