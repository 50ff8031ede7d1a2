//! How often, and from which seed.

use clap::Args;

/// Drives in the same world.
#[derive(Debug, Clone, Args)]
pub struct RepeatArgs {
    /// Drives in each world, of each policy
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeats: u32,
    /// Seed of everything that is random
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl RepeatArgs {
    /// How many drives there are in each world.
    pub fn count(&self) -> u32 {
        self.repeats
    }

    /// A seed for each of them: the same for every world and every policy.
    pub fn seeds(&self) -> impl Iterator<Item = u64> + use<> {
        let first = self.seed.wrapping_mul(1_000_003);
        (0..self.repeats).map(move |repeat| first.wrapping_add(repeat.into()))
    }
}
