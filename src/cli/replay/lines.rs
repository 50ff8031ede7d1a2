//! One line a decision, for people, spreadsheets or programs.

use serde_json::{Value, json};

use super::ReplayedDecision;
use crate::cli::report::{decision_json, format_value};
use crate::frame::Stamp;
use crate::planner::PlannerSpec;

/// The forms of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Aligned columns.
    Table,
    /// Comma-separated values.
    Csv,
    /// One JSON object a line.
    Json,
}

/// Writes decisions as lines.
pub struct Lines {
    form: Form,
    names: Vec<String>,
    first_stamp: Option<Stamp>,
}

impl Lines {
    /// For the parameters of this planner.
    pub fn new(form: Form, planner: &PlannerSpec) -> Self {
        let names = planner.parameters().iter().map(|spec| spec.name().to_string()).collect();
        Self { form, names, first_stamp: None }
    }

    /// What comes before the first decision.
    pub fn header(&self) -> String {
        match self.form {
            Form::Json => String::new(),
            Form::Csv => format!("stamp,{},age_s,time_ms\n", self.names.join(",")),
            Form::Table => {
                let names: String =
                    self.names.iter().map(|name| format!(" {:>width$}", name, width = width(name))).collect();
                format!("{:>9}{names} {:>7} {:>8}\n", "time s", "age ms", "took ms")
            }
        }
    }

    /// The line of a decision.
    pub fn line(&mut self, replayed: &ReplayedDecision) -> String {
        let ReplayedDecision { frame, age_s, decision, .. } = replayed;
        let took_ms = decision.times.total().as_secs_f64() * 1e3;
        let values = decision.parameters().iter();
        match self.form {
            Form::Json => {
                let mut object = json!({
                    "stamp": frame.stamp.seconds(),
                    "stamp_ns": frame.stamp.nanos(),
                    "age_s": age_s,
                });
                if let (Some(object), Value::Object(decision)) = (object.as_object_mut(), decision_json(decision)) {
                    object.extend(decision);
                }
                object.to_string() + "\n"
            }
            Form::Csv => {
                // All digits: what is rounded here cannot be compared later.
                let values: String = values.map(|(_, value)| format!("{value},")).collect();
                format!("{},{values}{age_s:.6},{took_ms:.3}\n", frame.stamp.exact_seconds())
            }
            Form::Table => {
                let first = *self.first_stamp.get_or_insert(frame.stamp);
                let values: String = values
                    .map(|(spec, value)| {
                        let value = format_value(value, spec.is_integer());
                        format!(" {value:>width$}", width = width(spec.name()))
                    })
                    .collect();
                let since = frame.stamp.seconds_since(first);
                format!("{since:>9.2}{values} {:>7.0} {took_ms:>8.1}\n", age_s * 1e3)
            }
        }
    }
}

fn width(name: &str) -> usize {
    name.len().max(8)
}
