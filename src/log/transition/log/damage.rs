//! What of a log was lost.

use std::collections::BTreeMap;
use std::path::Path;

use super::check::StepRefusal;
use super::step_fault::StepFault;

/// How much of an episode's log could not be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    /// Bytes behind the last whole record, and of chunks whose checksum does not hold.
    pub lost_bytes: u64,
    /// Numbers between 0 and the last step that no readable step has. How many came after the last one, nobody knows.
    pub lost_steps: u64,
    /// Files that were not completed: their writer was killed, or lost its disk.
    pub cut_files: u64,
    /// The last step says that the episode goes on.
    pub without_end: bool,
    /// Records that were read and not taken, by reason.
    pub refused: BTreeMap<StepRefusal, u64>,
}

impl Damage {
    /// How many refusals of each reason are logged in full; the rest is only counted.
    const LOGGED_IN_FULL: u64 = 3;

    /// Whether everything was used. A file that was not completed has lost nothing if the episode's end is in it.
    pub fn is_empty(&self) -> bool {
        self.lost_bytes == 0 && self.lost_steps == 0 && !self.without_end && self.refused.is_empty()
    }

    /// Records that were not taken.
    pub fn refused_records(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Counts a record that is not taken, and logs the first few of each reason.
    pub(super) fn refuse(&mut self, path: &Path, fault: &StepFault) {
        let refusal = fault.refusal();
        let count = self.refused.entry(refusal).or_default();
        *count += 1;
        if *count <= Self::LOGGED_IN_FULL {
            log::error!("{}: a record is refused: {fault} ({refusal})", path.display());
        } else if *count == Self::LOGGED_IN_FULL + 1 {
            log::error!("{}: more of {refusal}, from here on only counted", path.display());
        }
    }

    /// Counts that go up with more of a file or more files; the others are found when an episode is put together.
    pub(super) fn add(&mut self, other: Self) {
        self.lost_bytes += other.lost_bytes;
        self.cut_files += other.cut_files;
        for (refusal, count) in other.refused {
            *self.refused.entry(refusal).or_default() += count;
        }
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if self.lost_bytes > 0 {
            parts.push(format!("{} bytes lost", self.lost_bytes));
        }
        if self.lost_steps > 0 {
            parts.push(format!("{} steps lost", self.lost_steps));
        }
        if self.without_end {
            parts.push("the episode's end is missing".to_owned());
        }
        if self.cut_files > 0 {
            parts.push(format!("{} files not completed", self.cut_files));
        }
        parts.extend(self.refused.iter().map(|(refusal, count)| format!("{count} records refused: {refusal}")));
        f.write_str(&if parts.is_empty() { "nothing lost".to_owned() } else { parts.join(", ") })
    }
}
