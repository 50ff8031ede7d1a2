//! A report as text for people.

use super::report::{Part, Report};
use super::summary::Summary;
use serde_json::Value;

/// Heading, properties, tensors, sums, summary.
pub fn render(report: &Report, brief: bool) -> String {
    let mut text = format!("{}: {}\n", report.path, report.kind);
    let width = report.properties.keys().map(String::len).max().unwrap_or_default();
    for (name, value) in &report.properties {
        text += &format!("  {name:width$}  {}\n", plain(value));
    }
    for part in &report.parts {
        text += &render_part(part, brief);
    }
    if report.parts.len() > 1 {
        text += &format!("\nall parts: {} parameters\n", grouped(report.parameters));
    }
    if let Some(summary) = &report.summary {
        text += &render_summary(summary);
    }
    text
}

fn render_part(part: &Part, brief: bool) -> String {
    let (parameters, tensors) = (grouped(part.parameters), grouped(part.tensors.len() as u64));
    let mut text = format!("\n{}: {parameters} parameters in {tensors} tensors, {}\n", part.name, size(part.bytes));
    for file in &part.files {
        text += &format!("  from {file}\n");
    }
    if !brief {
        let shape =
            |shape: &[usize]| format!("[{}]", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", "));
        let rows: Vec<[String; 4]> = part
            .tensors
            .iter()
            .map(|line| [line.name.clone(), line.dtype.into(), shape(&line.shape), grouped(line.parameters)])
            .collect();
        text += &columns(&["tensor", "dtype", "shape", "parameters"], &rows, 3);
    }
    text
}

fn render_summary(summary: &Summary) -> String {
    let count = |count: Option<u64>| count.map_or("not given".to_string(), grouped);
    let rows: Vec<[String; 4]> = summary
        .networks
        .iter()
        .map(|row| [row.name.into(), count(row.total), count(row.trainable), count(row.frozen)])
        .collect();
    let table = columns(&["in reinforcement learning", "total", "trainable", "frozen"], &rows, 1);
    let (bytes, rounded) = (grouped(summary.policy_bytes), size(summary.policy_bytes));
    format!("\n{table}\nexpected size of a saved policy: {rounded} ({bytes} bytes of numbers)\n")
}

/// Aligned columns: the first `text` of them to the left, numbers to the right.
fn columns(head: &[&str; 4], rows: &[[String; 4]], text: usize) -> String {
    let mut widths = head.map(|title| title.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; 4]| {
        let padded = cells.iter().zip(widths).enumerate().map(|(index, (cell, width))| match index < text {
            true => format!("  {cell:width$}"),
            false => format!("  {cell:>width$}"),
        });
        padded.chain(["\n".to_string()]).collect::<String>()
    };
    let rows = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(*head)).chain(rows).collect()
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "not there".into(),
        Value::Bool(value) => if *value { "yes" } else { "no" }.into(),
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect::<Vec<_>>().join(", ")
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().map(|item| format!("\n    {}", plain(item))).collect()
        }
        other => other.to_string().replace(',', ", "),
    }
}

#[cfg(test)]
mod tests {
    use super::{grouped, size};

    #[test]
    fn groups_thousands() {
        let found = [0, 7, 999, 1000, 3_891_337, 330_907_648].map(grouped);
        assert_eq!(found, ["0", "7", "999", "1,000", "3,891,337", "330,907,648"]);
    }

    #[test]
    fn sizes_have_a_unit() {
        assert_eq!([size(24), size(1400), size(22_277_952)], ["24 bytes", "1.4 kB", "22.3 MB"]);
    }
}
