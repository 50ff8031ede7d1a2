//! One line a decision, for people, spreadsheets or programs.

use serde_json::{Value, json};

use super::ReplayedDecision;
use super::columns::{Column, Columns};
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
    columns: Columns,
    first_stamp: Option<Stamp>,
}

impl Lines {
    /// For the parameters of this planner. A table fits into the terminal, where there is one of so many characters.
    pub fn new(form: Form, planner: &PlannerSpec, terminal: Option<usize>) -> Self {
        let names = planner.parameters().iter().map(|spec| spec.name().to_string()).collect();
        let other = |name: &str, value, wide| Column { name: name.to_owned(), value, wide };
        let parameters = planner.parameters().iter().map(|spec| {
            let longest = |value| format_value(value, spec.is_integer()).len();
            other(spec.name(), longest(spec.min()).max(longest(spec.max())), 8)
        });
        let all: Vec<Column> = std::iter::once(other("time s", 7, 9))
            .chain(parameters)
            .chain([other("age ms", 4, 7), other("took ms", 7, 8)])
            .collect();
        Self { form, names, columns: Columns::new(&all, terminal), first_stamp: None }
    }

    /// What comes before the first decision.
    pub fn header(&self) -> String {
        match self.form {
            Form::Json => String::new(),
            Form::Csv => format!("stamp,{},age_s,time_ms\n", self.names.join(",")),
            Form::Table => self.columns.header(),
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
                let values = values.map(|(spec, value)| format_value(value, spec.is_integer()));
                let cells: Vec<String> = std::iter::once(format!("{:.2}", frame.stamp.seconds_since(first)))
                    .chain(values)
                    .chain([format!("{:.0}", age_s * 1e3), format!("{took_ms:.1}")])
                    .collect();
                self.columns.row(&cells)
            }
        }
    }
}
