//! OpenCV's anti-aliased line of width 1 (`LineAA` in drawing.cpp), bit for bit, in fixed point with 16 fractional bits.

use super::canvas::{Canvas, Colour, Pixel, SIDE};

const ONE: i64 = 1 << 16;
const HALF: i64 = ONE / 2;
/// Last coordinate inside the canvas.
const LAST: i64 = SIDE * ONE - 1;

/// Weight of the stroke for slopes of n / 32, about 256 * sqrt((1 + slope^2) / 2), so that steep lines are as dark as flat ones.
const STROKE_BY_SLOPE: [i64; 32] = [
    181, 181, 181, 182, 182, 183, 184, 185, 187, 188, 190, 192, 194, 196, 198, 201, 203, 206, 209, 211, 214, 218, 221,
    224, 227, 231, 235, 238, 242, 246, 250, 254,
];

/// How much of a pixel the stroke covers, by the place of its centre in 1/32 pixel: the first half is for the pixel that
/// holds the centre, the second goes on for its neighbour.
const COVERAGE: [i64; 64] = [
    168, 177, 185, 194, 202, 210, 218, 224, 231, 236, 241, 246, 249, 252, 254, 254, 254, 254, 252, 249, 246, 241, 236,
    231, 224, 218, 210, 202, 194, 185, 177, 168, 158, 149, 140, 131, 122, 114, 105, 97, 89, 82, 75, 68, 62, 56, 50, 45,
    40, 36, 32, 28, 25, 22, 19, 16, 14, 12, 11, 9, 8, 7, 5, 5,
];

/// Draws from one pixel to another; both may lie far outside the canvas (within 32 bits). At most 801 steps.
pub(super) fn draw(canvas: &mut Canvas<'_>, from: Pixel, to: Pixel, colour: Colour) {
    let Some((from, to)) = clip(from * ONE, to * ONE) else { return };

    // u is the major direction, along which the line advances pixel by pixel; v the other one.
    let along_x = (to.x - from.x).abs() > (to.y - from.y).abs();
    let uv = |point: Pixel| if along_x { (point.x, point.y) } else { (point.y, point.x) };
    let ((mut u1, mut v1), (mut u2, mut v2)) = (uv(from), uv(to));
    if u1 > u2 {
        (u1, v1, u2, v2) = (u2, v2, u1, v1);
    }

    let step = (v2 - v1) * ONE / ((u2 - u1) | 1);
    u2 += ONE;
    let (first, last) = (u1 >> 16, u2 >> 16);
    let count = last - first;
    let mut v = v1 + ((step * -(u1 & (ONE - 1))) >> 16) + HALF;
    let weights = end_weights(u1, u2, stroke(step));
    for n in 0..=count {
        let weight = weights.at(n, count);
        let coverage = coverage(v);
        for (offset, share) in (-1..=1).zip(coverage) {
            let (major, minor) = (first + n, (v >> 16) + offset);
            let (column, row) = if along_x { (major, minor) } else { (minor, major) };
            let alpha = ((weight * share) >> 8 & 255) as i32;
            canvas.blend(column, row, colour, alpha);
            canvas.blend(column, row, colour, alpha);
        }
        v += step;
    }
}

/// Weight of the stroke for a slope of `step` / 65536.
fn stroke(step: i64) -> i64 {
    let slope = (step >> 11) & 63;
    let slope = if step < 0 { slope ^ 63 } else { slope };
    STROKE_BY_SLOPE.get(slope as usize).copied().unwrap_or(256)
}

/// Coverage of the pixel before `v`, at `v` and after it.
#[allow(clippy::indexing_slicing, reason = "d is five bits, the table has 64 entries")]
fn coverage(v: i64) -> [i64; 3] {
    let d = ((v >> 11) & 31) as usize;
    [COVERAGE[d + 32], COVERAGE[d], COVERAGE[63 - d]]
}

/// How strongly the first two and the last two pixels of a line are drawn, because it may begin and end within them.
struct EndWeights([[i64; 3]; 3]);

impl EndWeights {
    /// Weight of pixel `n` of `0..=count`.
    #[allow(clippy::indexing_slicing, reason = "both indices are cut to 0..=2")]
    fn at(&self, n: i64, count: i64) -> i64 {
        self.0[n.min(2) as usize][(count - n).min(2) as usize]
    }
}

fn end_weights(u1: i64, u2: i64, stroke: i64) -> EndWeights {
    let (i, j) = ((u1 >> 9) & 0x78, (u2 >> 9) & 0x78);
    let weight = |part: i64, more: i64| (((part | 4) * stroke + more) >> 8) & 511;
    let single = weight((j - i) & 0x78, 0);
    EndWeights([
        [0, single, weight(0x78 - i, 0)],
        [single, weight(j - i + 0x80, 0), weight(0x78 - i, stroke * 128)],
        [weight(j, 0), weight(j, stroke * 128), stroke],
    ])
}

/// Cuts the line to the canvas, or `None` when it does not cross it. OpenCV's order of cuts, because each one rounds.
fn clip(mut from: Pixel, mut to: Pixel) -> Option<(Pixel, Pixel)> {
    if beyond(from.x) * beyond(to.x) > 0 || beyond(from.y) * beyond(to.y) > 0 {
        return None;
    }
    if beyond(from.y) != 0 {
        let border = from.y.clamp(0, LAST);
        from = Pixel::new(from.x + scaled(border - from.y, to.x - from.x, to.y - from.y), border);
    }
    if beyond(to.y) != 0 {
        let border = to.y.clamp(0, LAST);
        to = Pixel::new(to.x + scaled(border - to.y, to.x - from.x, to.y - from.y), border);
    }
    if beyond(from.x) * beyond(to.x) > 0 {
        return None;
    }
    if beyond(from.x) != 0 {
        let border = from.x.clamp(0, LAST);
        from = Pixel::new(border, from.y + scaled(border - from.x, to.y - from.y, to.x - from.x));
    }
    if beyond(to.x) != 0 {
        let border = to.x.clamp(0, LAST);
        to = Pixel::new(border, to.y + scaled(border - to.x, to.y - from.y, to.x - from.x));
    }
    Some((from, to))
}

/// -1 before the canvas, 0 on it, 1 after it.
fn beyond(coordinate: i64) -> i64 {
    if coordinate < 0 { -1 } else { i64::from(coordinate > LAST) }
}

/// `part * length / whole`, towards zero. The product of two 48-bit differences needs more than 64 bits; the quotient is
/// a difference again. `whole` is not zero: it joins a point beyond a border to one that is not beyond it.
fn scaled(part: i64, length: i64, whole: i64) -> i64 {
    (i128::from(part) * i128::from(length) / i128::from(whole)) as i64
}
