//! Which vector instructions the loops of this crate use: found out once, and the same everywhere.
//!
//! The widest that the processor has, unless the environment variable [`VARIABLE`] allows only narrower ones, so that what
//! runs on an older processor can be tried on a newer one. Whatever the instructions, 4-bit and bf16 weights become the
//! same f32 numbers, bit for bit. Products with AVX2 and AVX-512 are the same numbers, too; without either there is no
//! fused multiply-add, so that each step of a sum is rounded twice and the last digits differ.
//!
//! The variable does not reach what other crates choose for themselves: the products of `gemm` (attention, TD3, candle's
//! own), which asks the processor and has no setting for it at run time, and the resizing of images
//! (`fast_image_resize`), which computes in whole numbers.

use std::fmt;
use std::sync::OnceLock;

use pulp::{Arch, WithSimd};

/// The environment variable that names the widest instructions that may be used; read once.
pub const VARIABLE: &str = "PLANNER_TUNER_VECTORS";

/// Vector instructions, narrowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstructionSet {
    /// Those that every processor of the target has, as the compiler sees fit: SSE2 on x86-64.
    Baseline,
    /// NEON with fused multiply-add.
    Neon,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512 (F, BW, CD, DQ, VL).
    Avx512,
}

impl InstructionSet {
    /// Those that a processor of this target may have, widest first.
    const OF_TARGET: &[Self] = if cfg!(target_arch = "x86_64") {
        &[Self::Avx512, Self::Avx2, Self::Baseline]
    } else if cfg!(target_arch = "aarch64") {
        &[Self::Neon, Self::Baseline]
    } else {
        &[Self::Baseline]
    };

    /// As [`VARIABLE`] calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => "none",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Baseline => "the target's own vectors",
            Self::Neon => "NEON",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
        })
    }
}

/// [`VARIABLE`] says something that is no set of instructions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{VARIABLE} is '{found}', expected {}: the widest vector instructions that may be used; unset it to use all that \
     the processor has",
    names()
)]
pub struct UnknownVectors {
    found: String,
}

fn names() -> String {
    InstructionSet::OF_TARGET.iter().map(|set| set.name()).collect::<Vec<_>>().join(" or ")
}

/// Vector instructions that this processor has.
#[derive(Debug, Clone, Copy)]
pub struct Vectors(Arch);

impl Vectors {
    /// What works everywhere.
    pub const BASELINE: Self = Self(Arch::Scalar);

    /// What the processor has, widest first; the last is [`BASELINE`](Self::BASELINE).
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            found.extend(pulp::x86::V4::try_new().map(Arch::V4));
            found.extend(pulp::x86::V3::try_new().map(Arch::V3));
        }
        #[cfg(target_arch = "aarch64")]
        found.extend(pulp::aarch64::Neon::try_new().map(Arch::Neon));
        found.into_iter().map(Self).chain([Self::BASELINE]).collect()
    }

    /// The widest that the processor has.
    pub fn widest() -> Self {
        Self::available().into_iter().next().unwrap_or(Self::BASELINE)
    }

    /// What all loops use: the widest that the processor has and [`VARIABLE`] allows.
    ///
    /// A variable that says something else allows nothing beyond [`BASELINE`](Self::BASELINE). Programs do not come here
    /// with one: they call [`settle`] first, and refuse to start.
    pub fn in_use() -> Self {
        settle().unwrap_or(Self::BASELINE)
    }

    /// Which they are.
    pub fn set(self) -> InstructionSet {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Arch::V4(_) => InstructionSet::Avx512,
            #[cfg(target_arch = "x86_64")]
            Arch::V3(_) => InstructionSet::Avx2,
            #[cfg(target_arch = "aarch64")]
            Arch::Neon(_) => InstructionSet::Neon,
            _ => InstructionSet::Baseline,
        }
    }

    /// Proof that the processor has them, for code that is written for one of them.
    pub(crate) fn arch(self) -> Arch {
        self.0
    }

    /// Runs `work` compiled for them. What `work` calls must be inlined into it to profit.
    #[inline(always)]
    pub(crate) fn dispatch<W: WithSimd>(self, work: W) -> W::Output {
        self.0.dispatch(work)
    }

    /// The widest that the processor has and `limit` allows, which is what the variable says.
    fn within(limit: Option<&str>) -> Result<Self, UnknownVectors> {
        let Some(found) = limit.filter(|text| !text.is_empty()) else { return Ok(Self::widest()) };
        let Some(limit) = InstructionSet::OF_TARGET.iter().find(|set| set.name() == found) else {
            return Err(UnknownVectors { found: found.to_owned() });
        };
        let allowed = Self::available().into_iter().find(|vectors| vectors.set() <= *limit);
        Ok(allowed.unwrap_or(Self::BASELINE))
    }
}

/// Reads [`VARIABLE`], the first time that it is called, and says what all loops will use.
///
/// # Errors
/// When the variable says something that is no set of instructions.
pub fn settle() -> Result<Vectors, UnknownVectors> {
    static IN_USE: OnceLock<Result<Vectors, UnknownVectors>> = OnceLock::new();
    let read = || {
        let limit = std::env::var_os(VARIABLE);
        let in_use = Vectors::within(limit.map(|limit| limit.to_string_lossy().into_owned()).as_deref());
        if let Ok(vectors) = &in_use {
            log::debug!("loops use {}", vectors.set());
        }
        in_use
    };
    IN_USE.get_or_init(read).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_of_this_run_is_one_that_is_known() {
        let vectors = settle().unwrap();
        assert_eq!(Vectors::in_use().set(), vectors.set());
        let named = std::env::var(VARIABLE).ok();
        assert_eq!(vectors.set(), Vectors::within(named.as_deref()).unwrap().set());
    }

    #[test]
    fn a_limit_only_ever_narrows() {
        let sets = |vectors: &[Vectors]| vectors.iter().map(|vectors| vectors.set()).collect::<Vec<_>>();
        let available = Vectors::available();
        assert!(available.windows(2).all(|pair| pair[0].set() > pair[1].set()), "{:?}", sets(&available));
        assert_eq!(available.last().unwrap().set(), InstructionSet::Baseline);
        for nothing_said in [None, Some("")] {
            assert_eq!(Vectors::within(nothing_said).unwrap().set(), Vectors::widest().set());
        }
        for limit in InstructionSet::OF_TARGET {
            let found = Vectors::within(Some(limit.name())).unwrap().set();
            let expected = sets(&available).into_iter().find(|set| set <= limit).unwrap();
            assert_eq!(found, expected, "{limit}");
        }
        assert_eq!(Vectors::within(Some("none")).unwrap().set(), InstructionSet::Baseline);
    }

    #[test]
    fn another_word_is_refused_with_those_that_are_known() {
        for word in ["avx3", "AVX2", " avx2", "1", "sse2"] {
            let error = Vectors::within(Some(word)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("PLANNER_TUNER_VECTORS is '{word}', expected ")), "{error}");
            assert!(InstructionSet::OF_TARGET.iter().all(|set| error.contains(set.name())), "{error}");
        }
    }
}
