//! Messages go out: the publishers, but for what is said to the planner.

use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus};
use r2r::rcl_interfaces::msg::Log as RosLog;
use r2r::sensor_msgs::msg::Image;
use r2r::std_msgs::msg::{Float32MultiArray, Float64MultiArray};
use r2r::{Publisher, QosProfile, WrappedTypesupport};

use super::messages::{image_message, labelled};
use super::{NodeError, clock};
use vlm_planner_tuner::frame::{Frame, Stamp};
use vlm_planner_tuner::live::inference::Decided;
use vlm_planner_tuner::planner::PlannerParameters;

/// The publishers of what the node has to say to everybody.
pub(super) struct Publishers {
    parameters: Publisher<Float64MultiArray>,
    decision: Publisher<DiagnosticArray>,
    feature: Publisher<Float32MultiArray>,
    attention: Publisher<Image>,
    /// Where images are drawn.
    drawn: Option<Publisher<Image>>,
    status: Publisher<DiagnosticStatus>,
    diagnostics: Publisher<DiagnosticArray>,
    /// Unless it was switched off (`--disable-rosout-logs`).
    rosout: Option<Publisher<RosLog>>,
}

impl Publishers {
    pub(super) fn new(node: &mut r2r::Node, draws_images: bool, logs_to_rosout: bool) -> Result<Self, NodeError> {
        let reliable = QosProfile::default;
        let latched = || QosProfile::default().keep_last(1).transient_local();
        Ok(Self {
            parameters: node.create_publisher("~/parameters", reliable())?,
            decision: node.create_publisher("~/decision", reliable())?,
            feature: node.create_publisher("~/feature", reliable())?,
            attention: node.create_publisher("~/attention", reliable().keep_last(1))?,
            drawn: match draws_images {
                true => Some(node.create_publisher("~/costmap_image", reliable().keep_last(1))?),
                false => None,
            },
            status: node.create_publisher("~/status", latched())?,
            diagnostics: node.create_publisher("/diagnostics", reliable())?,
            rosout: match logs_to_rosout {
                true => {
                    let qos = QosProfile::default().keep_last(1000).transient_local();
                    Some(node.create_publisher("/rosout", qos)?)
                }
                false => None,
            },
        })
    }

    /// The parameters in the planner file's order, named in the layout.
    pub(super) fn parameters(&self, parameters: &PlannerParameters) {
        let names: Vec<&str> = parameters.iter().map(|(spec, _)| spec.name()).collect();
        let data: Vec<f64> = parameters.iter().map(|(_, value)| value).collect();
        let layout = labelled(&names.join(","), data.len());
        publish("~/parameters", &self.parameters, &Float64MultiArray { layout, data });
    }

    pub(super) fn decision(&self, stamp: Stamp, status: Vec<DiagnosticStatus>) {
        publish("~/decision", &self.decision, &diagnostic_array(stamp, status));
    }

    /// The image that a decision is being made on, for whoever listens.
    pub(super) fn drawn(&self, frame: &Frame, stamp: Stamp, frame_id: &str) {
        if let Some(publisher) = &self.drawn
            && has_listener(publisher.get_inter_process_subscription_count())
        {
            publish("~/costmap_image", publisher, &image_message(frame, stamp, frame_id));
        }
    }

    /// The feature of a decision, for whoever listens.
    pub(super) fn feature(&self, decided: &Decided) {
        if has_listener(self.feature.get_inter_process_subscription_count()) {
            let data = decided.decision.extracted.feature.values().to_vec();
            let layout = labelled("feature", data.len());
            publish("~/feature", &self.feature, &Float32MultiArray { layout, data });
        }
    }

    /// Whether anybody listens to attention overlays, which take a while to draw.
    pub(super) fn has_attention_listener(&self) -> bool {
        has_listener(self.attention.get_inter_process_subscription_count())
    }

    /// An attention overlay; `frame_id` is that of the image.
    pub(super) fn attention(&self, overlay: &Frame, stamp: Stamp, frame_id: &str) {
        publish("~/attention", &self.attention, &image_message(overlay, stamp, frame_id));
    }

    pub(super) fn status(&self, status: &DiagnosticStatus) {
        publish("~/status", &self.status, status);
    }

    pub(super) fn diagnostics(&self, now: Stamp, status: Vec<DiagnosticStatus>) {
        publish("/diagnostics", &self.diagnostics, &diagnostic_array(now, status));
    }

    pub(super) fn log(&self, lines: impl IntoIterator<Item = RosLog>) {
        // A failure to log is not logged.
        for line in lines {
            self.rosout.as_ref().map(|rosout| rosout.publish(&line).ok());
        }
    }
}

fn has_listener(count: r2r::Result<usize>) -> bool {
    count.is_ok_and(|count| count > 0)
}

fn diagnostic_array(stamp: Stamp, status: Vec<DiagnosticStatus>) -> DiagnosticArray {
    let mut array = DiagnosticArray { status, ..Default::default() };
    array.header.stamp = clock::time(stamp);
    array
}

/// Publishes; a message that is lost is logged.
pub(super) fn publish<T: WrappedTypesupport + 'static>(topic: &str, publisher: &Publisher<T>, message: &T) {
    if let Err(error) = publisher.publish(message) {
        log::error!("{topic}: a message was lost: {error}");
    }
}
