//! Tensors from files become layers, strictly: every missing, extra or mis-shaped one is named in one message, and what
//! the memory will hold is known before anything is read.

mod budget;
mod error;
mod lora;
mod lora_targets;
mod merged;
mod names;
pub mod nf4;
mod panel_source;
mod quantised;
mod random;
mod source;
mod strict;
mod survey;

pub use budget::MemoryBudget;
pub use error::WeightError;
pub(crate) use error::shortened_list;
pub use lora::LoraAdapter;
pub use lora_targets::LoraTargets;
pub use merged::MergedWeights;
pub use panel_source::{Bf16Matrix, DenseMatrix, F32Matrix, PANEL, PanelRow, PanelSource, Widen};
pub use random::RandomWeights;
pub use source::WeightSource;
pub use strict::{LoadPlan, load_checked, load_strictly};
