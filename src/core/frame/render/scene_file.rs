//! Scenes as JSON, for tests and for `planner_tuner render`.
//!
//! ```json
//! {"scan": {"angle_min": -2.36, "angle_increment": 0.0066, "range_min": 0.1, "range_max": 30.0, "ranges": [5.7, "inf"]},
//!  "pose": {"x": 0.0, "y": 0.0, "yaw": 0.0},
//!  "path": [[0.0, 0.0], [1.0, 0.5]]}
//! ```
//! Ranges that JSON has no number for are the strings `"inf"`, `"-inf"` and `"nan"`; `path` may be null. Other keys (a
//! name, a kind) are for people and not read.

use std::fmt;

use nalgebra::{Isometry2, Point2, Vector2};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::{LaserScan, RenderError, Scene};

impl Scene {
    /// A scene from JSON text; `file` names it in errors. Scan numbers are rounded to the message's single precision.
    ///
    /// # Errors
    /// [`RenderError::SceneFile`] with line and column for anything but the JSON described in `planner_tuner render --help`.
    pub fn from_json(text: &str, file: &str) -> Result<Self, RenderError> {
        let scene: SceneFile =
            serde_json::from_str(text).map_err(|source| RenderError::SceneFile { file: file.to_owned(), source })?;
        let SceneFile { scan, pose, path } = scene;
        Ok(Self {
            scan: LaserScan {
                angle_min: scan.angle_min,
                angle_increment: scan.angle_increment,
                range_min: scan.range_min,
                range_max: scan.range_max,
                ranges: scan.ranges.into_iter().map(|Range(range)| range).collect(),
            },
            laser_mount: None,
            robot: Isometry2::new(Vector2::new(pose.x, pose.y), pose.yaw),
            path: path.unwrap_or_default().into_iter().map(Point2::from).collect(),
        })
    }
}

#[derive(Deserialize)]
struct SceneFile {
    scan: ScanEntry,
    pose: PoseEntry,
    // Null is no path; a missing key is a mistake, so serde's default for options is switched off.
    #[serde(deserialize_with = "Option::deserialize")]
    path: Option<Vec<[f64; 2]>>,
}

#[derive(Deserialize)]
struct ScanEntry {
    angle_min: f32,
    angle_increment: f32,
    range_min: f32,
    range_max: f32,
    ranges: Vec<Range>,
}

#[derive(Deserialize)]
struct PoseEntry {
    x: f64,
    y: f64,
    yaw: f64,
}

struct Range(f32);

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RangeVisitor;

        impl Visitor<'_> for RangeVisitor {
            type Value = Range;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a range in m, \"inf\", \"-inf\" or \"nan\"")
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Range, E> {
                Ok(Range(value as f32))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Range, E> {
                Ok(Range(value as f32))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Range, E> {
                Ok(Range(value as f32))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Range, E> {
                match value {
                    "inf" => Ok(Range(f32::INFINITY)),
                    "-inf" => Ok(Range(f32::NEG_INFINITY)),
                    "nan" => Ok(Range(f32::NAN)),
                    other => Err(E::invalid_value(Unexpected::Str(other), &self)),
                }
            }
        }

        deserializer.deserialize_any(RangeVisitor)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SCENE: &str = r#"{"kind": "rand",
        "scan": {"angle_min": -1, "angle_increment": 0.5, "range_min": 0.1, "range_max": 30.0, "ranges": [1, 2.5, "inf", "-inf", "nan"]},
        "pose": {"x": 1.0, "y": -2.0, "yaw": 0.5},
        "path": [[0.0, 1.0]]}"#;

    #[test]
    fn a_scene_is_read() {
        let scene = Scene::from_json(SCENE, "scene.json").unwrap();
        assert_eq!(scene.scan.ranges.get(..4), Some([1.0, 2.5, f32::INFINITY, f32::NEG_INFINITY].as_slice()));
        assert!(scene.scan.ranges.last().unwrap().is_nan());
        assert_eq!(scene.path, [Point2::new(0.0, 1.0)]);
        assert_eq!(scene.robot.translation.vector, Vector2::new(1.0, -2.0));
        assert!(Scene::from_json(&SCENE.replace("[[0.0, 1.0]]", "null"), "scene.json").unwrap().path.is_empty());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let complaint = |from, to| Scene::from_json(&SCENE.replace(from, to), "scene.json").unwrap_err().to_string();
        assert_eq!(
            complaint("\"inf\"", "\"far\""),
            "scene file scene.json: invalid value: string \"far\", expected a range in m, \"inf\", \"-inf\" or \"nan\" at line 2 column 119; expected scan, pose and path"
        );
        assert!(complaint("\"path\"", "\"paht\"").contains("missing field `path`"));
        assert!(complaint("[0.0, 1.0]", "[0.0]").contains("expected an array of length 2"));
        assert!(complaint("-2.0", "1e999").contains("number out of range"));
    }
}
