//! Window attention's bookkeeping: which patches attend to each other.

use crate::vision_language::kernels::{AttentionPlan, AttentionSpan};

/// Patches grouped by attention window.
///
/// HF's `get_window_index` walks the windows from the top left and pads those at the right and bottom edge away, which
/// leaves runs of different lengths. Attention within a window does not care where the window stands in the sequence,
/// so here the windows of equal size are put next to each other: each group is then one batched product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowPartition {
    order: Vec<u32>,
    groups: Vec<WindowGroup>,
}

/// Who attends to whom in a block: runs of windows, and the same for the kernels.
#[derive(Debug)]
pub struct AttentionPattern {
    /// Windows by size, together the whole sequence.
    pub groups: Vec<WindowGroup>,
    /// The same windows one by one, for the kernels.
    pub plan: AttentionPlan,
}

impl AttentionPattern {
    /// For runs of windows that follow each other.
    pub fn new(groups: Vec<WindowGroup>) -> Self {
        let windows = |group: &WindowGroup| {
            let WindowGroup { start, windows, patches } = *group;
            (0..windows).map(move |window| start + window * patches..start + (window + 1) * patches)
        };
        let spans = groups.iter().flat_map(windows).flat_map(AttentionSpan::full).collect();
        Self { plan: AttentionPlan::new(spans), groups }
    }
}

/// A run of equally large windows in the regrouped sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowGroup {
    /// Index of the first patch in the regrouped sequence.
    pub start: usize,
    /// Number of windows.
    pub windows: usize,
    /// Patches in each window.
    pub patches: usize,
}

impl WindowPartition {
    /// For a grid of `rows x cols` merged tokens, windows of `side x side` tokens, `unit` patches in each token.
    pub fn new(rows: usize, cols: usize, side: usize, unit: usize) -> Self {
        let mut windows: Vec<Vec<u32>> = Vec::new();
        for top in (0..rows).step_by(side) {
            for left in (0..cols).step_by(side) {
                let inside = (top..rows.min(top + side))
                    .flat_map(|row| (left..cols.min(left + side)).map(move |col| (row * cols + col) as u32));
                windows.push(inside.collect());
            }
        }
        // Stable: windows of one size stay in reading order.
        windows.sort_by_key(|window| std::cmp::Reverse(window.len()));
        let mut groups = Vec::new();
        let mut start = 0;
        for run in windows.chunk_by(|a, b| a.len() == b.len()) {
            let patches = run.first().map_or(0, Vec::len) * unit;
            groups.push(WindowGroup { start, windows: run.len(), patches });
            start += run.len() * patches;
        }
        Self { order: windows.concat(), groups }
    }

    /// Token (in image order) at each place of the regrouped sequence.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// Place in the regrouped sequence of each token (in image order).
    pub fn inverse(&self) -> Vec<u32> {
        let mut places: Vec<(u32, u32)> = self.order.iter().copied().zip(0..).collect();
        places.sort_unstable();
        places.into_iter().map(|(_, place)| place).collect()
    }

    /// The runs of equally large windows; together they cover the sequence.
    pub fn groups(&self) -> &[WindowGroup] {
        &self.groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jackal_image_has_24_windows_in_four_sizes() {
        // 588x392 pixels: 14 x 21 tokens, windows of 4 x 4 tokens, 4 patches a token.
        let partition = WindowPartition::new(14, 21, 4, 4);
        let sizes: Vec<_> = partition.groups().iter().map(|g| (g.windows, g.patches)).collect();
        assert_eq!(sizes, [(15, 64), (5, 32), (3, 16), (1, 8)]);
        assert_eq!(partition.groups().last().map(|g| g.start + g.windows * g.patches), Some(14 * 21 * 4));
    }

    #[test]
    fn order_and_inverse_are_permutations() {
        for (rows, cols, side) in [(1, 1, 4), (4, 4, 4), (5, 3, 4), (14, 21, 4), (7, 9, 3)] {
            let partition = WindowPartition::new(rows, cols, side, 4);
            let back: Vec<_> =
                partition.inverse().iter().map(|&place| partition.order().get(place as usize).copied()).collect();
            let expected: Vec<_> = (0..(rows * cols) as u32).map(Some).collect();
            assert_eq!(back, expected);
        }
    }
}
