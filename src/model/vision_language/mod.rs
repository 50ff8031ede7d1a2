//! Hidden states come out: a frozen Qwen2.5-VL, forward only.
//!
//! Written for this purpose: one image, one prompt, no generation, no `lm_head`. The road is [`processor`] (pixels and
//! words to patches and token ids), [`vision`] (patches to image tokens), [`text`] (tokens to hidden states); the last
//! four hidden states leave as [`HiddenStates`]. Follows `modeling_qwen2_5_vl.py` of Hugging Face transformers.

mod config;
mod cuda;
mod embed_tokens;
mod error;
mod geometry_cache;
mod hidden_states;
pub mod hub;
pub mod kernels;
mod linear;
mod model;
mod nf4_on_device;
mod precision;
mod prefix_cache;
pub mod processor;
mod rotary_table;
mod swiglu;
pub mod text;
pub mod vision;

pub use config::{ConfigError, LongestText, ModelConfig, Rope, TextConfig, VisionConfig};
pub use error::ModelError;
pub use hidden_states::{HiddenStates, Prefix};
pub use linear::Linear;
pub use model::VisionLanguageModel;
pub use precision::{Precision, Quantize, WeightFormat};
