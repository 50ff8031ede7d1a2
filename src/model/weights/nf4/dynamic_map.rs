//! The 8-bit dynamic map: 256 values in [-1, 1] whose relative precision falls with their magnitude.
//!
//! Dettmers, "8-Bit Approximations for Parallelism in Deep Learning", section 2: each of seven decades is divided
//! linearly, 1e-6 into one part and 1 into 64.

use std::sync::LazyLock;

/// The ratio of a value to its block's largest is rounded to one of this many steps before its code is looked up, as
/// bitsandbytes does on a CPU: the code is nearly, not always, the nearest one.
const STEPS: usize = 1 << 16;

/// The signed map, as bitsandbytes generates it.
pub static DYNAMIC_MAP: LazyLock<DynamicMap> = LazyLock::new(DynamicMap::signed);

/// A table of 256 values and the way from a ratio to its code.
pub struct DynamicMap {
    values: [f32; 256],
    code_of_step: Vec<u8>,
}

impl DynamicMap {
    fn signed() -> Self {
        let mut ascending = vec![0.0, 1.0];
        for (parts, decade) in (0..).map(|bits| 1 << bits).zip([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]) {
            let boundaries: Vec<f32> = linspace(0.1, 1.0, parts + 1).collect();
            for (low, high) in boundaries.iter().zip(boundaries.iter().skip(1)) {
                let magnitude: f32 = decade * ((low + high) / 2.0);
                ascending.extend([magnitude, -magnitude]);
            }
        }
        ascending.sort_by(f32::total_cmp);
        let mut values = [0.0; 256];
        for (value, &generated) in values.iter_mut().zip(&ascending) {
            *value = generated;
        }
        Self { code_of_step: codes_of_steps(&values), values }
    }

    /// The values, ascending.
    pub fn values(&self) -> &[f32; 256] {
        &self.values
    }

    /// Code of a ratio in [-1, 1].
    pub fn code(&self, ratio: f32) -> u8 {
        // Fused, as bitsandbytes is compiled.
        let step = ((ratio.clamp(-1.0, 1.0) + 1.0) * 0.5).mul_add((STEPS - 1) as f32, 0.5) as usize;
        self.code_of_step.get(step).copied().unwrap_or(u8::MAX)
    }
}

/// The code for each step: the number of thresholds (halfway between neighbours) below it.
fn codes_of_steps(values: &[f32; 256]) -> Vec<u8> {
    let thresholds: Vec<f32> = values.iter().zip(values.iter().skip(1)).map(|(low, high)| 0.5 * (low + high)).collect();
    let ratio = |step: usize| -1.0 + (2.0 * step as f32) / (STEPS - 1) as f32;
    (0..STEPS).map(|step| thresholds.partition_point(|&threshold| threshold < ratio(step)) as u8).collect()
}

/// torch's `linspace` in f32: counted from the nearer end, with fused multiply-adds.
fn linspace(start: f32, end: f32, count: usize) -> impl Iterator<Item = f32> {
    let step = (end - start) / (count - 1) as f32;
    (0..count).map(move |i| {
        let from_end = (count - 1 - i) as f32;
        if i < count / 2 { step.mul_add(i as f32, start) } else { (-step).mul_add(from_end, end) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_ascends_from_minus_to_plus_one_through_zero() {
        let values = DYNAMIC_MAP.values();
        assert!(values.is_sorted_by(|a, b| a < b));
        assert_eq!((values[127], values[255]), (0.0, 1.0));
        assert!((values[0] + 0.992_968_8).abs() < 1e-6 && (values[128] - 5.5e-7).abs() < 1e-12);
    }

    #[test]
    fn a_value_far_from_zero_has_its_own_code() {
        // Close to zero the values lie nearer to each other than the steps.
        for (code, &value) in DYNAMIC_MAP.values().iter().enumerate().filter(|(_, value)| value.abs() > 1e-3) {
            assert_eq!(usize::from(DYNAMIC_MAP.code(value)), code, "{value}");
        }
        assert_eq!((DYNAMIC_MAP.code(-2.0), DYNAMIC_MAP.code(2.0)), (0, 255));
    }
}
