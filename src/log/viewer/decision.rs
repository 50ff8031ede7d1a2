//! A decision as a viewer is shown it.
//!
//! | topic | message | content |
//! | --- | --- | --- |
//! | [`OVERLAY_TOPIC`] | `sensor_msgs/msg/CompressedImage` (ros2msg, CDR) | the frame, with the attention overlay where there is one, PNG |
//! | [`DECISION_TOPIC`] | JSON with a JSON schema | parameters and velocities, to be plotted by name |

use planner_tuner_core::frame::Stamp;
use serde_json::{Value, json};

use super::message::{ViewerError, ViewerMessage, nanos_of};
use crate::recording::compressed_image::{COMPRESSED_IMAGE_DEFINITION, compressed_image};
use crate::recording::message::COMPRESSED_IMAGE;

/// Topic of the frames with the attention overlay.
pub const OVERLAY_TOPIC: &str = "/costmap_image/attention";

/// Topic of the decisions.
pub const DECISION_TOPIC: &str = "/planner_parameters";

/// The messages of one decision: the frame, a PNG, and an object of whatever is to be plotted. The first object's fields and their
/// types become the channel's schema, so give every decision the same ones.
///
/// # Errors
/// [`ViewerError::NoObject`], [`ViewerError::Stamp`], [`ViewerError::PictureTooLong`].
pub fn decision_messages(stamp: Stamp, png: &[u8], decision: &Value) -> Result<[ViewerMessage; 2], ViewerError> {
    let nanos = nanos_of(stamp)?;
    if !decision.is_object() {
        return Err(ViewerError::NoObject(decision.clone()));
    }
    let image = compressed_image(nanos, png).ok_or(ViewerError::PictureTooLong(png.len()))?;
    let schema = schema_of(decision).to_string();
    Ok([
        ViewerMessage::ros2(OVERLAY_TOPIC, (COMPRESSED_IMAGE, COMPRESSED_IMAGE_DEFINITION), nanos, image),
        ViewerMessage::json(DECISION_TOPIC, "planner_tuner.Decision", schema, nanos, decision.to_string().into_bytes()),
    ])
}

/// A JSON schema that describes `value`. Whole numbers are plain numbers: the next one may have decimals.
fn schema_of(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(_) => json!({ "type": "boolean" }),
        Value::Number(_) => json!({ "type": "number" }),
        Value::String(_) => json!({ "type": "string" }),
        Value::Array(items) => json!({ "type": "array", "items": items.first().map_or(json!({}), schema_of) }),
        Value::Object(fields) => {
            let properties: serde_json::Map<_, _> =
                fields.iter().map(|(name, value)| (name.clone(), schema_of(value))).collect();
            json!({ "type": "object", "properties": properties })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_schema_follows_the_fields() {
        let decision = json!({ "parameters": { "max_vel_x": 0.5, "vx_samples": 6 }, "seen": [true], "note": null });
        let number = json!({ "type": "number" });
        let expected = json!({
            "type": "object",
            "properties": {
                "parameters": { "type": "object", "properties": { "max_vel_x": number, "vx_samples": number } },
                "seen": { "type": "array", "items": { "type": "boolean" } },
                "note": {},
            },
        });
        assert_eq!(schema_of(&decision), expected);
    }

    #[test]
    fn what_cannot_be_shown_is_refused() {
        let refused = |stamp: i64, value: Value| {
            decision_messages(Stamp::from_nanos(stamp), b"png", &value).unwrap_err().to_string()
        };
        assert!(refused(-1, json!({})).contains("0 to 2147483647 s"));
        assert!(refused(i64::MAX, json!({})).contains("0 to 2147483647 s"));
        assert!(refused(1, json!([1])).contains("not a JSON object: [1]"));
    }
}
