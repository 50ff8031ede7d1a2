//! ROS arguments, without a panic trace.

use std::panic::catch_unwind;

use super::NodeError;
use vlm_planner_tuner::live::inference::panic_text;

/// The process's one context, made from its own arguments.
///
/// # Errors
/// [`NodeError::Arguments`] with the reason that rcl gives.
pub(super) fn create() -> Result<r2r::Context, NodeError> {
    // r2r panics on arguments that rcl refuses.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let created = catch_unwind(r2r::Context::create);
    std::panic::set_hook(hook);
    match created {
        Ok(created) => Ok(created?),
        Err(panic) => Err(NodeError::Arguments(panic_text(&*panic))),
    }
}
