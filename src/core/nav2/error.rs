//! What can be wrong with a mapping.

use std::path::PathBuf;

/// Why a mapping was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MappingError {
    /// No shipped mapping has this name.
    #[error("no mapping is called '{name}', built in are {known}{hint}; name one of them or a mapping YAML file")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The built-in names.
        known: String,
        /// The nearest built-in name as a half-sentence, or nothing.
        hint: String,
    },
    /// The file cannot be read.
    #[error("mapping file {path}: {source}; check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not what config/nav2/nav2_dwb.yaml shows.
    #[error("mapping file {file}: {problem}{hint}")]
    Syntax {
        /// The file.
        file: String,
        /// Where (line and column) and what.
        problem: serde_yaml::Error,
        /// The nearest known key as a half-sentence, or nothing.
        hint: String,
    },
    /// The keys and types are right, what they say is not.
    #[error("mapping file {file}: {problem}")]
    Invalid {
        /// The file.
        file: String,
        /// What.
        problem: InvalidMapping,
    },
}

/// What a mapping says that cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMapping {
    /// Made for another planner.
    #[error("planner is {expected}, but the policy tunes {found}; choose a mapping for {found}")]
    Planner {
        /// The planner in the file.
        expected: String,
        /// The planner in use.
        found: String,
    },
    /// A name that the planner does not have.
    #[error("{place}: {planner} has no parameter '{name}'{hint}")]
    Parameter {
        /// The part of the file.
        place: &'static str,
        /// The planner's name.
        planner: String,
        /// What the file says.
        name: String,
        /// The nearest name as a half-sentence, or nothing.
        hint: String,
    },
    /// A planner parameter that the file forgot.
    #[error("{planner}'s {name} is neither under parameters nor under without_twin; say where it goes or why nowhere")]
    Forgotten {
        /// The planner's name.
        planner: String,
        /// The parameter.
        name: String,
    },
    /// A value that cannot be.
    #[error("{parameter}: {field} is {found}, expected {expected}")]
    Field {
        /// The parameter, or the part of the file.
        parameter: String,
        /// The key.
        field: &'static str,
        /// What the file says.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// Two targets are one.
    #[error("{first} and {second} both go to {ros_parameter} of {node}; remove one")]
    Twice {
        /// A planner parameter.
        first: String,
        /// Another, or the same.
        second: String,
        /// The ROS parameter.
        ros_parameter: String,
        /// Its node.
        node: String,
    },
    /// A top-level parameter of the controller server.
    #[error(
        "{parameter}: {node} refuses top-level parameters such as {ros_parameter} while it drives, and the whole batch \
         with it; map to a parameter of a plugin (with a dot in its name)"
    )]
    TopLevel {
        /// The planner parameter.
        parameter: String,
        /// The node.
        node: String,
        /// The ROS parameter.
        ros_parameter: String,
    },
    /// Targets where none are used, or none where they are.
    #[error("sink is {sink}, so parameters {expected}")]
    Sink {
        /// The kind of sink.
        sink: &'static str,
        /// What is expected.
        expected: &'static str,
    },
}
