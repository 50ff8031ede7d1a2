//! What the robot's outline would touch where it stood (costmap_model.cpp, footprint_helper.cpp).

use planner_tuner_core::pose::{Pose, Position};

use super::rollout::Rejection;
use crate::footprint::Footprint;
use crate::grid::{Cell, CostGrid, FREE, LETHAL, UNKNOWN};

/// The footprint against one costmap. Only the outline counts, not what is inside it.
#[derive(Debug, Clone)]
pub(super) struct Outline {
    footprint: Footprint,
    /// For every cell: nothing within the robot's reach of it costs anything or lies off the map. The outline's cost is 0
    /// there, whatever the heading; most of a drive is spent in such cells.
    clear: Vec<bool>,
    /// Scratch: the same along rows only.
    clear_in_row: Vec<bool>,
}

impl Outline {
    pub(super) fn new(footprint: Footprint) -> Self {
        Self { footprint, clear: Vec::new(), clear_in_row: Vec::new() }
    }

    pub(super) fn footprint(&self) -> &Footprint {
        &self.footprint
    }

    /// Looks at a new state of the costmap.
    pub(super) fn look_at(&mut self, grid: &CostGrid) {
        let geometry = grid.geometry();
        // One more than the corners' distance: the centre can be anywhere in its cell.
        let reach = (self.footprint.circumscribed_radius() / geometry.resolution).ceil() as usize + 1;
        let (width, height) = (geometry.width, geometry.height);
        self.clear_in_row.clear();
        self.clear_in_row.resize(geometry.len(), false);
        self.clear.clear();
        self.clear.resize(geometry.len(), false);
        for y in 0..height {
            let row = y * width..(y + 1) * width;
            let is_free = |x: usize| grid.costs()[row.start + x] == FREE;
            mark_clear(width, reach, is_free, |x| self.clear_in_row[row.start + x] = true);
        }
        for x in 0..width {
            let is_free = |y: usize| self.clear_in_row[y * width + x];
            mark_clear(height, reach, is_free, |y| self.clear[y * width + x] = true);
        }
    }

    /// The highest cost that the outline touches at a pose whose centre is in `centre`.
    pub(super) fn cost(&self, grid: &CostGrid, pose: Pose, centre: Cell) -> Result<u8, Rejection> {
        let geometry = grid.geometry();
        if self.clear[geometry.index(centre)] {
            return Ok(FREE);
        }
        let mut corners = self.footprint.at(pose).map(|[x, y]| geometry.cell_at(x, y));
        let first = corners.next().flatten().ok_or(Rejection::FootprintOffMap)?;
        let mut highest = FREE;
        let mut from = first;
        for to in corners.chain(std::iter::once(Some(first))) {
            let to = to.ok_or(Rejection::FootprintOffMap)?;
            for cell in Line::between(from, to) {
                match grid.cost(cell) {
                    LETHAL => return Err(Rejection::Obstacle),
                    UNKNOWN => return Err(Rejection::Unknown),
                    cost => highest = highest.max(cost),
                }
            }
            from = to;
        }
        Ok(highest)
    }
}

/// Calls `mark` for every place of a line of `length` whose neighbours up to `reach` away are all there and free.
fn mark_clear(length: usize, reach: usize, is_free: impl Fn(usize) -> bool, mut mark: impl FnMut(usize)) {
    let mut free = 0;
    for place in 0..length {
        free = if is_free(place) { free + 1 } else { 0 };
        if free > 2 * reach {
            mark(place - reach);
        }
    }
}

/// The cells of a grid that the robot covers, as indices: its outline and what is inside. Where a corner is off the map, the
/// part of the outline before it.
pub fn robot_cells(grid: &CostGrid, footprint: &Footprint, pose: Pose, cells: &mut Vec<usize>) {
    cells.clear();
    let geometry = grid.geometry();
    // As there: the centre goes through f32.
    let position = Position { x: f64::from(pose.position.x as f32), y: f64::from(pose.position.y as f32) };
    let pose = Pose { position, yaw: f64::from(pose.yaw as f32) };
    let mut corners = footprint.at(pose).map(|[x, y]| geometry.cell_at(x, y));
    let Some(first) = corners.next().flatten() else { return };
    let mut from = first;
    let (mut lowest_x, mut highest_x) = (first.x, first.x);
    for to in corners.chain(std::iter::once(Some(first))) {
        let Some(to) = to else { return };
        cells.extend(Line::between(from, to).map(|cell| geometry.index(cell)));
        (lowest_x, highest_x) = (lowest_x.min(to.x), highest_x.max(to.x));
        from = to;
    }
    let outline = cells.len();
    for x in lowest_x..=highest_x {
        let rows =
            cells[..outline].iter().filter(|index| *index % geometry.width == x).map(|index| index / geometry.width);
        let (lowest, highest) = rows.fold((usize::MAX, 0), |(lowest, highest), y| (lowest.min(y), highest.max(y)));
        cells.extend((lowest..highest).map(|y| y * geometry.width + x));
    }
}

/// The cells between two, both included (`base_local_planner::LineIterator`).
#[derive(Debug, Clone)]
struct Line {
    x: isize,
    y: isize,
    /// The step along the longer side, and the one along the shorter.
    along: (isize, isize),
    across: (isize, isize),
    longer: usize,
    shorter: usize,
    error: usize,
    left: usize,
}

impl Line {
    fn between(from: Cell, to: Cell) -> Self {
        let (dx, dy) = (from.x.abs_diff(to.x), from.y.abs_diff(to.y));
        let step_x = if to.x >= from.x { 1 } else { -1 };
        let step_y = if to.y >= from.y { 1 } else { -1 };
        let (along, across, longer, shorter) =
            if dx >= dy { ((step_x, 0), (0, step_y), dx, dy) } else { ((0, step_y), (step_x, 0), dy, dx) };
        let (x, y) = (from.x as isize, from.y as isize);
        Self { x, y, along, across, longer, shorter, error: longer / 2, left: longer + 1 }
    }
}

impl Iterator for Line {
    type Item = Cell;

    fn next(&mut self) -> Option<Cell> {
        self.left = self.left.checked_sub(1)?;
        let cell = Cell { x: self.x as usize, y: self.y as usize };
        self.error += self.shorter;
        if self.error >= self.longer {
            self.error -= self.longer;
            self.x += self.across.0;
            self.y += self.across.1;
        }
        self.x += self.along.0;
        self.y += self.along.1;
        Some(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::GridGeometry;

    const GEOMETRY: GridGeometry =
        GridGeometry { width: 30, height: 20, resolution: 0.1, origin_x: -1.5, origin_y: -1.0 };

    fn at(x: f64, y: f64, yaw: f64) -> Pose {
        Pose { position: Position { x, y }, yaw }
    }

    fn outline_cost(grid: &CostGrid, pose: Pose) -> Result<u8, Rejection> {
        let mut outline = Outline::new(Footprint::jackal());
        outline.look_at(grid);
        outline.cost(grid, pose, GEOMETRY.cell_at(pose.position.x, pose.position.y).unwrap_or(Cell { x: 0, y: 0 }))
    }

    #[test]
    fn a_line_has_both_ends_and_no_gap() {
        let line: Vec<(usize, usize)> =
            Line::between(Cell { x: 5, y: 1 }, Cell { x: 1, y: 3 }).map(|cell| (cell.x, cell.y)).collect();
        assert_eq!(line, [(5, 1), (4, 2), (3, 2), (2, 3), (1, 3)]);
        assert_eq!(Line::between(Cell { x: 2, y: 2 }, Cell { x: 2, y: 2 }).count(), 1);
    }

    #[test]
    fn only_the_outline_is_looked_at() {
        let mut grid = CostGrid::filled(GEOMETRY, FREE);
        let inside = GEOMETRY.cell_at(0.0, 0.0).unwrap_or(Cell { x: 0, y: 0 });
        grid.set(inside, LETHAL);
        assert_eq!(outline_cost(&grid, at(0.0, 0.0, 0.0)), Ok(FREE));
        assert_eq!(outline_cost(&grid, at(0.3, 0.0, 0.0)), Ok(FREE));
        assert_eq!(outline_cost(&grid, at(0.33, 0.0, 0.0)), Err(Rejection::Obstacle));
    }

    #[test]
    fn the_highest_cost_counts_and_inscribed_is_no_contact() {
        let mut grid = CostGrid::filled(GEOMETRY, FREE);
        for (y, cost) in [(9, 40), (10, 253)] {
            grid.set(Cell { x: 18, y }, cost);
        }
        assert_eq!(outline_cost(&grid, at(0.0, 0.0, 0.0)), Ok(253));
    }

    #[test]
    fn off_the_map_is_off_the_map() {
        let grid = CostGrid::filled(GEOMETRY, FREE);
        assert_eq!(outline_cost(&grid, at(-1.25, 0.0, 0.0)), Err(Rejection::FootprintOffMap));
        let mut cells = Vec::new();
        robot_cells(&grid, &Footprint::jackal(), at(-1.25, 0.0, 0.0), &mut cells);
        assert!(cells.is_empty());
    }
}
