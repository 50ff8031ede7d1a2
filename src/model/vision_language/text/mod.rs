//! Tokens become hidden states: the language model (HF `Qwen2_5_VLTextModel`).

mod attention;
mod decoder;
mod layer;
mod mrope;

pub use decoder::{LayerInputs, PrefixState, TextModel};
pub use mrope::SequenceGeometry;
