//! A decision in words and in JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::tuner::{Decision, HeadOutput, Stage};

/// The JSON object of a decision: `feature`, `action`, `regression`, `regression_denormalised`, `parameters`,
/// `predictions`, `sequence_length`, `timing_ms`. What the head in use does not have is null.
pub fn decision_json(decision: &Decision) -> Value {
    let (action, regression, denormalised, predictions) = match &decision.output {
        HeadOutput::Actor { action, .. } => (json!(action.values()), Value::Null, Value::Null, Value::Null),
        HeadOutput::Regression { normalised, denormalised, values } => {
            let predictions: serde_json::Map<_, _> =
                values.predictions.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            (Value::Null, json!(normalised), json!(denormalised), Value::Object(predictions))
        }
    };
    json!({
        "feature": decision.extracted.feature.values(),
        "action": action,
        "regression": regression,
        "regression_denormalised": denormalised,
        "parameters": decision.parameters(),
        "predictions": predictions,
        "sequence_length": decision.sequence_length,
        "timing_ms": decision.times.to_json(),
    })
}

/// A table of the parameters with their ranges, and where the time went.
pub fn decision_table(decision: &Decision) -> String {
    let mut text = format!("{:<22} {:>9}  {:<6} {}\n", "parameter", "value", "unit", "range");
    for (spec, value) in decision.parameters().iter() {
        let value = format_value(value, spec.is_integer());
        let range = format!("{} to {}", spec.min(), spec.max());
        let _ = writeln!(text, "{:<22} {value:>9}  {:<6} {range}", spec.name(), spec.unit().symbol());
    }
    if let HeadOutput::Regression { values, .. } = &decision.output {
        for (name, value) in &values.predictions {
            let _ = writeln!(text, "{name:<22} {value:>9.3}  (predicted)");
        }
        for clamped in &values.clamped {
            let _ = writeln!(text, "note: {} was {:.3}, cut to {:.3}", clamped.name, clamped.value, clamped.limit);
        }
    }
    let stages = Stage::ALL.map(|stage| (stage, decision.times.of(stage).as_secs_f64() * 1e3));
    let shown: Vec<String> = stages
        .into_iter()
        .filter(|(_, time)| *time > 0.0)
        .map(|(stage, time)| format!("{} {time:.1}", stage.name()))
        .collect();
    let total = decision.times.total().as_secs_f64() * 1e3;
    let _ = writeln!(text, "\n{} tokens, {total:.1} ms: {}", decision.sequence_length, shown.join(", "));
    text
}

/// Integers without decimals, everything else with three.
pub fn format_value(value: f64, integer: bool) -> String {
    if integer { format!("{value:.0}") } else { format!("{value:.3}") }
}
