//! What the operator asks for, and what the inference thread reports.

use super::Control;
use crate::ros::NodeError;
use crate::ros::services::{NotDone, Outcome, Request};
use tokio::sync::oneshot;
use vlm_planner_tuner::live::inference::{Order, Report};
use vlm_planner_tuner::live::{LoadError, Settings};
use vlm_planner_tuner::planner::guard::{Mode, Operator};

impl Control {
    pub(super) fn take_report(&mut self, report: Report) -> Result<(), NodeError> {
        match report {
            Report::Loaded(took) => {
                log::info!("the model is there after {:.1} s", took.as_secs_f64());
                self.deciding.model_is_there();
                self.make_guard()?;
                self.log.model_is_there(None);
            }
            Report::NotLoaded(error) => {
                // A machine that is too small, or a device that is lost for good, must not leave a moving robot alone.
                let LoadError { message, out_of_memory } = error.clone();
                if !self.deciding.has_guard() && !out_of_memory {
                    return Err(NodeError::Model(error));
                }
                log::error!("no model: {message}");
                self.deciding.model_is_missing(message);
                self.make_guard()?;
            }
            Report::Decided(decided) => return self.take_decision(*decided),
            Report::Failed { ticket, failure, reloading } => {
                log::warn!("no decision: {failure:?}");
                let reaction = self.deciding.failed(self.clocks.now(), ticket, failure, reloading);
                self.react_to(reaction);
            }
            Report::PolicyFollowed(Ok(taken)) => {
                log::info!("policy {} has taken over: {}", taken.policy.display(), taken.change);
                self.log.model_is_there(Some(taken.policy.clone()));
                self.policy.took_over(taken.policy);
                self.publish_status();
            }
            Report::PolicyFollowed(Err(refusal)) => {
                log::warn!("the policy in use stays: {refusal}");
                self.policy.refused(&refusal);
                self.publish_status();
            }
            Report::PolicyReloaded(reloaded) => {
                if let Ok(policy) = &reloaded {
                    self.log.model_is_there(Some(policy.clone()));
                }
                let outcome: Outcome =
                    reloaded.map(|path| format!("{} is in use", path.display())).map_err(NotDone::from);
                match &outcome {
                    Ok(done) => log::info!("{done}"),
                    Err(kept) => log::info!("{kept}"),
                }
                self.policy.answer(outcome);
            }
        }
        Ok(())
    }

    fn make_guard(&mut self) -> Result<(), NodeError> {
        if self.deciding.make_guard(&self.settings, self.planner.mode(), self.clocks.now())? {
            self.publish_status();
        }
        Ok(())
    }

    pub(super) fn take_request(&mut self, request: Request, answer: oneshot::Sender<Outcome>) {
        log::info!("the operator asks: {request:?}");
        let outcome = match (request, self.planner.blindness()) {
            (Request::Enable(true), Some(costmap)) => Err(NotDone::Blind { costmap: costmap.to_owned() }),
            (Request::Enable(enable), _) => {
                self.planner.forget_sight();
                self.operate(if enable { Operator::Enable } else { Operator::Disable });
                Ok(if enable { "parameters are set from the next valid decision on" } else { "switched off" }.into())
            }
            (Request::Hold(hold), _) => {
                self.operate(Operator::Hold(hold));
                Ok(if hold { "the current parameters are held" } else { "decisions count again" }.into())
            }
            (Request::ResetHistory, _) => {
                self.operate(Operator::ResetHistory);
                Ok("past frames are forgotten".into())
            }
            (Request::ReloadPolicy, _) => match self.policy.source() {
                None => Err(NotDone::NoPolicy),
                Some(_) if !self.deciding.is_ready() || self.policy.is_awaited() => Err(NotDone::Loading),
                Some(policy) => {
                    self.deciding.order(Order::ReloadPolicy(policy.to_owned()));
                    self.policy.asked_by(answer);
                    return;
                }
            },
        };
        // Whoever asked may have gone.
        answer.send(outcome).ok();
    }

    pub(super) fn operate(&mut self, request: Operator) {
        self.planner.operate(request);
        match request {
            Operator::Enable | Operator::Shadow | Operator::Disable | Operator::ResetHistory => self.vision.discard(),
            Operator::Hold(_) => {}
        }
        let mode = self.planner.mode();
        self.settings.mode = mode.as_str().to_owned();
        self.parameters.mode_is(mode);
        let reaction = self.deciding.operator(self.clocks.now(), request);
        self.react_to(reaction);
        self.publish_status();
    }

    pub(super) fn take_settings(&mut self, mut settings: Settings, mode_is_meant: bool) {
        if !mode_is_meant {
            settings.mode.clone_from(&self.settings.mode);
        }
        let changed = settings.differences(&self.settings);
        if !changed.is_empty() {
            log::info!("parameters were changed: {}", changed.join(", "));
        }
        let refusals = self.deciding.set_limits(&settings, &self.settings);
        let refusals = refusals.into_iter().chain(self.planner.set_limits(&settings));
        refusals.for_each(|refusal| log::error!("{refusal}"));
        self.vision.set_rules(settings.scene_rules());
        let mode = settings.operating_mode();
        self.settings = settings;
        if mode != self.planner.mode() {
            self.operate(match mode {
                Mode::Active => Operator::Enable,
                Mode::Shadow => Operator::Shadow,
                Mode::Disabled => Operator::Disable,
            });
        }
    }
}
