//! One name for every tensor, whichever release of transformers or PEFT wrote it.

/// The name in the published checkpoints' form: `visual.*`, `model.embed_tokens.*`, `model.layers.*`, `model.norm.*`.
///
/// Transformers 4.52 and later nest both parts below `model.` (`model.visual.*`, `model.language_model.*`); some exports
/// have `language_model.model.*`. PEFT puts `base_model.model.` in front of either.
pub fn canonical(name: &str) -> String {
    let name = name.strip_prefix("base_model.model.").unwrap_or(name);
    const RENAMED: [(&str, &str); 3] =
        [("model.visual.", "visual."), ("model.language_model.", "model."), ("language_model.model.", "model.")];
    for (newer, published) in RENAMED {
        if let Some(rest) = name.strip_prefix(newer) {
            return format!("{published}{rest}");
        }
    }
    name.to_string()
}

/// Tensors that full checkpoints hold and a forward pass without text generation never reads.
pub fn is_unused(canonical: &str) -> bool {
    canonical == "lm_head.weight" || canonical.ends_with(".inv_freq")
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
            ("base_model.model.visual.merger.mlp.0", "visual.merger.mlp.0"),
            ("base_model.model.model.visual.merger.mlp.0", "visual.merger.mlp.0"),
            ("base_model.model.model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.q_proj"),
            ("base_model.model.model.language_model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.q_proj"),
        ] {
            assert_eq!(canonical(name), expected);
        }
    }
}
