//! Examples whose hidden states need not be computed again, because the model in front of the heads does not learn.

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::{Example, View};

/// Memory that they take at most, bytes; what does not fit is computed whenever it is its turn.
const MOST_BYTES: usize = 2 << 30;

/// Examples by the number of their frame.
#[derive(Debug, Default)]
pub struct KnownExamples {
    examples: BTreeMap<usize, Example>,
    bytes: usize,
}

impl KnownExamples {
    /// The example of a frame, if it is known.
    pub fn get(&self, item: usize) -> Option<&Example> {
        self.examples.get(&item)
    }

    /// Keeps an example whose hidden states are known, if there is room.
    pub fn keep(&mut self, item: usize, example: &Example) {
        let View::States(states) = &example.view else { return };
        let tensors = states.rest().iter().chain(&example.newest_first);
        let bytes = tensors.map(bytes_of).sum::<usize>()
            + states.prefix().map_or(0, |prefix| prefix.states().iter().map(bytes_of).sum());
        if self.bytes + bytes <= MOST_BYTES && self.examples.insert(item, example.clone()).is_none() {
            self.bytes += bytes;
        }
    }
}

fn bytes_of(tensor: &Tensor) -> usize {
    tensor.elem_count() * tensor.dtype().size_in_bytes()
}
