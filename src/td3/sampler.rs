//! Which windows make a batch.

use super::{Batch, Random, ReplayBuffer, TrainError};

/// Draws windows with equal chances.
#[derive(Debug, Clone)]
pub struct Sampler {
    buffer: ReplayBuffer,
    starts: Vec<usize>,
    /// Most steps of a window.
    n_step: usize,
    /// Worth of a reward one step later.
    gamma: f64,
    /// What rewards are multiplied by.
    reward_scale: f32,
}

impl Sampler {
    /// Over a buffer that no step is added to any more.
    ///
    /// # Errors
    /// [`TrainError::NothingToLearn`] when no window can be made.
    pub fn new(buffer: ReplayBuffer, n_step: usize, gamma: f64, reward_scale: f32) -> Result<Self, TrainError> {
        let starts = buffer.starts();
        if starts.is_empty() {
            return Err(TrainError::NothingToLearn { steps: buffer.len() });
        }
        Ok(Self { buffer, starts, n_step, gamma, reward_scale })
    }

    /// The buffer that is drawn from.
    pub fn buffer(&self) -> &ReplayBuffer {
        &self.buffer
    }

    /// Number of windows that can be drawn.
    pub fn windows(&self) -> usize {
        self.starts.len()
    }

    /// Most steps of a window.
    pub fn n_step(&self) -> usize {
        self.n_step
    }

    /// Fills `batch` with `size` windows.
    pub fn draw(&self, size: usize, random: &mut Random, batch: &mut Batch) {
        batch.clear();
        for _ in 0..size {
            let Some(slot) = self.starts.get(random.below(self.starts.len())) else { return };
            if let Some(window) = self.buffer.window(*slot, self.n_step, self.gamma) {
                self.buffer.add_window(*slot, &window, self.reward_scale, batch);
            }
        }
    }
}
