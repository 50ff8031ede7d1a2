//! The sixteen values of NormalFloat4, and the way from a value to its code and back.

use super::BLOCK;

/// The values, ascending: quantiles of a normal distribution, scaled to [-1, 1], with an exact zero at code 7
/// (QLoRA, appendix E).
pub const VALUES: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// Halfway between neighbouring values. A ratio on a threshold takes the lower code.
#[allow(clippy::indexing_slicing)] // evaluated by the compiler
const THRESHOLDS: [f32; 15] = {
    let mut thresholds = [0.0; 15];
    let mut lower = 0;
    while lower < 15 {
        thresholds[lower] = (VALUES[lower] + VALUES[lower + 1]) / 2.0;
        lower += 1;
    }
    thresholds
};

/// The two values that each byte stands for; one load instead of two shifts, two masks and two loads.
#[allow(clippy::indexing_slicing)] // evaluated by the compiler
const PAIRS: [[f32; 2]; 256] = {
    let mut pairs = [[0.0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [VALUES[byte >> 4], VALUES[byte & 15]];
        byte += 1;
    }
    pairs
};

/// The two values of [-1, 1] that each byte of codes stands for, the one in the upper half first.
pub fn byte_values() -> &'static [[f32; 2]; 256] {
    static VALUES: [[f32; 2]; 256] = PAIRS;
    &VALUES
}

/// Bytes of a whole block.
pub const BLOCK_BYTES: usize = BLOCK / 2;

/// Code of `value / absmax`. Ratios outside [-1, 1], by rounding, fall on the outer codes.
///
/// Counting without a branch is what makes the loop over a block vectorise.
fn encode(ratio: f32) -> i32 {
    THRESHOLDS.iter().map(|&threshold| i32::from(ratio > threshold)).sum()
}

/// Packs the codes of a block's ratios, two a byte, the first in the upper half.
pub fn encode_block(ratios: &[f32; BLOCK], packed: &mut [u8; BLOCK_BYTES]) {
    let mut codes = [0; BLOCK];
    for (code, &ratio) in codes.iter_mut().zip(ratios) {
        *code = encode(ratio);
    }
    for (byte, [first, second]) in packed.iter_mut().zip(codes.as_chunks().0) {
        *byte = ((first << 4) | second) as u8;
    }
}

/// The values of a whole block.
pub fn decode_block(packed: &[u8; BLOCK_BYTES], absmax: f32, out: &mut [f32; BLOCK]) {
    for (pair, &byte) in out.as_chunks_mut().0.iter_mut().zip(packed) {
        *pair = decode_byte(byte, absmax);
    }
}

/// Both values of a byte.
#[allow(clippy::indexing_slicing)] // a byte is below 256
pub fn decode_byte(byte: u8, absmax: f32) -> [f32; 2] {
    let [first, second] = PAIRS[usize::from(byte)];
    [first * absmax, second * absmax]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_own_code() {
        for (code, &value) in VALUES.iter().enumerate() {
            assert_eq!(encode(value), code as i32, "{value}");
        }
        assert_eq!((encode(-1.5), encode(1.000_000_1), encode(-0.0)), (0, 15, 7));
    }

    #[test]
    fn a_ratio_on_a_threshold_takes_the_lower_code() {
        for (lower, &threshold) in THRESHOLDS.iter().enumerate() {
            assert_eq!(encode(threshold), lower as i32);
            assert_eq!(encode(threshold.next_up()), lower as i32 + 1);
        }
    }

    #[test]
    fn the_first_value_is_in_the_upper_half() {
        assert_eq!(decode_byte(0x0f, 2.0), [-2.0, 2.0]);
        let mut packed = [0; BLOCK_BYTES];
        let mut ratios = [0.0; BLOCK];
        ratios[0] = -1.0;
        ratios[63] = 1.0;
        encode_block(&ratios, &mut packed);
        assert_eq!((packed[0], packed[1], packed[31]), (0x07, 0x77, 0x7f));
    }
}
