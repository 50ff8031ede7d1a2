//! Somebody who looks over the shoulder of whoever drives.

use super::SimulatedError;
use crate::simulation::drive::{Decision, Moment, Tuner};

/// A driver who is watched.
pub struct Watched<'a, W> {
    driver: &'a mut dyn Tuner<Error = SimulatedError>,
    watch: W,
}

impl<'a, W: FnMut(&Moment<'_>) -> Result<(), SimulatedError>> Watched<'a, W> {
    /// `driver` decides; `watch` sees every moment before.
    pub fn new(driver: &'a mut dyn Tuner<Error = SimulatedError>, watch: W) -> Self {
        Self { driver, watch }
    }
}

impl<W: FnMut(&Moment<'_>) -> Result<(), SimulatedError>> Tuner for Watched<'_, W> {
    type Error = SimulatedError;

    fn decide(&mut self, moment: &Moment<'_>) -> Result<Option<Decision>, SimulatedError> {
        (self.watch)(moment)?;
        self.driver.decide(moment)
    }
}
