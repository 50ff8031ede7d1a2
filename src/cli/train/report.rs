//! What a training has to say at its end.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::checkpoint::SavedPolicy;
use crate::td3::{ActorChange, Changes, CurveFiles, Learns, LogSummary, Training};

/// Everything that is reported.
pub struct Report<'a> {
    pub training: &'a Training,
    pub logs: &'a LogSummary,
    pub saved: &'a SavedPolicy,
    /// Updates a second; `None` without an update.
    pub rate: Option<f64>,
    pub changes: Changes,
    pub curves: &'a CurveFiles,
}

impl Report<'_> {
    /// A table for people.
    pub fn as_text(&self) -> String {
        let mut text = format!(
            "{} updates, {} skipped{}; rewards times {}\n",
            self.training.iteration(),
            self.training.skipped(),
            self.rate.map(|rate| format!(", {rate:.1} a second")).unwrap_or_default(),
            self.training.reward_scale(),
        );
        let _ = writeln!(text, "{}", describe_logs(self.logs));
        let what = match self.training.learns() {
            Learns::Actor => "actor",
            Learns::Heads => "actor with heads",
            Learns::Lora => "actor with heads and LoRA",
        };
        let _ = writeln!(text, "\nold and new {what} on {} logged steps, noise off:", self.changes.steps);
        let _ = writeln!(
            text,
            "{:<22} {:>6} {:>10} {:>10} {:>12} {:>14}",
            "parameter", "unit", "old mean", "new mean", "mean change", "largest change"
        );
        for change in &self.changes.parameters {
            let ActorChange { name, unit, old, new, mean_change, largest_change } = change;
            let _ = writeln!(
                text,
                "{name:<22} {unit:>6} {old:>10.4} {new:>10.4} {mean_change:>12.4} {largest_change:>+14.4}"
            );
        }
        let _ = writeln!(text, "\nsaved {} ({})", self.saved.prefix.display(), self.saved.sha256);
        text
    }

    /// One object.
    pub fn as_json(&self) -> String {
        let changes: Map<String, Value> = self
            .changes
            .parameters
            .iter()
            .map(|change| {
                let ActorChange { name, unit, old, new, mean_change, largest_change } = change;
                let numbers = json!({
                    "unit": unit, "old_mean": old, "new_mean": new,
                    "mean_change": mean_change, "largest_change": largest_change,
                });
                (name.clone(), numbers)
            })
            .collect();
        let last = self.curves.points().last();
        let last: Map<String, Value> = last
            .map(|point| {
                self.curves.names().iter().cloned().zip(point.values.iter().map(|value| json!(value))).collect()
            })
            .unwrap_or_default();
        let logs = self.logs;
        let report = json!({
            "train": self.training.learns().name(),
            "updates": self.training.iteration(),
            "skipped_updates": self.training.skipped(),
            "updates_per_second": self.rate,
            "reward_scale": self.training.reward_scale(),
            "exploration_noise": self.training.exploration_noise(),
            "logs": {
                "episodes": logs.episodes,
                "steps": logs.steps,
                "windows": self.training.sampler().windows(),
                "refused_steps": logs.refused_steps,
                "lost_steps": logs.lost_steps,
                "lost_bytes": logs.lost_bytes,
                "episodes_without_end": logs.without_end,
                "unreadable_files": logs.unreadable_files,
                "sha256": logs.digest,
            },
            "last": last,
            "parameters": changes,
            "policy": { "prefix": self.saved.prefix.display().to_string(), "sha256": self.saved.sha256 },
        });
        report.to_string() + "\n"
    }
}

/// What was read, and what of it was lost.
pub fn describe_logs(logs: &LogSummary) -> String {
    let mut text = format!("{} episodes, {} steps", logs.episodes, logs.steps);
    let losses = [
        (logs.refused_steps as u64, "steps refused"),
        (logs.lost_steps, "steps lost"),
        (logs.lost_bytes, "bytes lost"),
        (logs.without_end as u64, "episodes without an end"),
        (logs.unreadable_files as u64, "files not readable"),
    ];
    for (count, what) in losses.into_iter().filter(|(count, _)| *count > 0) {
        let _ = write!(text, ", {count} {what}");
    }
    text
}
