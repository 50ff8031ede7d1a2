//! What a linear layer is made of.

use crate::weights::{PANEL, PanelRow, PanelSource};

/// `y = x W^T + b`
#[derive(Clone, Copy)]
pub struct LinearWeights<'w> {
    /// `[out, in]`
    pub weights: &'w dyn PanelSource,
    /// `[out]`
    pub bias: Option<&'w [f32]>,
}

impl LinearWeights<'_> {
    /// Fails unless the layer takes rows of `cols` values.
    pub fn check(&self, rows: usize, cols: usize) -> candle_core::Result<()> {
        let (outputs, inputs) = (self.weights.rows(), self.weights.cols());
        if cols != inputs || self.bias.is_some_and(|bias| bias.len() != outputs) {
            candle_core::bail!("a linear layer of {outputs}x{inputs} does not take {rows}x{cols} values");
        }
        Ok(())
    }

    /// Number of panels.
    pub fn panels(&self) -> usize {
        self.weights.rows().div_ceil(PANEL)
    }

    /// The bias of a panel's outputs; 0 where there is none.
    pub fn bias_of(&self, panel: usize) -> PanelRow {
        let mut row = [0.0; PANEL];
        if let Some(bias) = self.bias {
            row.iter_mut().zip(bias.iter().skip(panel * PANEL)).for_each(|(value, bias)| *value = *bias);
        }
        row
    }
}
