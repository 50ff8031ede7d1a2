//! What learns.

use serde::{Deserialize, Serialize};

/// What an update moves, besides the critic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Learns {
    /// The actor's own layer.
    Actor,
    /// DPT head, history encoder and history fusion with it.
    Heads,
    /// The LoRA of the vision-language model with all of them.
    Lora,
}

impl Learns {
    /// What the option `--train` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::Heads => "heads",
            Self::Lora => "lora",
        }
    }
}
