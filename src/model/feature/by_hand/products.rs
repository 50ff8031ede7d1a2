//! The gradients of matrices, added up over many products in parts that can be computed at the same time.

use rayon::prelude::*;

use super::kernels::{GradientRoom, NumberTile, WindowGradient, Windows, number_tiles, panel_value};
use crate::vectors::Vectors;
use crate::weights::{PANEL, PanelRow};

/// Tiles of a task: what it packs and its sums for 256 outputs stay in the second cache.
const TASK_TILES: usize = 32;

/// Windows that a matrix was multiplied with, and the gradient of the products.
#[derive(Debug, Clone, Copy)]
pub struct Factors<'a> {
    /// What the matrix was multiplied with.
    pub windows: Windows<'a>,
    /// Number of windows.
    pub rows: usize,
    /// Where the gradient of each product lies; its runs are not used.
    pub gradient: Windows<'a>,
}

/// The sum of a layer's gradients: of its matrix in panels as the weights lie, of its bias.
#[derive(Debug, Clone)]
pub struct LayerSum {
    inputs: usize,
    tiles: Vec<NumberTile>,
    panels: Vec<PanelRow>,
    bias: Vec<f32>,
}

/// A part of a [`LayerSum`] with what is added to it.
#[derive(Debug)]
pub struct SumTask<'a> {
    factors: &'a [Factors<'a>],
    tiles: &'a [NumberTile],
    panels: Vec<&'a mut [PanelRow]>,
    bias: &'a mut [f32],
}

impl LayerSum {
    /// Nothing yet, for a layer whose windows consist of these runs.
    pub fn zeros(runs: &[usize], run: usize, outputs: usize) -> Self {
        let inputs = runs.len() * run;
        let panels = vec![[0.0; PANEL]; outputs.div_ceil(PANEL) * inputs];
        Self { inputs, tiles: number_tiles(runs, run), panels, bias: vec![0.0; outputs] }
    }

    /// The gradient at `(output, input)`.
    pub fn at(&self, output: usize, input: usize) -> f32 {
        panel_value(&self.panels, self.inputs, output, input)
    }

    /// The gradient of the bias.
    pub fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// The tasks that add products in their order.
    pub fn tasks<'a>(&'a mut self, factors: &'a [Factors<'a>], tasks: &mut Vec<SumTask<'a>>) {
        let mut rest: Vec<&mut [PanelRow]> = self.panels.chunks_exact_mut(self.inputs.max(1)).collect();
        let mut bias = self.bias.as_mut_slice();
        for tiles in self.tiles.chunks(TASK_TILES) {
            let numbers = tiles.iter().map(|tile| tile.count).sum();
            let mut panels = Vec::with_capacity(rest.len());
            for rest in &mut rest {
                let (part, behind) = std::mem::take(rest).split_at_mut(numbers);
                panels.push(part);
                *rest = behind;
            }
            // The first one takes the bias along.
            tasks.push(SumTask { factors, tiles, panels, bias: std::mem::take(&mut bias) });
        }
    }
}

/// Does all tasks, on all threads of the pool.
pub fn do_all(tasks: Vec<SumTask<'_>>, vectors: Vectors) {
    tasks.into_par_iter().for_each_init(GradientRoom::default, |room, task| task.run(vectors, room));
}

impl SumTask<'_> {
    fn run(mut self, vectors: Vectors, room: &mut GradientRoom) {
        for Factors { windows, rows, gradient } in self.factors.iter().copied() {
            let (tiles, panels) = (self.tiles, self.panels.as_mut_slice());
            vectors.dispatch(WindowGradient { windows, rows, gradient, tiles, panels, room });
            let bias = &mut *self.bias;
            let rows = if bias.is_empty() { 0 } else { rows };
            vectors.dispatch(|| {
                for row in 0..rows {
                    let values = gradient.values.get(gradient.places.of(row)..).unwrap_or_default();
                    bias.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                }
            });
        }
    }
}
