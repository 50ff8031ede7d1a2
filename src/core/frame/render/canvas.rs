//! The canvas: robot in the middle, 1 cm a pixel, and the part of it that is kept.

use nalgebra::Point2;

/// An RGB colour.
pub(super) type Colour = [u8; 3];

/// A pixel of the whole canvas: x is the column (ahead is right), y the row (left is up).
pub(super) type Pixel = Point2<i64>;

/// Side of the whole canvas, pixels.
pub(super) const SIDE: i64 = 800;
/// Column and row of the robot on the whole canvas.
const ROBOT: f64 = 400.0;
/// Size of a pixel, m.
const METRES: f64 = 0.01;

/// Columns that are kept.
pub(super) const WIDTH: usize = 600;
/// Rows that are kept.
pub(super) const HEIGHT: usize = 400;
/// First column and first row that are kept.
const FIRST: i64 = 200;

/// The pixel under a point in the robot's frame (m). Fractions are dropped towards zero as the reference does, values
/// beyond 64 bits are cut to the limits.
pub(super) fn pixel(point: &Point2<f64>) -> Pixel {
    Point2::new((ROBOT + point.x / METRES) as i64, (ROBOT - point.y / METRES) as i64)
}

/// The kept part of the canvas. Takes coordinates of the whole canvas and leaves out what is not kept.
pub(super) struct Canvas<'a> {
    pixels: &'a mut [Colour],
}

impl<'a> Canvas<'a> {
    /// On a buffer of `WIDTH * HEIGHT * 3` bytes.
    pub(super) fn on(rgb: &'a mut [u8]) -> Self {
        Self { pixels: rgb.as_chunks_mut().0 }
    }

    /// Colours the pixels from `first` to `last` (both included) of a row.
    pub(super) fn fill_row(&mut self, row: i64, first: i64, last: i64, colour: Colour) {
        let (row, first, end) = (row - FIRST, (first - FIRST).max(0), (last - FIRST + 1).min(WIDTH as i64));
        if (0..HEIGHT as i64).contains(&row) && first < end {
            let start = row as usize * WIDTH;
            if let Some(pixels) = self.pixels.get_mut(start + first as usize..start + end as usize) {
                pixels.fill(colour);
            }
        }
    }

    /// Mixes `alpha` / 256 of a colour into a pixel, rounded as OpenCV's line does.
    pub(super) fn blend(&mut self, column: i64, row: i64, colour: Colour, alpha: i32) {
        let (column, row) = (column - FIRST, row - FIRST);
        if (0..WIDTH as i64).contains(&column)
            && (0..HEIGHT as i64).contains(&row)
            && let Some(pixel) = self.pixels.get_mut(row as usize * WIDTH + column as usize)
        {
            for (value, target) in pixel.iter_mut().zip(colour) {
                let old = i32::from(*value);
                // Between the old value and the target, so it fits.
                *value = (old + (((i32::from(target) - old) * alpha + 127) >> 8)) as u8;
            }
        }
    }

    /// Sweeps a disc from one pixel to another along a row or a column: OpenCV's filled circle, thick straight line and
    /// round line ends are all this brush.
    pub(super) fn sweep_disc(&mut self, from: Pixel, to: Pixel, radius: i64, colour: Colour) {
        let (left, right) = (from.x.min(to.x), from.x.max(to.x));
        let (top, bottom) = (from.y.min(to.y), from.y.max(to.y));
        for row in top - radius..=bottom + radius {
            let beyond = (top - row).max(row - bottom).max(0);
            let half_width = (radius * radius - beyond * beyond).isqrt();
            self.fill_row(row, left - half_width, right + half_width, colour);
        }
    }

    /// A filled disc.
    pub(super) fn disc(&mut self, centre: Pixel, radius: i64, colour: Colour) {
        self.sweep_disc(centre, centre, radius, colour);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn painted(canvas: &Canvas<'_>) -> usize {
        canvas.pixels.iter().filter(|pixel| **pixel != [0; 3]).count()
    }

    #[test]
    fn fractions_are_dropped_towards_zero() {
        assert_eq!(pixel(&Point2::new(0.0, 0.0)), Pixel::new(400, 400));
        assert_eq!(pixel(&Point2::new(-4.004, 4.004)), Pixel::new(0, 0));
        assert_eq!(pixel(&Point2::new(-4.02, 4.02)), Pixel::new(-1, -1));
        assert_eq!(pixel(&Point2::new(1e300, -1e300)), Pixel::new(i64::MAX, i64::MAX));
    }

    #[test]
    fn a_disc_has_the_reference_half_widths() {
        let mut rgb = vec![0; WIDTH * HEIGHT * 3];
        let mut canvas = Canvas::on(&mut rgb);
        canvas.disc(Pixel::new(400, 400), 5, [255, 0, 0]);
        let half_widths: Vec<usize> = (195..=205)
            .map(|row| canvas.pixels[row * WIDTH..][..WIDTH].iter().filter(|pixel| pixel[0] == 255).count() / 2)
            .collect();
        assert_eq!(half_widths, [0, 3, 4, 4, 4, 5, 4, 4, 4, 3, 0]);
    }

    #[test]
    fn what_is_not_kept_is_not_painted() {
        let mut rgb = vec![0; WIDTH * HEIGHT * 3];
        let mut canvas = Canvas::on(&mut rgb);
        for (row, first, last) in [(199, 0, 800), (600, 0, 800), (300, 0, 199), (300, 800, 900), (300, 500, 499)] {
            canvas.fill_row(row, first, last, [1; 3]);
        }
        for (column, row) in [(199, 300), (800, 300), (300, 199), (300, 600)] {
            canvas.blend(column, row, [255; 3], 128);
        }
        assert_eq!(painted(&canvas), 0);
        canvas.fill_row(599, -1000, 1000, [1; 3]);
        assert_eq!(painted(&canvas), WIDTH);
    }
}
