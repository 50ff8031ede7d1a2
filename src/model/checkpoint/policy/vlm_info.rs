//! The base that a policy was trained on.

use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::pickle::{Pickle, PickleWriter, Value};
use crate::checkpoint::torch_pickle::read_value;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::path::Path;

/// `P_vlm_info`: the base that a policy was trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VlmInfo {
    /// The supervised checkpoint's path on the machine that trained; kept as it is.
    pub checkpoint_path: String,
    /// Whether the base model was quantised to 4 bits.
    pub use_4bit: bool,
    /// Whether past frames were shown.
    pub use_history: bool,
    /// Whether the adapter was trained, too.
    pub vlm_trainable: bool,
}

impl VlmInfo {
    pub(super) fn open(path: &Path) -> Result<Self, CheckpointError> {
        read_value(path, |pickle| {
            let items = pickle.dict(pickle.root).ok_or_else(|| {
                let found = pickle.describe(pickle.root);
                CheckpointError::malformed(path, format!("it holds {found}, expected a dict"))
            })?;
            let field = |name: &str| {
                items.iter().rev().find(|(key, _)| pickle.text(*key) == Some(name)).map(|(_, value)| *value)
            };
            let wrong = |name: &str, expected: &str| CheckpointError::Field {
                path: path.into(),
                field: name.into(),
                expected: expected.into(),
                found: field(name).map_or("missing".into(), |value| pickle.describe(value)),
            };
            let flag = |name: &str| match field(name) {
                Some(Value::Bool(value)) => Ok(value),
                _ => Err(wrong(name, "True or False")),
            };
            let known = ["checkpoint_path", "use_4bit", "use_history", "vlm_trainable"];
            log_unknown(pickle, items, &known, path);
            Ok(Self {
                checkpoint_path: field("checkpoint_path")
                    .and_then(|value| pickle.text_or_path(value))
                    .ok_or_else(|| wrong("checkpoint_path", "a string or a path"))?
                    .to_string(),
                use_4bit: flag("use_4bit")?,
                use_history: flag("use_history")?,
                vlm_trainable: flag("vlm_trainable")?,
            })
        })
    }
}

fn log_unknown(pickle: &Pickle<'_>, items: &[(Value, Value)], known: &[&str], path: &Path) {
    for (key, _) in items.iter().filter(|(key, _)| !pickle.text(*key).is_some_and(|key| known.contains(&key))) {
        log::debug!("{}: ignoring the unknown field {}", path.display(), pickle.describe(*key));
    }
}

impl VlmInfo {
    /// The pickle of its dict.
    pub(super) fn to_pickle(&self) -> Vec<u8> {
        let flag = |value| Field::Flag(value);
        let fields = [
            ("checkpoint_path", Field::Text(&self.checkpoint_path)),
            ("use_4bit", flag(self.use_4bit)),
            ("use_history", flag(self.use_history)),
            ("vlm_trainable", flag(self.vlm_trainable)),
        ];
        let mut pickle = PickleWriter::new();
        let written: Result<(), Infallible> = pickle.dict(&fields, |pickle, field| {
            match field {
                Field::Text(text) => pickle.text(text),
                Field::Flag(flag) => pickle.bool(*flag),
            }
            Ok(())
        });
        match written {
            Ok(()) => pickle.finish(),
        }
    }
}

enum Field<'a> {
    Text(&'a str),
    Flag(bool),
}
