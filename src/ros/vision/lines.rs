//! How images come, for the operator.

use std::time::{Duration, Instant};

use r2r::diagnostic_msgs::msg::DiagnosticStatus;

use super::Vision;
use crate::ros::graph::GraphFacts;
use crate::ros::messages::{Line, Source};
use vlm_planner_tuner::planner::guard::{Level, Moment};

/// Without an image for this long, none are coming.
const SILENCE: Duration = Duration::from_secs(2);

impl Vision {
    /// Whether images come, from whom, and how many of them; and where they are drawn, of what.
    pub(in crate::ros) fn lines(&self, source: &Source, graph: &GraphFacts, now: Moment) -> Vec<DiagnosticStatus> {
        let mut lines = vec![self.images_line(source, graph, now)];
        if self.draws {
            lines.push(self.drawing.line(source, graph, &self.surroundings.counts()));
        }
        lines
    }

    fn images_line(&self, source: &Source, graph: &GraphFacts, now: Moment) -> DiagnosticStatus {
        let counts = self.inbox.counts();
        let rate = counts.rate(Instant::now(), SILENCE);
        let (topic, publishers) = (graph.image_topic(), graph.image_publishers());
        let one = if self.draws { "scan" } else { "image" };
        let silent = counts.received == 0 || now.since(self.arrivals.1) > SILENCE;
        let (level, message) = if silent && publishers.is_empty() {
            (Level::Error, format!("NotReceived: nobody publishes {topic}; check the topic's name and the domain"))
        } else if silent && !graph.has_images_of_our_type() {
            let remedy = if self.draws { "check the remapping of scan" } else { "check image_transport" };
            (Level::Error, format!("NotReceived: {topic} has another type; {remedy}"))
        } else if silent {
            (Level::Error, format!("NotReceived: {topic} has publishers, but no {one} comes from them"))
        } else if rate == 0.0 {
            // The simulation is paused, or slower than real time.
            (Level::Ok, format!("{one}s come as slowly as the simulated time"))
        } else if publishers.len() > 1 {
            (Level::Warn, format!("{topic} has {} publishers; only one may be there", publishers.len()))
        } else if let Some(sent) = counts.sent_rate.filter(|sent| *sent > rate * 1.5) {
            let remedy = "use image_transport compressed, or config/fastdds_images.xml on both sides";
            (Level::Warn, format!("{rate:.1} of about {sent:.1} {one}s a second arrive; {remedy}"))
        } else {
            (Level::Ok, format!("{rate:.1} {one}s a second"))
        };
        Line::new(source, "images", level, message)
            .value("topic", topic)
            .value("publishers", publishers.join(", "))
            .value("odometry_topic", graph.odometry_topic())
            .value("odometry_publishers", graph.odometry_publishers())
            .value("rate_hz", format!("{rate:.2}"))
            .value("received", counts.received)
            .value("dropped", counts.replaced)
            .done()
    }
}
