//! `adapter_config.json`: what PEFT wrote about a LoRA adapter, and what of it the merge depends on.

use super::error::CheckpointError;
use super::json;
use regex::Regex;
use serde_json::{Map, Value};
use std::path::Path;

/// The part of `adapter_config.json` that the merge `W += scale * B A` depends on.
///
/// Which matrices are changed is read from the tensor names, not from `target_modules`: that field may be a regular
/// expression over module names which have changed between versions of transformers.
#[derive(Debug, Clone)]
pub struct LoraConfig {
    /// Inner dimension of the product.
    pub rank: usize,
    /// Numerator of the scale.
    pub alpha: f64,
    /// Rank-stabilised scaling.
    pub use_rslora: bool,
    /// Modules whose rank is another one.
    pub rank_pattern: ModulePatterns,
    /// Modules whose numerator is another one.
    pub alpha_pattern: ModulePatterns,
}

/// Values by module name, as PEFT's `rank_pattern` and `alpha_pattern` hold them: the first key that matches the end of
/// the name, from a dot on, decides. Keys are regular expressions.
#[derive(Debug, Clone, Default)]
pub struct ModulePatterns(Vec<(Regex, f64)>);

impl ModulePatterns {
    /// Whether every module has the value that is valid for all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a module, by its name in the model that was adapted.
    pub fn get(&self, module: &str) -> Option<f64> {
        self.0.iter().find(|(key, _)| key.is_match(module)).map(|(_, value)| *value)
    }
}

/// Fields that say nothing about the result: notes, what training alone looks at, and which modules were chosen, which
/// the tensors' names tell better. The settings of an initialisation count only where `init_lora_weights` names it.
const NOTES: [&str; 18] = [
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "exclude_modules",
    "inference_mode",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_dropout",
    "lora_ga_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "target_modules",
    "task_type",
];

/// Fields that are read below. `runtime_config` and `velora_config` change how it is computed, not what.
const READ: [&str; 11] = [
    "alpha_pattern",
    "bias",
    "init_lora_weights",
    "lora_alpha",
    "modules_to_save",
    "peft_type",
    "r",
    "rank_pattern",
    "runtime_config",
    "use_rslora",
    "velora_config",
];

/// Fields of PEFT's `LoraConfig` that make other numbers than `W + scale * B A`.
const NOT_IMPLEMENTED: [&str; 13] = [
    "alora_invocation_tokens",
    "arrow_config",
    "fan_in_fan_out",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "megatron_config",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
];

impl LoraConfig {
    /// File name within the adapter's folder.
    pub const FILE: &str = "adapter_config.json";

    /// Reads the file. Features that would change the numbers and are not implemented are refused by name, and so are
    /// fields that no release of PEFT is known to have, unless they say nothing.
    ///
    /// # Errors
    /// [`CheckpointError::Field`] naming the field, what it says and what is expected.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        let fields: Map<String, Value> = json::read(path)?;
        Fields { path, fields: &fields }.read()
    }

    /// Reads the contents of the file; errors call it `path`.
    pub(super) fn parse(path: &Path, text: &[u8]) -> Result<Self, CheckpointError> {
        let fields: Map<String, Value> = json::parse(path, text)?;
        Fields { path, fields: &fields }.read()
    }

    /// The factor of the product where no pattern says otherwise: alpha / r, or alpha / sqrt(r) with rank-stabilised
    /// scaling.
    pub fn scale(&self) -> f64 {
        self.factor(self.alpha, self.rank)
    }

    /// Rank and factor of one module's product, by the module's name in the model that was adapted.
    pub fn of_module(&self, module: &str) -> (usize, f64) {
        // Checked to be a whole number when it was read.
        let rank = self.rank_pattern.get(module).map_or(self.rank, |rank| rank as usize);
        (rank, self.factor(self.alpha_pattern.get(module).unwrap_or(self.alpha), rank))
    }

    fn factor(&self, alpha: f64, rank: usize) -> f64 {
        let rank = rank as f64;
        if self.use_rslora { alpha / rank.sqrt() } else { alpha / rank }
    }
}

const MAX_RANK: f64 = 65_536.0;

struct Fields<'a> {
    path: &'a Path,
    fields: &'a Map<String, Value>,
}

impl Fields<'_> {
    fn read(&self) -> Result<LoraConfig, CheckpointError> {
        self.check_kind()?;
        self.check_initialisation()?;
        for field in NOT_IMPLEMENTED {
            if self.says_something(field) {
                let expected = "null, false or empty: this feature is not implemented and would change the numbers";
                return Err(self.wrong(field, expected));
            }
        }
        let known =
            |field: &&String| [&NOTES[..], &READ, &NOT_IMPLEMENTED].iter().any(|list| list.contains(&field.as_str()));
        if let Some(field) = self.fields.keys().find(|field| !known(field) && self.says_something(field)) {
            let expected = "null, false or empty: no release of PEFT up to 0.21 has this field, and it could change the \
                            numbers; remove it if it says nothing";
            return Err(self.wrong(field, expected));
        }
        match self.fields.get("bias") {
            None | Some(Value::Null) => {}
            Some(Value::String(bias)) if bias == "none" => {}
            Some(_) => return Err(self.wrong("bias", "\"none\": trained biases are not implemented")),
        }
        self.check_modules_to_save()?;
        let rank = self.fields.get("r").and_then(Value::as_f64).filter(|rank| is_rank(*rank));
        let rank = rank.ok_or_else(|| self.wrong("r", "an integer from 1 to 65536"))? as usize;
        let alpha = self.fields.get("lora_alpha").and_then(Value::as_f64).filter(|alpha| is_alpha(*alpha));
        let alpha = alpha.ok_or_else(|| self.wrong("lora_alpha", "a positive number"))?;
        let use_rslora = match self.fields.get("use_rslora") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(value)) => *value,
            Some(_) => return Err(self.wrong("use_rslora", "true or false")),
        };
        Ok(LoraConfig {
            rank,
            alpha,
            use_rslora,
            rank_pattern: self.patterns("rank_pattern", is_rank, "module patterns with integers from 1 to 65536")?,
            alpha_pattern: self.patterns("alpha_pattern", is_alpha, "module patterns with positive numbers")?,
        })
    }

    fn check_kind(&self) -> Result<(), CheckpointError> {
        match self.fields.get("peft_type") {
            None => Ok(()),
            Some(Value::String(kind)) if kind == "LORA" => Ok(()),
            Some(_) => {
                let expected = "\"LORA\", the only kind of adapter that is implemented; merge this one into its base \
                                model with PEFT's merge_and_unload";
                Err(self.wrong("peft_type", expected))
            }
        }
    }

    /// Some initialisations take what the pair starts with out of the base weights, and PEFT does so again whenever it
    /// loads the adapter. Of the others nothing is left once the pair has been trained.
    fn check_initialisation(&self) -> Result<(), CheckpointError> {
        match self.fields.get("init_lora_weights") {
            None | Some(Value::Null | Value::Bool(_)) => Ok(()),
            Some(Value::String(kind))
                if ["gaussian", "eva", "orthogonal", "mica"].contains(&kind.to_lowercase().as_str()) =>
            {
                Ok(())
            }
            Some(_) => {
                let expected = "true, false, \"gaussian\", \"eva\", \"orthogonal\" or \"mica\": other initialisations \
                                (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA) change the base weights as well; save the adapter \
                                again as a plain one (PEFT: save_pretrained with path_initial_model_for_weight_conversion), \
                                or merge it into its base with merge_and_unload";
                Err(self.wrong("init_lora_weights", expected))
            }
        }
    }

    /// A copy of `lm_head` is of no consequence to hidden states.
    fn check_modules_to_save(&self) -> Result<(), CheckpointError> {
        let only_the_head = match self.fields.get("modules_to_save") {
            Some(Value::Array(modules)) => modules.iter().all(|module| module == "lm_head"),
            _ => !self.says_something("modules_to_save"),
        };
        let expected = "null, or lm_head alone: modules that were trained as a whole are not implemented; merge the \
                        adapter into its base model with PEFT's merge_and_unload";
        if only_the_head { Ok(()) } else { Err(self.wrong("modules_to_save", expected)) }
    }

    fn patterns(
        &self,
        field: &str,
        is_right: fn(f64) -> bool,
        expected: &str,
    ) -> Result<ModulePatterns, CheckpointError> {
        let items = match self.fields.get(field) {
            None | Some(Value::Null) => return Ok(ModulePatterns::default()),
            Some(Value::Object(items)) => items,
            Some(_) => return Err(self.wrong(field, expected)),
        };
        let pattern = |(key, value): (&String, &Value)| {
            let value = value.as_f64().filter(|value| is_right(*value));
            // As PEFT matches them: from the start, behind nothing or a dot, up to the end.
            let key = Regex::new(&format!(r"^(?:.*\.)?(?:{key})$")).ok();
            key.zip(value).ok_or_else(|| self.wrong(field, expected))
        };
        items.iter().map(pattern).collect::<Result<_, _>>().map(ModulePatterns)
    }

    fn says_something(&self, field: &str) -> bool {
        match self.fields.get(field) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(items)) => !items.is_empty(),
            Some(Value::String(text)) => !text.is_empty(),
            Some(_) => true,
        }
    }

    fn wrong(&self, field: &str, expected: &str) -> CheckpointError {
        CheckpointError::Field {
            path: self.path.into(),
            field: field.into(),
            expected: expected.into(),
            found: self.fields.get(field).map_or("missing".into(), shortened),
        }
    }
}

fn is_rank(value: f64) -> bool {
    value.fract() == 0.0 && (1.0..=MAX_RANK).contains(&value)
}

fn is_alpha(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

fn shortened(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
