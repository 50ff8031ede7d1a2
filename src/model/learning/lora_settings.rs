//! What a LoRA is made of, before it has learned anything.

use crate::weights::LoraTargets;

/// Rank, scale and layers of a LoRA.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraSettings {
    /// Inner dimension of `B A`.
    pub rank: usize,
    /// The product counts `alpha / rank` times.
    pub alpha: f64,
    /// Share of A's inputs that are left out while learning, in [0, 1).
    pub dropout: f64,
    /// Beside which layers.
    pub targets: LoraTargets,
}
