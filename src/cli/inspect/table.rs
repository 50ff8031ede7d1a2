//! A report as text for people.

use super::report::{Part, Report};
use super::summary::Summary;
use serde_json::Value;

/// Heading, properties, tensors, sums, summary. In a terminal of so many characters, long names of tensors lose their
/// beginning.
pub fn render(report: &Report, brief: bool, terminal: Option<usize>) -> String {
    let mut text = format!("{}: {}\n", report.path, report.kind);
    let width = report.properties.keys().map(String::len).max().unwrap_or_default();
    for (name, value) in &report.properties {
        text += &format!("  {name:width$}  {}\n", plain(value));
    }
    for part in &report.parts {
        text += &render_part(part, brief, terminal);
    }
    if report.parts.len() > 1 {
        text += &format!("\nall parts: {} parameters\n", grouped(report.parameters));
    }
    if let Some(summary) = &report.summary {
        text += &render_summary(summary);
    }
    text
}

fn render_part(part: &Part, brief: bool, terminal: Option<usize>) -> String {
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
        text += &columns(&["tensor", "dtype", "shape", "parameters"], &fitted(rows, terminal), 3);
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

/// Rows that fit into a terminal: what a name loses is its beginning, which it shares with its neighbours.
fn fitted(mut rows: Vec<[String; 4]>, terminal: Option<usize>) -> Vec<[String; 4]> {
    let Some(limit) = terminal else { return rows };
    let longest = |heading: &str, cell: fn(&[String; 4]) -> &String| {
        rows.iter().map(|row| cell(row).chars().count()).fold(heading.len(), usize::max)
    };
    let others = longest("dtype", |[_, dtype, _, _]| dtype)
        + longest("shape", |[_, _, shape, _]| shape)
        + longest("parameters", |[_, _, _, parameters]| parameters);
    // Two spaces before each column.
    let left = limit.saturating_sub(others + 8 + 1).max(16);
    for [name, ..] in &mut rows {
        if let Some(cut) = name.chars().count().checked_sub(left).filter(|cut| *cut > 0) {
            *name = std::iter::once('…').chain(name.chars().skip(cut + 1)).collect();
        }
    }
    rows
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
    use super::{fitted, grouped, size};

    #[test]
    fn long_names_lose_their_beginning_in_a_terminal() {
        let row = |name: &str| ["x.".repeat(40) + name, "f32".into(), "[256, 256]".into(), "65,536".into()];
        let rows = vec![row("weight"), row("bias")];
        assert_eq!(fitted(rows.clone(), None), rows);
        for row in fitted(rows, Some(80)) {
            assert!(row[0].starts_with('…') && row[0].chars().count() == 80 - 25 - 8 - 1, "{row:?}");
            assert!(row[0].ends_with("weight") || row[0].ends_with("bias"));
        }
    }

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
