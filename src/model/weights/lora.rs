//! A LoRA adapter, ready to be added to the matrices it was trained beside.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};

use super::names::{canonical, is_language_head, without_wrappers};
use super::shortened_list;
use super::{LoraTargets, WeightError, WeightSource};
use crate::checkpoint::{LoraConfig, TensorTable};

/// Pairs of low-rank matrices by the canonical name of the weight they change.
///
/// The adapted layers are read from the tensor names, in either of PEFT's namings; `target_modules` is not consulted.
#[derive(Debug)]
pub struct LoraAdapter {
    table: TensorTable,
    pairs: BTreeMap<String, LoraPair>,
}

#[derive(Debug)]
struct LoraPair {
    a: String,
    b: String,
    shape: [usize; 2],
    scale: f64,
}

/// One layer's tensors by the names the file gives them, `A` and `B`, and the layer's own name in the file.
#[derive(Default)]
struct Halves<'t> {
    tensors: [Option<&'t str>; 2],
    module: &'t str,
}

impl LoraAdapter {
    /// Pairs up the tensors and checks their ranks. What adapts `lm_head` is left out: hidden states do not depend on it.
    ///
    /// # Errors
    /// [`WeightError::Adapter`] for an `A` without its `B`, a rank that is not the configured one, or a tensor that is
    /// neither; all of them in one message.
    pub fn new(config: &LoraConfig, table: TensorTable) -> Result<Self, WeightError> {
        let mut layers: BTreeMap<String, Halves<'_>> = BTreeMap::new();
        let mut problems = Vec::new();
        let mut of_the_head = 0;
        for name in table.names() {
            if is_language_head(name) {
                of_the_head += 1;
                continue;
            }
            let Some((module, half)) = split(name) else {
                problems.push(format!("{name} is neither lora_A.weight nor lora_B.weight"));
                continue;
            };
            let halves = layers.entry(format!("{}.weight", canonical(module))).or_default();
            halves.module = without_wrappers(module);
            if halves.tensors.get_mut(half).is_some_and(|slot| slot.replace(name).is_some()) {
                problems.push(format!("{name} stands for a layer that another tensor already adapts"));
            }
        }
        if of_the_head > 0 {
            let adapter = table.describe();
            log::info!(
                "{adapter}: its {of_the_head} tensors of lm_head are left out, hidden states do not depend on them"
            );
        }
        let mut pairs = BTreeMap::new();
        for (weight, halves) in layers {
            let [Some(a), Some(b)] = halves.tensors else {
                problems.push(format!("{weight} has only one of lora_A and lora_B"));
                continue;
            };
            let (rank, scale) = config.of_module(halves.module);
            match (shape2(&table, a), shape2(&table, b)) {
                (Some([rank_a, input]), Some([output, rank_b])) if rank_a == rank && rank_b == rank_a => {
                    let (a, b) = (a.to_owned(), b.to_owned());
                    pairs.insert(weight, LoraPair { a, b, shape: [output, input], scale });
                }
                (shape_a, shape_b) => problems.push(format!(
                    "{weight}: expected lora_A [{rank}, in] and lora_B [out, {rank}], found {shape_a:?} and {shape_b:?}",
                )),
            }
        }
        if !problems.is_empty() {
            return Err(WeightError::Adapter { adapter: table.describe(), reason: shortened_list(&problems) });
        }
        if pairs.is_empty() {
            let reason =
                "it adapts lm_head alone, which hidden states do not depend on; save the adapter of the layers";
            return Err(WeightError::Adapter { adapter: table.describe(), reason: reason.into() });
        }
        Ok(Self { table, pairs })
    }

    /// Values in all matrices of the adapter.
    pub fn parameter_count(&self) -> u64 {
        self.table.parameter_count()
    }

    /// Checks that every adapted weight exists in the base model, with the right shape.
    ///
    /// # Errors
    /// [`WeightError::Adapter`] listing all that do not.
    pub fn check(&self, base_shape: impl Fn(&str) -> Option<Vec<usize>>) -> Result<(), WeightError> {
        let problems: Vec<String> = self
            .pairs
            .iter()
            .filter_map(|(weight, pair)| match base_shape(weight) {
                Some(shape) if shape == pair.shape => None,
                Some(shape) => Some(format!("{weight}: adapter is for {:?}, base has {shape:?}", pair.shape)),
                None => Some(format!("{weight}: the base model has no such tensor")),
            })
            .collect();
        if problems.is_empty() {
            return Ok(());
        }
        Err(WeightError::Adapter { adapter: self.table.describe(), reason: shortened_list(&problems) })
    }

    /// Whether the adapter changes this weight.
    pub fn adapts(&self, name: &str) -> bool {
        self.pairs.contains_key(name)
    }

    /// Which parts of the model it changes.
    pub fn targets(&self) -> LoraTargets {
        let any = |targets: LoraTargets| self.pairs.keys().any(|name| targets.include(name));
        let none = LoraTargets { text: false, vision: false, merger: false };
        LoraTargets {
            text: any(LoraTargets { text: true, ..none }),
            vision: any(LoraTargets { vision: true, ..none }),
            merger: any(LoraTargets { merger: true, ..none }),
        }
    }

    /// `A [rank, in]` and `B [out, rank]` beside a weight, in f32.
    ///
    /// # Errors
    /// [`WeightError::Adapter`] when there are none; when the adapter's file cannot be read.
    pub fn read_pair(&self, name: &str, device: &Device) -> Result<[Tensor; 2], WeightError> {
        let pair = self.pairs.get(name).ok_or_else(|| WeightError::Adapter {
            adapter: self.table.describe(),
            reason: format!("it has no pair of matrices for {name}"),
        })?;
        Ok([self.read_half(&pair.a, device)?, self.read_half(&pair.b, device)?])
    }

    fn read_half(&self, name: &str, device: &Device) -> Result<Tensor, WeightError> {
        Ok(self.table.read(name, device)?.to_dtype(DType::F32)?)
    }

    /// `weight + scale * B A` in f32; `None` when the adapter leaves this weight alone.
    ///
    /// # Errors
    /// When the adapter's file cannot be read.
    pub fn merge(&self, name: &str, weight: &Tensor, device: &Device) -> Result<Option<Tensor>, WeightError> {
        let Some(pair) = self.pairs.get(name) else { return Ok(None) };
        let (a, b) = (self.read_half(&pair.a, device)?, self.read_half(&pair.b, device)?);
        let delta = (b.matmul(&a)? * pair.scale)?; // [out, in]
        Ok(Some((weight.to_dtype(DType::F32)? + delta)?))
    }
}

/// `x.lora_A.weight` or `x.lora_A.<adapter>.weight` becomes (`x`, 0); `lora_B` gives 1.
fn split(name: &str) -> Option<(&str, usize)> {
    let rest = name.strip_suffix(".weight")?;
    [".lora_A", ".lora_B"].into_iter().enumerate().find_map(|(half, marker)| {
        let (module, adapter) = rest.rsplit_once(marker)?;
        let plain = adapter.is_empty() || adapter.strip_prefix('.').is_some_and(|name| !name.contains('.'));
        plain.then_some((module, half))
    })
}

fn shape2(table: &TensorTable, name: &str) -> Option<[usize; 2]> {
    table.meta(name)?.shape.as_slice().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_recognised_in_both_forms() {
        assert_eq!(split("m.q_proj.lora_A.weight"), Some(("m.q_proj", 0)));
        assert_eq!(split("m.q_proj.lora_B.default.weight"), Some(("m.q_proj", 1)));
        assert_eq!(split("m.q_proj.lora_A.a.b.weight"), None);
        assert_eq!(split("m.q_proj.lora_magnitude_vector"), None);
    }
}
