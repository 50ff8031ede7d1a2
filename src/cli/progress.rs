//! How far a command has come, how fast it is, and how long it still takes.

use std::fmt::Write;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::tuner::LoadProgress;

/// A bar on stderr that counts to a known end: `n of N frames, 2.1/s, ETA 12s`. Without a terminal nothing is drawn.
pub fn counting_bar(total: u64, what: &str) -> ProgressBar {
    let style = style(&format!("{{bar:20}} {{pos}} of {{len}} {what}, {{rate}}, ETA {{eta}} {{msg}}"));
    ProgressBar::new(total).with_style(style.with_key("rate", |state: &ProgressState, bar: &mut dyn Write| {
        // A bar that cannot be written is not drawn.
        bar.write_str(&rate(state.per_sec())).ok();
    }))
}

/// Calls `load` with what shows on stderr how many of a model's tensors have been read, for as long as it takes.
pub fn while_loading<T>(load: impl FnOnce(LoadProgress) -> T) -> T {
    let bar = ProgressBar::new(0).with_style(style("loading weights {bar:30} {pos}/{len}"));
    let shown = bar.clone();
    let loaded = load(Box::new(move |read, total| {
        shown.set_length(total as u64);
        shown.set_position(read as u64);
    }));
    bar.finish_and_clear();
    loaded
}

/// A style of another kind.
pub fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Things a second; where there is less than one, seconds a thing.
fn rate(per_second: f64) -> String {
    match per_second {
        100.0.. => format!("{per_second:.0}/s"),
        1.0.. => format!("{per_second:.1}/s"),
        _ if per_second > 1e-6 => format!("{:.1} s each", 1.0 / per_second),
        _ => "…".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_things_or_of_seconds() {
        let found = [1234.5, 2.13, 0.25, 0.0, f64::NAN].map(rate);
        assert_eq!(found, ["1234/s", "2.1/s", "4.0 s each", "…", "…"]);
    }
}
