//! ROS arguments, without a panic trace.

use std::panic::catch_unwind;

use super::NodeError;
use vlm_planner_tuner::live::inference::panic_text;
use vlm_planner_tuner::live::{RosArguments, try_log_folder};

/// The process's one context, made from its own arguments.
///
/// # Errors
/// [`NodeError::Arguments`] with the reason that rcl gives, [`NodeError::UnknownArguments`] for those that it would
/// ignore, and what keeps ROS from logging.
pub(super) fn create(arguments: &RosArguments) -> Result<r2r::Context, NodeError> {
    if !arguments.unknown.is_empty() {
        return Err(NodeError::UnknownArguments(arguments.unknown.join(" ")));
    }
    // r2r panics on arguments that rcl refuses.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let created = catch_unwind(r2r::Context::create);
    std::panic::set_hook(hook);
    match created {
        Ok(Ok(created)) => Ok(created),
        // Logging is what rcl sets up last, and it gives no reason.
        Ok(Err(error)) => {
            // What can be tried is blamed by what it does, and the file by what is left.
            try_log_folder(|name| std::env::var(name).ok())?;
            match &arguments.log_config_file {
                Some(file) => Err(NodeError::LogConfigFile(file.clone())),
                None => Err(error.into()),
            }
        }
        Err(panic) => Err(NodeError::Arguments(panic_text(&*panic))),
    }
}
