//! How much arithmetic a frame is: two operations for each multiply-add of a matrix product.

use crate::vision_language::{ModelConfig, TextConfig, VisionConfig};

/// Operations of the vision tower for an image of `rows x cols` patches.
pub fn vision(config: &VisionConfig, rows: usize, cols: usize) -> f64 {
    let patches = (rows * cols) as f64;
    let (width, inner) = (config.hidden_size as f64, config.intermediate_size as f64);
    let embedding = width * (config.in_chans * config.patch_size * config.patch_size) as f64;
    let block = 4.0 * width * width + 3.0 * width * inner;
    let merged = width * config.merge_unit() as f64;
    let merger = (merged * merged + merged * config.out_hidden_size as f64) / config.merge_unit() as f64;
    let full = config.fullatt_block_indexes.len() as f64;
    let window = (config.window_tokens() * config.window_tokens() * config.merge_unit()) as f64;
    let attention = 2.0 * width * (full * patches + (config.depth as f64 - full) * window.min(patches));
    2.0 * patches * (embedding + config.depth as f64 * block + merger + attention)
}

/// Operations of the language model for the last `rows` of `seq` tokens, the upper half of the attention left out.
pub fn text(config: &TextConfig, rows: usize, seq: usize) -> f64 {
    let (width, inner) = (config.hidden_size as f64, config.intermediate_size as f64);
    let query = (config.num_attention_heads * config.head_dim) as f64;
    let key = (config.num_key_value_heads * config.head_dim) as f64;
    let layer = width * (2.0 * query + 2.0 * key) + 3.0 * width * inner;
    let (rows, seq) = (rows as f64, seq as f64);
    let attention = 2.0 * query * (seq - rows / 2.0);
    2.0 * rows * config.num_hidden_layers as f64 * (layer + attention)
}

/// The shapes that are built in: the published 3B model, and a small one of the same kind.
pub fn built_in(name: &str) -> Option<ModelConfig> {
    let json = match name {
        "3b" => include_str!("3b.json"),
        "s" => include_str!("s.json"),
        _ => return None,
    };
    ModelConfig::from_json(json).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_3b_model_counts_as_its_layers_say() {
        let config = built_in("3b").unwrap();
        // By hand: 1545 GF for 28 x 42 patches, 3229 GF for 565 tokens with the whole square of the attention.
        let vision = vision(&config.vision, 28, 42) / 1e9;
        assert!((vision - 1545.0).abs() < 15.0, "{vision}");
        let text = text(&config.text, 565, 565) / 1e9;
        assert!((text - (3229.0 - 47.0)).abs() < 15.0, "{text}");
        assert!(built_in("s").is_some());
    }
}
