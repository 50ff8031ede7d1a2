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

/// A table of all policies; where worlds have a difficulty, one more for each.
pub fn table(columns: &[Column<'_>], difficulties: &[Option<Difficulty>]) -> String {
    let mut text = String::new();
    write_table(&mut text, "all worlds", columns, |_| true);
    for difficulty in [Difficulty::Easy, Difficulty::Medium, Difficulty::Hard] {
        let is_meant = |world: usize| difficulties.get(world).copied().flatten() == Some(difficulty);
        if (0..difficulties.len()).any(is_meant) {
            write_table(&mut text, &format!("{} worlds", difficulty.name()), columns, is_meant);
        }
    }
    text
}

fn write_table(text: &mut String, title: &str, columns: &[Column<'_>], is_meant: impl Fn(usize) -> bool) {
    let width = columns.iter().map(|column| column.name.chars().count()).max().unwrap_or(0).max(title.len());
    let _ = writeln!(
        text,
        "{title:<width$} {:>7} {:>21} {:>19} {:>23} {:>9} {:>25}",
        "drives", "success %", "time s", "nav metric", "contacts", "against the first"
    );
    let chosen = |column: &Column<'_>| -> Vec<Trial> {
        column.trials.iter().filter(|trial| is_meant(trial.world)).copied().collect()
    };
    let first = columns.first().map(chosen).unwrap_or_default();
    for (index, column) in columns.iter().enumerate() {
        let trials = chosen(column);
        let Some(summary) = Summary::of(&trials) else { continue };
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
        let _ = writeln!(
            text,
            "{:<width$} {:>7} {success:>21} {time:>19} {metric:>23} {:>9.2} {difference:>25}",
            column.name, summary.drives, summary.contacts
        );
    }
    text.push('\n');
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
