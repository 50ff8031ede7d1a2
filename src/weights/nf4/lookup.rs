//! Sixteen codes at a time to their values: on x86 a table of sixteen fits the registers.

use super::code::VALUES;
use crate::weights::{PANEL, PanelRow};

/// Codes of one input in a panel's outputs: byte `i` holds output `i` in its lower half and output `16 + i` in its upper.
pub type PanelCodes = [u8; PANEL / 2];

/// Writes the value of each code times the scale of its output.
///
/// The product is the one of [`decode_byte`](super::code::decode_byte), whatever the instructions.
pub fn look_up(codes: &[PanelCodes], scales: &PanelRow, out: &mut [PanelRow]) {
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(avx512) = pulp::x86::V4::try_new() {
            avx512.vectorize(x86::Avx512 { simd: avx512, codes, scales, out });
            return;
        }
        if let Some(avx2) = pulp::x86::V3::try_new() {
            avx2.vectorize(x86::Avx2 { simd: avx2, codes, scales, out });
            return;
        }
    }
    one_by_one(codes, scales, out);
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
    use pulp::bytemuck::{cast, cast_ref};
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
            let [scale_0, scale_1, scale_2, scale_3]: &[__m256; 4] = cast_ref(self.scales);
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
                    values(first, *scale_0),
                    values(second, *scale_1),
                    values(upper(first), *scale_2),
                    values(upper(second), *scale_3),
                ]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_gives_the_same_bits() {
        let codes: Vec<PanelCodes> =
            (0..=255_u8).map(|byte| std::array::from_fn(|at| byte.wrapping_mul(37).wrapping_add(at as u8))).collect();
        let scales: PanelRow = std::array::from_fn(|output| (output as f32 - 7.3) * 0.37);
        let run = |look_up: &dyn Fn(&mut [PanelRow])| {
            let mut out = vec![[f32::NAN; PANEL]; codes.len()];
            look_up(&mut out);
            out
        };
        let expected = run(&|out| one_by_one(&codes, &scales, out));
        assert_eq!(expected[0][17], VALUES[0] * scales[17], "byte 1 is 0x01: its upper half is code 0");
        assert_eq!(expected[0][1], VALUES[1] * scales[1]);
        assert_eq!(run(&|out| look_up(&codes, &scales, out)), expected);
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            let by_avx2 = run(&|out| simd.vectorize(x86::Avx2 { simd, codes: &codes, scales: &scales, out }));
            assert_eq!(by_avx2, expected);
        }
    }
}
