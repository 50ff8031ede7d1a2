//! 256 numbers: hidden states and history become the feature.

mod attention_map;

pub use attention_map::AttentionMap;
