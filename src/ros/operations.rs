//! What the operator asks for, and what the inference thread reports.

use super::NodeError;
use super::control::{Control, Model};
use super::services::{NotDone, Outcome, Request};
use tokio::sync::oneshot;
use vlm_planner_tuner::live::inference::{Order, Report};
use vlm_planner_tuner::live::{LoadError, Settings};
use vlm_planner_tuner::planner::envelope::Envelope;
use vlm_planner_tuner::planner::guard::{Guard, Mode, Operator};

impl Control {
    pub(super) fn take_report(&mut self, report: Report) -> Result<(), NodeError> {
        match report {
            Report::Loaded(took) => {
                log::info!("the model is there after {:.1} s", took.as_secs_f64());
                self.model = Model::Ready;
                self.make_guard()?;
                if let Some(log) = &mut self.log {
                    log.model_is_there(None);
                }
            }
            Report::NotLoaded(error) => {
                // A machine that is too small, or a device that is lost for good, must not leave a moving robot alone.
                let LoadError { message, out_of_memory } = error.clone();
                if self.guard.is_none() && !out_of_memory {
                    return Err(NodeError::Model(error));
                }
                log::error!("no model: {message}");
                self.model = Model::Missing(message);
                self.make_guard()?;
            }
            Report::Decided(decided) => self.take_decision(*decided),
            Report::Failed { ticket, failure, reloading } => {
                self.in_flight = None;
                if reloading {
                    self.model = Model::Loading;
                }
                log::warn!("no decision: {failure:?}");
                let now = self.now();
                let reaction = self.guard.as_mut().map(|guard| guard.failed(now, ticket, failure));
                self.react_to(reaction);
            }
            Report::PolicyFollowed(Ok(taken)) => {
                log::info!("policy {} has taken over: {}", taken.policy.display(), taken.change);
                if let Some(log) = &mut self.log {
                    log.model_is_there(Some(taken.policy.clone()));
                }
                self.followed = Some(taken.policy);
                self.policy_refused = None;
                self.publish_status();
            }
            Report::PolicyFollowed(Err(refusal)) => {
                log::warn!("the policy in use stays: {refusal}");
                self.policy_refused = Some(refusal.to_string());
                self.publish_status();
            }
            Report::PolicyReloaded(reloaded) => {
                if let (Some(log), Ok(policy)) = (&mut self.log, &reloaded) {
                    log.model_is_there(Some(policy.clone()));
                }
                let outcome: Outcome =
                    reloaded.map(|path| format!("{} is in use", path.display())).map_err(NotDone::from);
                match &outcome {
                    Ok(done) => log::info!("{done}"),
                    Err(kept) => log::info!("{kept}"),
                }
                if outcome.is_ok() {
                    self.policy_refused = None;
                }
                // Whoever asked may have gone.
                self.reload.take().map(|asked| asked.send(outcome));
            }
        }
        Ok(())
    }

    pub(super) fn make_guard(&mut self) -> Result<(), NodeError> {
        if self.guard.is_none() {
            let envelope = Envelope::new(self.planner.clone(), self.settings.envelope_limits())?;
            self.guard = Some(Guard::new(envelope, self.settings.guard_limits(), self.mode, self.now())?);
            self.publish_status();
        }
        Ok(())
    }

    pub(super) fn take_request(&mut self, request: Request, answer: oneshot::Sender<Outcome>) {
        log::info!("the operator asks: {request:?}");
        let outcome = match request {
            Request::Enable(true) if self.costmaps.blind.is_some() => {
                Err(NotDone::Blind { costmap: self.costmaps.blind.clone().unwrap_or_default() })
            }
            Request::Enable(enable) => {
                self.waits_for_sight = false;
                self.operate(if enable { Operator::Enable } else { Operator::Disable });
                Ok(if enable { "parameters are set from the next valid decision on" } else { "switched off" }.into())
            }
            Request::Hold(hold) => {
                self.operate(Operator::Hold(hold));
                Ok(if hold { "the current parameters are held" } else { "decisions count again" }.into())
            }
            Request::ResetHistory => {
                self.operate(Operator::ResetHistory);
                Ok("past frames are forgotten".into())
            }
            Request::ReloadPolicy if self.settings.policy.is_empty() && self.settings.policy_folder.is_empty() => {
                Err(NotDone::NoPolicy)
            }
            Request::ReloadPolicy if self.model != Model::Ready || self.reload.is_some() => Err(NotDone::Loading),
            Request::ReloadPolicy => {
                let followed = Some(&self.settings.policy_folder).filter(|folder| !folder.is_empty());
                self.order(Order::ReloadPolicy(followed.unwrap_or(&self.settings.policy).into()));
                self.reload = Some(answer);
                return;
            }
        };
        // Whoever asked may have gone.
        answer.send(outcome).ok();
    }

    pub(super) fn operate(&mut self, request: Operator) {
        match request {
            Operator::Enable => {
                self.mode = Mode::Active;
                self.planner_fault = None;
                self.sink.resume();
            }
            Operator::Shadow => self.mode = Mode::Shadow,
            Operator::Disable => self.mode = Mode::Disabled,
            Operator::Hold(_) | Operator::ResetHistory => {}
        }
        self.settings.mode = self.mode.as_str().to_owned();
        self.parameters.mode_is(self.mode);
        if self.mode != Mode::Active {
            self.sink.release();
            self.wanted = None;
        }
        let now = self.now();
        let reaction = self.guard.as_mut().map(|guard| guard.operator(now, request));
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
        if settings.decision_rate != self.settings.decision_rate {
            self.schedule = settings.schedule();
            self.order(Order::MaxGap(self.schedule.max_gap()));
        }
        if settings.allow_large_change != self.settings.allow_large_change {
            self.order(Order::AllowLargeChange(settings.allow_large_change));
        }
        let envelope = Envelope::new(self.planner.clone(), settings.envelope_limits());
        // The ranges of the settings lie within what these three take.
        let refusals = [
            self.guard
                .as_mut()
                .and_then(|guard| guard.set_limits(settings.guard_limits()).err())
                .map(|e| e.to_string()),
            self.sink.set_limits(&settings.applier_limits()).err().map(|error| error.to_string()),
            envelope.as_ref().err().map(ToString::to_string),
        ];
        if let (Some(guard), Ok(envelope)) = (&mut self.guard, envelope) {
            guard.set_envelope(envelope);
        }
        refusals.iter().flatten().for_each(|refusal| log::error!("{refusal}"));
        self.painter.set_rules(settings.scene_rules());
        let mode = settings.operating_mode();
        self.settings = settings;
        if mode != self.mode {
            self.operate(match mode {
                Mode::Active => Operator::Enable,
                Mode::Shadow => Operator::Shadow,
                Mode::Disabled => Operator::Disable,
            });
        }
    }
}
