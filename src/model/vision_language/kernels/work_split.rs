//! How a product is shared out: blocks of rows by groups of panels.

use std::ops::Range;

use super::packed_rows::INPUT_BLOCK;
use crate::weights::PANEL;

/// Tiles that use a panel before it is widened again: a block of their inputs, 800 KB, stays in the second or third
/// cache.
const BLOCK_TILES: usize = 33;
/// Tasks for each thread at least, where there is as much to do, so that none waits long for the last.
const TASKS_A_THREAD: usize = 4;

/// Tasks of like size that cover all tiles and panels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkSplit {
    tiles: usize,
    block_tiles: usize,
    panels: usize,
    task_panels: usize,
}

impl WorkSplit {
    /// For the threads of the current pool, with at most `most_panels` panels a task.
    pub fn new(tiles: usize, panels: usize, most_panels: usize) -> Self {
        let row_blocks = tiles.div_ceil(BLOCK_TILES).max(1);
        let fair = panels * row_blocks / (TASKS_A_THREAD * rayon::current_num_threads().max(1));
        // A power of two, so that no task reaches from one block of outputs into the next.
        let task_panels = 1 << fair.clamp(1, most_panels.min(INPUT_BLOCK / PANEL)).ilog2();
        Self { tiles, block_tiles: tiles.div_ceil(row_blocks).max(1), panels, task_panels }
    }

    /// Tiles of a block of rows.
    pub fn block_tiles(&self) -> usize {
        self.block_tiles
    }

    /// Outputs of a task.
    pub fn task_outputs(&self) -> usize {
        self.task_panels * PANEL
    }

    /// Groups of panels beside each other.
    pub fn groups(&self) -> usize {
        self.panels.div_ceil(self.task_panels)
    }

    /// Tiles and panels of each task: a block's groups of panels, then the next block's.
    pub fn tasks(self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let groups = move || (0..self.panels).step_by(self.task_panels);
        (0..self.tiles).step_by(self.block_tiles).flat_map(move |tile| {
            let tiles = tile..self.tiles.min(tile + self.block_tiles);
            groups().map(move |panel| (tiles.clone(), panel..self.panels.min(panel + self.task_panels)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tile_meets_every_panel_once() {
        for (tiles, panels) in [(0, 5), (5, 0), (1, 1), (30, 344), (98, 107), (98, 40), (200, 3)] {
            let split = WorkSplit::new(tiles, panels, 8);
            let mut seen = vec![0; tiles * panels];
            for (tiles, group) in split.tasks() {
                assert!(tiles.len() <= BLOCK_TILES && group.len() <= 8);
                assert_eq!(group.start / 16, (group.end - 1) / 16, "{group:?} reaches into the next block of outputs");
                for tile in tiles {
                    group.clone().for_each(|panel| seen[tile * panels + panel] += 1);
                }
            }
            assert!(seen.iter().all(|&times| times == 1), "{tiles} tiles, {panels} panels: {split:?}");
        }
    }
}
