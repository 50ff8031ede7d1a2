//! How a checkpoint was shown the past.

use super::error::CheckpointError;
use super::json;
use planner_tuner_core::frame::HistoryRing;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// `history_config.json` of a supervised checkpoint, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryConfig {
    /// Whether the network has a history encoder at all. Without one the other fields mean nothing.
    pub use_history: bool,
    /// Frames shown beside the current one.
    pub num_history_frames: usize,
    /// Length of the history vector.
    pub history_dim: usize,
    /// Width and height the frames are resized to, pixels.
    pub history_image_size: u32,
    /// Which past frames, newest first, in steps before the current one: strictly increasing, one per frame.
    pub history_offsets: Vec<usize>,
}

#[derive(Deserialize)]
struct Raw {
    use_history: bool,
    num_history_frames: Option<i64>,
    history_dim: Option<i64>,
    history_image_size: Option<i64>,
    history_offsets: Option<Vec<i64>>,
    #[serde(flatten)]
    unknown: BTreeMap<String, serde_json::Value>,
}

impl HistoryConfig {
    /// File name within the checkpoint.
    pub const FILE: &str = "history_config.json";

    /// Furthest step back that an offset may name.
    const MAX_OFFSET: i64 = HistoryRing::<()>::MAX_OFFSET as i64;

    /// Reads the file. A field that is missing, out of bounds or in conflict with another is an error that names it;
    /// fields that are not known are left alone, for other programs write this file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        let raw: Raw = json::read(path)?;
        if !raw.unknown.is_empty() {
            log::debug!("{}: ignoring unknown fields {:?}", path.display(), raw.unknown.keys());
        }
        if !raw.use_history {
            return Ok(Self {
                use_history: false,
                num_history_frames: 0,
                history_dim: 0,
                history_image_size: 0,
                history_offsets: Vec::new(),
            });
        }
        let bounded = |field: &str, value: Option<i64>, bounds: std::ops::RangeInclusive<i64>| match value {
            Some(value) if bounds.contains(&value) => Ok(value),
            other => Err(CheckpointError::Field {
                path: path.into(),
                field: field.into(),
                expected: format!("an integer from {} to {}", bounds.start(), bounds.end()),
                found: other.map_or("missing".into(), |value| value.to_string()),
            }),
        };
        let frames = bounded("num_history_frames", raw.num_history_frames, 1..=64)?;
        let dim = bounded("history_dim", raw.history_dim, 1..=65_536)?;
        let image_size = bounded("history_image_size", raw.history_image_size, 16..=2048)?;
        let offsets = raw.history_offsets.unwrap_or_else(|| (1..=frames).collect());
        let in_order = offsets.windows(2).all(|pair| matches!(pair, [newer, older] if newer < older));
        let in_bounds = offsets.iter().all(|offset| (1..=Self::MAX_OFFSET).contains(offset));
        if offsets.len() as i64 != frames || !in_order || !in_bounds {
            return Err(CheckpointError::Field {
                path: path.into(),
                field: "history_offsets".into(),
                expected: format!(
                    "{frames} strictly increasing steps from 1 to {} (num_history_frames is {frames})",
                    Self::MAX_OFFSET
                ),
                found: format!("{offsets:?}"),
            });
        }
        Ok(Self {
            use_history: true,
            num_history_frames: frames as usize,
            history_dim: dim as usize,
            history_image_size: image_size as u32,
            history_offsets: offsets.into_iter().map(|offset| offset as usize).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn open(text: &str) -> Result<HistoryConfig, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(HistoryConfig::FILE);
        std::fs::write(&path, text).unwrap();
        HistoryConfig::open(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn offsets_default_to_the_frames_just_before() {
        let config = open(
            r#"{"use_history": true, "num_history_frames": 3, "history_dim": 24, "history_image_size": 224, "new": 1}"#,
        );
        assert_eq!(config.unwrap().history_offsets, [1, 2, 3]);
    }

    #[test]
    fn without_history_nothing_else_is_needed() {
        assert!(!open(r#"{"use_history": false}"#).unwrap().use_history);
    }

    #[test]
    fn names_the_field_that_is_wrong() {
        for (field, text) in [
            ("num_history_frames", r#"{"use_history": true, "history_dim": 24, "history_image_size": 224}"#),
            (
                "history_image_size",
                r#"{"use_history": true, "num_history_frames": 2, "history_dim": 24, "history_image_size": 1000000}"#,
            ),
            (
                "history_dim",
                r#"{"use_history": true, "num_history_frames": 2, "history_dim": -1, "history_image_size": 224}"#,
            ),
        ] {
            let error = open(text).unwrap_err();
            assert!(error.contains(&format!("'{field}'")), "{error}");
        }
        for offsets in ["[1]", "[2, 1]", "[3, 3]", "[0, 1]", "[1, 5000]", "[]"] {
            let error = open(&format!(
                r#"{{"use_history": true, "num_history_frames": 2, "history_dim": 24, "history_image_size": 224,
                    "history_offsets": {offsets}}}"#
            ))
            .unwrap_err();
            assert!(error.contains("'history_offsets'"), "{error}");
        }
    }
}
