//! What the operator sees: `~/status` on every change, `/diagnostics` once a second.

use std::time::{Duration, Instant};

use r2r::diagnostic_msgs::msg::DiagnosticStatus;

use super::control::{Control, Model};
use super::messages::{Line, TUNER, guard_line, parameter_lines};
use vlm_planner_tuner::planner::guard::Level;

const EVERY: Duration = Duration::from_secs(1);
/// Without an image for this long, none are coming.
const SILENCE: Duration = Duration::from_secs(2);

impl Control {
    pub(super) fn publish_status(&self) {
        self.publishers.status(&self.tuner_line().done());
    }

    pub(super) fn report_every_second(&mut self) {
        if self.reported.elapsed() < EVERY {
            return;
        }
        self.reported = Instant::now();
        let mut lines = vec![self.tuner_line().done(), self.images_line()];
        lines.extend(self.policy_line());
        if self.settings.draws_images() {
            lines.push(self.drawing_line());
        }
        lines.extend(parameter_lines(&self.source, self.mode, self.held_back(), &self.sink.status()));
        lines.extend(self.planner_lines());
        lines.extend(self.log_line());
        self.publishers.diagnostics(self.clock.now(), lines);
        self.publish_status();
    }

    /// State and reason, and how the node does.
    fn tuner_line(&self) -> Line {
        let line = match (&self.guard, &self.model) {
            (_, Model::Missing(why)) => Line::new(&self.source, TUNER, Level::Error, format!("no model: {why}"))
                .value("state", "Safe")
                .value("reason", "no_model"),
            (Some(guard), _) => guard_line(&self.source, &guard.status(self.now())),
            (None, _) => Line::new(&self.source, TUNER, Level::Ok, "Starting: loading the model")
                .value("state", "Starting")
                .value("reason", "loading"),
        };
        let quantile = |share| self.latencies.quantile_ms(share).map_or("none".into(), |ms| format!("{ms:.3}"));
        line.value("planner", self.planner.name())
            .value("mapping", self.sink.mapping().name())
            .value("device", &self.settings.device)
            .value("overhead_p50_ms", quantile(0.5))
            .value("overhead_p99_ms", quantile(0.99))
            .value("other_tuner", self.graph.other_tuner.as_deref().unwrap_or("none"))
            .value("memory_mib", resident_mib().map_or("unknown".into(), |mib| format!("{mib:.1}")))
    }

    /// Which policy is in use where a folder of them is followed, and why a newer one is not.
    fn policy_line(&self) -> Option<DiagnosticStatus> {
        let folder = Some(&self.settings.policy_folder).filter(|folder| !folder.is_empty())?;
        let (level, message) = match &self.policy_refused {
            Some(why) => (Level::Warn, format!("the policy in use stays: {why}")),
            None => (Level::Ok, format!("{} is in use", self.policy_in_use())),
        };
        let line = Line::new(&self.source, "policy", level, message);
        Some(line.value("policy", self.policy_in_use()).value("folder", folder).done())
    }

    /// What images are drawn from, and what is missing for them.
    fn drawing_line(&self) -> DiagnosticStatus {
        let (graph, report) = (&self.graph, self.painter.report());
        let plan_topic = graph.plan_topic.as_deref().unwrap_or_default();
        let (level, message) = report.remark.unwrap_or_else(|| (Level::Ok, format!("{} images drawn", report.drawn)));
        let mut line = Line::new(&self.source, "drawing", level, message)
            .value("plan_topic", plan_topic)
            .value("plan_publishers", graph.plan_publishers)
            .value("plan", report.plan)
            .value("tf", if cfg!(tf2_msgs) { "heard" } else { "not heard: built without tf2_msgs" })
            .value("drawn", report.drawn);
        for (issue, count) in report.issues.iter() {
            line = line.value(issue.name(), count);
        }
        line.done()
    }

    /// Whether images come, from whom, and how many of them.
    fn images_line(&self) -> DiagnosticStatus {
        let counts = self.images.slot.counts();
        let rate = counts.rate(Instant::now(), SILENCE);
        let graph = &self.graph;
        let topic = &graph.image_topic;
        let one = if self.settings.draws_images() { "scan" } else { "image" };
        let silent = counts.received == 0 || self.image_silence() > SILENCE;
        let (level, message) = if silent && graph.image_publishers.is_empty() {
            (Level::Error, format!("NotReceived: nobody publishes {topic}; check the topic's name and the domain"))
        } else if silent && graph.image_publishers_of_our_type == 0 {
            let remedy =
                if self.settings.draws_images() { "check the remapping of scan" } else { "check image_transport" };
            (Level::Error, format!("NotReceived: {topic} has another type; {remedy}"))
        } else if silent {
            (Level::Error, format!("NotReceived: {topic} has publishers, but no {one} comes from them"))
        } else if rate == 0.0 {
            // The simulation is paused, or slower than real time.
            (Level::Ok, format!("{one}s come as slowly as the simulated time"))
        } else if graph.image_publishers.len() > 1 {
            (Level::Warn, format!("{topic} has {} publishers; only one may be there", graph.image_publishers.len()))
        } else if let Some(sent) = counts.sent_rate.filter(|sent| *sent > rate * 1.5) {
            let remedy = "use image_transport compressed, or config/fastdds_images.xml on both sides";
            (Level::Warn, format!("{rate:.1} of about {sent:.1} {one}s a second arrive; {remedy}"))
        } else {
            (Level::Ok, format!("{rate:.1} {one}s a second"))
        };
        Line::new(&self.source, "images", level, message)
            .value("topic", topic)
            .value("publishers", graph.image_publishers.join(", "))
            .value("odometry_topic", &graph.odometry_topic)
            .value("odometry_publishers", graph.odometry_publishers)
            .value("rate_hz", format!("{rate:.2}"))
            .value("received", counts.received)
            .value("dropped", counts.replaced)
            .done()
    }
}

/// Resident memory of this process, MiB.
fn resident_mib() -> Option<f64> {
    let pages: f64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096.0 / (1 << 20) as f64)
}
