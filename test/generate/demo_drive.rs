//! Writes the demo recording: a simulated Jackal drive as a folder of costmap pictures with a table of velocities.
//!
//! `cargo run --example demo_drive` writes `test/fixtures/demo_drive`; another folder may be named.
//! Everything in it is invented and deterministic; a test compares the committed files with a new drive.
#![allow(clippy::print_stdout)]

#[allow(dead_code, reason = "the distance to obstacles is for the test of the drive")]
mod drive;

use std::path::PathBuf;

use anyhow::Context as _;
use vlm_planner_tuner::picture::save_png;

fn main() -> anyhow::Result<()> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/test/fixtures/demo_drive");
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| default.to_owned()));
    let frames = folder.join("frames");
    std::fs::create_dir_all(&frames).with_context(|| format!("cannot create {}", frames.display()))?;
    let moments = drive::record()?;
    for moment in &moments {
        save_png(&folder.join(&moment.file), &moment.frame)?;
    }
    let table = folder.join("frames.csv");
    std::fs::write(&table, drive::table(&moments)).with_context(|| format!("cannot write {}", table.display()))?;
    println!("{} frames in {}", moments.len(), folder.display());
    Ok(())
}
