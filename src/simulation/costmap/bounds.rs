//! The part of the world that an update changes.

/// A rectangle, m.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub(super) min: [f64; 2],
    pub(super) max: [f64; 2],
}

impl Bounds {
    /// Nothing yet.
    pub(super) const EMPTY: Self = Self { min: [1e30; 2], max: [-1e30; 2] };
    /// Everything.
    pub(super) const ALL: Self = Self { min: [-f32::MAX as f64; 2], max: [f32::MAX as f64; 2] };

    /// Includes a point.
    pub(super) fn touch(&mut self, x: f64, y: f64) {
        self.min = [self.min[0].min(x), self.min[1].min(y)];
        self.max = [self.max[0].max(x), self.max[1].max(y)];
    }

    /// What includes both.
    pub(super) fn union(self, other: Self) -> Self {
        Self {
            min: [self.min[0].min(other.min[0]), self.min[1].min(other.min[1])],
            max: [self.max[0].max(other.max[0]), self.max[1].max(other.max[1])],
        }
    }

    /// Larger by `margin` on each side.
    pub(super) fn grown(self, margin: f64) -> Self {
        Self { min: self.min.map(|value| value - margin), max: self.max.map(|value| value + margin) }
    }
}

/// A rectangle of cells; the ends are not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CellWindow {
    pub(super) x: [usize; 2],
    pub(super) y: [usize; 2],
}
