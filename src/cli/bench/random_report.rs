//! What is said of frames through a model with random weights.

use std::fmt::Write as _;

use serde_json::json;

use super::Row;
use super::memory::resident_mib;
use super::random_model::{Measured, RandomModel};
use crate::picture::{StageBar, StageChart};
use crate::vectors::Vectors;

impl Measured {
    /// A row and its operations, in the order of the road.
    fn stages(&self) -> impl Iterator<Item = (&Row, Option<f64>)> {
        self.rows.iter().zip(self.operations)
    }
}

impl RandomModel {
    /// For people.
    pub fn table(&self, measured: &Measured, growth: &[Measured]) -> String {
        let (shape, peak) = (self.shape(), measured.peak);
        let sequence = measured.sequence;
        let vectors = Vectors::in_use().set();
        let mut text = format!(
            "{shape}, random weights, {sequence} tokens, {vectors}; f32 product peak {:.0} GF/s\n\n",
            peak / 1e9
        );
        let _ = writeln!(
            text,
            "{:<28} {:>9} {:>9} {:>9} ms {:>7} {:>10}",
            "stage", "min", "median", "p99", "GF", "of peak"
        );
        for (row, operations) in measured.stages() {
            let [min, median, p99] = row.milliseconds();
            let _ = write!(text, "{:<28} {min:>9.1} {median:>9.1} {p99:>9.1}   ", row.name);
            if let Some(operations) = operations {
                let share = operations / (median * 1e-3) / peak * 100.0;
                let _ = write!(text, " {:>7.1} {share:>9.0} %", operations / 1e9);
            }
            text.push('\n');
        }
        let _ = writeln!(
            text,
            "\nframe {:.0} ms, {:.2} x its arithmetic at the peak around it",
            measured.frame_ms, measured.times_its_arithmetic
        );
        if !growth.is_empty() {
            let _ = writeln!(
                text,
                "\n{:>12} {:>9} {:>9} {:>9} ms {:>15}",
                "image tokens", "vision", "text", "frame", "of peak"
            );
        }
        for at in growth {
            let [_, vision, words, _] = &at.rows;
            let [vision, words] = [vision, words].map(|row| row.milliseconds()[1]);
            let (frame, share) = (at.frame_ms, 100.0 / at.times_its_arithmetic);
            let _ =
                writeln!(text, "{:>12} {vision:>9.1} {words:>9.1} {frame:>9.1}    {share:>13.0} %", at.image_tokens);
        }
        if let Some((now, highest)) = resident_mib() {
            let _ = writeln!(text, "\nresident {now} MiB, at most {highest} MiB");
        }
        text
    }

    /// For programs.
    pub fn json(&self, measured: &Measured, growth: &[Measured]) -> String {
        let stages: serde_json::Map<_, _> = measured
            .stages()
            .map(|(row, operations)| {
                let [min, median, p99] = row.milliseconds();
                let stage = json!({ "min_ms": min, "median_ms": median, "p99_ms": p99, "operations": operations });
                (row.name.to_string(), stage)
            })
            .collect();
        let of_size = |at: &Measured| {
            let operations: f64 = at.operations.iter().take(3).flatten().sum();
            json!({ "image_tokens": at.image_tokens, "frame_ms": at.frame_ms, "times_its_arithmetic": at.times_its_arithmetic, "operations": operations })
        };
        let memory = resident_mib();
        json!({
            "vectors": Vectors::in_use().set().name(),
            "stages": stages,
            "frame_ms": measured.frame_ms,
            "times_its_arithmetic": measured.times_its_arithmetic,
            "gemm_peak_operations_per_s": measured.peak,
            "growth": growth.iter().map(of_size).collect::<Vec<_>>(),
            "resident_mib": memory.map(|(now, _)| now),
            "highest_resident_mib": memory.map(|(_, highest)| highest),
        })
        .to_string()
            + "\n"
    }

    /// For people who would rather look.
    pub fn chart(&self, measured: &Measured) -> StageChart {
        let bar = |(row, operations): (&Row, Option<f64>)| StageBar {
            name: row.name.into(),
            milliseconds: row.milliseconds(),
            ideal: operations.map(|operations| operations / measured.peak * 1e3),
        };
        StageChart {
            title: format!("A frame of the shape {}", self.shape()),
            subtitle: format!(
                "random weights, {} tokens, f32 products at most {:.0} GF/s",
                measured.sequence,
                measured.peak / 1e9
            ),
            stages: measured.stages().map(bar).collect(),
        }
    }
}
