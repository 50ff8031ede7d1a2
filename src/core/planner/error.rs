//! What can be wrong with a planner file or with the numbers a head gives.

use std::path::PathBuf;

/// Why a planner file or a set of values was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlannerError {
    /// No shipped planner has this name.
    #[error("no planner is called '{name}', built in are {known}{hint}; name one of them or a planner YAML file")]
    UnknownPlanner {
        /// What was asked for.
        name: String,
        /// The built-in names.
        known: String,
        /// The nearest built-in name as a half-sentence, or nothing.
        hint: String,
    },
    /// The planner file cannot be read.
    #[error("planner file {path}: {source}; check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The planner file is not what config/planners/dwa.yaml shows: syntax, keys, ranges, defaults.
    #[error("planner file {file}: {problem}{hint}")]
    Invalid {
        /// The file.
        file: String,
        /// Where (parameter, line and column) and what.
        problem: serde_yaml::Error,
        /// The nearest known key as a half-sentence, or nothing.
        hint: String,
    },
    /// Too few or too many numbers for this planner.
    #[error(
        "{planner} takes {expected} values from a {head}, found {found}; was the checkpoint trained for {planner}?"
    )]
    Length {
        /// The planner's name.
        planner: String,
        /// `policy action` or `regression head`.
        head: &'static str,
        /// How many values the planner takes.
        expected: String,
        /// How many there were.
        found: usize,
    },
    /// A head gave NaN or an infinity.
    #[error("{planner} {parameter}: the {head} gave {value}, expected a finite number; nothing is set")]
    NotFinite {
        /// The planner's name.
        planner: String,
        /// The parameter (or prediction) concerned.
        parameter: String,
        /// `policy action` or `regression head`.
        head: &'static str,
        /// What it gave.
        value: f32,
    },
}
