//! The CPU's way through the few operations that cost the time: each does in one pass over the data what candle's
//! general operations do in several. The plain operations stay beside them, for the GPU and as the tests' oracle.

mod attention;
mod attention_plan;
mod device_trial;
mod dropout;
mod exp;
mod frozen_dense;
mod frozen_product;
mod gated_mlp;
pub mod gemm;
mod learned_attention;
mod linear_weights;
mod packed_rows;
mod panel_matmul;
mod register_tile;
mod split_heads;
mod trial;
mod work_split;

pub use attention::{AttentionSpan, attention, is_cpu_f32};
pub use attention_plan::AttentionPlan;
pub use device_trial::DeviceTrial;
pub use dropout::DropoutMask;
pub use frozen_dense::FrozenDense;
pub use frozen_product::{AdaptedProduct, FrozenProduct};
pub use gated_mlp::GatedMlp;
pub use learned_attention::LearnedAttention;
pub use linear_weights::LinearWeights;
pub(crate) use packed_rows::{TILE_ROWS, TileColumn};
pub use panel_matmul::PanelMatmul;
pub(crate) use register_tile::{TileSums, multiply_tile};
pub use split_heads::{Heads, SplitHeads};
pub use trial::VectorTrial;
