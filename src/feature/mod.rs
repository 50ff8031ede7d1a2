//! 256 numbers: hidden states and history become the feature.

mod attention_map;
mod history_image;

pub use attention_map::AttentionMap;
pub use history_image::HistoryImageProcessor;
