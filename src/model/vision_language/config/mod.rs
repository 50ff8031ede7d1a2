//! `config.json` of a Qwen2.5-VL checkpoint, as it was published and as transformers 4.49 to 5 save it again: flat, with a
//! `text_config`, or with both. A field that the file leaves out has the default of transformers' own configuration
//! classes; two fields that mean the same and do not say the same are refused by name.

mod error;
mod part;
mod quantization;
mod rope;

use std::path::Path;

use serde_json::{Map, Value};

pub use self::error::ConfigError;
use self::part::Part;
pub use self::rope::Rope;
use super::ModelError;
use super::processor::read_bounded;

/// Far above any published one.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// HF's default of `image_token_id`, that of every published model.
const IMAGE_TOKEN_ID: u32 = 151_655;

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
    /// Rotary frequencies.
    pub rope: Rope,
    /// The most tokens that are computed as transformers does, where there is a bound, and the field that sets it.
    pub longest: Option<LongestText>,
}

/// A length up to which a feature that is not implemented changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongestText {
    /// Tokens.
    pub tokens: usize,
    /// The field of `config.json`, and what it would do to longer texts.
    pub reason: &'static str,
}

/// Sizes of the vision tower (HF `Qwen2_5_VLVisionConfig`).
#[derive(Debug, Clone, PartialEq)]
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
}

impl VisionConfig {
    /// The defaults are those of `Qwen2_5_VLVisionConfig`, the same in transformers 4.49 to 5.
    fn read(part: &Part<'_>) -> Result<Self, ConfigError> {
        let size = |names: &[&'static str], default| part.read::<usize>(names, "a whole number", default);
        silu(part)?;
        // Transformers 5 writes down what the vision tower has always done.
        for (name, fields) in part.dicts("rope_parameters")?.into_iter().chain(part.dicts("rope_scaling")?) {
            let number = |field: &str, usual: f64| {
                fields.get(field).is_none_or(|value| value.is_null() || value.as_f64() == Some(usual))
            };
            let known = ["rope_type", "type", "rope_theta", "partial_rotary_factor"];
            let kind = |field: &str| fields.get(field).is_none_or(|kind| kind == "axial" || kind == "default");
            let unknown = fields.iter().any(|(field, value)| !known.contains(&field.as_str()) && !value.is_null());
            let usual = number("rope_theta", 10_000.0) && number("partial_rotary_factor", 1.0);
            if unknown || !usual || !kind("rope_type") || !kind("type") {
                let found = part::shortened(&Value::Object(fields.clone()));
                return Err(ConfigError::value(name, found, "rope_type 'axial' with rope_theta 10000 and no more"));
            }
        }
        Ok(Self {
            depth: size(&["depth"], 32)?,
            hidden_size: size(&["hidden_size"], 3584)?,
            intermediate_size: size(&["intermediate_size"], 3420)?,
            num_heads: size(&["num_heads"], 16)?,
            in_chans: size(&["in_channels", "in_chans"], 3)?,
            out_hidden_size: size(&["out_hidden_size"], 3584)?,
            patch_size: size(&["patch_size"], 14)?,
            spatial_merge_size: size(&["spatial_merge_size"], 2)?,
            temporal_patch_size: size(&["temporal_patch_size"], 2)?,
            window_size: size(&["window_size"], 112)?,
            fullatt_block_indexes: part.read(
                &["fullatt_block_indexes"],
                "a list of block numbers",
                vec![7, 15, 23, 31],
            )?,
        })
    }

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

impl ModelConfig {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the file and the field that is missing or does not fit.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let name = path.display().to_string();
        let refuse = |reason: ConfigError| ModelError::Config { path: name.clone(), reason };
        let json = read_bounded(path, MAX_FILE_BYTES).map_err(|error| refuse(ConfigError::Read(error)))?;
        Self::parse(&json).map_err(refuse)
    }

    /// Parses the text of a `config.json`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the field.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        Self::parse(json.as_bytes())
    }

    fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        let root: Map<String, Value> = serde_json::from_slice(json).map_err(ConfigError::Json)?;
        match root.get("model_type") {
            None | Some(Value::Null) => {}
            Some(kind) if kind == "qwen2_5_vl" => {}
            Some(kind) => {
                let kind = part::shortened(kind);
                let expected = "\"qwen2_5_vl\": give a Qwen2.5-VL model";
                return Err(ConfigError::value("model_type", kind, expected));
            }
        }
        quantization::refuse_unread_quantisation(&root)?;
        let object = |name: &str| match root.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(fields)),
            Some(other) => Err(ConfigError::value(name, part::shortened(other), "an object")),
        };
        let flat = Part::new("", &root);
        let nested = object("text_config")?;
        let text = nested.map_or(flat, |fields| Part::new("text_config.", fields).also_in(&root));
        let vision = object("vision_config")?.ok_or(ConfigError::NoVision)?;
        let id = |part: Part<'_>| part.own::<Option<u32>>("image_token_id", "a token id", None);
        let (outer, inner) =
            (id(flat)?, nested.map(|fields| id(Part::new("text_config.", fields))).transpose()?.flatten());
        if let (Some(outer), Some(inner)) = (outer, inner)
            && outer != inner
        {
            let (outer, inner) = (outer.into(), inner.into());
            return Err(part::contradiction("image_token_id", &outer, "text_config.image_token_id", &inner));
        }
        let config = Self {
            text: TextConfig::read(&text)?,
            vision: VisionConfig::read(&Part::new("vision_config.", vision))?,
            image_token_id: outer.or(inner).unwrap_or(IMAGE_TOKEN_ID),
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
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
                return Err(ConfigError::value(field, value, format!("1 to {}", 1 << 20)));
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
                text.rope.section().iter().try_fold(0usize, |sum, &n| sum.checked_add(n)) == Some(text.head_dim / 2)
                    && text.head_dim.is_multiple_of(2),
                format!("mrope_section {:?} must sum to half of head_dim {}", text.rope.section(), text.head_dim),
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
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, reason)) => Err(ConfigError::Sizes(reason)),
            None => Ok(()),
        }
    }
}

impl TextConfig {
    /// The defaults are those of `Qwen2_5_VLTextConfig` (and of the flat `Qwen2_5_VLConfig` before it).
    fn read(part: &Part<'_>) -> Result<Self, ConfigError> {
        let size = |name: &'static str, default| part.read::<usize>(&[name], "a whole number", default);
        silu(part)?;
        if part.read::<Option<f64>>(&["partial_rotary_factor"], "a number", None)?.is_some_and(|share| share != 1.0) {
            let reason = "partial_rotary_factor is not 1, and heads that turn in part are not implemented";
            return Err(ConfigError::Unsupported(reason.into()));
        }
        let (hidden_size, num_attention_heads) = (size("hidden_size", 8192)?, size("num_attention_heads", 64)?);
        let num_hidden_layers = size("num_hidden_layers", 80)?;
        let kv_heads = part.read(&["num_key_value_heads"], "a whole number", Some(8))?;
        let head_dim = part.read::<Option<usize>>(&["head_dim"], "a whole number", None)?;
        let head_dim = head_dim.or_else(|| hidden_size.checked_div(num_attention_heads));
        let rope = Rope::read(part, part.own("max_position_embeddings", "a whole number", 32_768)?)?;
        let scaled_beyond = rope.longest().map(|tokens| LongestText {
            tokens,
            reason: "rope type 'dynamic' would scale the frequencies of texts longer than max_position_embeddings",
        });
        let longest = [window(part, num_hidden_layers)?, scaled_beyond];
        Ok(Self {
            hidden_size,
            intermediate_size: size("intermediate_size", 29_568)?,
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads: kv_heads.unwrap_or(num_attention_heads),
            head_dim: head_dim.ok_or_else(|| ConfigError::Sizes("num_attention_heads is 0".into()))?,
            vocab_size: size("vocab_size", 152_064)?,
            rms_norm_eps: part.read(&["rms_norm_eps"], "a number", 1e-5)?,
            rope,
            longest: longest.into_iter().flatten().min_by_key(|longest| longest.tokens),
        })
    }
}

/// The window of the layers that attend to one, if there are such layers: up to that length they see everything.
fn window(part: &Part<'_>, layers: usize) -> Result<Option<LongestText>, ConfigError> {
    const FIELD: &str = "sliding_window, which use_sliding_window turns on, would hide what is further back";
    let on = part.read::<Option<bool>>(&["use_sliding_window"], "true or false", None)?.unwrap_or(false);
    let window = part.own::<Option<usize>>("sliding_window", "a whole number", Some(4096))?;
    let first = part.own::<Option<usize>>("max_window_layers", "a whole number", Some(80))?.unwrap_or(usize::MAX);
    let types = part.own::<Option<Vec<String>>>("layer_types", "a list of names", None)?;
    let slides = match &types {
        None => on && first < layers,
        Some(types) => {
            let other = types.iter().find(|kind| !["full_attention", "sliding_attention"].contains(&kind.as_str()));
            if let Some(other) = other {
                let reason = format!("{} names '{other}', expected 'full_attention'", part.name_of("layer_types"));
                return Err(ConfigError::Unsupported(reason));
            }
            types.iter().any(|kind| kind == "sliding_attention")
        }
    };
    match (slides, on, window) {
        (false, ..) => Ok(None),
        (true, true, Some(tokens)) => Ok(Some(LongestText { tokens, reason: FIELD })),
        (true, true, None) if types.is_none() => Ok(None),
        (true, ..) => Err(ConfigError::Unsupported(format!(
            "{} names 'sliding_attention' without use_sliding_window and sliding_window; expected              'full_attention' throughout",
            part.name_of("layer_types")
        ))),
    }
}

/// The activation of every published model.
fn silu(part: &Part<'_>) -> Result<(), ConfigError> {
    match part.read(&["hidden_act"], "a name", "silu".to_owned())?.as_str() {
        "silu" => Ok(()),
        other => Err(ConfigError::value(part.name_of("hidden_act"), format!("'{other}'"), "'silu'")),
    }
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
            let reason = ModelConfig::from_json(&config.to_string()).unwrap_err().to_string();
            assert!(reason.contains(expected), "{field}: {reason}");
        }
    }
}
