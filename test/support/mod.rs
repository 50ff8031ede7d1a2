//! Where the golden data is, what to say when it is not there, and how differences are reported.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

pub mod checkpoint_files;
pub mod episode;
pub mod guard_scene;
pub mod nav2_fake;
pub mod scene_bag;
pub mod set_planner;
pub mod sick_store;
pub mod slow_painter;
pub mod small_bag;
pub mod toy;
pub mod toy_heads;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use vlm_planner_tuner::checkpoint::TensorTable;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Set where everything must be there, so that a test that skips itself is a failure and not an unread line.
const REQUIRE: &str = "PLANNER_TUNER_REQUIRE_FIXTURES";

/// The folder of a fixture set such as `tiny_vlm`, or `None` (and a line that says so) when no root holds it.
///
/// Roots are the folders in `PLANNER_TUNER_FIXTURES` (separated as in `PATH`); without it the project's own
/// `test/fixtures`, then `../shared/fixtures`. The first root that holds the set, or is the set, wins.
pub fn fixture_set(name: &str) -> Option<PathBuf> {
    let roots: Vec<PathBuf> = match std::env::var_os("PLANNER_TUNER_FIXTURES") {
        Some(list) => std::env::split_paths(&list).collect(),
        None => vec![Path::new(ROOT).join("test/fixtures"), Path::new(ROOT).join("../shared/fixtures")],
    };
    first_existing(&roots, name)
}

/// A set that the project brings, whatever `PLANNER_TUNER_FIXTURES` says.
pub fn own_fixture_set(name: &str) -> PathBuf {
    Path::new(ROOT).join("test/fixtures").join(name)
}

/// A folder of `../shared/data` such as `bags`, or `None` (and a line that says so).
pub fn shared_data(name: &str) -> Option<PathBuf> {
    first_existing(&[Path::new(ROOT).join("../shared/data")], name)
}

/// A folder of `../shared/cases`, or `None` (and a line that says so).
pub fn shared_case(name: &str) -> Option<PathBuf> {
    first_existing(&[Path::new(ROOT).join("../shared/cases")], name)
}

fn first_existing(roots: &[PathBuf], name: &str) -> Option<PathBuf> {
    let itself = roots.iter().filter(|root| root.ends_with(name)).cloned();
    let found = roots.iter().map(|root| root.join(name)).chain(itself).find(|path| path.is_dir());
    if found.is_none() {
        let required = std::env::var_os(REQUIRE).is_some_and(|value| !value.is_empty());
        assert!(!required, "{REQUIRE} is set, and there is no folder '{name}' in {roots:?}");
        say(&format!("skipped: no folder '{name}' in {roots:?}"));
    }
    found
}

/// What a run of the program said on stderr, if it ended with this code and without a panic.
#[track_caller]
pub fn expect(code: i32, output: &std::process::Output) -> String {
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!talk.contains("panicked"), "{talk}");
    assert_eq!(output.status.code(), Some(code), "{talk}");
    talk
}

/// Prints past the test harness's capture: measured figures are results, not debugging.
pub fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Expected tensors, read as f32.
pub struct Expected(pub TensorTable);

impl Expected {
    pub fn open(path: &Path) -> Self {
        Self(TensorTable::open(path).unwrap())
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.meta(name).is_some()
    }

    pub fn tensor(&self, name: &str) -> candle_core::Tensor {
        self.0.read(name, &candle_core::Device::Cpu).unwrap()
    }

    /// The values of a tensor as f32, flattened; `None` where the set does not have it.
    pub fn get(&self, name: &str) -> Option<Vec<f32>> {
        self.has(name).then(|| self.values(name))
    }

    /// The values of a tensor as f32, flattened.
    pub fn values(&self, name: &str) -> Vec<f32> {
        flat(&self.tensor(name))
    }
}

/// The values of a tensor as f32, flattened.
pub fn flat(tensor: &candle_core::Tensor) -> Vec<f32> {
    tensor.to_dtype(candle_core::DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Largest absolute difference; panics when the lengths differ or a value is not finite.
pub fn max_difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len(), "number of values");
    found.iter().zip(expected).fold(0.0, |largest, (a, b)| {
        assert!(a.is_finite() && b.is_finite(), "found {a}, expected {b}");
        f32::max(largest, (a - b).abs())
    })
}

/// Largest difference relative to the largest expected magnitude.
pub fn max_relative_difference(found: &[f32], expected: &[f32]) -> f32 {
    let scale = expected.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    max_difference(found, expected) / scale
}

/// Measured differences beside their bars; printed as a table, then asserted.
#[derive(Default)]
pub struct Report(Vec<(String, f32, f32)>);

impl Report {
    /// Adds a measurement; measurements of one quantity are merged to the largest.
    pub fn add(&mut self, quantity: &str, measured: f32, bar: f32) {
        match self.0.iter_mut().find(|(known, ..)| known == quantity) {
            Some((_, largest, _)) => *largest = largest.max(measured),
            None => self.0.push((quantity.to_string(), measured, bar)),
        }
    }

    /// Prints the table in one piece and fails when a bar is missed. A report without a line fails too.
    pub fn finish(self, title: &str) {
        assert!(!self.0.is_empty(), "{title}: nothing was measured");
        let verdict = |measured: f32, bar: f32| if measured <= bar { "ok" } else { "MISSED" };
        let lines: Vec<String> = self
            .0
            .iter()
            .map(|(quantity, measured, bar)| {
                format!("  {quantity:<58} {measured:>10.2e}   bar {bar:>8.0e}   {}", verdict(*measured, *bar))
            })
            .collect();
        say(&format!("\n{title}\n{}", lines.join("\n")));
        let missed: Vec<_> = self.0.iter().filter(|(_, measured, bar)| measured > bar).collect();
        assert!(missed.is_empty(), "{title}: {missed:?}");
    }
}
