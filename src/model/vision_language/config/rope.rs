//! `rope_scaling`, called `rope_parameters` since transformers 5: how fast each rotary frequency turns.
//!
//! The formulas are those of `modeling_rope_utils.py` of transformers 5. Every field that it knows is honoured or
//! refused by name, and so is one that it does not know.

use std::f64::consts::PI;

use serde_json::{Map, Value};

use super::ConfigError;
use super::part::{Part, contradiction, parse, shortened};

/// HF's `default_theta` of the language model.
const DEFAULT_THETA: f64 = 1_000_000.0;
/// HF's sections where the file says nothing, those of every published model.
const DEFAULT_SECTION: [usize; 3] = [16, 24, 24];

/// Rotary embedding of the language model: three positions a token, and frequencies that may be scaled for long texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Base of the rotary frequencies.
    theta: f64,
    /// How many rotary frequencies follow the time, the height and the width position; their sum is `head_dim / 2`.
    section: [usize; 3],
    scaling: Scaling,
}

/// `rope_type`, with the fields that belong to it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scaling {
    /// `default`, which Qwen's own files call `mrope`.
    None,
    /// `linear`: all frequencies by one factor.
    Linear { factor: f64 },
    /// `dynamic`: nothing, up to the length that the model was trained for.
    Dynamic { longest: usize },
    /// `yarn`
    Yarn(Yarn),
    /// `llama3`
    Llama3 { factor: f64, low: f64, high: f64, original: f64 },
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Yarn {
    factor: f64,
    original: f64,
    beta_fast: f64,
    beta_slow: f64,
    truncate: bool,
    attention_factor: f64,
}

/// One dict of the file, read.
struct Said {
    name: String,
    kind: String,
    scaling: Scaling,
    theta: Option<f64>,
    section: Option<[usize; 3]>,
}

impl Rope {
    /// From the language model's part; `max_position_embeddings` stands in for a missing
    /// `original_max_position_embeddings`.
    pub(super) fn read(part: &Part<'_>, max_position_embeddings: usize) -> Result<Self, ConfigError> {
        let original: Option<f64> = part.own("original_max_position_embeddings", "a number", None)?;
        let lengths = Lengths { max: max_position_embeddings, original };
        let mut said = Vec::new();
        for (name, fields) in part.dicts("rope_scaling")?.into_iter().chain(part.dicts("rope_parameters")?) {
            said.push(Said::read(name, fields, lengths)?);
        }
        for pair in said.windows(2) {
            let [one, other] = pair else { continue };
            let sections_differ = matches!((one.section, other.section), (Some(one), Some(other)) if one != other);
            if one.scaling != other.scaling || sections_differ {
                let [(first, one), (second, other)] = [one, other].map(|said| (said.name.clone(), said.kind.clone()));
                return Err(ConfigError::Ropes { first, one, second, other });
            }
        }
        let of_dicts =
            said.iter().find_map(|said| said.theta.map(|theta| (format!("{}.rope_theta", said.name), theta)));
        let beside =
            part.read::<Option<f64>>(&["rope_theta"], "a number", of_dicts.as_ref().map(|(_, theta)| *theta))?;
        for said in &said {
            match (said.theta, beside.or(of_dicts.as_ref().map(|(_, theta)| *theta))) {
                (Some(one), Some(other)) if one != other => {
                    let (one, other) = (Value::from(one), Value::from(other));
                    return Err(contradiction(&format!("{}.rope_theta", said.name), &one, "rope_theta", &other));
                }
                _ => {}
            }
        }
        let theta = beside.unwrap_or(DEFAULT_THETA);
        if !(theta.is_finite() && theta > 1.0) {
            return Err(ConfigError::value(part.name_of("rope_theta"), theta, "a number above 1"));
        }
        let section = said.iter().find_map(|said| said.section).unwrap_or(DEFAULT_SECTION);
        Ok(Self { theta, section, scaling: said.first().map_or(Scaling::None, |said| said.scaling) })
    }

    /// How many rotary frequencies follow the time, the height and the width position.
    pub fn section(&self) -> [usize; 3] {
        self.section
    }

    /// The most tokens for which [`Self::inverse_frequencies`] are right, where there is such a bound.
    pub(super) fn longest(&self) -> Option<usize> {
        match self.scaling {
            Scaling::Dynamic { longest } => Some(longest),
            _ => None,
        }
    }

    /// What cosines and sines are multiplied by.
    pub fn attention_factor(&self) -> f64 {
        match self.scaling {
            Scaling::Yarn(Yarn { attention_factor, .. }) => attention_factor,
            _ => 1.0,
        }
    }

    /// Radians a position, one for each pair of a head's values.
    pub fn inverse_frequencies(&self, head_dim: usize) -> Vec<f32> {
        let plain = (0..head_dim / 2).map(|i| 1.0 / (self.theta as f32).powf((2 * i) as f32 / head_dim as f32));
        match self.scaling {
            Scaling::None | Scaling::Dynamic { .. } => plain.collect(),
            Scaling::Linear { factor } => plain.map(|frequency| frequency / factor as f32).collect(),
            Scaling::Yarn(yarn) => {
                let ramp = yarn.ramp(head_dim, self.theta);
                plain.zip(ramp).map(|(plain, ramp)| plain / yarn.factor as f32 * ramp + plain * (1.0 - ramp)).collect()
            }
            Scaling::Llama3 { factor, low, high, original } => plain
                .map(|frequency| {
                    let wavelength = 2.0 * PI / f64::from(frequency);
                    let scaled = f64::from(frequency) / factor;
                    if wavelength > original / low {
                        return scaled as f32;
                    }
                    if wavelength < original / high {
                        return frequency;
                    }
                    let smooth = (original / wavelength - low) / (high - low);
                    ((1.0 - smooth) * scaled + smooth * f64::from(frequency)) as f32
                })
                .collect(),
        }
    }
}

impl Yarn {
    /// How far each frequency is on its way from being kept (0) to being divided by the factor (1).
    fn ramp(&self, head_dim: usize, theta: f64) -> impl Iterator<Item = f32> + use<> {
        let dim = head_dim as f64;
        let correction = |rotations: f64| dim * (self.original / (rotations * 2.0 * PI)).ln() / (2.0 * theta.ln());
        let (low, high) = (correction(self.beta_fast), correction(self.beta_slow));
        let (low, high) = if self.truncate { (low.floor(), high.ceil()) } else { (low, high) };
        let (low, high) = (low.max(0.0), high.min(dim - 1.0));
        // HF's own way around a division by zero.
        let high = if low == high { high + 0.001 } else { high };
        (0..head_dim / 2).map(move |i| ((i as f32 - low as f32) / (high - low) as f32).clamp(0.0, 1.0))
    }

    /// HF's `get_mscale`.
    fn mscale(factor: f64, by: f64) -> f64 {
        if factor <= 1.0 { 1.0 } else { 0.1 * by * factor.ln() + 1.0 }
    }
}

/// What the part around the dict says about lengths.
#[derive(Clone, Copy)]
struct Lengths {
    max: usize,
    original: Option<f64>,
}

/// The fields of one dict. `used` remembers which were looked at.
struct Dict<'a> {
    name: &'a str,
    fields: &'a Map<String, Value>,
    used: Vec<&'static str>,
}

impl Dict<'_> {
    fn value(&self, field: &str, found: impl ToString, expected: impl Into<String>) -> ConfigError {
        ConfigError::value(format!("{}.{field}", self.name), found, expected)
    }

    fn number(&mut self, field: &'static str) -> Result<Option<f64>, ConfigError> {
        self.used.push(field);
        let value = self.fields.get(field).filter(|value| !value.is_null());
        let number = |value| parse::<f64>(&format!("{}.{field}", self.name), value, "a number");
        let value = value.map(number).transpose()?;
        match value {
            Some(value) if !value.is_finite() => Err(self.value(field, value, "a number")),
            value => Ok(value),
        }
    }

    fn positive(&mut self, field: &'static str) -> Result<Option<f64>, ConfigError> {
        match self.number(field)? {
            Some(value) if value <= 0.0 => Err(self.value(field, value, "a number above 0")),
            value => Ok(value),
        }
    }

    fn needed(&mut self, field: &'static str, kind: &str) -> Result<f64, ConfigError> {
        let found = self.positive(field)?;
        found.ok_or_else(|| self.value(field, "missing", format!("a number above 0 for type '{kind}'")))
    }

    /// `original_max_position_embeddings`, which the part's own field overrules and its `max_position_embeddings`
    /// replaces.
    fn original(&mut self, lengths: Lengths) -> Result<f64, ConfigError> {
        let own = self.positive("original_max_position_embeddings")?;
        match (own, lengths.original) {
            (Some(own), Some(beside)) if own != beside => Err(ConfigError::Contradiction {
                first: format!("{}.original_max_position_embeddings", self.name),
                one: own.to_string(),
                second: "original_max_position_embeddings".into(),
                other: beside.to_string(),
            }),
            (own, beside) => Ok(own.or(beside).unwrap_or(lengths.max as f64)),
        }
    }

    fn kind(&mut self) -> Result<String, ConfigError> {
        let mut kinds = Vec::new();
        for field in ["rope_type", "type"] {
            self.used.push(field);
            let Some(value) = self.fields.get(field).filter(|value| !value.is_null()) else { continue };
            let kind: String = parse(&format!("{}.{field}", self.name), value, "a string")?;
            // What Qwen calls mrope are the default frequencies.
            kinds.push((field, if kind == "mrope" { "default".to_owned() } else { kind }, value));
        }
        match kinds.as_slice() {
            [] => Ok("default".to_owned()),
            [(_, kind, _)] => Ok(kind.clone()),
            [(_, one, _), (_, other, _), ..] if one == other => Ok(one.clone()),
            [(one, _, value), (other, _, another), ..] => {
                Err(contradiction(&format!("{}.{one}", self.name), value, &format!("{}.{other}", self.name), another))
            }
        }
    }

    fn scaling(&mut self, kind: &str, lengths: Lengths) -> Result<Scaling, ConfigError> {
        Ok(match kind {
            "default" => Scaling::None,
            "linear" => Scaling::Linear { factor: self.needed("factor", kind)? },
            "dynamic" => {
                self.needed("factor", kind)?;
                let original = self.positive("original_max_position_embeddings")?;
                if original.is_some_and(|original| original != lengths.max as f64) {
                    return Err(ConfigError::Unsupported(format!(
                        "{}.original_max_position_embeddings is {original:?}, expected max_position_embeddings {}, \
                         since releases of transformers differ in what another value means",
                        self.name, lengths.max
                    )));
                }
                Scaling::Dynamic { longest: lengths.max }
            }
            "yarn" => {
                let original = self.original(lengths)?;
                // The field has to be there; `null` means the ratio of the lengths.
                let factor = match self.fields.get("factor") {
                    Some(Value::Null) => lengths.max as f64 / original,
                    _ => self.needed("factor", kind)?,
                };
                self.used.push("factor");
                let or = |value: Option<f64>, default| value.filter(|value| *value != 0.0).unwrap_or(default);
                let (mscale, all_dim) = (or(self.number("mscale")?, 0.0), or(self.number("mscale_all_dim")?, 0.0));
                let given = self.positive("attention_factor")?;
                let attention_factor = given.unwrap_or(match mscale != 0.0 && all_dim != 0.0 {
                    true => Yarn::mscale(factor, mscale) / Yarn::mscale(factor, all_dim),
                    false => Yarn::mscale(factor, 1.0),
                });
                self.used.push("truncate");
                let truncate = self.fields.get("truncate");
                Scaling::Yarn(Yarn {
                    factor,
                    original,
                    beta_fast: or(self.number("beta_fast")?, 32.0),
                    beta_slow: or(self.number("beta_slow")?, 1.0),
                    truncate: truncate
                        .map(|value| parse(&format!("{}.truncate", self.name), value, "true or false"))
                        .transpose()?
                        .unwrap_or(true),
                    attention_factor,
                })
            }
            "llama3" => {
                let (low, high) = (self.needed("low_freq_factor", kind)?, self.needed("high_freq_factor", kind)?);
                if low >= high {
                    let reason = format!("{}.low_freq_factor {low} is not below high_freq_factor {high}", self.name);
                    return Err(ConfigError::Sizes(reason));
                }
                let (factor, original) = (self.needed("factor", kind)?, self.original(lengths)?);
                Scaling::Llama3 { factor, low, high, original }
            }
            other => {
                return Err(ConfigError::Unsupported(format!(
                    "{}: type '{other}' is not implemented and would change the numbers, expected default, mrope, \
                     linear, dynamic, yarn or llama3; use a base model with one of those",
                    self.name
                )));
            }
        })
    }
}

impl Said {
    fn read(name: String, fields: &Map<String, Value>, lengths: Lengths) -> Result<Self, ConfigError> {
        let mut dict = Dict { name: &name, fields, used: vec!["mrope_section"] };
        let kind = dict.kind()?;
        let scaling = dict.scaling(&kind, lengths)?;
        let theta = dict.number("rope_theta")?;
        let section = fields.get("mrope_section").filter(|value| !value.is_null());
        let section = section
            .map(|value| parse(&format!("{name}.mrope_section"), value, "three counts of frequencies"))
            .transpose()?;
        if dict.number("partial_rotary_factor")?.is_some_and(|share| share != 1.0) {
            return Err(ConfigError::Unsupported(format!(
                "{name}.partial_rotary_factor is not 1, and heads that turn in part are not implemented"
            )));
        }
        let used = dict.used;
        let says_something = |value: &Value| !matches!(value, Value::Null | Value::Bool(false));
        let unknown = fields.iter().find(|(field, value)| !used.contains(&field.as_str()) && says_something(value));
        if let Some((field, value)) = unknown {
            return Err(ConfigError::Unsupported(format!(
                "{name}.{field} is {}: type '{kind}' is not known to have this field, and it could change the numbers; \
                 remove it if it says nothing",
                shortened(value)
            )));
        }
        Ok(Self { name, kind, scaling, theta, section })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn rope(scaling: Value) -> Result<Rope, ConfigError> {
        let mut fields = json!({"rope_scaling": scaling, "rope_theta": 1e6});
        fields["rope_scaling"]["mrope_section"] = json!([2, 3, 3]);
        Rope::read(&Part::new("", fields.as_object().unwrap()), 128_000)
    }

    /// The numbers are those of `modeling_rope_utils.py` of transformers 5.24.0, its functions run as they stand.
    #[test]
    fn frequencies_are_those_of_transformers() {
        let plain = [1.0, 0.177_827_9, 0.031_622_78, 0.005_623_413, 0.001, 0.000_177_827_9, 3.162_278e-5, 5.623_413e-6];
        for (scaling, factor, expected) in [
            (json!({"type": "mrope"}), 1.0, plain),
            (json!({"rope_type": "default", "type": "mrope"}), 1.0, plain),
            (json!({"type": "dynamic", "factor": 4.0}), 1.0, plain),
            (
                json!({"type": "linear", "factor": 4.0}),
                1.0,
                [0.25, 0.044_456_98, 0.007_905_695, 0.001_405_853, 0.000_25, 4.445_699e-5, 7.905_694e-6, 1.405_853e-6],
            ),
            (
                json!({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}),
                1.138_629_436_111_989,
                [1.0, 0.177_827_9, 0.031_622_78, 0.004_217_56, 0.000_5, 4.445_699e-5, 7.905_694e-6, 1.405_853e-6],
            ),
            (
                json!({"type": "yarn", "factor": 8.0, "original_max_position_embeddings": 4096, "beta_fast": 16,
                    "beta_slow": 2, "truncate": false, "mscale": 1.0, "mscale_all_dim": 0.5}),
                1.094_179_988_101_349,
                [1.0, 0.177_827_9, 0.031_622_78, 0.002_136_701, 0.000_125, 2.222_849e-5, 3.952_847e-6, 7.029_267e-7],
            ),
            (
                json!({"type": "yarn", "factor": 2.0, "attention_factor": 1.25}),
                1.25,
                [
                    1.0,
                    0.177_827_9,
                    0.031_622_78,
                    0.005_623_413,
                    0.000_833_333_4,
                    0.000_118_552,
                    1.581_139e-5,
                    2.811_707e-6,
                ],
            ),
            (
                json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 64}),
                1.0,
                [
                    1.0,
                    0.064_309_87,
                    0.003_952_847,
                    0.000_702_926_7,
                    0.000_125,
                    2.222_849e-5,
                    3.952_847e-6,
                    7.029_267e-7,
                ],
            ),
        ] {
            let rope = rope(scaling.clone()).unwrap();
            assert!((rope.attention_factor() - factor).abs() < 1e-12, "{scaling}");
            for (found, expected) in rope.inverse_frequencies(16).into_iter().zip(expected) {
                let off = (f64::from(found) - expected).abs() / expected;
                assert!(off < 5e-6, "{scaling}: {found} instead of {expected}");
            }
        }
    }

    #[test]
    fn what_is_not_honoured_is_refused_by_name() {
        for (scaling, words) in [
            (json!({"type": "longrope", "factor": 4.0}), ["type 'longrope'", "yarn"]),
            (json!({"type": "proportional"}), ["type 'proportional'", "yarn"]),
            (json!({"type": "mrope", "rope_type": "yarn"}), ["rope_scaling.rope_type", "rope_scaling.type"]),
            (json!({"type": "mrope", "factor": 4.0}), ["rope_scaling.factor", "default"]),
            (json!({"type": "linear"}), ["rope_scaling.factor", "missing"]),
            (json!({"type": "yarn", "factor": -1.0}), ["rope_scaling.factor", "above 0"]),
            (json!({"type": "yarn", "factor": 4.0, "beta_middle": 3}), ["rope_scaling.beta_middle", "yarn"]),
            (json!({"type": "mrope", "partial_rotary_factor": 0.5}), ["partial_rotary_factor", "not 1"]),
            (json!({"type": "mrope", "mrope_interleaved": true}), ["mrope_interleaved", "default"]),
            (json!({"type": "mrope", "rope_theta": 1e4}), ["rope_scaling.rope_theta", "1000000"]),
            (json!({"type": 3}), ["rope_scaling.type", "a string"]),
        ] {
            let reason = rope(scaling.clone()).unwrap_err().to_string();
            assert!(words.iter().all(|word| reason.contains(word)), "{scaling}: {reason}");
        }
        // What says nothing may be there.
        rope(json!({"type": "mrope", "factor": null, "mrope_interleaved": false})).unwrap();
    }

    #[test]
    fn two_dicts_have_to_say_the_same() {
        let both = |one: Value, other: Value| {
            let fields = json!({"rope_scaling": one, "rope_parameters": other});
            Rope::read(&Part::new("", fields.as_object().unwrap()), 128_000)
        };
        let yarn = || json!({"type": "yarn", "factor": 4.0, "mrope_section": [2, 3, 3], "rope_theta": 1e6});
        both(yarn(), json!({"rope_type": "yarn", "factor": 4.0})).unwrap();
        let reason = both(yarn(), json!({"rope_type": "yarn", "factor": 2.0})).unwrap_err().to_string();
        assert!(reason.contains("rope_scaling") && reason.contains("rope_parameters"), "{reason}");
        assert!(both(yarn(), json!({"rope_type": "default"})).is_err());
        assert!(both(yarn(), json!({"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4})).is_err());
        assert!(both(yarn(), json!({"rope_type": "yarn", "factor": 4.0, "mrope_section": [3, 3, 2]})).is_err());
    }
}
