//! Hidden states come out: a frozen Qwen2.5-VL, forward only.

pub mod hub;
pub mod processor;
