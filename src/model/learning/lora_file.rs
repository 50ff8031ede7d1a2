//! `adapter_config.json` of a LoRA that learned here, as PEFT writes it.

use serde_json::json;

use super::LoraLayers;
use crate::weights::LoraTargets;

/// The release of PEFT whose format it is.
const PEFT_VERSION: &str = "0.21.2";

/// The matrices of each part, as ends of a module's name.
const TEXT: &str = r"language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)";
const VISION: &str = r"visual\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.(gate|up|down)_proj)";
const MERGER: &str = r"visual\.merger\.mlp\.[02]";

impl LoraLayers {
    /// The contents of `adapter_config.json`. `base` is noted as where the base model came from.
    pub fn adapter_config(&self, base: &str) -> String {
        let settings = self.settings();
        let config = json!({
            "alpha_pattern": {},
            "auto_mapping": null,
            "base_model_name_or_path": base,
            "bias": "none",
            "exclude_modules": null,
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "layer_replication": null,
            "layers_pattern": null,
            "layers_to_transform": null,
            "loftq_config": {},
            "lora_alpha": whole_or_not(settings.alpha),
            "lora_bias": false,
            "lora_dropout": settings.dropout,
            "megatron_config": null,
            "megatron_core": "megatron.core",
            "modules_to_save": null,
            "peft_type": "LORA",
            "peft_version": PEFT_VERSION,
            "r": settings.rank,
            "rank_pattern": {},
            "revision": null,
            "target_modules": target_modules(settings.targets),
            "target_parameters": null,
            "task_type": "CAUSAL_LM",
            "trainable_token_indices": null,
            "use_dora": false,
            "use_rslora": false,
        });
        format!("{config:#}\n")
    }
}

/// PEFT writes the number that it was given, mostly a whole one.
fn whole_or_not(alpha: f64) -> serde_json::Value {
    if alpha.fract() == 0.0 && alpha.abs() < 1e9 { json!(alpha as i64) } else { json!(alpha) }
}

/// A regular expression over module names, as PEFT matches it.
fn target_modules(targets: LoraTargets) -> String {
    let LoraTargets { text, vision, merger } = targets;
    let parts: Vec<&str> = [(text, TEXT), (vision, VISION), (merger, MERGER)]
        .into_iter()
        .filter(|(on, _)| *on)
        .map(|(_, part)| part)
        .collect();
    format!(".*({})$", parts.join("|"))
}
