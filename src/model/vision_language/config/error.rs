//! Why a `config.json` is no model that can be built.

use std::io;

/// What is wrong with a `config.json`. Every message names the field.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is missing, unreadable or far too large.
    #[error("{0}")]
    Read(#[source] io::Error),
    /// It is no JSON object.
    #[error("not a JSON object: {0}")]
    Json(#[source] serde_json::Error),
    /// It is the configuration of a model without a vision tower.
    #[error("field vision_config is missing; expected a Qwen2.5-VL model's config.json")]
    NoVision,
    /// A value of another kind, out of its bounds, or not implemented.
    #[error("{field} is {found}, expected {expected}")]
    Value {
        /// The field, with the part it stands in.
        field: String,
        /// Its value, shortened.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// Two fields that mean the same and do not say the same.
    #[error("{first} is {one} and {second} is {other}, expected the same; remove the one that is wrong")]
    Contradiction {
        /// A field.
        first: String,
        /// Its value, shortened.
        one: String,
        /// The other field.
        second: String,
        /// Its value, shortened.
        other: String,
    },
    /// Two dicts about rotary frequencies that do not say the same.
    #[error(
        "{first} (type '{one}') and {second} (type '{other}') do not say the same in every field; remove the one that is \
         wrong"
    )]
    Ropes {
        /// A dict.
        first: String,
        /// Its type.
        one: String,
        /// The other dict.
        second: String,
        /// Its type.
        other: String,
    },
    /// Sizes that no model has together.
    #[error("{0}")]
    Sizes(String),
    /// A field whose feature is not implemented, in the words of the message.
    #[error("{0}")]
    Unsupported(String),
}

impl ConfigError {
    /// A value that is not what is expected.
    pub(super) fn value(field: impl Into<String>, found: impl ToString, expected: impl Into<String>) -> Self {
        Self::Value { field: field.into(), found: found.to_string(), expected: expected.into() }
    }
}
