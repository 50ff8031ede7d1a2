//! What is the same in every picture and always on top: the axes and the robot.

use super::canvas::{Canvas, Colour, Pixel};

const AHEAD: Colour = [0, 255, 0];
const LEFT: Colour = [0, 0, 255];
const ROBOT: Colour = [255, 255, 0];
const OUTLINE: Colour = [0, 0, 0];

/// Centre of the robot on the whole canvas.
const CENTRE: Pixel = Pixel::new(400, 400);
/// Tips of the axes, 1 m ahead and 1 m to the left.
const AHEAD_TIP: Pixel = Pixel::new(500, 400);
const LEFT_TIP: Pixel = Pixel::new(400, 300);
/// OpenCV draws a line of width 5 with a brush of radius 3, one of width 2 with a brush of radius 1.
const AXIS_RADIUS: i64 = 3;
const OUTLINE_RADIUS: i64 = 1;

/// First and last column and row of the box, 0.508 x 0.430 m; the reference cuts half pixels off, so it is not centred.
const BOX_COLUMNS: (i64, i64) = (375, 425);
const BOX_ROWS: (i64, i64) = (378, 421);

/// The axis ahead, the axis to the left, the box and its outline.
pub(super) fn draw(canvas: &mut Canvas<'_>) {
    canvas.sweep_disc(CENTRE, AHEAD_TIP, AXIS_RADIUS, AHEAD);
    canvas.sweep_disc(CENTRE, LEFT_TIP, AXIS_RADIUS, LEFT);

    let ((left, right), (top, bottom)) = (BOX_COLUMNS, BOX_ROWS);
    for row in top..=bottom {
        canvas.fill_row(row, left, right, ROBOT);
    }
    let corners = [(left, top), (right, top), (right, bottom), (left, bottom)].map(|(x, y)| Pixel::new(x, y));
    for (from, to) in corners.iter().zip(corners.iter().cycle().skip(1)) {
        canvas.sweep_disc(*from, *to, OUTLINE_RADIUS, OUTLINE);
    }
}
