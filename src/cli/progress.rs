//! How far a command has come, and how long it still takes.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on stderr that counts to a known end: `n of N frames, ETA 12s`. Without a terminal nothing is drawn.
pub fn counting_bar(total: u64, what: &str) -> ProgressBar {
    ProgressBar::new(total).with_style(style(&format!("{{bar:30}} {{pos}} of {{len}} {what}, ETA {{eta}} {{msg}}")))
}

/// A style of another kind.
pub fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
