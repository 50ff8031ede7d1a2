//! What a fine-tuning has to say at its end.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::finetune::{DataCounts, Finetuning, OutputReport, Report, Stop};

/// Everything that is reported.
pub struct Summary<'a> {
    pub training: &'a Finetuning,
    pub report: Option<Report>,
    pub stop: Option<Stop>,
    pub output: &'a Path,
    /// Seconds that steps took, and how many steps those were.
    pub learning: (f64, u64),
}

impl Summary<'_> {
    /// A table for people.
    pub fn as_text(&self) -> String {
        let progress = self.training.progress();
        let mut text = format!("{} epochs, {} steps", progress.epoch, progress.step);
        if progress.skipped > 0 {
            let _ = write!(text, ", {} of them skipped", progress.skipped);
        }
        if let (seconds, steps @ 1..) = self.learning {
            let _ = write!(text, ", {:.2} s a step", seconds / steps as f64);
        }
        if self.stop == Some(Stop::Patience) {
            text.push_str("; stopped because the validation loss did not fall any more");
        }
        text.push('\n');
        text.push_str(&in_words(self.training.material().data.counts()));
        let Some(report) = &self.report else {
            text.push_str("no epoch was completed, so there is no checkpoint yet; --resume goes on\n");
            return text;
        };
        let of_validation = report.validation_loss.map(|loss| format!(", validation {loss:.4}")).unwrap_or_default();
        let [train, held_back] = report.frames;
        let _ = writeln!(text, "best epoch {}: loss {:.4}{of_validation}", report.epoch, report.train_loss);
        let _ = writeln!(
            text,
            "\nmean absolute error on {train} frames, and on {held_back} held back; ratio to the mean predictor's:"
        );
        let _ = writeln!(
            text,
            "{:<22} {:>6} {:>10} {:>10} {:>12} {:>10} {:>6}",
            "output", "unit", "train", "of mean", "validation", "of mean", "ratio"
        );
        for output in &report.outputs {
            let OutputReport { name, unit, train_mae, train_mae_of_mean, .. } = output;
            let cell =
                |value: Option<f64>, decimals: usize| value.map_or("-".into(), |value| format!("{value:.decimals$}"));
            let (validation, of_mean) = (cell(output.validation_mae, 4), cell(output.validation_mae_of_mean, 4));
            let ratio = cell(output.ratio(), 2);
            let _ = writeln!(
                text,
                "{name:<22} {unit:>6} {train_mae:>10.4} {train_mae_of_mean:>10.4} {validation:>12} {of_mean:>10} {ratio:>6}"
            );
        }
        if !report.constant.is_empty() {
            let _ = writeln!(text, "constant, so nothing could be learned about it: {}", report.constant.join(", "));
        }
        let _ = writeln!(text, "\nsaved {}", self.output.display());
        text
    }

    /// One object.
    pub fn as_json(&self) -> String {
        let progress = self.training.progress();
        let counts = self.training.material().data.counts();
        let (seconds, steps) = self.learning;
        let report = json!({
            "epochs": progress.epoch,
            "steps": progress.step,
            "skipped_steps": progress.skipped,
            "seconds_per_step": (steps > 0).then(|| seconds / steps as f64),
            "stopped": self.stop.map(|stop| match stop { Stop::Epochs => "epochs", Stop::Patience => "patience" }),
            "skipped_frames": counts.skipped,
            "clamped_values": counts.clamped,
            "best": self.report.as_ref().map_or(Value::Null, |report| json!(report)),
            "checkpoint": self.output.display().to_string(),
        });
        report.to_string() + "\n"
    }
}

fn in_words(counts: &DataCounts) -> String {
    let mut text = String::new();
    for (reason, count) in &counts.skipped {
        let _ = writeln!(text, "{count} frames skipped: {reason}");
    }
    let clamped: Vec<String> = counts.clamped.iter().map(|(name, count)| format!("{name} {count}")).collect();
    if !clamped.is_empty() {
        let _ = writeln!(text, "values cut to their range: {}", clamped.join(", "));
    }
    if counts.filtered_episodes > 0 {
        let _ = writeln!(text, "{} episodes left out by the filter", counts.filtered_episodes);
    }
    text
}
