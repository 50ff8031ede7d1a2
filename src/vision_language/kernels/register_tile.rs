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
    use pulp::{Arch, WithSimd};

    use super::*;

    struct Tile<'a>(&'a [TileColumn], &'a [PanelRow], &'a mut TileSums);

    impl WithSimd for Tile<'_> {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            multiply_tile(simd, self.0, self.1, self.2);
        }
    }

    fn check(name: &str, multiply: impl Fn(Tile)) {
        for depth in [0, 1, 7, 100] {
            let value = |at: usize| ((at * 37 % 23) as f32 - 11.0) / 8.0;
            let columns: Vec<TileColumn> = (0..depth).map(|k| std::array::from_fn(|i| value(k * 12 + i))).collect();
            let weights: Vec<PanelRow> = (0..depth).map(|k| std::array::from_fn(|j| value(k * 32 + j + 5))).collect();
            let mut sums = [[0.5; PANEL]; TILE_ROWS];
            multiply(Tile(&columns, &weights, &mut sums));
            for (row, sums) in sums.iter().enumerate() {
                for (output, sum) in sums.iter().enumerate() {
                    // Multiples of 1/64 below 2^17: exact, whatever the instructions.
                    let exact: f32 = columns.iter().zip(&weights).map(|(x, w)| x[row] * w[output]).sum();
                    assert_eq!(*sum, 0.5 + exact, "{name}: row {row}, output {output}, depth {depth}");
                }
            }
        }
    }

    #[test]
    fn every_instruction_set_of_this_machine_sums_the_same() {
        check("widest", |tile| Arch::new().dispatch(tile));
        check("scalar", |tile| Simd::vectorize(pulp::Scalar::new(), tile));
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = pulp::x86::V3::try_new() {
            check("AVX2", |tile| Simd::vectorize(avx2, tile));
        }
    }
}
