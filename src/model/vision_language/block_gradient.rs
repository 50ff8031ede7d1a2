//! The way back through one block, computed again from its input.
//!
//! A forward pass that remembers everything a gradient needs would hold several gigabytes for the 3B model. So the fast one
//! keeps the blocks' inputs only, and each block is computed once more, in operations that have a gradient, when its turn
//! comes: at any time the memory holds the graph of one block.

use candle_core::backprop::GradStore;
use candle_core::{DType, Error, Result, Tensor, Var};

use crate::device::give_back_freed;

/// Numbers of a block's output from which on its graph takes hundreds of megabytes.
const LARGE: usize = 1 << 19;

/// Takes what a block's graph has found for the variables in it. Called once a block, from the last to the first.
pub type GradientSink<'s> = dyn FnMut(&GradStore) -> Result<()> + 's;

/// The gradient of a block's input, f32, from that of its output: `block` is run on `input` once more.
///
/// candle's gradients can be parts of a graph themselves, by way of the variables they were computed from. They are
/// detached, so that none of those learns from them a second time.
///
/// # Errors
/// When an operation fails, or none of the block's operations leads back to its input.
pub fn back_through(
    input: &Tensor,
    of_output: &Tensor,
    sink: &mut GradientSink<'_>,
    block: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let is_large = of_output.elem_count() >= LARGE;
    let of_input = {
        let input = Var::from_tensor(input)?;
        let output = block(&input)?.to_dtype(DType::F32)?;
        let gradients = (output * of_output.detach())?.sum_all()?.backward()?;
        sink(&gradients)?;
        let of_input = gradients.get(&input).ok_or_else(|| Error::Msg("no gradient reaches a block's input".into()))?;
        of_input.detach().to_dtype(DType::F32)?.detach()
    };
    if is_large {
        give_back_freed();
    }
    Ok(of_input)
}
