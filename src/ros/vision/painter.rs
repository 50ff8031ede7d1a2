//! Draws what is decided on, where images do not come from a topic.

use std::sync::Arc;

use r2r::diagnostic_msgs::msg::DiagnosticStatus;
use r2r::sensor_msgs::msg::LaserScan;

use crate::ros::graph::GraphFacts;
use crate::ros::messages::{Line, Source};
use crate::ros::surroundings::SharedSurroundings;
use vlm_planner_tuner::frame::render::{self, Renderer};
use vlm_planner_tuner::frame::{Frame, Stamp};
use vlm_planner_tuner::planner::guard::Level;
use vlm_planner_tuner::scene::{Issue, IssueCounts, PlanLayer, ScanMessage};

/// Frames that are around at a time: one that is decided on, one whose decision waits for the planner's answers.
const SPARE: usize = 2;

/// Draws what is decided on.
pub(super) struct Painter {
    surroundings: SharedSurroundings,
    renderer: Renderer,
    /// Buffers of frames that have been decided on.
    spare: Vec<Vec<u8>>,
    drawing: Drawing,
}

/// Why there is no image.
#[derive(Debug)]
pub(in crate::ros) enum NoImage {
    /// The sensor sees nothing: what would be drawn is free space.
    Blind(String),
    /// Anything else.
    Refused(String),
}

/// How bad it is, and the words.
type Remark = (Level, String);

/// What `/diagnostics` says about drawing.
#[derive(Debug, Clone)]
pub(super) struct Drawing {
    drawn: u64,
    plan: &'static str,
    /// What is to be said about the last image, or why there is none.
    remark: Option<Remark>,
}

impl Default for Drawing {
    fn default() -> Self {
        Self { drawn: 0, plan: PlanLayer::None.name(), remark: None }
    }
}

impl Drawing {
    /// What images are drawn of, and what is missing for them.
    pub(super) fn line(&self, source: &Source, graph: &GraphFacts, issues: &IssueCounts) -> DiagnosticStatus {
        let (level, message) =
            self.remark.clone().unwrap_or_else(|| (Level::Ok, format!("{} images drawn", self.drawn)));
        let mut line = Line::new(source, "drawing", level, message)
            .value("plan_topic", graph.plan_topic())
            .value("plan_publishers", graph.plan_publishers())
            .value("plan", self.plan)
            .value("tf", if cfg!(tf2_msgs) { "heard" } else { "not heard: built without tf2_msgs" })
            .value("drawn", self.drawn);
        for (issue, count) in issues.iter() {
            line = line.value(issue.name(), count);
        }
        line.done()
    }
}

impl Painter {
    pub(super) fn new(surroundings: SharedSurroundings) -> Self {
        Self { surroundings, renderer: Renderer::new(), spare: Vec::new(), drawing: Drawing::default() }
    }

    /// Forgets the canvas and every buffer.
    pub(super) fn start_afresh(&mut self) {
        (self.renderer, self.spare) = (Renderer::new(), Vec::new());
    }

    /// What has been drawn so far.
    pub(super) fn drawing(&self) -> &Drawing {
        &self.drawing
    }

    /// The image of a scan, or why there is none.
    pub(super) fn draw(&mut self, scan: LaserScan, stamp: Stamp) -> Result<Frame, NoImage> {
        let LaserScan { header, angle_min, angle_max, angle_increment, range_min, range_max, ranges, .. } = scan;
        let scan = render::LaserScan { angle_min, angle_increment, range_min, range_max, ranges };
        let message = ScanMessage { stamp, frame: header.frame_id, angle_max, scan };
        let drawn = self.try_draw(message);
        self.drawing.remark = match &drawn {
            Ok((_, remark)) => remark.clone(),
            Err(NoImage::Refused(problem)) => Some((Level::Warn, format!("no image is drawn: {problem}"))),
            Err(NoImage::Blind(problem)) => Some((Level::Error, format!("no image is drawn: {problem}"))),
        };
        drawn.map(|(frame, _)| frame)
    }

    /// The image, and what was left out of it.
    fn try_draw(&mut self, scan: ScanMessage) -> Result<(Frame, Option<Remark>), NoImage> {
        let spare = self.spare.pop().unwrap_or_default();
        // Drawn without the lock: the thread that spins waits for it.
        let composed = self.surroundings.compose(scan).map_err(|no| {
            if no.is_blind() { NoImage::Blind(no.to_string()) } else { NoImage::Refused(no.to_string()) }
        })?;
        let drawn = self.renderer.draw_reusing(spare, &composed.scene);
        let (frame, report) = drawn.map_err(|error| NoImage::Refused(error.to_string()))?;
        self.drawing.drawn += 1;
        self.drawing.plan = composed.plan.name();
        let mut problems = Vec::new();
        match &composed.plan {
            PlanLayer::WithoutTransform(no) => {
                problems.push(format!("the plan is left out: {no}; set assume_same_frame to draw it all the same"));
            }
            PlanLayer::Stale(age_s) => {
                problems.push(format!("the plan is left out: it is {age_s:.1} s old (max_plan_age)"));
            }
            PlanLayer::Drawn | PlanLayer::None | PlanLayer::GoalOver | PlanLayer::Empty => {}
        }
        if report.nan_ranges > 0 {
            self.surroundings.count(Issue::NanRanges);
            problems.push(format!("{} ranges are NaN", report.nan_ranges));
        }
        if report.unusable_path_points > 0 {
            self.surroundings.count(Issue::UnusablePathPoints);
            problems.push(format!("{} points of the plan are not finite or out of reach", report.unusable_path_points));
        }
        let remark = (!problems.is_empty()).then(|| (Level::Warn, problems.join("; ")));
        Ok((frame, remark))
    }

    /// Takes back the frame of a decision that is over.
    pub(super) fn recycle(&mut self, frame: Arc<Frame>) {
        if let Some(frame) = Arc::into_inner(frame)
            && self.spare.len() < SPARE
        {
            self.spare.push(frame.into_rgb());
        }
    }
}
