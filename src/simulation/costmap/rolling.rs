//! A grid that moves with the robot (`Costmap2D::updateOrigin`).

use crate::grid::{CostGrid, GridGeometry};

/// Moves a grid by whole cells so that the robot is about in its middle; what comes in gets the cost `fill`.
pub(super) fn follow(grid: &mut CostGrid, x: f64, y: f64, fill: u8) {
    let GridGeometry { width, height, resolution, origin_x, origin_y } = *grid.geometry();
    // The size that the original takes for the whole one is half a cell smaller.
    let size = |cells: usize| (cells as f64 - 1.0 + 0.5) * resolution;
    // Rounded towards zero: the grid stays until a whole cell is missing, on whichever side.
    let cells = |wanted: f64, origin: f64| ((wanted - origin) / resolution) as i64;
    let right = cells(x - size(width) / 2.0, origin_x);
    let up = cells(y - size(height) / 2.0, origin_y);
    if right == 0 && up == 0 {
        return;
    }
    let origin = |origin: f64, cells: i64| origin + cells as f64 * resolution;
    grid.move_by(right, up, fill, [origin(origin_x, right), origin(origin_y, up)]);
}
