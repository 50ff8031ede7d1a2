//! Where the model looks: the pooling weights over the image tokens.

/// Attention weights over the merged image tokens, row-major as the image lies (14x21 for 600x400 pixels).
///
/// The softmax runs over the whole sequence, so these weights are its share on the image and sum to at most 1.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionMap {
    rows: usize,
    cols: usize,
    weights: Vec<f32>,
}

impl AttentionMap {
    /// `weights` holds `rows * cols` values; `None` when it does not, or when the map is empty.
    pub fn new(rows: usize, cols: usize, weights: Vec<f32>) -> Option<Self> {
        let fits = rows > 0 && cols > 0 && rows.checked_mul(cols) == Some(weights.len());
        fits.then_some(Self { rows, cols, weights })
    }

    /// Number of token rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of token columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The weights, row by row from the top left.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }
}
