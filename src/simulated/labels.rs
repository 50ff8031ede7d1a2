//! Pictures of a drive with the parameters that rules would have chosen: what a model learns from.
//!
//! Who drives does not matter to the labels. That is the point: a model must also know what to do where the rules never would
//! have led it (S. Ross, G. Gordon, J. A. Bagnell, *A Reduction of Imitation Learning … to No-Regret Online Learning*, 2011).

use super::SimulatedError;
use super::expert::{ExpertRules, RecentSpeed};
use super::outlook::Outlook;
use super::view::scene_of;
use crate::frame::Frame;
use crate::frame::render::Renderer;
use crate::planner::PlannerParameters;
use crate::simulation::drive::Moment;
use crate::simulation::velocity::Velocity;

/// A picture and what the rules say to it.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledFrame {
    /// Since the beginning of the drive, s.
    pub time_s: f64,
    /// What the robot saw.
    pub frame: Frame,
    /// How fast it was.
    pub velocity: Velocity,
    /// What the rules would have chosen, without an envelope.
    pub parameters: PlannerParameters,
}

/// Says to every moment of a drive what the rules would have chosen.
pub struct Labeller<'a> {
    rules: &'a ExpertRules,
    recent: RecentSpeed,
    renderer: Renderer,
}

impl<'a> Labeller<'a> {
    /// For one drive.
    pub fn new(rules: &'a ExpertRules) -> Self {
        Self { rules, recent: RecentSpeed::default(), renderer: Renderer::new() }
    }

    /// Labels the next moment.
    ///
    /// # Errors
    /// A scene that cannot be drawn.
    pub fn label(&mut self, moment: &Moment<'_>) -> Result<LabelledFrame, SimulatedError> {
        let speed = self.recent.note(moment.velocity.linear);
        let parameters = self.rules.parameters(Outlook::of(moment), speed)?;
        let (frame, _) = self.renderer.draw(&scene_of(moment))?;
        Ok(LabelledFrame { time_s: moment.time_s, frame, velocity: moment.velocity, parameters })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::planner::PlannerSpec;
    use crate::planner::envelope::EnvelopeLimits;
    use crate::simulated::{ExpertTuner, RandomTuner, Watched};
    use crate::simulation::drive::{DriveSettings, Tuner, drive};
    use crate::simulation::world::GeneratedWorld;

    #[test]
    fn the_labels_are_the_rules_whoever_drives() {
        let planner = PlannerSpec::builtin("dwa").unwrap();
        let rules = ExpertRules::builtin(&planner).unwrap();
        let world = GeneratedWorld::of_seed(3, 10.0).unwrap().world;
        let settings = DriveSettings { most_decisions: 12, ..DriveSettings::default() };
        let seen = |driver: &mut dyn Tuner<Error = SimulatedError>| {
            let mut seen = Vec::new();
            let mut labeller = Labeller::new(&rules);
            let watch = |moment: &Moment<'_>| {
                seen.push(labeller.label(moment)?);
                Ok(())
            };
            let report = drive(&world, &settings, 0, &mut Watched::new(driver, watch)).unwrap();
            (seen, report)
        };
        // Without an envelope and at once, the parameters in use are the labels.
        let mut expert = ExpertTuner::new(&rules, EnvelopeLimits::off(), 0.0).unwrap();
        let (labelled, report) = seen(&mut expert);
        assert_eq!(labelled.len(), 12);
        for (labelled, tuned) in labelled.iter().zip(report.tunings()) {
            assert_eq!(crate::simulated::tuning_of(&labelled.parameters).unwrap(), tuned.tuning);
        }
        // Somebody else leads elsewhere; what the rules say to the first picture, which is the same, stays.
        let (others, other_report) = seen(&mut RandomTuner::new(planner, 1));
        assert_eq!(others.first(), labelled.first());
        assert_ne!(other_report.track(), report.track());
        assert_ne!(others.last().unwrap().frame, labelled.last().unwrap().frame);
    }
}
