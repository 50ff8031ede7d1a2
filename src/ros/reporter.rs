//! What everybody is told: parameters, decisions with what became of them, status, diagnostics, the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use r2r::diagnostic_msgs::msg::DiagnosticStatus;

use super::NodeError;
use super::logging::RosLogger;
use super::messages::{Line, Source, decision_line};
use super::publishers::Publishers;
use super::vision::Attention;
use vlm_planner_tuner::frame::{Frame, Stamp};
use vlm_planner_tuner::live::inference::Decided;
use vlm_planner_tuner::live::{Latencies, Settings};
use vlm_planner_tuner::planner::PlannerParameters;
use vlm_planner_tuner::planner::guard::Status;

/// Between two messages on `/diagnostics`.
const EVERY: Duration = Duration::from_secs(1);
/// `~/decision` tells what became of each parameter, and waits this long for it.
const OUTCOME_MAY_TAKE: Duration = Duration::from_millis(400);

/// A decision that has been published, but for what the planner says to it.
struct Finished {
    decided: Decided,
    guard: Status,
    overhead: Duration,
    at: Instant,
}

/// Owner of the publishers, and of what waits to be published.
pub(super) struct Reporter {
    /// Whom diagnostics come from.
    source: Source,
    publishers: Publishers,
    logger: &'static RosLogger,
    finished: Option<Finished>,
    latencies: Latencies,
    reported: Instant,
}

impl Reporter {
    pub(super) fn new(
        node: &mut r2r::Node,
        settings: &Settings,
        logger: &'static RosLogger,
    ) -> Result<Self, NodeError> {
        Ok(Self {
            source: Source::of(node, &settings.hardware_id)?,
            publishers: Publishers::new(node, settings.draws_images(), logger.publishes())?,
            logger,
            finished: None,
            latencies: Latencies::default(),
            reported: Instant::now(),
        })
    }

    /// Whom diagnostics come from.
    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn parameters(&self, parameters: &PlannerParameters) {
        self.publishers.parameters(parameters);
    }

    /// The image that a decision is being made on, where images are drawn.
    pub(super) fn drawn(&self, frame: &Frame, stamp: Stamp, frame_id: &str) {
        self.publishers.drawn(frame, stamp, frame_id);
    }

    /// Whether a decision's attention is to be drawn.
    pub(super) fn wants_attention(&self) -> bool {
        self.publishers.has_attention_listener()
    }

    /// Attention as it was drawn.
    pub(super) fn attention(&self, Attention { frame, stamp, frame_id }: &Attention<Frame>) {
        self.publishers.attention(frame, *stamp, frame_id);
    }

    /// Publishes what led to a decision, and keeps the decision until it is known what became of its parameters.
    pub(super) fn take_decision(&mut self, decided: Decided, guard: Status, overhead: Duration) {
        self.latencies.add(overhead);
        self.publishers.feature(&decided);
        self.finished = Some(Finished { decided, guard, overhead, at: Instant::now() });
    }

    /// Whether a decision waits that is to be published now; `is_settled` where nothing more will become of its parameters.
    pub(super) fn has_finished(&self, is_settled: bool) -> bool {
        self.finished.as_ref().is_some_and(|finished| is_settled || finished.at.elapsed() > OUTCOME_MAY_TAKE)
    }

    /// Publishes the decision that waits, with what became of its `parameters`; its frame is free then.
    pub(super) fn publish_decision(&mut self, policy: &str, parameters: Vec<DiagnosticStatus>) -> Option<Arc<Frame>> {
        let Finished { decided, guard, overhead, .. } = self.finished.take()?;
        let (stamp, overhead_ms) = (decided.job.ticket.stamp(), overhead.as_secs_f64() * 1e3);
        let decision = decision_line(&self.source, &guard, &decided, overhead_ms, policy).done();
        self.publishers.decision(stamp, std::iter::once(decision).chain(parameters).collect());
        Some(decided.job.frame)
    }

    /// Publishes the lines of the log that wait.
    pub(super) fn publish_log(&self) {
        self.publishers.log(self.logger.take_waiting());
    }

    /// Whether it is time for diagnostics. Says so once a second.
    pub(super) fn is_time(&mut self) -> bool {
        let is_time = self.reported.elapsed() >= EVERY;
        if is_time {
            self.reported = Instant::now();
        }
        is_time
    }

    pub(super) fn status(&self, status: &DiagnosticStatus) {
        self.publishers.status(status);
    }

    pub(super) fn diagnostics(&self, now: Stamp, lines: Vec<DiagnosticStatus>) {
        self.publishers.diagnostics(now, lines);
    }

    /// Adds how long decisions take beside the model.
    pub(super) fn with_latencies(&self, line: Line) -> Line {
        let quantile = |share| self.latencies.quantile_ms(share).map_or("none".into(), |ms| format!("{ms:.3}"));
        line.value("overhead_p50_ms", quantile(0.5)).value("overhead_p99_ms", quantile(0.99))
    }
}
