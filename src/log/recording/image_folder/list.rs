//! The lists that the original system trains on: JSON, one entry a decision.
//!
//! | field | meaning |
//! | --- | --- |
//! | `image` (or `image_path`) | the picture |
//! | `history_images` (or `history_image_paths`, `history`; optional) | the pictures before it, a decision apart |
//! | `linear_vel`, `angular_vel` (optional) | m/s, rad/s |
//! | `conversations` | what was asked; without the two fields above, the velocities are taken from its text |
//!
//! Labels and answers are not looked at. Entries follow one another in the order of the list; where a picture is not the
//! one numbered after that of the entry before, another episode begins. History images stand in for the pictures that
//! came before, newest first; those with numbers in their names are put in that order.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::spoken_velocity::{Unspoken, spoken_velocity};
use super::table::{check_length, stamp_of_row};
use super::{Row, Usable};
use crate::recording::{RecordingError, SkipReason, Skipped};
use planner_tuner_core::frame::{BodyVelocity, FrameError, HistoryRing};

/// One entry. What is not named here is ignored.
#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(alias = "image_path", alias = "img")]
    image: String,
    #[serde(default, alias = "history_image_paths", alias = "history_paths", alias = "history")]
    history_images: Option<Vec<String>>,
    linear_vel: Option<f64>,
    angular_vel: Option<f64>,
    #[serde(default, alias = "messages")]
    conversations: Vec<Turn>,
}

/// Who said what.
#[derive(Debug, Deserialize)]
struct Turn {
    #[serde(alias = "role")]
    from: String,
    #[serde(alias = "content")]
    value: String,
}

/// Why an entry has no velocity.
#[derive(Debug, thiserror::Error)]
enum EntryVelocityError {
    #[error("only one of linear_vel and angular_vel is there, expected both")]
    OnlyOne,
    #[error(transparent)]
    Unspoken(#[from] Unspoken),
    #[error(transparent)]
    Impossible(#[from] FrameError),
}

/// Whether a file is named as such a list.
pub(in crate::recording) fn is_list(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json" || extension == "jsonl")
}

pub(super) fn read_rows(folder: &Path, list: &Path) -> Result<Vec<Row>, RecordingError> {
    let entries = read_entries(list)?;
    let mut rows = Vec::with_capacity(entries.len());
    let (mut episode, mut before) = (0, None);
    for (number, entry) in entries.into_iter().enumerate() {
        let numbered = numbered_name(&entry.image);
        let goes_on = |(title, label): &(String, u64)| {
            numbered.as_ref().is_some_and(|(this, next)| this == title && Some(*next) == label.checked_add(1))
        };
        if !before.as_ref().is_some_and(goes_on) {
            episode += 1;
        }
        let stamp = stamp_of_row(number);
        let skip = |error: EntryVelocityError| {
            let message = format!("{}: entry {}: {error}", list.display(), number + 1);
            Skipped::new(SkipReason::InvalidVelocity, Some(stamp), message)
        };
        let usable = entry.velocity().map_err(skip).map(|velocity| {
            let history = entry.newest_first().map(|history| history.iter().map(|path| find(folder, path)).collect());
            Usable { stamp, velocity, picture: find(folder, &entry.image), history }
        });
        rows.push(Row { episode, run: None, progress_m: None, stamp: Some(stamp), usable });
        before = numbered;
    }
    Ok(rows)
}

/// The entries of a JSON array, or of one object a line.
fn read_entries(list: &Path) -> Result<Vec<Entry>, RecordingError> {
    check_length(list)?;
    let text = std::fs::read_to_string(list).map_err(RecordingError::io(list))?;
    let refuse = |problem: String| {
        let problem = format!(
            "not a list of decisions: {problem}; expected a JSON array of objects with image, history_images, and \
             conversations (or linear_vel and angular_vel)"
        );
        RecordingError::table(list, problem)
    };
    if text.trim_start().starts_with('[') {
        let mut json = serde_json::Deserializer::from_str(&text);
        return serde_path_to_error::deserialize(&mut json).map_err(|error| refuse(error.to_string()));
    }
    let entries = serde_json::Deserializer::from_str(&text).into_iter::<Entry>();
    entries.enumerate().map(|(number, entry)| entry.map_err(|e| refuse(format!("entry {}: {e}", number + 1)))).collect()
}

impl Entry {
    fn velocity(&self) -> Result<BodyVelocity, EntryVelocityError> {
        let (linear, angular) = match (self.linear_vel, self.angular_vel) {
            (Some(linear), Some(angular)) => (linear, angular),
            (None, None) => {
                // The answer speaks of parameters.
                let asked =
                    self.conversations.iter().filter(|turn| !["gpt", "assistant"].contains(&turn.from.as_str()));
                let asked: Vec<_> = asked.map(|turn| turn.value.as_str()).collect();
                spoken_velocity(&asked.join("\n"))?
            }
            _ => return Err(EntryVelocityError::OnlyOne),
        };
        Ok(BodyVelocity::new(linear, angular)?)
    }

    /// The pictures before this one, where the entry names any.
    fn newest_first(&self) -> Option<Vec<&str>> {
        let mut history: Vec<&str> = self.history_images.as_ref()?.iter().map(String::as_str).collect();
        let numbers: Option<Vec<_>> = history.iter().map(|path| numbered_name(path)).collect();
        let is_rising = numbers.is_some_and(|numbers| {
            numbers.len() > 1 && numbers.is_sorted_by(|(title, older), (other, newer)| title == other && older < newer)
        });
        if is_rising {
            history.reverse();
        }
        history.truncate(HistoryRing::<()>::MAX_OFFSET);
        Some(history)
    }
}

/// `frames/RL_000045.png` as `RL` and 45; `None` for a name without a number.
fn numbered_name(path: &str) -> Option<(String, u64)> {
    let name = path.rsplit(['/', '\\']).next()?;
    let (stem, _) = name.rsplit_once('.')?;
    let (title, number) = stem.rsplit_once('_')?;
    Some((title.to_owned(), number.parse().ok()?))
}

/// Where a picture lies. Lists carry the paths of the machine that they were written on: what a path ends in is looked for
/// below the list's folder. A path that is nowhere stays as it is.
fn find(folder: &Path, path: &str) -> PathBuf {
    let whole = folder.join(path);
    if whole.is_file() {
        return whole;
    }
    let parts: Vec<&str> = path.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
    let ends = (0..parts.len()).filter_map(|start| Some(folder.join(parts.get(start..)?.join("/"))));
    ends.into_iter().find(|file| file.is_file()).unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry(text: &str) -> Entry {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn history_is_put_newest_first_by_its_numbers() {
        let rising = entry(r#"{"image": "a/RL_000009.png", "history_images": ["a/RL_000007.png", "a/RL_000008.png"]}"#);
        assert_eq!(rising.newest_first().unwrap(), ["a/RL_000008.png", "a/RL_000007.png"]);
        let falling = entry(r#"{"image_path": "RL_9.png", "history": ["RL_8.png", "RL_7.png"]}"#);
        assert_eq!(falling.newest_first().unwrap(), ["RL_8.png", "RL_7.png"]);
        let unnumbered = entry(r#"{"image": "c.png", "history_images": ["b.png", "a.png"]}"#);
        assert_eq!(unnumbered.newest_first().unwrap(), ["b.png", "a.png"], "taken to be so already");
        assert_eq!(entry(r#"{"image": "c.png"}"#).newest_first(), None);
        assert_eq!(entry(r#"{"image": "c.png", "history_images": []}"#).newest_first(), Some(Vec::new()));
    }

    #[test]
    fn velocities_are_fields_or_what_was_asked() {
        let fields = entry(r#"{"image": "a.png", "linear_vel": 0.5, "angular_vel": -0.25}"#).velocity().unwrap();
        assert_eq!((fields.linear(), fields.angular()), (0.5, -0.25));
        let asked = r#"{"image": "a.png", "label": [0.5, 1.5], "conversations": [
            {"from": "human", "value": "<image>\nLinear velocity: 0.393 m/s, angular velocity: -0.104 rad/s"},
            {"from": "gpt", "value": "max linear velocity 1.5, angular 3"}]}"#;
        let asked = entry(asked).velocity().unwrap();
        assert_eq!((asked.linear(), asked.angular()), (0.393, -0.104));
        for bad in [
            r#"{"image": "a.png"}"#,
            r#"{"image": "a.png", "linear_vel": 0.5}"#,
            r#"{"image": "a.png", "linear_vel": 1e9, "angular_vel": 0}"#,
        ] {
            assert!(entry(bad).velocity().is_err(), "{bad}");
        }
    }
}
