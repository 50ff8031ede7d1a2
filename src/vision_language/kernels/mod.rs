//! The CPU's way through the few operations that cost the time: each does in one pass over the data what candle's
//! general operations do in several. The plain operations stay beside them, for the GPU and as the tests' oracle.

mod attention;
mod exp;
pub mod gemm;
mod packed_rows;
mod panel_matmul;
mod register_tile;
mod silu_mul;
mod vectors;

pub use attention::{AttentionSpan, attention, is_cpu_f32};
pub use panel_matmul::PanelMatmul;
pub use silu_mul::silu_mul;
