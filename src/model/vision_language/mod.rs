//! Hidden states come out: a frozen Qwen2.5-VL, forward only.
//!
//! Written for this purpose: one image, one prompt, no generation, no `lm_head`. The road is [`processor`] (pixels and
//! words to patches and token ids), [`vision`] (patches to image tokens), [`text`] (tokens to hidden states); the last
//! four hidden states leave as [`HiddenStates`]. Follows `modeling_qwen2_5_vl.py` of Hugging Face transformers.

mod block_gradient;
mod config;
mod cuda;
mod embed_tokens;
mod error;
mod geometry_cache;
mod hidden_states;
pub mod hub;
pub mod kernels;
mod linear;
mod lora_pair;
mod model;
mod nf4_on_device;
mod precision;
mod prefix_cache;
pub mod processor;
mod rms_norm;
mod rotary_table;
mod softmax;
mod swiglu;
pub mod text;
pub mod vision;

pub use block_gradient::GradientSink;
pub use config::{ConfigError, LongestText, ModelConfig, Rope, TextConfig, VisionConfig};
pub use error::ModelError;
pub use hidden_states::{HiddenStates, Prefix, StateVariables};
pub(crate) use kernels::DropoutMask;
pub use linear::{Linear, LinearVisitor};
pub use lora_pair::{Dropout, DropoutStep, LoraPair};
pub use model::{ForwardPass, VisionLanguageModel};
pub use precision::{Precision, Quantize, WeightFormat};
pub(crate) use softmax::softmax_last_dim;
