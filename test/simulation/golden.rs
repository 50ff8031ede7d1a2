//! Reads the golden files.

use std::path::PathBuf;

use planner_tuner_simulation::footprint::Footprint;
use planner_tuner_simulation::grid::{CostGrid, GridGeometry};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A grid of a golden file: runs of values, row by row.
#[derive(Debug, Clone, Deserialize)]
pub struct GridRuns<T> {
    nx: usize,
    ny: usize,
    resolution: f64,
    origin_x: f64,
    origin_y: f64,
    rle: Vec<T>,
}

impl<T: Copy + TryInto<usize>> GridRuns<T>
where
    T::Error: std::fmt::Debug,
{
    /// Where the grid lies.
    pub fn geometry(&self) -> GridGeometry {
        let Self { nx, ny, resolution, origin_x, origin_y, .. } = *self;
        GridGeometry { width: nx, height: ny, resolution, origin_x, origin_y }
    }

    /// All values, row by row.
    pub fn values(&self) -> Vec<T> {
        let runs = self.rle.chunks_exact(2).flat_map(|run| std::iter::repeat_n(run[0], run[1].try_into().unwrap()));
        let values: Vec<T> = runs.collect();
        assert_eq!(values.len(), self.geometry().len());
        values
    }
}

impl GridRuns<usize> {
    /// As a grid of costs.
    pub fn costs(&self) -> CostGrid {
        let costs = self.values().into_iter().map(|cost| u8::try_from(cost).unwrap()).collect();
        CostGrid::from_costs(self.geometry(), costs).unwrap()
    }
}

/// A golden file: what it holds, and its cases.
#[derive(Debug, Deserialize)]
struct GoldenFile<T> {
    cases: Vec<T>,
}

/// The cases of a golden file of every set that is there: the project's own, and those in `PLANNER_TUNER_FIXTURES` or beside
/// the clone.
pub fn cases<T: DeserializeOwned>(file: &str) -> Vec<T> {
    let cases: Vec<T> = sets()
        .into_iter()
        .flat_map(|set| {
            let path = set.join(file);
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let file: GoldenFile<T> =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            file.cases
        })
        .collect();
    assert!(!cases.is_empty(), "no case in any {file}");
    cases
}

/// The folders `dwa` that hold golden numbers.
fn sets() -> Vec<PathBuf> {
    let project = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let others: Vec<PathBuf> = match std::env::var_os("PLANNER_TUNER_FIXTURES") {
        Some(named) => std::env::split_paths(&named).collect(),
        None => vec![project.join("../shared/fixtures")],
    };
    // A root may be the set itself.
    let sets = others.into_iter().map(|root| if root.ends_with("dwa") { root } else { root.join("dwa") });
    std::iter::once(project.join("test/fixtures/dwa")).chain(sets.filter(|set| set.is_dir())).collect()
}

/// A footprint of a golden file.
pub fn footprint(corners: &[[f64; 2]]) -> Footprint {
    Footprint::from_corners(corners.to_vec()).unwrap()
}
