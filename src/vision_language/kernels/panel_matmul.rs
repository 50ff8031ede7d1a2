//! The product with a matrix that is stored narrower than f32: a panel of its rows is widened, used, and forgotten.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, bail};
use rayon::prelude::*;

use super::attention::values;
use super::gemm::{Matrix, MatrixMut, Workers, multiply};
use crate::weights::PanelSource;

/// Values of a panel: 4 MB of f32, which stays in the last cache.
const PANEL_VALUES: usize = 1 << 20;
/// Rows that one thread widens at a time; a multiple of 16 begins on a block of NF4 wherever columns divide by 4.
const WIDEN_ROWS: usize = 16;

/// `[rows, in] -> [rows, out]`: `x W^T + b` in f32, at the speed of the f32 product.
pub struct PanelMatmul<'w> {
    /// `[out, in]`
    pub weights: &'w dyn PanelSource,
    /// `[out]`
    pub bias: Option<&'w [f32]>,
}

impl CustomOp1 for PanelMatmul<'_> {
    fn name(&self) -> &'static str {
        "panel-matmul"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, cols) = layout.shape().dims2()?;
        let (out_dim, in_dim) = (self.weights.rows(), self.weights.cols());
        if cols != in_dim || self.bias.is_some_and(|bias| bias.len() != out_dim) {
            bail!("a linear layer of {out_dim}x{in_dim} does not take {rows}x{cols} values");
        }
        let inputs = Matrix::new(values(storage, layout)?, rows, cols)?;
        let mut out = match self.bias {
            Some(bias) => bias.repeat(rows),
            None => vec![0f32; rows * out_dim],
        };
        if let Some(weights) = self.weights.as_f32() {
            let into = MatrixMut::new(&mut out, rows, out_dim, out_dim)?;
            let weights = Matrix::new(weights, out_dim, in_dim)?;
            multiply(into, self.bias.is_some(), inputs, weights.t(), Workers::Pool)?;
            return Ok((CpuStorage::F32(out), Shape::from((rows, out_dim))));
        }
        let panel_rows = (PANEL_VALUES / in_dim.max(1)).next_multiple_of(WIDEN_ROWS).min(out_dim.max(1));
        let mut panel = vec![0f32; panel_rows * in_dim];
        for first in (0..out_dim).step_by(panel_rows) {
            let count = panel_rows.min(out_dim - first);
            let Some(panel) = panel.get_mut(..count * in_dim) else { bail!("panel of {count} rows") };
            panel.par_chunks_mut(WIDEN_ROWS * in_dim).enumerate().for_each(|(index, chunk)| {
                let start = first + index * WIDEN_ROWS;
                self.weights.widen_rows(start..start + chunk.len() / in_dim, chunk);
            });
            let Some(columns) = out.get_mut(first..) else { bail!("columns from {first} of {out_dim}") };
            let columns = MatrixMut::new(columns, rows, count, out_dim)?;
            multiply(columns, self.bias.is_some(), inputs, Matrix::new(panel, count, in_dim)?.t(), Workers::Pool)?;
        }
        Ok((CpuStorage::F32(out), Shape::from((rows, out_dim))))
    }
}
