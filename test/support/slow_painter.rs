//! The reference's drawing rules once more, pixel by pixel on the whole canvas, written for being read next to them.
//! Shares nothing with the renderer but the scene.

use vlm_planner_tuner::frame::render::Scene;

const SIDE: i128 = 800;
type Picture = Vec<Vec<[i128; 3]>>;

/// The kept 600x400 pixels row by row, the number of NaN ranges and of unusable path points.
pub fn paint(scene: &Scene) -> (Vec<[u8; 3]>, usize, usize) {
    let mut picture: Picture = (0..SIDE)
        .map(|row| {
            (0..SIDE).map(|column| if column % 100 == 0 || row % 100 == 0 { [120; 3] } else { [205; 3] }).collect()
        })
        .collect();
    let nan_ranges = paint_laser(&mut picture, scene);
    let unusable = paint_path(&mut picture, scene);
    paint_overlay(&mut picture);
    let kept = picture[200..600].iter().flat_map(|row| &row[200..800]);
    (kept.map(|pixel| pixel.map(|value| u8::try_from(value).unwrap())).collect(), nan_ranges, unusable)
}

fn paint_laser(picture: &mut Picture, scene: &Scene) -> usize {
    const HALF_WIDTHS: [i128; 11] = [0, 3, 4, 4, 4, 5, 4, 4, 4, 3, 0];
    let mut angle = f64::from(scene.scan.angle_min);
    for range in &scene.scan.ranges {
        let r = f64::from(*range);
        let skipped = r.is_nan()
            || r.is_infinite()
            || r <= 0.0
            || r < f64::from(scene.scan.range_min)
            || r > f64::from(scene.scan.range_max);
        let column = (400.0 + r * angle.cos() / 0.01).trunc();
        let row = (400.0 - r * angle.sin() / 0.01).trunc();
        if !skipped && (0.0..=799.0).contains(&column) && (0.0..=799.0).contains(&row) {
            for (dy, half_width) in (-5..=5).zip(HALF_WIDTHS) {
                for dx in -half_width..=half_width {
                    put(picture, column as i128 + dx, row as i128 + dy, [255, 0, 0]);
                }
            }
        }
        angle += f64::from(scene.scan.angle_increment);
    }
    scene.scan.ranges.iter().filter(|range| range.is_nan()).count()
}

fn paint_path(picture: &mut Picture, scene: &Scene) -> usize {
    let (x, y, yaw) = (scene.robot.translation.x, scene.robot.translation.y, scene.robot.rotation.angle());
    let (c, s) = ((-yaw).cos(), (-yaw).sin());
    let pixels: Vec<Option<(i128, i128)>> = scene
        .path
        .iter()
        .map(|point| {
            let (dx, dy) = (point.x - x, point.y - y);
            let (bx, by) = (dx * c - dy * s, dx * s + dy * c);
            let (column, row) = ((400.0 + bx / 0.01).trunc(), (400.0 - by / 0.01).trunc());
            let countable = |value: f64| (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value);
            (countable(column) && countable(row)).then_some((column as i128, row as i128))
        })
        .collect();
    for pair in pixels.windows(2) {
        if let [Some(from), Some(to)] = pair {
            paint_line(picture, *from, *to);
        }
    }
    pixels.iter().filter(|pixel| pixel.is_none()).count()
}

const S: &str = "181 181 181 182 182 183 184 185 187 188 190 192 194 196 198 201 203 206 209 211 214 218 221
224 227 231 235 238 242 246 250 254";
const F: &str = "168 177 185 194 202 210 218 224 231 236 241 246 249 252 254 254 254 254 252 249 246 241 236
231 224 218 210 202 194 185 177 168 158 149 140 131 122 114 105 97 89 82 75 68 62 56 50 45 40 36 32 28
25 22 19 16 14 12 11 9 8 7 5 5";

fn table(text: &str) -> Vec<i128> {
    text.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

fn paint_line(picture: &mut Picture, from: (i128, i128), to: (i128, i128)) {
    let ends = [from.0 * 65536, from.1 * 65536, to.0 * 65536, to.1 * 65536];
    let Some([x1, y1, x2, y2]) = clip(ends) else { return };
    let steep = (x2 - x1).abs() <= (y2 - y1).abs();
    let [u1, v1, mut u2, v2] = match (steep, if steep { y2 < y1 } else { x2 < x1 }) {
        (false, false) => [x1, y1, x2, y2],
        (false, true) => [x2, y2, x1, y1],
        (true, false) => [y1, x1, y2, x2],
        (true, true) => [y2, x2, y1, x1],
    };
    let st = ((v2 - v1) * 65536) / ((u2 - u1) | 1);
    u2 += 65536;
    let count = (u2 >> 16) - (u1 >> 16);
    let mut v = v1 + ((st * -(u1 & 65535)) >> 16) + 32768;
    let mut k = (st >> 11) & 63;
    if st < 0 {
        k ^= 63;
    }
    let s = if k & 32 != 0 { 256 } else { table(S)[k as usize] };
    let (i, j) = ((u1 >> 9) & 0x78, (u2 >> 9) & 0x78);
    let mut e = [0i128; 9];
    e[8] = s;
    e[1] = (((((j - i) & 0x78) | 4) * s) >> 8) & 511;
    e[3] = e[1];
    e[2] = ((((0x78 - i) | 4) * s) >> 8) & 511;
    e[4] = ((((j - i + 0x80) | 4) * s) >> 8) & 511;
    e[5] = ((((0x78 - i) | 4) * s + s * 128) >> 8) & 511;
    e[6] = (((j | 4) * s) >> 8) & 511;
    e[7] = (((j | 4) * s + s * 128) >> 8) & 511;
    let f = table(F);
    let mut n = 0;
    while count - n >= 0 {
        let u = (u1 >> 16) + n;
        let weight = e[(3 * n.min(2) + (count - n).min(2)) as usize];
        let d = ((v >> 11) & 31) as usize;
        for (at, share) in [((v >> 16) - 1, f[d + 32]), (v >> 16, f[d]), ((v >> 16) + 1, f[63 - d])] {
            let alpha = ((weight * share) >> 8) & 255;
            let (column, row) = if steep { (at, u) } else { (u, at) };
            for _ in 0..2 {
                if (0..SIDE).contains(&column) && (0..SIDE).contains(&row) {
                    for value in &mut picture[row as usize][column as usize] {
                        *value += ((0 - *value) * alpha + 127) >> 8;
                    }
                }
            }
        }
        v += st;
        n += 1;
    }
}

fn clip([mut x1, mut y1, mut x2, mut y2]: [i128; 4]) -> Option<[i128; 4]> {
    let last = SIDE * 65536 - 1;
    let sides = |x: i128| i32::from(x < 0) + 2 * i32::from(x > last);
    let code = |x: i128, y: i128| sides(x) + 4 * sides(y);
    let (mut c1, mut c2) = (code(x1, y1), code(x2, y2));
    if c1 & c2 != 0 {
        return None;
    }
    if c1 & 12 != 0 {
        let border = if c1 & 4 != 0 { 0 } else { last };
        x1 += (border - y1) * (x2 - x1) / (y2 - y1);
        y1 = border;
        c1 = sides(x1);
    }
    if c2 & 12 != 0 {
        let border = if c2 & 4 != 0 { 0 } else { last };
        x2 += (border - y2) * (x2 - x1) / (y2 - y1);
        y2 = border;
        c2 = sides(x2);
    }
    if c1 & c2 != 0 {
        return None;
    }
    if c1 != 0 {
        let border = if c1 == 1 { 0 } else { last };
        y1 += (border - x1) * (y2 - y1) / (x2 - x1);
        x1 = border;
    }
    if c2 != 0 {
        let border = if c2 == 1 { 0 } else { last };
        y2 += (border - x2) * (y2 - y1) / (x2 - x1);
        x2 = border;
    }
    Some([x1, y1, x2, y2])
}

/// Every pixel asks how far it is from the axis or the outline.
fn paint_overlay(picture: &mut Picture) {
    let near = |(x, y): (i128, i128), (left, top): (i128, i128), (right, bottom): (i128, i128), radius: i128| {
        let (dx, dy) = ((left - x).max(x - right).max(0), (top - y).max(y - bottom).max(0));
        dx * dx + dy * dy <= radius * radius
    };
    for y in 0..SIDE {
        for x in 0..SIDE {
            let outline = [
                ((375, 378), (425, 378)),
                ((375, 421), (425, 421)),
                ((375, 378), (375, 421)),
                ((425, 378), (425, 421)),
            ];
            if outline.iter().any(|(from, to)| near((x, y), *from, *to, 1)) {
                put(picture, x, y, [0, 0, 0]);
            } else if (375..=425).contains(&x) && (378..=421).contains(&y) {
                put(picture, x, y, [255, 255, 0]);
            } else if near((x, y), (400, 300), (400, 400), 3) {
                put(picture, x, y, [0, 0, 255]);
            } else if near((x, y), (400, 400), (500, 400), 3) {
                put(picture, x, y, [0, 255, 0]);
            }
        }
    }
}

fn put(picture: &mut Picture, column: i128, row: i128, colour: [i128; 3]) {
    if (0..SIDE).contains(&column) && (0..SIDE).contains(&row) {
        picture[row as usize][column as usize] = colour;
    }
}
