//! One name for every tensor, whichever release of transformers or PEFT wrote it.

/// The name in the published checkpoints' form: `visual.*`, `model.embed_tokens.*`, `model.layers.*`, `model.norm.*`.
///
/// Transformers 4.52 and later nest both parts below `model.` (`model.visual.*`, `model.language_model.*`); some exports
/// have `language_model.model.*`, and what was saved without its head has no `model.` at all. PEFT puts
/// `base_model.model.` in front of any, `torch.compile` and data-parallel training their own.
pub fn canonical(name: &str) -> String {
    let name = without_wrappers(name);
    const RENAMED: [(&str, &str); 8] = [
        ("model.visual.", "visual."),
        ("model.language_model.", "model."),
        ("language_model.model.", "model."),
        ("language_model.", "model."),
        ("model.model.", "model."),
        ("layers.", "model.layers."),
        ("embed_tokens.", "model.embed_tokens."),
        ("norm.", "model.norm."),
    ];
    for (newer, published) in RENAMED {
        if let Some(rest) = name.strip_prefix(newer) {
            return format!("{published}{rest}");
        }
    }
    name.to_string()
}

/// The name below the wrappers around a model: in the model as transformers has it.
pub fn without_wrappers(name: &str) -> &str {
    const WRAPPERS: [&str; 4] = ["base_model.model.", "_orig_mod.", "_fsdp_wrapped_module.", "module."];
    let mut name = name;
    while let Some(rest) = WRAPPERS.iter().find_map(|wrapper| name.strip_prefix(wrapper)) {
        name = rest;
    }
    name
}

/// Whether a tensor belongs to the head that would turn hidden states into words.
pub fn is_language_head(name: &str) -> bool {
    without_wrappers(name).trim_start_matches("model.").trim_start_matches("language_model.").starts_with("lm_head.")
}

/// Tensors that full checkpoints hold and a forward pass without text generation never reads.
pub fn is_unused(canonical: &str) -> bool {
    is_language_head(canonical) || canonical.ends_with(".inv_freq")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_namings_meet() {
        for (name, expected) in [
            ("visual.blocks.0.attn.qkv.weight", "visual.blocks.0.attn.qkv.weight"),
            ("model.visual.blocks.0.attn.qkv.weight", "visual.blocks.0.attn.qkv.weight"),
            ("model.layers.3.mlp.up_proj.weight", "model.layers.3.mlp.up_proj.weight"),
            ("model.language_model.layers.3.mlp.up_proj.weight", "model.layers.3.mlp.up_proj.weight"),
            ("language_model.model.norm.weight", "model.norm.weight"),
            ("language_model.layers.3.mlp.up_proj.weight", "model.layers.3.mlp.up_proj.weight"),
            ("layers.3.mlp.up_proj.weight", "model.layers.3.mlp.up_proj.weight"),
            ("norm.weight", "model.norm.weight"),
            ("_orig_mod.model.language_model.norm.weight", "model.norm.weight"),
            ("module._orig_mod.visual.merger.ln_q.weight", "visual.merger.ln_q.weight"),
            ("base_model.model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.q_proj"),
            ("base_model.model.language_model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.q_proj"),
            ("base_model.model.visual.merger.mlp.0", "visual.merger.mlp.0"),
            ("base_model.model.model.visual.merger.mlp.0", "visual.merger.mlp.0"),
            ("base_model.model.model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.q_proj"),
            ("base_model.model.model.language_model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.q_proj"),
        ] {
            assert_eq!(canonical(name), expected);
        }
    }

    #[test]
    fn the_head_is_known_under_all_names() {
        for name in [
            "lm_head.weight",
            "base_model.model.lm_head.lora_A.weight",
            "base_model.model.lm_head.modules_to_save.default.weight",
            "base_model.model.language_model.lm_head.lora_B.weight",
            "_orig_mod.lm_head.weight",
        ] {
            assert!(is_language_head(name), "{name}");
        }
        assert!(!is_language_head("model.layers.0.lm_head_norm.weight"));
    }
}
