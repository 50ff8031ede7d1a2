//! The exponential, written so that the compiler makes vector instructions of it.

/// `e^x` in f32, to 2 units in the last place; 0 below about -87.3, clamped above 88.3.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; a polynomial of degree 6 for `e^r` (Cephes' `expf`), the power of two through the
/// exponent's bits. libm's own function is not inlined and costs several times as much.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// Adding and subtracting 1.5 * 2^23 rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(-87.3, 88.3);
    let n = (clamped * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = (clamped - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut polynomial = 1.987_569_1e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        polynomial = polynomial * r + coefficient;
    }
    let mantissa = polynomial * (r * r) + r + 1.0;
    let power = f32::from_bits(((n as i32 + 127) << 23) as u32);
    if x < -87.3 { 0.0 } else { mantissa * power }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::Vectors;

    #[test]
    fn all_vectors_give_the_same_bits() {
        let x: Vec<f32> = (-9000..=9000).map(|step| step as f32 * 0.010_37).chain([f32::NEG_INFINITY, 1e9]).collect();
        let expected: Vec<u32> = x.iter().map(|&x| std::hint::black_box(exp(x)).to_bits()).collect();
        for vectors in Vectors::available() {
            let mut values = x.clone();
            vectors.dispatch(|| values.iter_mut().for_each(|value| *value = exp(*value)));
            let found: Vec<u32> = values.into_iter().map(f32::to_bits).collect();
            assert!(found == expected, "{}", vectors.set());
        }
    }

    #[test]
    fn agrees_with_libm() {
        for step in -880_000..=880_000 {
            let x = step as f32 * 1e-4;
            let expected = f64::from(x).exp();
            let relative = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(relative < 2.5e-7 || (x < -87.3 && exp(x) == 0.0), "exp({x}) is off by {relative:e}");
        }
        assert_eq!((exp(f32::NEG_INFINITY), exp(-1e30), exp(0.0)), (0.0, 0.0, 1.0));
    }
}
