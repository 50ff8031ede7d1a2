//! The mean of many f32, added in torch's order.
//!
//! Floating-point sums depend on their order. The offset of double quantisation is such a mean and everything after it
//! builds on its last bit, so that the order of torch's CPU kernel is kept: 8 lanes (AVX2), each with four sums side by
//! side, each of them a cascade that carries into a coarser level after every few additions. torch divides more than
//! 32768 values among its threads first; this is the order of one thread.

/// Lanes of a vector.
const LANES: usize = 8;
/// Vectors that are summed side by side.
const SIDE_BY_SIDE: usize = 4;
/// Levels of a cascade.
const LEVELS: usize = 4;

type Sums = [[f32; LANES]; SIDE_BY_SIDE];

/// Mean of `values`; NaN for none.
pub fn mean(values: &[f32]) -> f32 {
    sum(values) / values.len() as f32
}

fn sum(values: &[f32]) -> f32 {
    let (vectors, rest) = values.as_chunks::<LANES>();
    let (rows, single_vectors) = vectors.as_chunks::<SIDE_BY_SIDE>();
    let [mut lanes, others @ ..] = cascade(rows);
    single_vectors.iter().for_each(|vector| add(&mut lanes, vector));
    others.iter().for_each(|vector| add(&mut lanes, vector));
    rest.iter().chain(&lanes).fold(0.0, |sum, value| sum + value)
}

/// Adds up the rows, `2^n` into the finest level before it is carried into the next.
fn cascade(rows: &[Sums]) -> Sums {
    let level_power = (ceil_log2(rows.len()) / LEVELS as u32).max(4);
    let mut levels = [[[0.0; LANES]; SIDE_BY_SIDE]; LEVELS];
    let mut summed = 0;
    let groups = rows.chunks_exact(1 << level_power);
    let rest = groups.remainder();
    for group in groups {
        group.iter().for_each(|row| add_all(&mut levels[0], row));
        summed += group.len();
        for coarser in 1..LEVELS {
            let [.., carried, level] = levels.get_mut(..=coarser).unwrap_or_default() else { break };
            add_all(level, &std::mem::take(carried));
            // The next level is full too when its digit has come round to zero.
            if summed & (((1 << level_power) - 1) << (coarser as u32 * level_power)) != 0 {
                break;
            }
        }
    }
    let [mut total, coarser @ ..] = levels;
    rest.iter().for_each(|row| add_all(&mut total, row));
    coarser.iter().for_each(|level| add_all(&mut total, level));
    total
}

fn add_all(sums: &mut Sums, row: &Sums) {
    sums.iter_mut().zip(row).for_each(|(sum, vector)| add(sum, vector));
}

fn add(sum: &mut [f32; LANES], vector: &[f32; LANES]) {
    sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
}

fn ceil_log2(count: usize) -> u32 {
    count.next_power_of_two().trailing_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_counted_once() {
        for count in [1, 7, 8, 31, 32, 33, 512, 513, 5000, 70_000] {
            // Whole numbers below 2^24 add up exactly, in any order.
            let values: Vec<f32> = (0..count).map(|i| (i % 13) as f32).collect();
            let expected: u32 = (0..count).map(|i| i % 13).sum();
            assert_eq!(sum(&values), expected as f32, "{count} values");
        }
    }

    #[test]
    fn a_long_sum_of_small_values_stays_accurate() {
        let values = vec![0.1_f32; 1 << 22];
        assert!((mean(&values) - 0.1).abs() < 1e-7);
    }
}
