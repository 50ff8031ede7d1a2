//! The innermost loop of a product: sums that stay in registers while the inputs pass by.

use pulp::Simd;

use super::packed_rows::{TILE_ROWS, TileColumn};
use crate::weights::{PANEL, PanelRow};

/// The sums of a tile's rows in the outputs of a panel.
pub type TileSums = [PanelRow; TILE_ROWS];

/// `sums += columns^T weights`, with as many sums at a time as the processor has registers for.
///
/// Every sum adds its products in the order of the inputs, so that the result does not depend on how the tile is cut.
#[inline(always)]
pub fn multiply_tile<S: Simd>(simd: S, columns: &[TileColumn], weights: &[PanelRow], sums: &mut TileSums) {
    match (S::F32_LANES, S::REGISTER_COUNT) {
        (16, _) => in_parts::<S, 12, 2>(simd, columns, weights, sums),
        (8, _) => in_parts::<S, 6, 2>(simd, columns, weights, sums),
        (4, 32) => in_parts::<S, 6, 4>(simd, columns, weights, sums),
        _ => in_parts::<S, 3, 4>(simd, columns, weights, sums),
    }
}

/// Parts of `ROWS` rows and `VECTORS` vectors, which divide the tile.
#[inline(always)]
fn in_parts<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    columns: &[TileColumn],
    weights: &[PanelRow],
    sums: &mut TileSums,
) {
    for (part, sums) in sums.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
        for strip in 0..PANEL / (S::F32_LANES * VECTORS) {
            multiply_part::<S, ROWS, VECTORS>(simd, columns, weights, sums, (part, strip));
        }
    }
}

#[inline(always)]
fn multiply_part<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    columns: &[TileColumn],
    weights: &[PanelRow],
    sums: &mut [PanelRow; ROWS],
    (part, strip): (usize, usize),
) {
    let mut registers = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    for (registers, sums) in registers.iter_mut().zip(sums.iter()) {
        if let Some(sums) = S::as_simd_f32s(sums).0.as_chunks::<VECTORS>().0.get(strip) {
            *registers = *sums;
        }
    }
    for (column, weights) in columns.iter().zip(weights) {
        let (column, _) = column.as_chunks::<ROWS>();
        let (weights, _) = S::as_simd_f32s(weights).0.as_chunks::<VECTORS>();
        if let (Some(column), Some(weights)) = (column.get(part), weights.get(strip)) {
            for (registers, &input) in registers.iter_mut().zip(column) {
                let input = simd.splat_f32s(input);
                for (register, &weight) in registers.iter_mut().zip(weights) {
                    *register = simd.mul_add_e_f32s(input, weight, *register);
                }
            }
        }
    }
    for (registers, sums) in registers.iter().zip(sums.iter_mut()) {
        if let Some(sums) = S::as_mut_simd_f32s(sums).0.as_chunks_mut::<VECTORS>().0.get_mut(strip) {
            *sums = *registers;
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::WithSimd;

    use super::*;
    use crate::vectors::{InstructionSet, Vectors};

    struct Tile<'a>(&'a [TileColumn], &'a [PanelRow], &'a mut TileSums);

    impl WithSimd for Tile<'_> {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            multiply_tile(simd, self.0, self.1, self.2);
        }
    }

    #[test]
    fn all_vectors_sum_the_same_where_sums_are_exact() {
        // Columns, weights and sums begin at every place that a number can have in the 64 bytes of a vector.
        let value = |at: usize| ((at * 37 % 23) as f32 - 11.0) / 8.0;
        let [columns, weights] =
            [0, 5].map(|shift| (0..100 * PANEL + 16).map(|at| value(at + shift)).collect::<Vec<_>>());
        let mut flat = [f32::NAN; TILE_ROWS * PANEL + 16];
        for vectors in Vectors::available() {
            for (depth, at) in [0, 1, 7, 100].into_iter().flat_map(|depth| (0..16).map(move |at| (depth, at))) {
                let columns = &columns[at..].as_chunks::<TILE_ROWS>().0[..depth];
                let weights = &weights[(at * 3 + 1) % 16..].as_chunks::<PANEL>().0[..depth];
                let sums: &mut TileSums = flat[(at + 5) % 16..].as_chunks_mut::<PANEL>().0.first_chunk_mut().unwrap();
                *sums = [[0.5; PANEL]; TILE_ROWS];
                vectors.dispatch(Tile(columns, weights, sums));
                for (row, sums) in sums.iter().enumerate() {
                    for (output, sum) in sums.iter().enumerate() {
                        // Multiples of 1/64 below 2^17: exact, whatever the instructions.
                        let exact: f32 = columns.iter().zip(weights).map(|(x, w)| x[row] * w[output]).sum();
                        let set = vectors.set();
                        assert_eq!(*sum, 0.5 + exact, "{set}: row {row}, output {output}, depth {depth}, place {at}");
                    }
                }
            }
        }
    }

    #[test]
    fn fused_sums_are_the_same_bits_and_those_without_are_near() {
        let value = |at: usize| ((at * 7919 % 10_007) as f32 / 10_007.0).sin() - 0.4;
        let columns: Vec<TileColumn> = (0..512).map(|k| std::array::from_fn(|i| value(k * 12 + i))).collect();
        let weights: Vec<PanelRow> = (0..512).map(|k| std::array::from_fn(|j| value(k * 32 + j + 5))).collect();
        for vectors in Vectors::available() {
            let mut sums = [[0.25; PANEL]; TILE_ROWS];
            vectors.dispatch(Tile(&columns, &weights, &mut sums));
            for (row, sums) in sums.iter().enumerate() {
                for (output, &sum) in sums.iter().enumerate() {
                    let products = || columns.iter().zip(&weights).map(|(x, w)| (x[row], w[output]));
                    let fused = products().fold(0.25_f32, |sum, (x, w)| x.mul_add(w, sum));
                    let plain = products().fold(0.25_f32, |sum, (x, w)| sum + x * w);
                    let expected = if vectors.set() == InstructionSet::Baseline { plain } else { fused };
                    assert_eq!(sum.to_bits(), expected.to_bits(), "{}: row {row}, output {output}", vectors.set());
                    let exact: f64 = products().map(|(x, w)| f64::from(x) * f64::from(w)).sum::<f64>() + 0.25;
                    let size: f64 = products().map(|(x, w)| f64::from(x * w).abs()).sum();
                    let distance = (f64::from(sum) - exact).abs() / size;
                    assert!(distance < 1e-5, "{}: {distance} of the sum's terms", vectors.set());
                }
            }
        }
    }
}
