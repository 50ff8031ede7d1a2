//! `config.json` of a Qwen2.5-VL checkpoint, in the flat layout of the published models and in the newer one with a
//! `text_config`. Nothing about sizes is assumed: what is not in the file is an error that names the field.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::ModelError;

/// Sizes of the whole model (HF `Qwen2_5_VLConfig`).
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The language model.
    pub text: TextConfig,
    /// The vision tower.
    pub vision: VisionConfig,
    /// Id of `<|image_pad|>`, the token that stands for one merged image patch.
    pub image_token_id: u32,
}

/// Sizes of the language model (HF `Qwen2_5_VLTextConfig`).
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Width inside the MLP.
    pub intermediate_size: usize,
    /// Number of decoder layers; at least 3, since four hidden states are read (the first may be the embeddings).
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides the query heads.
    pub num_key_value_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Rows of the embedding table, padding rows included.
    pub vocab_size: usize,
    /// Epsilon of every RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How many rotary frequencies follow the time, the height and the width position; their sum is `head_dim / 2`.
    pub mrope_section: [usize; 3],
}

/// Sizes of the vision tower (HF `Qwen2_5_VLVisionConfig`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct VisionConfig {
    /// Number of blocks.
    pub depth: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Width inside the MLP.
    pub intermediate_size: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Colour channels.
    #[serde(alias = "in_channels", default = "rgb_channels")]
    pub in_chans: usize,
    /// Width after the merger; equals the language model's hidden size.
    pub out_hidden_size: usize,
    /// Side of a patch, pixels.
    pub patch_size: usize,
    /// Patches merged into one token, per side.
    pub spatial_merge_size: usize,
    /// Frames in a patch; a still image is repeated that often.
    pub temporal_patch_size: usize,
    /// Side of an attention window, pixels.
    pub window_size: usize,
    /// Blocks that attend to the whole image instead of their window.
    pub fullatt_block_indexes: Vec<usize>,
    /// Activation of the MLP; only `silu` exists.
    hidden_act: String,
}

fn rgb_channels() -> usize {
    3
}

impl VisionConfig {
    /// Width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_heads
    }

    /// Patches that become one token.
    pub fn merge_unit(&self) -> usize {
        self.spatial_merge_size * self.spatial_merge_size
    }

    /// Side of an attention window in merged tokens.
    pub fn window_tokens(&self) -> usize {
        self.window_size / self.spatial_merge_size / self.patch_size
    }
}

/// The text part as it stands in the file, in either layout.
#[derive(Deserialize)]
struct TextFields {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: Option<usize>,
    vocab_size: usize,
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    #[serde(alias = "rope_parameters")]
    rope_scaling: RopeFields,
    hidden_act: String,
    #[serde(default)]
    use_sliding_window: bool,
}

/// `rope_scaling`, called `rope_parameters` (and holding `rope_theta`) since transformers 5.
#[derive(Deserialize)]
struct RopeFields {
    mrope_section: [usize; 3],
    rope_theta: Option<f64>,
}

impl ModelConfig {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the file and the field that is missing or does not fit.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let name = path.display().to_string();
        let refuse = |reason: String| ModelError::Config { path: name.clone(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
        Self::from_json(&text).map_err(refuse)
    }

    /// Parses the text of a `config.json`.
    ///
    /// # Errors
    /// A sentence that names the field.
    pub fn from_json(json: &str) -> Result<Self, String> {
        let root: Value = serde_json::from_str(json).map_err(|error| format!("not valid JSON: {error}"))?;
        let nested = root.get("text_config");
        let text = TextConfig::from_fields(part(nested.unwrap_or(&root), "the text part")?)?;
        let vision = root.get("vision_config").ok_or("field vision_config is missing; expected a Qwen2.5-VL model")?;
        let vision: VisionConfig = part(vision, "vision_config")?;
        let image_token_id = root
            .get("image_token_id")
            .or_else(|| nested?.get("image_token_id"))
            .and_then(Value::as_u64)
            .and_then(|id| u32::try_from(id).ok())
            .ok_or("field image_token_id is missing or no token id")?;
        let config = Self { text, vision, image_token_id };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let (text, vision) = (&self.text, &self.vision);
        let sizes = [
            ("hidden_size", text.hidden_size),
            ("intermediate_size", text.intermediate_size),
            ("num_hidden_layers", text.num_hidden_layers),
            ("num_attention_heads", text.num_attention_heads),
            ("num_key_value_heads", text.num_key_value_heads),
            ("head_dim", text.head_dim),
            ("vocab_size", text.vocab_size),
            ("vision_config.depth", vision.depth),
            ("vision_config.hidden_size", vision.hidden_size),
            ("vision_config.intermediate_size", vision.intermediate_size),
            ("vision_config.num_heads", vision.num_heads),
            ("vision_config.in_chans", vision.in_chans),
            ("vision_config.patch_size", vision.patch_size),
            ("vision_config.spatial_merge_size", vision.spatial_merge_size),
            ("vision_config.temporal_patch_size", vision.temporal_patch_size),
        ];
        for (field, value) in sizes {
            if !(1..=1 << 20).contains(&value) {
                return Err(format!("{field} is {value}, expected 1 to {}", 1 << 20));
            }
        }
        let layers = text.num_hidden_layers;
        let rules = [
            (layers >= 3, format!("num_hidden_layers is {layers}, expected at least 3: four hidden states are read")),
            (
                text.num_attention_heads.is_multiple_of(text.num_key_value_heads),
                format!(
                    "num_attention_heads {} is no multiple of num_key_value_heads {}",
                    text.num_attention_heads, text.num_key_value_heads
                ),
            ),
            (
                text.mrope_section.iter().try_fold(0usize, |sum, &n| sum.checked_add(n)) == Some(text.head_dim / 2)
                    && text.head_dim.is_multiple_of(2),
                format!("mrope_section {:?} must sum to half of head_dim {}", text.mrope_section, text.head_dim),
            ),
            (
                vision.hidden_size.is_multiple_of(vision.num_heads) && vision.head_dim().is_multiple_of(4),
                format!(
                    "vision_config.hidden_size {} over {} heads gives no head width that is a multiple of 4",
                    vision.hidden_size, vision.num_heads
                ),
            ),
            (
                vision.out_hidden_size == text.hidden_size,
                format!(
                    "vision_config.out_hidden_size is {}, expected the text hidden_size {}",
                    vision.out_hidden_size, text.hidden_size
                ),
            ),
            (
                vision.window_tokens() > 0,
                format!(
                    "vision_config.window_size {} is smaller than a merged patch of {} pixels",
                    vision.window_size,
                    vision.patch_size * vision.spatial_merge_size
                ),
            ),
            (
                vision.hidden_act == "silu",
                format!("vision_config.hidden_act is '{}', expected 'silu'", vision.hidden_act),
            ),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, reason)) => Err(reason),
            None => Ok(()),
        }
    }
}

impl TextConfig {
    fn from_fields(fields: TextFields) -> Result<Self, String> {
        if fields.use_sliding_window {
            return Err("use_sliding_window is true; only full causal attention is implemented".into());
        }
        if fields.hidden_act != "silu" {
            return Err(format!("hidden_act is '{}', expected 'silu'", fields.hidden_act));
        }
        let rope_theta = fields
            .rope_theta
            .or(fields.rope_scaling.rope_theta)
            .ok_or("field rope_theta is missing (looked beside and inside rope_scaling/rope_parameters)")?;
        let head_dim = fields
            .head_dim
            .or_else(|| fields.hidden_size.checked_div(fields.num_attention_heads))
            .ok_or("num_attention_heads is 0")?;
        Ok(Self {
            hidden_size: fields.hidden_size,
            intermediate_size: fields.intermediate_size,
            num_hidden_layers: fields.num_hidden_layers,
            num_attention_heads: fields.num_attention_heads,
            num_key_value_heads: fields.num_key_value_heads,
            head_dim,
            vocab_size: fields.vocab_size,
            rms_norm_eps: fields.rms_norm_eps,
            rope_theta,
            mrope_section: fields.rope_scaling.mrope_section,
        })
    }
}

fn part<T: serde::de::DeserializeOwned>(value: &Value, name: &str) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| format!("{name}: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn text_part() -> Value {
        json!({
            "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 6, "num_attention_heads": 4,
            "num_key_value_heads": 2, "vocab_size": 672, "rms_norm_eps": 1e-6, "hidden_act": "silu",
            "rope_theta": 1e6, "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}
        })
    }

    fn flat() -> Value {
        let mut root = text_part();
        root["image_token_id"] = json!(608);
        root["vision_config"] = json!({
            "depth": 4, "hidden_size": 48, "intermediate_size": 96, "num_heads": 4, "out_hidden_size": 64,
            "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 112,
            "fullatt_block_indexes": [1, 3], "hidden_act": "silu"
        });
        root
    }

    #[test]
    fn both_layouts_are_the_same_model() {
        let flat = flat();
        let mut text = text_part();
        text.as_object_mut().unwrap().remove("rope_theta");
        text.as_object_mut().unwrap().remove("rope_scaling");
        text["rope_parameters"] = json!({"rope_theta": 1e6, "rope_type": "default", "mrope_section": [2, 3, 3]});
        let nested = json!({
            "text_config": text, "vision_config": flat["vision_config"], "image_token_id": 608
        });
        let flat = ModelConfig::from_json(&flat.to_string()).unwrap();
        assert_eq!(flat, ModelConfig::from_json(&nested.to_string()).unwrap());
        assert_eq!((flat.text.head_dim, flat.vision.head_dim(), flat.vision.window_tokens()), (16, 12, 4));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let cases: [(&str, Value, &str); 8] = [
            ("/hidden_size", json!(null), "hidden_size"),
            ("/num_hidden_layers", json!(2), "at least 3"),
            ("/num_attention_heads", json!(0), "num_attention_heads"),
            ("/num_key_value_heads", json!(3), "no multiple of num_key_value_heads 3"),
            ("/rope_scaling/mrope_section", json!([2, 3, 4]), "mrope_section [2, 3, 4]"),
            ("/vision_config/out_hidden_size", json!(65), "out_hidden_size is 65"),
            ("/vision_config/hidden_size", json!(4_000_000_000_000_u64), "vision_config.hidden_size"),
            ("/image_token_id", json!("x"), "image_token_id"),
        ];
        for (field, value, expected) in cases {
            let mut config = flat();
            *config.pointer_mut(field).unwrap() = value;
            let reason = ModelConfig::from_json(&config.to_string()).unwrap_err();
            assert!(reason.contains(expected), "{field}: {reason}");
        }
    }
}
