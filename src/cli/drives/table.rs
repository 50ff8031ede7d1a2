//! What an evaluation prints.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::simulation::comparison::{Estimate, Summary, Trial, paired_difference};
use crate::simulation::world::Difficulty;

/// A policy with its drives.
pub struct Column<'a> {
    pub name: &'a str,
    pub trials: &'a [Trial],
}

/// A table of all policies; where worlds have a difficulty, one more for each. In a terminal of so many characters that is
/// too narrow for it, a line a number.
pub fn table(columns: &[Column<'_>], difficulties: &[Option<Difficulty>], terminal: Option<usize>) -> String {
    let mut text = String::new();
    let is_narrow = terminal.is_some_and(|limit| name_width("medium worlds", columns) + NUMBERS >= limit);
    let write_table = |text: &mut String, title: &str, is_meant: &dyn Fn(usize) -> bool| match is_narrow {
        true => write_list(text, title, columns, is_meant),
        false => write_table(text, title, columns, is_meant),
    };
    write_table(&mut text, "all worlds", &|_| true);
    for difficulty in [Difficulty::Easy, Difficulty::Medium, Difficulty::Hard] {
        let is_meant = |world: usize| difficulties.get(world).copied().flatten() == Some(difficulty);
        if (0..difficulties.len()).any(is_meant) {
            write_table(&mut text, &format!("{} worlds", difficulty.name()), &is_meant);
        }
    }
    text
}

const HEADINGS: [&str; 6] = ["drives", "success %", "time s", "nav metric", "contacts", "against the first"];
const WIDTHS: [usize; 6] = [7, 21, 19, 23, 9, 25];
/// What the numbers take beside the names.
const NUMBERS: usize = 7 + 21 + 19 + 23 + 9 + 25 + 6;

fn name_width(title: &str, columns: &[Column<'_>]) -> usize {
    columns.iter().map(|column| column.name.chars().count()).max().unwrap_or(0).max(title.len())
}

fn write_table(text: &mut String, title: &str, columns: &[Column<'_>], is_meant: &dyn Fn(usize) -> bool) {
    let width = name_width(title, columns);
    let mut line = |name: &str, cells: [&str; 6]| {
        let cells = cells.iter().zip(WIDTHS).map(|(cell, width)| format!(" {cell:>width$}")).collect::<String>();
        let _ = writeln!(text, "{name:<width$}{cells}");
    };
    line(title, HEADINGS);
    for (name, cells) in rows(columns, is_meant) {
        line(name, cells.each_ref().map(String::as_str));
    }
    text.push('\n');
}

fn write_list(text: &mut String, title: &str, columns: &[Column<'_>], is_meant: &dyn Fn(usize) -> bool) {
    let _ = writeln!(text, "{title}");
    for (name, cells) in rows(columns, is_meant) {
        let _ = writeln!(text, "  {name}");
        for (heading, cell) in HEADINGS.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
            let _ = writeln!(text, "    {heading:<18}{cell}");
        }
    }
    text.push('\n');
}

/// A policy's name and its numbers, in the order of the headings.
fn rows<'a>(columns: &[Column<'a>], is_meant: &dyn Fn(usize) -> bool) -> Vec<(&'a str, [String; 6])> {
    let chosen = |column: &Column<'_>| -> Vec<Trial> {
        column.trials.iter().filter(|trial| is_meant(trial.world)).copied().collect()
    };
    let first = columns.first().map(chosen).unwrap_or_default();
    let row = |(index, column): (usize, &Column<'a>)| {
        let trials = chosen(column);
        let summary = Summary::of(&trials)?;
        let scaled = |estimate: Estimate, by: f64| Estimate {
            mean: estimate.mean * by,
            low: estimate.low * by,
            high: estimate.high * by,
        };
        let success = interval(scaled(summary.success, 100.0), 1);
        let time = summary.time_s.map_or("-".to_owned(), |time| interval(time, 1));
        let metric = interval(summary.nav_metric, 3);
        let difference = match index {
            0 => String::new(),
            _ => paired_difference(&trials, &first).map_or("-".to_owned(), signed),
        };
        let (drives, contacts) = (summary.drives.to_string(), format!("{:.2}", summary.contacts));
        Some((column.name, [drives, success, time, metric, contacts, difference]))
    };
    columns.iter().enumerate().filter_map(row).collect()
}

fn interval(Estimate { mean, low, high }: Estimate, digits: usize) -> String {
    format!("{mean:.digits$} [{low:.digits$}, {high:.digits$}]")
}

fn signed(Estimate { mean, low, high }: Estimate) -> String {
    format!("{mean:+.3} [{low:+.3}, {high:+.3}]")
}

/// The same for programs.
pub fn json_of(columns: &[Column<'_>], worlds: &[(String, Option<Difficulty>)]) -> Value {
    let first = columns.first().map(|column| column.trials).unwrap_or_default();
    let policies: Vec<Value> = columns
        .iter()
        .map(|column| {
            let summary = Summary::of(column.trials);
            let estimate = |of: Option<Estimate>| {
                of.map(|Estimate { mean, low, high }| json!({"mean": mean, "low": low, "high": high}))
            };
            let trials: Vec<Value> = column.trials.iter().map(|trial| trial_json(trial, worlds)).collect();
            json!({
                "policy": column.name,
                "drives": column.trials.len(),
                "success": estimate(summary.map(|summary| summary.success)),
                "time_s": estimate(summary.and_then(|summary| summary.time_s)),
                "nav_metric": estimate(summary.map(|summary| summary.nav_metric)),
                "contacts": summary.map(|summary| summary.contacts),
                "against_the_first": estimate(paired_difference(column.trials, first)),
                "trials": trials,
            })
        })
        .collect();
    json!({ "policies": policies })
}

fn trial_json(trial: &Trial, worlds: &[(String, Option<Difficulty>)]) -> Value {
    let world = worlds.get(trial.world);
    json!({
        "world": world.map(|(name, _)| name),
        "difficulty": world.and_then(|(_, difficulty)| difficulty.map(Difficulty::name)),
        "ending": trial.ending.name(),
        "time_s": trial.time_s,
        "contacts": trial.contacts,
        "nav_metric": trial.nav_metric,
    })
}

/// A row a drive, with a header.
pub fn csv_of(columns: &[Column<'_>], worlds: &[(String, Option<Difficulty>)]) -> anyhow::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(["policy", "world", "difficulty", "ending", "time_s", "contacts", "nav_metric"])?;
    for column in columns {
        for trial in column.trials {
            let (world, difficulty) = worlds.get(trial.world).cloned().unwrap_or_default();
            csv.write_record([
                column.name,
                &world,
                difficulty.map_or("", Difficulty::name),
                trial.ending.name(),
                &format!("{:.2}", trial.time_s),
                &trial.contacts.to_string(),
                &format!("{:.6}", trial.nav_metric),
            ])?;
        }
    }
    Ok(csv.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::drive::Ending;

    #[test]
    fn a_narrow_terminal_gets_a_line_a_number() {
        let trial = Trial { world: 0, ending: Ending::Success, time_s: 12.0, contacts: 0, nav_metric: 0.4 };
        let trials = [trial];
        let columns = ["default", "fixed:max_vel_x=1"].map(|name| Column { name, trials: &trials });
        let whole = table(&columns, &[None], None);
        assert_eq!(whole.lines().count(), 4, "{whole}");
        assert_eq!(table(&columns, &[None], Some(200)), whole);
        let narrow = table(&columns, &[None], Some(60));
        assert!(narrow.lines().all(|line| line.chars().count() < 60), "{narrow}");
        assert!(narrow.contains("  default\n    drives            1\n    success %         100.0 [100.0, 100.0]\n"));
    }
}
