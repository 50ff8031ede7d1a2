//! Hidden states as the contents of a cache entry.

use candle_core::{DType, Device, Tensor};
use half::bf16;

use planner_tuner_model::vision_language::HiddenStates;

/// In which format hidden states are kept. They are rounded to it before the heads ever see them, so that it makes no
/// difference whether they were computed or read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HiddenFormat {
    /// As a CPU computes them: four bytes a number
    #[default]
    F32,
    /// Half the room; what a GPU computes, and a rounding error of 0.4 % of what a CPU computes
    Bf16,
}

/// Bytes before the numbers: length of the sequence, width.
const SHAPE: usize = 16;

impl HiddenFormat {
    /// The name, which is part of an entry's key.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    fn width(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}

/// The contents of an entry: length and width as 64 bits, then the four states `[seq, hidden]`, earliest layer first.
///
/// # Errors
/// When the states have different shapes or cannot be copied from their device.
pub fn encode(states: &HiddenStates, format: HiddenFormat) -> candle_core::Result<Vec<u8>> {
    let states = states.whole()?;
    let (seq, hidden) = states[0].dims2()?;
    let mut bytes = Vec::with_capacity(SHAPE + 4 * seq * hidden * format.width());
    bytes.extend((seq as u64).to_le_bytes());
    bytes.extend((hidden as u64).to_le_bytes());
    for state in &states {
        if state.dims() != [seq, hidden] {
            candle_core::bail!("hidden states of shapes {:?} and [{seq}, {hidden}]", state.dims());
        }
        let state = state.flatten_all()?;
        match format {
            HiddenFormat::F32 => {
                let values = state.to_dtype(DType::F32)?.to_vec1::<f32>()?;
                bytes.extend(values.into_iter().flat_map(f32::to_le_bytes));
            }
            HiddenFormat::Bf16 => {
                let values = state.to_dtype(DType::BF16)?.to_vec1::<bf16>()?;
                bytes.extend(values.into_iter().flat_map(bf16::to_le_bytes));
            }
        }
    }
    Ok(bytes)
}

/// The states of an entry; `None` when the contents are not states of this width.
pub fn decode(bytes: &[u8], format: HiddenFormat, hidden: usize, device: &Device) -> Option<HiddenStates> {
    let (shape, numbers) = bytes.split_at_checked(SHAPE)?;
    let (seq, width) = shape.split_first_chunk::<8>()?;
    let seq = usize::try_from(u64::from_le_bytes(*seq)).ok()?;
    let expected = seq.checked_mul(hidden)?.checked_mul(4 * format.width())?;
    if width != (hidden as u64).to_le_bytes() || seq == 0 || numbers.len() != expected {
        return None;
    }
    let state = |bytes: &[u8]| -> candle_core::Result<Tensor> {
        match format {
            HiddenFormat::F32 => {
                let values = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
                Tensor::from_vec(values.collect(), (seq, hidden), device)
            }
            HiddenFormat::Bf16 => {
                let values = bytes.as_chunks::<2>().0.iter().map(|bytes| bf16::from_le_bytes(*bytes));
                Tensor::from_vec(values.collect(), (seq, hidden), device)
            }
        }
    };
    let mut states = numbers.chunks_exact(numbers.len() / 4).map(|bytes| state(bytes).ok());
    let mut next = || states.next().flatten();
    Some(HiddenStates::new([next()?, next()?, next()?, next()?]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn states(seq: usize) -> HiddenStates {
        let state = |phase: usize| {
            let values: Vec<f32> = (0..seq * 6).map(|i| ((i + 7 * phase) as f32).sin() * 40.0).collect();
            Tensor::from_vec(values, (seq, 6), &Device::Cpu).unwrap()
        };
        HiddenStates::new([0, 1, 2, 3].map(state))
    }

    fn values(states: &HiddenStates) -> Vec<f32> {
        let all =
            states.whole().unwrap().into_iter().map(|state| state.to_dtype(DType::F32).unwrap().flatten_all().unwrap());
        all.flat_map(|state| state.to_vec1::<f32>().unwrap()).collect()
    }

    #[test]
    fn f32_comes_back_to_the_bit_and_bf16_rounded_once() {
        let exact = encode(&states(5), HiddenFormat::F32).unwrap();
        assert_eq!(values(&decode(&exact, HiddenFormat::F32, 6, &Device::Cpu).unwrap()), values(&states(5)));
        let half = encode(&states(5), HiddenFormat::Bf16).unwrap();
        let rounded = decode(&half, HiddenFormat::Bf16, 6, &Device::Cpu).unwrap();
        assert_eq!(half.len() - SHAPE, (exact.len() - SHAPE) / 2);
        assert_eq!(encode(&rounded, HiddenFormat::Bf16).unwrap(), half);
        for (rounded, exact) in values(&rounded).into_iter().zip(values(&states(5))) {
            assert!((rounded - exact).abs() <= exact.abs() * 0.004, "{rounded} {exact}");
        }
    }

    #[test]
    fn other_shapes_and_lengths_are_none() {
        let bytes = encode(&states(3), HiddenFormat::F32).unwrap();
        let decode = |bytes: &[u8], format, hidden| decode(bytes, format, hidden, &Device::Cpu);
        assert!(decode(&bytes, HiddenFormat::F32, 5).is_none());
        assert!(decode(&bytes, HiddenFormat::Bf16, 6).is_none());
        assert!((0..bytes.len()).all(|length| decode(bytes.get(..length).unwrap(), HiddenFormat::F32, 6).is_none()));
        let mut huge = bytes;
        huge.get_mut(..8).unwrap().fill(0xff);
        assert!(decode(&huge, HiddenFormat::F32, 6).is_none());
    }
}
