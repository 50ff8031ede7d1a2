//! Bases that were saved in fewer bits: which of them are read.

use super::ConfigError;
use serde_json::{Map, Value};

/// Refuses a base whose `quantization_config` names a method that is not read. Its weights would only be missing by
/// name, which tells nobody what the matter is.
pub(super) fn refuse_unread_quantisation(root: &Map<String, Value>) -> Result<(), ConfigError> {
    let text = root.get("text_config").and_then(Value::as_object);
    for (prefix, part) in [("", Some(root)), ("text_config.", text)] {
        for name in ["quantization_config", "compression_config"] {
            if let Some(fields) = part.and_then(|part| part.get(name)).and_then(Value::as_object) {
                check(&format!("{prefix}{name}"), fields)?;
            }
        }
    }
    Ok(())
}

fn check(name: &str, fields: &Map<String, Value>) -> Result<(), ConfigError> {
    let flag = |field: &str| fields.get(field).and_then(Value::as_bool).unwrap_or(false);
    let method = fields.get("quant_method").and_then(Value::as_str);
    let method =
        method.unwrap_or(if flag("load_in_4bit") || flag("load_in_8bit") { "bitsandbytes" } else { "unknown" });
    let found = match method.strip_prefix("bitsandbytes") {
        Some(_) if flag("load_in_8bit") => "bitsandbytes in 8 bits".to_owned(),
        Some(_) => return Ok(()),
        None => match fields.get("bits").and_then(Value::as_u64) {
            Some(bits) => format!("'{method}' in {bits} bits"),
            None => format!("'{method}'"),
        },
    };
    Err(ConfigError::Unsupported(format!(
        "the base model is quantised: {name}.quant_method is {found}, expected none, or bitsandbytes with NF4; take the \
         model as it was published without quantisation, and --quantize nf4 where memory is short"
    )))
}
