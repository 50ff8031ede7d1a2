//! What the machine can do at best, at the time.

use std::time::{Duration, Instant};

use candle_core::{Device, Result, Tensor};

use super::super::replay::percentile;

const SIDE: usize = 2048;

/// Times a large square f32 product, on all threads, between other measurements: a machine that is shared with others
/// does not do the same all the time.
pub struct PeakWatch {
    matrix: Tensor,
    products: Vec<Duration>,
}

impl PeakWatch {
    /// Looks for the first time.
    pub fn start() -> Result<Self> {
        let mut watch = Self { matrix: Tensor::rand(-1f32, 1., (SIDE, SIDE), &Device::Cpu)?, products: Vec::new() };
        // The first one gets its memory from the system.
        watch.look()?;
        watch.products.clear();
        watch.look()?;
        Ok(watch)
    }

    /// The better of two products.
    pub fn look(&mut self) -> Result<()> {
        let mut best = Duration::MAX;
        for _ in 0..2 {
            let start = Instant::now();
            self.matrix.matmul(&self.matrix)?;
            best = best.min(start.elapsed());
        }
        self.products.push(best);
        Ok(())
    }

    /// Median, operations a second.
    pub fn median(&self) -> f64 {
        let mut sorted = self.products.clone();
        sorted.sort_unstable();
        operations() / percentile(&sorted, 50).as_secs_f64()
    }

    /// Median over `times`, each taken between two looks, of what `operations` would have taken at the speed around it.
    pub fn median_ratio(&self, times: &[Duration], of_each: f64) -> f64 {
        let around = self.products.iter().zip(self.products.iter().skip(1));
        let ratio = |(time, (before, after)): (&Duration, (&Duration, &Duration))| {
            let product = (before.as_secs_f64() + after.as_secs_f64()) / 2.0;
            time.as_secs_f64() / (of_each / operations() * product)
        };
        let mut ratios: Vec<f64> = times.iter().zip(around).map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// Of a product.
fn operations() -> f64 {
    2.0 * (SIDE as f64).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_held_against_the_products_around_it() {
        let second = Duration::from_secs;
        let matrix = Tensor::zeros(1, candle_core::DType::F32, &Device::Cpu).unwrap();
        let watch = PeakWatch { matrix, products: vec![second(1), second(1), second(3), second(3)] };
        // Twice the product's operations: 2, 4 and 6 s at the speeds of the time.
        let ratio = watch.median_ratio(&[second(3), second(8), second(6)], 2.0 * operations());
        assert_eq!(ratio, 1.5);
    }
}
