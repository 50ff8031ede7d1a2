//! Sixteen codes at a time to their values: on x86 a table of sixteen fits the registers.

use pulp::Arch;

use super::code::VALUES;
use crate::vectors::Vectors;
use crate::weights::{PANEL, PanelRow};

/// Codes of one input in a panel's outputs: byte `i` holds output `i` in its lower half and output `16 + i` in its upper.
pub type PanelCodes = [u8; PANEL / 2];

/// Writes the value of each code times the scale of its output.
///
/// The product is the one of [`decode_byte`](super::code::decode_byte), whatever the instructions.
pub fn look_up(codes: &[PanelCodes], scales: &PanelRow, vectors: Vectors, out: &mut [PanelRow]) {
    match vectors.arch() {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(simd) => simd.vectorize(x86::Avx512 { simd, codes, scales, out }),
        #[cfg(target_arch = "x86_64")]
        Arch::V3(simd) => simd.vectorize(x86::Avx2 { simd, codes, scales, out }),
        _ => one_by_one(codes, scales, out),
    }
}

#[allow(clippy::indexing_slicing)] // half a byte is below 16
fn one_by_one(codes: &[PanelCodes], scales: &PanelRow, out: &mut [PanelRow]) {
    for (codes, out) in codes.iter().zip(out) {
        let (lower, upper) = out.split_at_mut(PANEL / 2);
        let (lower_scales, upper_scales) = scales.split_at(PANEL / 2);
        for (at, code) in codes.iter().enumerate() {
            lower[at] = VALUES[usize::from(code & 15)] * lower_scales[at];
            upper[at] = VALUES[usize::from(code >> 4)] * upper_scales[at];
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m128i, __m256, __m256i, __m512, __m512i};

    use pulp::NullaryFnOnce;
    // By value: a reference to a vector would have to be aligned as one, and these numbers are not.
    use pulp::bytemuck::cast;
    use pulp::x86::{V3, V4};

    use super::{PanelCodes, PanelRow, VALUES};

    /// The lookup in one register of sixteen values.
    pub struct Avx512<'a> {
        pub simd: V4,
        pub codes: &'a [PanelCodes],
        pub scales: &'a PanelRow,
        pub out: &'a mut [PanelRow],
    }

    impl NullaryFnOnce for Avx512<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let f = self.simd.avx512f;
            let table: __m512 = cast(VALUES);
            let scales: [__m512; 2] = cast(*self.scales);
            for (codes, out) in self.codes.iter().zip(self.out) {
                let codes: __m512i = f._mm512_cvtepu8_epi32(cast::<_, __m128i>(*codes));
                // The lookup takes the lowest four bits and ignores those above.
                let indices = [codes, f._mm512_srli_epi32::<4>(codes)];
                let [lower, upper] = indices.map(|index| f._mm512_permutexvar_ps(index, table));
                let [lower_scale, upper_scale] = scales;
                *out = cast([f._mm512_mul_ps(lower, lower_scale), f._mm512_mul_ps(upper, upper_scale)]);
            }
        }
    }

    /// The lookup in two registers of eight.
    pub struct Avx2<'a> {
        pub simd: V3,
        pub codes: &'a [PanelCodes],
        pub scales: &'a PanelRow,
        pub out: &'a mut [PanelRow],
    }

    impl NullaryFnOnce for Avx2<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let V3 { sse2, avx, avx2, .. } = self.simd;
            let [negative, positive]: [__m256; 2] = cast(VALUES);
            let [scale_0, scale_1, scale_2, scale_3]: [__m256; 4] = cast(*self.scales);
            let values = |index: __m256i, scale: __m256| {
                // The lookup takes the lowest three bits; the fourth, moved to the sign, chooses between the halves.
                let [low, high] = [negative, positive].map(|half| avx2._mm256_permutevar8x32_ps(half, index));
                let sign: __m256 = cast(avx2._mm256_slli_epi32::<28>(index));
                avx._mm256_mul_ps(avx._mm256_blendv_ps(low, high, sign), scale)
            };
            for (codes, out) in self.codes.iter().zip(self.out) {
                let first: __m128i = cast(*codes);
                let second = sse2._mm_srli_si128::<8>(first);
                let [first, second] = [first, second].map(|eight| avx2._mm256_cvtepu8_epi32(eight));
                let upper = |codes| avx2._mm256_srli_epi32::<4>(codes);
                *out = cast([
                    values(first, scale_0),
                    values(second, scale_1),
                    values(upper(first), scale_2),
                    values(upper(second), scale_3),
                ]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value times the scale, as the definition of the codes says.
    fn expected(codes: &PanelCodes, scales: &PanelRow) -> PanelRow {
        std::array::from_fn(|output| {
            let code = codes[output % 16] >> (output / 16 * 4) & 15;
            VALUES[usize::from(code)] * scales[output]
        })
    }

    #[test]
    fn all_vectors_look_up_the_same_bits_wherever_the_numbers_lie() {
        let bytes: Vec<u8> = (0..16 * 256 + 64).map(|at| (at * 37 + at / 251) as u8).collect();
        let numbers: Vec<f32> = (0..64).map(|at| (at as f32 - 27.3) * 0.37).collect();
        let mut flat = vec![f32::NAN; 32 * 256 + 16];
        // 64 bytes further there is the same alignment again, so that these are all places that a number can have.
        for (codes_at, numbers_at) in (0..64).map(|at| (at, at % 16)) {
            let codes = &bytes[codes_at..].as_chunks::<{ PANEL / 2 }>().0[..256];
            let scales = numbers[numbers_at..].first_chunk::<PANEL>().unwrap();
            let expected: Vec<PanelRow> = codes.iter().map(|codes| expected(codes, scales)).collect();
            for out_at in [numbers_at, (numbers_at + 7) % 16] {
                for vectors in Vectors::available() {
                    let out = &mut flat[out_at..].as_chunks_mut::<PANEL>().0[..256];
                    out.as_flattened_mut().fill(f32::NAN);
                    look_up(codes, scales, vectors, out);
                    let places = format!("{codes_at} bytes, {numbers_at} and {out_at} numbers into their buffers");
                    assert_eq!(out, expected, "{}, {places}", vectors.set());
                }
            }
        }
    }

    #[test]
    fn the_lower_halves_are_the_first_outputs() {
        let mut codes: PanelCodes = [0x70; PANEL / 2];
        codes[1] = 0x1f;
        for vectors in Vectors::available() {
            let mut out = [[f32::NAN; PANEL]; 1];
            look_up(&[codes], &[2.0; PANEL], vectors, &mut out);
            let [row] = out;
            assert_eq!((row[0], row[1], row[16], row[17]), (-2.0, 2.0, 0.0, 2.0 * VALUES[1]), "{}", vectors.set());
        }
    }
}
