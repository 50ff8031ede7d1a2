//! `rounds.csv`: what each round did.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use planner_tuner_core::durable::replace_file;

const FILE: &str = "rounds.csv";

/// A row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// From 1.
    pub round: u32,
    /// Drives that its policy learned from, those of the rounds before included.
    pub drives: usize,
    /// Mean nav metric of the best policy before, in the kept worlds.
    pub before: f64,
    /// That of the new one.
    pub after: f64,
    /// Mean difference in the same worlds, with its 95 % interval.
    pub difference: f64,
    pub difference_low: f64,
    pub difference_high: f64,
    /// Share of drives that reached the goal, before and after.
    pub success_before: f64,
    pub success_after: f64,
    /// Whether the new policy is the best from here on.
    pub is_better: bool,
    /// The best policy after this round.
    pub best: PathBuf,
}

impl Round {
    /// In one line.
    pub fn in_words(&self) -> String {
        format!(
            "round {}: nav metric {:.3} -> {:.3}, difference {:+.3} [{:+.3}, {:+.3}], success {:.1} % -> {:.1} %, {} drives; {}",
            self.round,
            self.before,
            self.after,
            self.difference,
            self.difference_low,
            self.difference_high,
            100.0 * self.success_before,
            100.0 * self.success_after,
            self.drives,
            if self.is_better { "kept" } else { "not kept" }
        )
    }
}

/// The rounds of a folder.
#[derive(Debug, Default)]
pub struct Rounds {
    path: PathBuf,
    rows: Vec<Round>,
}

impl Rounds {
    /// Reads those that a folder has; none where there is no table.
    ///
    /// # Errors
    /// A table that cannot be read, or whose rounds do not follow each other.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(Self { path, rows: Vec::new() });
        }
        let mut table = csv::Reader::from_path(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
        let rows = table.deserialize().collect::<Result<Vec<Round>, _>>();
        let rows = rows.with_context(|| format!("{}: is no table of rounds", path.display()))?;
        for (place, row) in (1_u32..).zip(&rows) {
            ensure!(row.round == place, "{}: row {place} is of round {}, expected {place}", path.display(), row.round);
        }
        Ok(Self { path, rows })
    }

    /// The rounds.
    pub fn rows(&self) -> &[Round] {
        &self.rows
    }

    /// Adds one, and writes the table.
    ///
    /// # Errors
    /// When it cannot be written; the old one is then still there.
    pub fn push(&mut self, round: Round) -> anyhow::Result<()> {
        self.rows.push(round);
        let mut table = csv::Writer::from_writer(Vec::new());
        for row in &self.rows {
            table.serialize(row)?;
        }
        let text = table.into_inner()?;
        replace_file(&self.path, &text).with_context(|| format!("{}: cannot be written", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn round(round: u32) -> Round {
        Round {
            round,
            drives: 40,
            before: 0.1,
            after: 0.2,
            difference: 0.1,
            difference_low: 0.05,
            difference_high: 0.15,
            success_before: 0.8,
            success_after: 0.9,
            is_better: true,
            best: "round_1/training/policy".into(),
        }
    }

    #[test]
    fn rounds_are_written_and_read_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut rounds = Rounds::read(folder.path()).unwrap();
        rounds.push(round(1)).unwrap();
        rounds.push(round(2)).unwrap();
        assert_eq!(Rounds::read(folder.path()).unwrap().rows(), [round(1), round(2)]);
        assert_eq!(
            round(1).in_words(),
            "round 1: nav metric 0.100 -> 0.200, difference +0.100 [+0.050, +0.150], success 80.0 % -> 90.0 %, 40 drives; kept"
        );
        rounds.push(round(7)).unwrap();
        let said = Rounds::read(folder.path()).unwrap_err().to_string();
        assert!(said.contains("row 3 is of round 7, expected 3"), "{said}");
        std::fs::write(folder.path().join(FILE), "a,b\n1,2\n").unwrap();
        assert!(Rounds::read(folder.path()).unwrap_err().to_string().contains("is no table of rounds"));
    }
}
