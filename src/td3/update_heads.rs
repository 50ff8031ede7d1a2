//! What the actor's optimiser moves besides the actor's own layer.

use super::Batch;
use super::optimizer::AdamStep;

/// What makes the features, as far as the actor's optimiser moves it together with the actor's own layer.
///
/// The original's actor owns one feature extractor, which its critic and both targets share. So the actor's loss moves it,
/// by way of the action alone: the critic takes the feature as it is, and its own loss goes no further back. Otherwise
/// the extractor could raise its estimates instead of its actions.
pub trait Heads {
    /// What can go wrong.
    type Error: From<candle_core::Error>;
    /// Whether anything of it learns.
    const LEARN: bool;

    /// Takes the gradient of the batch's features, row by row, back to all that learns. The gradient's sum of squares.
    ///
    /// # Errors
    /// Whatever keeps it from being computed.
    fn pass_on(&mut self, batch: &Batch, of_features: &[f32]) -> Result<f64, Self::Error>;

    /// Moves against the gradient that was last passed on.
    ///
    /// # Errors
    /// When the device refuses.
    fn step(&mut self, adam: AdamStep) -> Result<(), Self::Error>;
}

/// Features that come from the log and do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frozen;

impl Heads for Frozen {
    type Error = candle_core::Error;
    const LEARN: bool = false;

    fn pass_on(&mut self, _: &Batch, _: &[f32]) -> Result<f64, Self::Error> {
        Ok(0.0)
    }

    fn step(&mut self, _: AdamStep) -> Result<(), Self::Error> {
        Ok(())
    }
}
