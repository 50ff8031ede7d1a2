//! How the planner's nodes do, for the operator.

use r2r::diagnostic_msgs::msg::DiagnosticStatus;

use super::PlannerSide;
use crate::ros::messages::{Line, Source, parameter_lines};
use vlm_planner_tuner::nav2::{LifecycleState, NodeReport, ParameterStatus, SpeedLimit};
use vlm_planner_tuner::planner::guard::{Level, Mode};

impl PlannerSide {
    /// What became of each parameter, a line each.
    pub(in crate::ros) fn parameter_lines(
        &self,
        source: &Source,
        statuses: &[ParameterStatus],
    ) -> Vec<DiagnosticStatus> {
        parameter_lines(source, self.mode, self.held_back(), statuses)
    }

    /// A line for each node, one for the costmaps, and one for the controller that a bank chose.
    pub(in crate::ros) fn lines(&self, source: &Source) -> Vec<DiagnosticStatus> {
        let mut lines: Vec<DiagnosticStatus> =
            self.sink.reports().iter().map(|report| self.node_line(source, report)).collect();
        if !self.costmaps.lines().is_empty() {
            let (level, message) = match self.costmaps.blind() {
                Some(why) => (Level::Error, why.to_owned()),
                None => (Level::Ok, "no costmap is known to be blind".to_owned()),
            };
            let line = Line::new(source, "costmaps", level, message);
            let line = self.costmaps.lines().iter().fold(line, |line, (costmap, word)| line.value(costmap, word));
            lines.push(line.done());
        }
        if let Some(bank) = self.sink.mapping().bank() {
            let id = self.sink.controller();
            let message = id.map_or("none is chosen yet".to_owned(), |id| format!("{id} is asked for"));
            let mut line = Line::new(source, "controller", Level::Ok, message)
                .value("controller", id.unwrap_or("none"))
                .value("listeners", self.selector_listeners());
            for (parameter, value) in id.and_then(|id| bank.controller(id)).into_iter().flat_map(|c| c.values()) {
                line = line.value(parameter, value);
            }
            lines.push(line.done());
        }
        lines
    }

    fn node_line(&self, source: &Source, report: &NodeReport) -> DiagnosticStatus {
        let counts = &report.counts;
        let state = report.lifecycle.map_or("unknown", LifecycleState::as_str);
        let (level, message) = match (&report.halted, &counts.last_conflict) {
            (Some(why), _) => (Level::Error, format!("nothing is set any more: {why}")),
            (None, Some(conflict)) => (Level::Warn, conflict.clone()),
            (None, None) if !report.is_there && self.mode == Mode::Active => (Level::Warn, "not there".to_owned()),
            (None, None) => (Level::Ok, format!("{} sets", counts.sets)),
        };
        let limit = match self.sink.speed_limit() {
            None => "none".to_owned(),
            Some(SpeedLimit::Percent(percent)) => format!("{percent} %"),
            Some(SpeedLimit::Absolute(speed)) => format!("{speed} m/s"),
        };
        Line::new(source, report.node.as_str(), level, message)
            .value("lifecycle", state)
            .value("sets", counts.sets)
            .value("deaths_after_a_set", counts.deaths)
            .value("conflicts", counts.conflicts)
            .value("last_conflict", counts.last_conflict.as_deref().unwrap_or("none"))
            // ROS tells of a set, and not by whom.
            .value("set_by", if counts.conflicts > 0 { "another node, ROS does not tell which" } else { "none" })
            .value("speed_limit", limit)
            .done()
    }
}
