//! Where the golden data is, and what to say when it is not there.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The folder of a fixture set such as `tiny_vlm`, or `None` (and a line that says so) when no root holds it.
///
/// Roots are the folders in `PLANNER_TUNER_FIXTURES` (separated as in `PATH`); without it the project's own
/// `test/fixtures`, then `../shared/fixtures`. The first root that holds the set wins.
pub fn fixture_set(name: &str) -> Option<PathBuf> {
    let roots: Vec<PathBuf> = match std::env::var_os("PLANNER_TUNER_FIXTURES") {
        Some(list) => std::env::split_paths(&list).collect(),
        None => vec![Path::new(ROOT).join("test/fixtures"), Path::new(ROOT).join("../shared/fixtures")],
    };
    first_existing(&roots, name)
}

/// A folder of `../shared/data` such as `bags`, or `None` (and a line that says so).
pub fn shared_data(name: &str) -> Option<PathBuf> {
    first_existing(&[Path::new(ROOT).join("../shared/data")], name)
}

fn first_existing(roots: &[PathBuf], name: &str) -> Option<PathBuf> {
    let found = roots.iter().map(|root| root.join(name)).find(|path| path.is_dir());
    if found.is_none() {
        eprintln!("skipped: no folder '{name}' in {roots:?}");
    }
    found
}
