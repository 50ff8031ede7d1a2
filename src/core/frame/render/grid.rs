//! The ground and its grid.

use super::canvas::{Canvas, Colour, SIDE};

const GROUND: Colour = [205, 205, 205];
const LINE: Colour = [120, 120, 120];
/// Distance of the grid lines, pixels (1 m).
const SPACING: i64 = 100;

/// Covers everything: the ground, and a line at every multiple of a metre in both directions.
pub(super) fn draw(canvas: &mut Canvas<'_>) {
    for row in 0..SIDE {
        if row % SPACING == 0 {
            canvas.fill_row(row, 0, SIDE - 1, LINE);
        } else {
            canvas.fill_row(row, 0, SIDE - 1, GROUND);
            for column in (0..SIDE).step_by(SPACING as usize) {
                canvas.fill_row(row, column, column, LINE);
            }
        }
    }
}
