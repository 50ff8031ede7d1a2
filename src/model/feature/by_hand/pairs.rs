//! Convolutions along a sequence, two neighbouring rows at a time, with four products instead of six (Winograd's F(2, 3)).
//!
//! Two neighbouring outputs see four rows d0 to d3. With the kernel's rows g0, g1, g2 they are
//!
//! ```text
//! y0 = m1 + m2 + m3        m1 = (d0 - d2) g0                     m2 = (d1 + d2) (g0 + g1 + g2) / 2
//! y1 = m2 - m3 - m4        m4 = (d1 - d3) g2                     m3 = (d2 - d1) (g0 - g1 + g2) / 2
//! ```
//!
//! All of it is linear, so the way back takes the same steps in the other direction.
#![expect(clippy::indexing_slicing, reason = "the buffers are made for the sequence's length and the head's width")]

use pulp::{Simd, WithSimd};

use super::kernels::{Places, Windows, multiply_windows, panels_of};
use super::products::{Factors, LayerSum, SumTask};
use crate::vectors::Vectors;
use crate::vision_language::kernels::TILE_ROWS;
use crate::weights::{PANEL, PanelRow};

/// A kernel of three rows, in the four forms that it is multiplied in.
#[derive(Debug, Clone)]
pub struct PairKernel {
    channels: usize,
    forward_panels: [Vec<PanelRow>; 4],
    back: [Vec<PanelRow>; 4],
}

/// What a sequence is in the four products, and what their gradients are that its own do not show.
#[derive(Debug, Default)]
pub struct PairTape {
    pairs: usize,
    /// The rows' four terms, `[pairs, channels]` each.
    terms: [Vec<f32>; 4],
    /// The sum and the difference of the gradients of each pair's rows.
    of_both: [Vec<f32>; 2],
}

/// The sums of a kernel's gradients in its four forms.
#[derive(Debug, Clone)]
pub struct PairSum([LayerSum; 4]);

impl PairKernel {
    /// From `[channels, channels, 3]`.
    pub fn new(weight: &[f32], channels: usize) -> Self {
        let form = |form: usize, output: usize, input: usize| {
            let start = (output * channels + input) * 3;
            let [g0, g1, g2] = [weight[start], weight[start + 1], weight[start + 2]];
            [g0, (g0 + g1 + g2) / 2.0, (g0 - g1 + g2) / 2.0, g2][form]
        };
        Self {
            channels,
            forward_panels: [0, 1, 2, 3]
                .map(|at| panels_of(channels, channels, |output, input| form(at, output, input))),
            back: [0, 1, 2, 3].map(|at| panels_of(channels, channels, |input, output| form(at, output, input))),
        }
    }

    /// `finish(row, first, values)` gets what comes out of `rows` rows, given with one row of zeros before and two behind.
    pub fn forward(
        &self,
        padded: &[f32],
        rows: usize,
        tape: &mut PairTape,
        vectors: Vectors,
        mut finish: impl FnMut(usize, usize, &[f32]),
    ) {
        let channels = self.channels;
        tape.make_room(rows, channels);
        let [one, two, three, four] = &mut tape.terms;
        vectors.dispatch(|| {
            let terms = one.chunks_exact_mut(channels).zip(two.chunks_exact_mut(channels));
            let terms = terms.zip(three.chunks_exact_mut(channels).zip(four.chunks_exact_mut(channels)));
            for (((one, two), (three, four)), pair) in terms.zip(padded.chunks_exact(2 * channels).zip(0..)) {
                let behind = &padded[(2 * pair.1 + 2) * channels..][..2 * channels];
                let ((d0, d1), (d2, d3)) = (pair.0.split_at(channels), behind.split_at(channels));
                for at in 0..channels {
                    (one[at], two[at]) = (d0[at] - d2[at], d1[at] + d2[at]);
                    (three[at], four[at]) = (d2[at] - d1[at], d1[at] - d3[at]);
                }
            }
        });
        let terms = tape.terms.each_ref().map(|values| whole_rows(values, channels));
        let forms = self.forward_panels.each_ref().map(Vec::as_slice);
        let finish = |pair: usize, panel: usize, m: [&PanelRow; 4]| {
            let (first, lanes) = (panel * PANEL, PANEL.min(channels - panel * PANEL));
            let [mut upper, mut lower] = [[0.0; PANEL]; 2];
            for at in 0..PANEL {
                upper[at] = m[0][at] + m[1][at] + m[2][at];
                lower[at] = m[1][at] - m[2][at] - m[3][at];
            }
            finish(2 * pair, first, &upper[..lanes]);
            if 2 * pair + 1 < rows {
                finish(2 * pair + 1, first, &lower[..lanes]);
            }
        };
        vectors.dispatch(FourProducts { windows: terms, rows: tape.pairs, panels: forms, finish });
    }

    /// `finish(row, first, values)` gets what goes back to each row, from the gradient of what came out, given with a row of
    /// zeros before and behind.
    pub fn backward(
        &self,
        of_padded: &[f32],
        rows: usize,
        tape: &mut PairTape,
        vectors: Vectors,
        mut finish: impl FnMut(usize, usize, &[f32]),
    ) {
        let channels = self.channels;
        let [sum, difference] = &mut tape.of_both;
        vectors.dispatch(|| {
            let both = sum.chunks_exact_mut(channels).zip(difference.chunks_exact_mut(channels));
            for ((sum, difference), pair) in both.zip(of_padded[channels..].chunks_exact(2 * channels)) {
                let (e0, e1) = pair.split_at(channels);
                for at in 0..channels {
                    (sum[at], difference[at]) = (e0[at] + e1[at], e0[at] - e1[at]);
                }
            }
        });
        let forms = self.back.each_ref().map(Vec::as_slice);
        let pairs = tape.pairs;
        // What the pair before leaves to this one's first two rows.
        let mut left = [[0.0; PANEL]; 2];
        let finish = |pair: usize, panel: usize, v: [&PanelRow; 4]| {
            let (first, lanes) = (panel * PANEL, PANEL.min(channels - panel * PANEL));
            if pair == 0 {
                left = [[0.0; PANEL]; 2];
            }
            let [mut upper, mut lower] = left;
            for at in 0..PANEL {
                upper[at] += v[0][at];
                lower[at] += v[1][at] - v[2][at] - v[3][at];
                left[0][at] = v[1][at] + v[2][at] - v[0][at];
                left[1][at] = v[3][at];
            }
            // Of the rows with zeros around them, the first is none.
            if let Some(row) = (2 * pair).checked_sub(1) {
                finish(row, first, &upper[..lanes]);
            }
            if 2 * pair < rows {
                finish(2 * pair, first, &lower[..lanes]);
            }
            if pair + 1 == pairs && 2 * pair + 1 < rows {
                finish(2 * pair + 1, first, &left[0][..lanes]);
            }
        };
        let windows = tape.gradients(of_padded, channels);
        vectors.dispatch(FourProducts { windows, rows: pairs, panels: forms, finish });
    }

    /// No gradient yet.
    pub fn zeros(&self) -> PairSum {
        PairSum([(); 4].map(|()| LayerSum::zeros(&[0], self.channels, self.channels)))
    }
}

impl PairTape {
    fn make_room(&mut self, rows: usize, channels: usize) {
        self.pairs = rows.div_ceil(2);
        let length = self.pairs * channels;
        self.terms.iter_mut().for_each(|terms| terms.resize(length, 0.0));
        self.of_both.iter_mut().for_each(|of| of.resize(length + PANEL, 0.0));
    }

    /// The gradients of the four products; that of the fourth with the other sign.
    fn gradients<'a>(&'a self, of_padded: &'a [f32], channels: usize) -> [Windows<'a>; 4] {
        let every_other = |row: usize| Windows {
            values: &of_padded[row * channels..],
            places: Places::Every(2 * channels),
            runs: &[0],
            run: channels,
        };
        let [sum, difference] = self.of_both.each_ref().map(|values| whole_rows(values, channels));
        [every_other(1), sum, difference, every_other(2)]
    }

    /// What a kernel's gradient is made of, for each of its four forms.
    pub fn factors<'a>(&'a self, of_padded: &'a [f32], channels: usize) -> [Factors<'a>; 4] {
        let [a, b, c, d] = self.gradients(of_padded, channels);
        let windows = self.terms.each_ref().map(|values| whole_rows(values, channels));
        let [e, f, g, h] = windows;
        [(e, a), (f, b), (g, c), (h, d)].map(|(windows, gradient)| Factors { windows, rows: self.pairs, gradient })
    }
}

impl PairSum {
    /// The tasks that add products in their order, given for each form.
    pub fn tasks<'a>(&'a mut self, factors: &'a [Vec<Factors<'a>>; 4], tasks: &mut Vec<SumTask<'a>>) {
        self.0.iter_mut().zip(factors).for_each(|(sum, factors)| sum.tasks(factors, tasks));
    }

    /// The gradient of the kernel `[channels, channels, 3]`.
    pub fn kernel(&self, channels: usize) -> Vec<f32> {
        let of = |output: usize, input: usize| {
            let [u1, u2, u3, minus_u4] = self.0.each_ref().map(|sum| sum.at(output, input));
            let (even, odd) = ((u2 + u3) / 2.0, (u2 - u3) / 2.0);
            [u1 + even, odd, even - minus_u4]
        };
        (0..channels).flat_map(|output| (0..channels).flat_map(move |input| of(output, input))).collect()
    }

    /// The gradient of the bias: the second form's gradients are the sums of all rows.
    pub fn bias(&self) -> &[f32] {
        self.0[1].bias()
    }
}

fn whole_rows(values: &[f32], width: usize) -> Windows<'_> {
    Windows { values, places: Places::Every(width), runs: &[0], run: width }
}

/// `finish(row, panel, sums)` for each row and each panel of 32 outputs, with the sums of four products.
struct FourProducts<'a, F> {
    windows: [Windows<'a>; 4],
    rows: usize,
    panels: [&'a [PanelRow]; 4],
    finish: F,
}

impl<F: FnMut(usize, usize, [&PanelRow; 4])> WithSimd for FourProducts<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let inputs = self.windows[0].run;
        for panel in 0..self.panels[0].len() / inputs.max(1) {
            for first in (0..self.rows).step_by(TILE_ROWS) {
                let mut sums = [[[0.0; PANEL]; TILE_ROWS]; 4];
                for ((windows, panels), sums) in self.windows.iter().zip(self.panels).zip(&mut sums) {
                    let weights = &panels[panel * inputs..][..inputs];
                    // Rows behind the last are computed as the last and dropped.
                    let starts = std::array::from_fn(|row| windows.places.of((first + row).min(self.rows - 1)));
                    multiply_windows(simd, windows.values, &starts, windows.runs, windows.run, weights, sums);
                }
                let [one, two, three, four] = &sums;
                for (at, row) in (first..self.rows.min(first + TILE_ROWS)).enumerate() {
                    (self.finish)(row, panel, [&one[at], &two[at], &three[at], &four[at]]);
                }
            }
        }
    }
}
