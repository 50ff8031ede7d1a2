//! An updated policy: twin delayed deterministic policy gradients from logged steps.

mod mlp;
mod random;

pub use mlp::{Activations, Mlp, NamedTensor};
pub use random::Random;
