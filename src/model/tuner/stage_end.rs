//! When a stage's work is done.

use candle_core::Device;

use super::TunerError;

/// The end of each stage of a decision. A GPU's work is queued, and the stage that first asks for a number waits for all of
/// it, unless every stage waits for its own.
#[derive(Debug)]
pub(super) struct StageEnd {
    device: Device,
    waits: bool,
}

impl StageEnd {
    /// Stages that do not wait.
    pub(super) fn new(device: Device) -> Self {
        Self { device, waits: false }
    }

    /// Whether each stage waits for the device, so that its time is that of the work and not of queueing it.
    pub(super) fn wait(&mut self, waits: bool) {
        self.waits = waits;
    }

    /// The result of a stage; once its work is done, where somebody measures.
    pub(super) fn of<T, E: Into<TunerError>>(&self, result: Result<T, E>) -> Result<T, TunerError> {
        let value = result.map_err(Into::into)?;
        if self.waits {
            self.device.synchronize()?;
        }
        Ok(value)
    }
}
