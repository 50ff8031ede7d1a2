//! From a projection's rows to heads, rotated on the way where they are queries or keys.

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, bail};
use rayon::prelude::*;

use super::attention::values;
use crate::vectors::Vectors;

/// Rows that a thread takes at a time.
const ROWS: usize = 64;

/// Heads beside each other in the columns of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Column of the first.
    pub first: usize,
    /// How many.
    pub count: usize,
    /// Columns of each.
    pub dim: usize,
}

/// `[rows, columns] -> [heads, rows, dim]`; with cosines and sines `[rows, dim / 2]` each half of a head is turned
/// against the other (HF `rotate_half`).
pub struct SplitHeads {
    /// Which.
    pub heads: Heads,
    /// With what.
    pub vectors: Vectors,
}

impl CustomOp1 for SplitHeads {
    fn name(&self) -> &'static str {
        "split-heads"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run(values(xs, layout)?, layout, |_, source, head| head.copy_from_slice(source))
    }
}

impl CustomOp3 for SplitHeads {
    fn name(&self) -> &'static str {
        "split-and-rotate-heads"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        layout: &Layout,
        cos: &CpuStorage,
        cos_layout: &Layout,
        sin: &CpuStorage,
        sin_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let half = self.heads.dim / 2;
        let table = Shape::from((layout.shape().dims2()?.0, half));
        if !self.heads.dim.is_multiple_of(2)
            || half == 0
            || cos_layout.shape() != &table
            || sin_layout.shape() != &table
        {
            bail!("{:?} cannot be rotated by tables {:?} and {:?}", self.heads, cos_layout.dims(), sin_layout.dims());
        }
        let (cos, sin) = (values(cos, cos_layout)?, values(sin, sin_layout)?);
        self.run(values(xs, layout)?, layout, |row, source, head| {
            let angles = cos.iter().zip(sin).skip(row * half);
            let (left, right) = source.split_at(half);
            let (out_left, out_right) = head.split_at_mut(half);
            let pairs = left.iter().zip(right).zip(out_left.iter_mut().zip(out_right));
            for (((a, b), (out_a, out_b)), (cos, sin)) in pairs.zip(angles) {
                *out_a = a * cos - b * sin;
                *out_b = a * sin + b * cos;
            }
        })
    }
}

impl SplitHeads {
    /// `write` gets the index of a row, what the row has of a head, and where it goes.
    fn run(
        &self,
        xs: &[f32],
        layout: &Layout,
        write: impl Fn(usize, &[f32], &mut [f32]) + Sync,
    ) -> Result<(CpuStorage, Shape)> {
        let Heads { first, count, dim } = self.heads;
        let (rows, cols) = layout.shape().dims2()?;
        if dim == 0 || count.checked_mul(dim).and_then(|width| width.checked_add(first)).is_none_or(|end| end > cols) {
            bail!("{:?} are not in a matrix of {cols} columns", self.heads);
        }
        let mut out = vec![0f32; count * rows * dim];
        out.par_chunks_mut((rows * dim).max(1)).enumerate().for_each(|(head, out)| {
            out.par_chunks_mut(ROWS * dim).enumerate().for_each(|(block, out)| {
                let sources = xs.chunks_exact(cols).enumerate().skip(block * ROWS);
                self.vectors.dispatch(|| {
                    for ((row, source), out) in sources.zip(out.chunks_exact_mut(dim)) {
                        let start = first + head * dim;
                        write(row, source.get(start..start + dim).unwrap_or_default(), out);
                    }
                });
            });
        });
        Ok((CpuStorage::F32(out), Shape::from((count, rows, dim))))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::{DType, Device, Tensor};

    use super::*;

    #[test]
    fn all_vectors_turn_heads_alike() {
        let values = |count: usize, step: f32| (0..count).map(|at| (at as f32 * step).sin()).collect::<Vec<_>>();
        let tensor = |values: Vec<f32>, cols: usize| {
            Tensor::from_vec(values.clone(), (values.len() / cols, cols), &Device::Cpu).unwrap()
        };
        let (xs, cos, sin) = (tensor(values(150 * 100, 0.37), 100), values(150 * 8, 0.11), values(150 * 8, 0.23));
        let (cos, sin) = (tensor(cos, 8), tensor(sin, 8));
        for first in [0, 5, 48] {
            let turned = |vectors| {
                let heads = SplitHeads { heads: Heads { first, count: 3, dim: 16 }, vectors };
                // Without the first row everything lies at another place.
                let all = [&xs, &cos, &sin].map(|tensor| tensor.narrow(0, 1, 149).unwrap());
                let turned = all[0].apply_op3_no_bwd(&all[1], &all[2], &heads).unwrap();
                turned.flatten_all().unwrap().to_vec1::<f32>().unwrap()
            };
            let expected = turned(Vectors::BASELINE);
            for vectors in Vectors::available() {
                assert!(turned(vectors) == expected, "{}: heads from column {first} on", vectors.set());
            }
        }
    }

    #[test]
    fn heads_that_are_not_there_and_tables_of_another_size_are_refused() {
        let zeros = |rows: usize, cols: usize| Tensor::zeros((rows, cols), DType::F32, &Device::Cpu).unwrap();
        let heads = |first, count, dim| SplitHeads { heads: Heads { first, count, dim }, vectors: Vectors::in_use() };
        assert!(zeros(3, 8).apply_op1_no_bwd(&heads(0, 2, 4)).is_ok());
        assert_eq!(zeros(0, 8).apply_op1_no_bwd(&heads(0, 2, 4)).unwrap().dims(), [2, 0, 4]);
        for missing in
            [heads(1, 2, 4), heads(0, 3, 4), heads(0, 1, 0), heads(usize::MAX, 1, 4), heads(0, usize::MAX, 4)]
        {
            assert!(zeros(3, 8).apply_op1_no_bwd(&missing).is_err());
        }
        let rotate = |table: Tensor, heads| zeros(3, 8).apply_op3_no_bwd(&table, &table, &heads);
        assert!(rotate(zeros(3, 2), heads(0, 2, 4)).is_ok());
        assert!(rotate(zeros(2, 2), heads(0, 2, 4)).is_err());
        assert!(rotate(zeros(3, 2), heads(0, 2, 5)).is_err());
    }
}
