//! A path down the slope of a potential, half a cell a step (`NavFn::calcPath`).

#![expect(clippy::indexing_slicing, reason = "axes are 0 and 1")]

use super::potential::{HIGH, NEUTRAL, OBSTACLE, Potential};
use crate::grid::Cell;

/// Length of a step, cells.
const STEP: f32 = 0.5;

/// A path, and the slopes that were computed for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Descent {
    slopes: Vec<[f32; 2]>,
    path: Vec<[f32; 2]>,
}

impl Descent {
    /// The path from the goal to the robot, in cells. One that came to nothing ends where it stopped.
    pub(super) fn path(&self) -> &[[f32; 2]] {
        &self.path
    }

    /// Forgets slopes and path.
    pub(super) fn reset(&mut self, cells: usize) {
        self.slopes.clear();
        self.slopes.resize(cells, [0.0; 2]);
        self.path.clear();
    }

    /// Follows the slope from the goal to the robot, in at most `limit` steps.
    pub(super) fn follow(&mut self, potential: &Potential, robot: Cell, goal: Cell, limit: usize) {
        self.path.clear();
        let width = potential.width();
        let cells = potential.values().len();
        let mut cell = goal.y * width + goal.x;
        let [mut dx, mut dy] = [0.0_f32; 2];
        for _ in 0..limit {
            let right = dx.round() as isize;
            let up = (width as f32 * dy.round()) as isize;
            let nearest = cell.saturating_add_signed(right + up).min(cells.saturating_sub(1));
            if potential.at(nearest) < f32::from(NEUTRAL) {
                self.path.push([robot.x as f32, robot.y as f32]);
                return;
            }
            if cell < width || cell > cells - width {
                return;
            }
            self.path.push([(cell % width) as f32 + dx, (cell / width) as f32 + dy]);
            if self.goes_to_and_fro() || is_beside_unreached(potential, cell) {
                cell = lowest_neighbour(potential, cell);
                [dx, dy] = [0.0; 2];
                if potential.at(cell) >= HIGH {
                    return;
                }
                continue;
            }
            let [x, y] = self.slope_within(potential, cell, dx, dy);
            if x == 0.0 && y == 0.0 {
                return;
            }
            let scale = STEP / x.hypot(y);
            dx += x * scale;
            dy += y * scale;
            if dx > 1.0 {
                cell += 1;
                dx -= 1.0;
            }
            if dx < -1.0 {
                cell -= 1;
                dx += 1.0;
            }
            if dy > 1.0 {
                cell += width;
                dy -= 1.0;
            }
            if dy < -1.0 {
                cell -= width;
                dy += 1.0;
            }
        }
    }

    /// Whether the path is where it was two steps ago.
    fn goes_to_and_fro(&self) -> bool {
        matches!(self.path.as_slice(), [.., before, _, now] if before == now)
    }

    /// The slope between the middles of four cells.
    fn slope_within(&mut self, potential: &Potential, cell: usize, dx: f32, dy: f32) -> [f32; 2] {
        let width = potential.width();
        let corners = [cell, cell + 1, cell + width, cell + width + 1];
        let [here, right, above, diagonal] = corners.map(|corner| self.slope(potential, corner));
        // The first product in double precision, the second in single, as the original's types make it.
        let mix = |share: f32, from: f32, to: f32| {
            ((1.0 - f64::from(share)) * f64::from(from) + f64::from(share * to)) as f32
        };
        let along = |axis: usize| mix(dy, mix(dx, here[axis], right[axis]), mix(dx, above[axis], diagonal[axis]));
        [along(0), along(1)]
    }

    /// The slope at a cell, of length 1 or 0. One with a positive sum is computed once.
    fn slope(&mut self, potential: &Potential, cell: usize) -> [f32; 2] {
        let width = potential.width();
        let cells = potential.values().len();
        let Some(slope) = self.slopes.get_mut(cell) else { return [0.0; 2] };
        if slope[0] + slope[1] > 0.0 || cell < width || cell > cells - width {
            return *slope;
        }
        let here = potential.at(cell);
        let along = |before: usize, behind: usize| {
            let (before, behind) = (potential.at(before), potential.at(behind));
            if here >= HIGH {
                if before < HIGH {
                    -f32::from(OBSTACLE)
                } else if behind < HIGH {
                    f32::from(OBSTACLE)
                } else {
                    0.0
                }
            } else {
                let mut slope = 0.0;
                if before < HIGH {
                    slope += before - here;
                }
                if behind < HIGH {
                    slope += here - behind;
                }
                slope
            }
        };
        let (x, y) = (along(cell - 1, cell + 1), along(cell - width, cell + width));
        let length = x.hypot(y);
        if length > 0.0 {
            let scale = (1.0 / f64::from(length)) as f32;
            *slope = [scale * x, scale * y];
        }
        *slope
    }
}

/// The cell's eight neighbours, row by row. What lies outside wraps to an index that is no cell.
fn neighbours(cell: usize, width: usize) -> [usize; 8] {
    let (below, above) = (cell.wrapping_sub(width), cell + width);
    [below.wrapping_sub(1), below, below.wrapping_add(1), cell - 1, cell + 1, above - 1, above, above + 1]
}

fn is_beside_unreached(potential: &Potential, cell: usize) -> bool {
    let around = neighbours(cell, potential.width());
    potential.at(cell) >= HIGH || around.iter().any(|neighbour| potential.at(*neighbour) >= HIGH)
}

/// The cell's lowest neighbour, or itself. The running minimum is a whole number, as in the original, and what does not fit
/// becomes the lowest of all.
fn lowest_neighbour(potential: &Potential, cell: usize) -> usize {
    let whole = |value: f32| if value < 2_147_483_648.0 { value as i32 } else { i32::MIN };
    let mut lowest = (cell, whole(potential.at(cell)));
    for neighbour in neighbours(cell, potential.width()) {
        let value = potential.at(neighbour);
        if value < lowest.1 as f32 {
            lowest = (neighbour, whole(value));
        }
    }
    lowest.0
}
