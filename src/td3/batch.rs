//! What one update learns from.

use super::n_step::Observation;

/// Windows of logged steps, row by row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Number of rows.
    pub size: usize,
    /// Feature of the first step's frame.
    pub state: Vec<f32>,
    /// What was sent at the first step, in the parameters' units.
    pub action: Vec<f32>,
    /// Discounted sum of the window's rewards.
    pub reward: Vec<f32>,
    /// 0 where a true end lies in the window, else 1.
    pub not_done: Vec<f32>,
    /// What the value after the window counts: gamma to the power of the window's length.
    pub discount: Vec<f32>,
    /// Feature of the observation after the window; zeros where nothing is bootstrapped.
    pub next_state: Vec<f32>,
    /// Where the state's feature comes from.
    pub seen: Vec<Observation>,
    /// Where the next state's comes from; `None` where nothing is bootstrapped.
    pub next_seen: Vec<Option<Observation>>,
}

impl Batch {
    /// Forgets the rows, keeps the memory.
    pub fn clear(&mut self) {
        self.size = 0;
        for column in [
            &mut self.state,
            &mut self.action,
            &mut self.reward,
            &mut self.not_done,
            &mut self.discount,
            &mut self.next_state,
        ] {
            column.clear();
        }
        self.seen.clear();
        self.next_seen.clear();
    }
}
