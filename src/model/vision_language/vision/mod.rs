//! Patches become image tokens: the vision tower (HF `Qwen2_5_VisionTransformerPretrainedModel`).

mod attention;
mod block;
mod merger;
mod patch_embed;
mod rotary;
mod tower;
mod window;

pub use tower::{BlockInputs, VisionGeometry, VisionTower};
