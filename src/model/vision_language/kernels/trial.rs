//! The kernels with some vectors beside the same kernels without: whether a processor computes what it should.

use candle_core::{Device, Result, Tensor};
use half::bf16;

use super::linear_weights::LinearWeights;
use super::panel_matmul::PanelMatmul;
use crate::vectors::Vectors;
use crate::weights::nf4::{AbsmaxFormat, Nf4Matrix, Nf4Panels};
use crate::weights::{Bf16Matrix, PANEL, PanelRow, PanelSource};

/// Neither a whole number of panels nor of 4-bit blocks.
const SHAPE: [usize; 2] = [2 * PANEL + 7, 150];
/// More than one tile of rows.
const ROWS: usize = 17;

/// How some vectors differ from [`Vectors::BASELINE`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VectorTrial {
    /// 4-bit and bf16 weights that became another f32 number; 0 where all is well.
    pub other_weights: usize,
    /// Largest difference in a product with them, relative to the product's largest number; below
    /// [`PRODUCT_BAR`](Self::PRODUCT_BAR) where all is well.
    pub product_distance: f32,
}

impl VectorTrial {
    /// What rounding may make of a product.
    pub const PRODUCT_BAR: f32 = 1e-5;

    /// Widens a small matrix of each format, and multiplies with it.
    ///
    /// # Errors
    /// What candle reports.
    pub fn run(vectors: Vectors) -> Result<Self> {
        let [outputs, inputs] = SHAPE;
        let values = waves(outputs * inputs, 0.37);
        let nf4 = Nf4Matrix::quantise(&values, SHAPE, AbsmaxFormat::Double).map_err(candle_core::Error::wrap)?;
        let narrow: Vec<bf16> = values.iter().map(|&value| bf16::from_f32(value)).collect();
        let narrow = Bf16Matrix::new(&narrow, SHAPE).ok_or_else(|| candle_core::Error::Msg("no such matrix".into()))?;
        let xs = Tensor::from_vec(waves(ROWS * inputs, 0.73), (ROWS, inputs), &Device::Cpu)?;
        let mut trial = Self { other_weights: 0, product_distance: 0.0 };
        for weights in [&Nf4Panels::new(&nf4) as &dyn PanelSource, &narrow] {
            let [found, plain] = [vectors, Vectors::BASELINE].map(|vectors| widened(weights, vectors));
            trial.other_weights += found.iter().zip(&plain).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
            let product = |vectors| {
                let layer = LinearWeights { weights, bias: None };
                xs.apply_op1_no_bwd(&PanelMatmul { layer, vectors })?.flatten_all()?.to_vec1::<f32>()
            };
            let (found, plain) = (product(vectors)?, product(Vectors::BASELINE)?);
            let largest = plain.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            for (found, plain) in found.iter().zip(&plain) {
                let distance = (found - plain).abs() / largest;
                // `f32::max` would swallow a NaN.
                if distance.is_nan() || distance > trial.product_distance {
                    trial.product_distance = distance;
                }
            }
        }
        Ok(trial)
    }

    /// Whether the vectors may be trusted.
    pub fn passed(&self) -> bool {
        self.other_weights == 0 && self.product_distance < Self::PRODUCT_BAR
    }
}

fn widened(weights: &dyn PanelSource, vectors: Vectors) -> Vec<f32> {
    let mut room: Vec<PanelRow> = vec![[0.0; PANEL]; weights.cols()];
    let panels = 0..weights.rows().div_ceil(PANEL);
    panels.flat_map(|panel| weights.panel(panel, 0..weights.cols(), vectors, &mut room).concat()).collect()
}

fn waves(count: usize, step: f32) -> Vec<f32> {
    (0..count).map(|at| (at as f32 * step).sin()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_processor_passes_with_all_that_it_has() {
        for vectors in Vectors::available() {
            let trial = VectorTrial::run(vectors).unwrap();
            assert!(trial.passed(), "{}: {trial:?}", vectors.set());
        }
        let baseline = VectorTrial::run(Vectors::BASELINE).unwrap();
        assert_eq!(baseline, VectorTrial { other_weights: 0, product_distance: 0.0 });
    }

    #[test]
    fn one_other_weight_a_far_product_and_a_nan_do_not_pass() {
        let good = VectorTrial { other_weights: 0, product_distance: 1e-6 };
        assert!(good.passed());
        assert!(!VectorTrial { other_weights: 1, ..good }.passed());
        for product_distance in [1e-4, f32::INFINITY, f32::NAN] {
            assert!(!VectorTrial { product_distance, ..good }.passed());
        }
    }
}
