//! Random numbers for exploration and training: the same for a seed on every machine, with a state that can be written
//! down, so that a resumed training draws what an uninterrupted one draws.

use serde::{Deserialize, Serialize};

/// xoshiro256++ by Blackman and Vigna, seeded by SplitMix64. The same on every machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// A generator for a seed.
    pub fn new(seed: u64) -> Self {
        let mut seeds = SplitMix::new(seed);
        Self { state: [(); 4].map(|()| seeds.bits()) }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        uniform(self.bits())
    }

    /// Uniform below `end`, which is not 0; 0 where it is.
    pub fn below(&mut self, end: usize) -> usize {
        // The upper half of a product: biased by less than end / 2^64.
        ((u128::from(self.bits()) * end as u128) >> 64) as usize
    }

    /// Normal with mean 0 and standard deviation 1.
    pub fn normal(&mut self) -> f32 {
        normal([self.bits(), self.bits()]) as f32
    }
}

/// SplitMix64 by Steele, Lea and Flood: one number of state, enough for the noise of a drive and for seeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitMix {
    state: u64,
}

impl SplitMix {
    /// A generator for a seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Normal with mean 0 and standard deviation 1.
    pub fn normal(&mut self) -> f64 {
        normal([self.bits(), self.bits()])
    }
}

/// The upper 53 bits as a number in [0, 1).
fn uniform(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// N(0, 1) of two uniform draws, by Box and Muller.
fn normal([radius, angle]: [u64; 2]) -> f64 {
    let radius = (-2.0 * (1.0 - uniform(radius)).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(angle)).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sequence() {
        // From the reference implementation with state 1, 2, 3, 4.
        let mut random = Random { state: [1, 2, 3, 4] };
        let expected =
            [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386, 9_228_616_714_210_784_205];
        assert_eq!(expected.map(|_| random.bits()), expected);
    }

    #[test]
    fn moments_of_the_normal_distribution() {
        let mut random = Random::new(3);
        let draws: Vec<f64> = (0..100_000).map(|_| random.normal().into()).collect();
        let moment = |power: i32| draws.iter().map(|draw| draw.powi(power)).sum::<f64>() / draws.len() as f64;
        assert!(moment(1).abs() < 0.02, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.02, "{}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.15, "{}", moment(4));
    }

    #[test]
    fn numbers_below_a_limit_are_even() {
        let mut random = Random::new(4);
        let mut counts = [0_u32; 5];
        for _ in 0..50_000 {
            if let Some(count) = counts.get_mut(random.below(5)) {
                *count += 1;
            }
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        assert_eq!(random.below(0), 0);
    }
}
