//! What the operator sees: `~/status` on every change, `/diagnostics` once a second.

use super::Control;
use crate::ros::messages::Line;

impl Control {
    pub(super) fn publish_status(&self) {
        self.reporter.status(&self.tuner_line().done());
    }

    pub(super) fn report_every_second(&mut self) {
        if !self.reporter.is_time() {
            return;
        }
        let source = self.reporter.source();
        let mut lines = vec![self.tuner_line().done()];
        lines.extend(self.vision.lines(source, &self.graph, self.clocks.now()));
        lines.extend(self.policy.line(source));
        lines.extend(self.planner.parameter_lines(source, &self.planner.status()));
        lines.extend(self.planner.lines(source));
        lines.extend(self.log.line(source));
        self.reporter.diagnostics(self.clocks.ros(), lines);
        self.publish_status();
    }

    /// State and reason, and how the node does.
    fn tuner_line(&self) -> Line {
        let line = self.deciding.line(self.reporter.source(), self.clocks.now());
        let line = line
            .value("planner", self.deciding.planner().name())
            .value("mapping", self.planner.mapping().name())
            .value("device", &self.settings.device);
        self.reporter
            .with_latencies(line)
            .value("other_tuner", self.planner.other_tuner().unwrap_or("none"))
            .value("memory_mib", resident_mib().map_or("unknown".into(), |mib| format!("{mib:.1}")))
    }
}

/// Resident memory of this process, MiB.
fn resident_mib() -> Option<f64> {
    let pages: f64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096.0 / (1 << 20) as f64)
}
