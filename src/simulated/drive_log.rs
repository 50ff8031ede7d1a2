//! A simulated drive as an episode of a transition log, in the node's own form.

use super::SimulatedError;
use crate::drive::EpisodeEvent;
use crate::frame::{BodyVelocity, StampedFrame};
use crate::planner::{Choice, PlannerParameters};
use crate::recording::nearest_laser_of;
use crate::simulation::drive::{DriveReport, Ending, Moment};
use crate::transition::log::EpisodeFolder;
use crate::transition::{EpisodeRecorder, EpisodeRules, Exploration, MadeDecision, ParameterOutcome, Session};

/// What becomes an episode: decisions, explored further by noise, and what came of them.
pub struct DriveLog<'a> {
    recorder: EpisodeRecorder,
    exploration: Exploration,
    output: &'a mut EpisodeFolder,
}

impl<'a> DriveLog<'a> {
    /// A log of one drive. The rules' `run` is part of the episode's name: another one for every drive.
    pub fn begin(
        session: Session,
        rules: EpisodeRules,
        exploration: Exploration,
        output: &'a mut EpisodeFolder,
    ) -> Self {
        Self { recorder: EpisodeRecorder::new(session, rules), exploration, output }
    }

    /// Where the robot is, where it is to go, and what is near.
    pub(super) fn reach(&mut self, moment: &Moment<'_>) {
        self.recorder.pose(moment.pose);
        self.recorder.goal(moment.goal.position);
        let scan = moment.scan;
        let nearest = nearest_laser_of(scan.ranges.iter().copied(), scan.range_min, scan.range_max);
        self.recorder.nearest_laser(nearest);
    }

    /// Takes a decision, and gives the parameters that it comes to with the noise.
    pub(super) fn decided(
        &mut self,
        frame: &StampedFrame,
        velocity: BodyVelocity,
        choice: Choice<'_>,
    ) -> Result<PlannerParameters, SimulatedError> {
        let (planner, chosen) = (choice.parameters.spec().clone(), choice.parameters.clone());
        let made = MadeDecision::new(frame, velocity, choice, &mut self.exploration)?;
        let explored = match made.explored == made.action {
            true => chosen,
            false => planner.from_action(made.explored.values())?,
        };
        self.output.put(self.recorder.decided(made))?;
        Ok(explored)
    }

    /// The guard let the last decision's parameters pass: the simulated planner takes what it is given.
    pub(super) fn applied(&mut self, parameters: usize) {
        self.recorder.outcomes(vec![ParameterOutcome::Applied; parameters]);
    }

    /// Ends the episode as the drive ended.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn end(mut self, report: &DriveReport) -> Result<(), SimulatedError> {
        self.recorder.pose(report.believed_end());
        let event = match report.ending() {
            Ending::Success => EpisodeEvent::Success,
            Ending::Collision => EpisodeEvent::Collision,
            Ending::TooSlow => EpisodeEvent::TimeOut,
        };
        self.output.put(self.recorder.event(event))?;
        self.output.put(self.recorder.finish())?;
        Ok(())
    }
}
