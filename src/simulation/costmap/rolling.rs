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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::costmap::CostmapSettings;
    use crate::grid::FREE;

    fn followed(places: &[f64]) -> f64 {
        let mut grid = CostGrid::filled(CostmapSettings::local().geometry, FREE);
        places.iter().for_each(|x| follow(&mut grid, *x, 0.0, FREE));
        grid.geometry().origin_x
    }

    #[test]
    fn a_grid_lies_half_of_seven_metres_ninety_five_behind_the_robot() {
        // 3.975 m, of which whole cells count.
        assert!((followed(&[0.0]) + 3.9).abs() < 1e-12);
    }

    #[test]
    fn it_moves_only_when_a_whole_cell_is_missing_on_either_side() {
        let first = followed(&[0.0]);
        assert_eq!(followed(&[0.0, 0.1]), first);
        assert_eq!(followed(&[0.0, -0.02]), first);
        assert!((followed(&[0.0, 0.2]) - first - 0.1).abs() < 1e-12);
        assert!((followed(&[0.0, -0.03]) - first + 0.1).abs() < 1e-12);
    }
}
