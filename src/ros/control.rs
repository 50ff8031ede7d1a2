//! The one place where everything comes together: it owns guard and sink, is told what happens, and never waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{MissedTickBehavior, interval};

use super::clock::{ClockWatch, RosTime};
use super::decisions::{Finished, InFlight, Latencies};
use super::graph::GraphFacts;
use super::intake::ImageInbox;
use super::logging::RosLogger;
use super::outlet::Outlet;
use super::planner_clients::PlannerClients;
use super::services::{Outcome, Request};
use super::spin::Spinning;
use super::{Input, NodeError};
use vlm_planner_tuner::live::inference::{self, Loader, Order, Report};
use vlm_planner_tuner::live::{LoadError, Settings};
use vlm_planner_tuner::nav2::{self, Mapping, NodeName, PlannerSink};
use vlm_planner_tuner::planner::envelope::{Envelope, Enveloped};
use vlm_planner_tuner::planner::guard::{Action, Guard, Level, Mode, Moment, Operator, Reaction};
use vlm_planner_tuner::planner::{PlannerParameters, PlannerSpec};
use vlm_planner_tuner::recording::DecisionSchedule;

/// Time-outs are looked for this often.
const TICK: Duration = Duration::from_millis(50);
/// How long a planner may take to take its start values back when the node ends.
const LAST_CALL: Duration = Duration::from_millis(500);

/// Whether there is a model.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Model {
    Loading,
    Ready,
    Missing(String),
}

pub(super) struct Control {
    pub(super) name: String,
    pub(super) settings: Settings,
    pub(super) planner: PlannerSpec,
    pub(super) start: Instant,
    pub(super) clock: RosTime,
    clock_watch: ClockWatch,
    pub(super) logger: &'static RosLogger,
    pub(super) images: Arc<ImageInbox>,
    pub(super) outlet: Outlet,

    pub(super) model: Model,
    pub(super) orders: std::sync::mpsc::Sender<Order>,
    pub(super) in_flight: Option<InFlight>,
    pub(super) schedule: DecisionSchedule,
    pub(super) any_velocity: bool,
    reload: Option<tokio::sync::oneshot::Sender<Outcome>>,

    /// From the moment that the model is there.
    pub(super) guard: Option<Guard>,
    mode: Mode,
    pub(super) sink: PlannerSink,
    clients: PlannerClients,
    /// What the planner should have, kept while it may not be set yet.
    wanted: Option<PlannerParameters>,
    controller: Option<String>,
    planner_fault: Option<String>,

    pub(super) graph: GraphFacts,
    pub(super) finished: Option<Finished>,
    pub(super) latencies: Latencies,
    pub(super) reported: Instant,
}

impl Control {
    #[expect(clippy::too_many_arguments, reason = "made once, of everything the node has")]
    pub(super) fn new(
        node: &mut r2r::Node,
        settings: Settings,
        planner: PlannerSpec,
        mapping: Mapping,
        loader: Loader,
        logger: &'static RosLogger,
        images: Arc<ImageInbox>,
        inputs: &Sender<Input>,
    ) -> Result<Self, NodeError> {
        let sink = PlannerSink::new(mapping, settings.applier_limits())?;
        let clients = PlannerClients::new(node, sink.nodes(), inputs.clone())?;
        // Refused here, and not when the model is there at last.
        Envelope::new(planner.clone(), settings.envelope_limits())?;
        settings.guard_limits().check()?;
        let schedule = settings.schedule();
        let reports = inputs.clone();
        let orders = inference::spawn(loader, schedule.max_gap(), move |report| {
            // The node is on its way out if nobody listens any more.
            reports.blocking_send(Input::Inference(report)).ok();
        });
        Ok(Self {
            name: node.fully_qualified_name()?,
            mode: settings.mode_at_start(),
            start: Instant::now(),
            clock: RosTime::of(node),
            clock_watch: ClockWatch::default(),
            logger,
            images,
            outlet: Outlet::new(node)?,
            model: Model::Loading,
            orders: orders.map_err(NodeError::Thread)?,
            in_flight: None,
            schedule,
            any_velocity: false,
            reload: None,
            guard: None,
            sink,
            clients,
            wanted: None,
            controller: None,
            planner_fault: None,
            graph: GraphFacts::default(),
            finished: None,
            latencies: Latencies::default(),
            reported: Instant::now(),
            settings,
            planner,
        })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The planner's nodes. The first stands for all of them when tuners agree on who sets its parameters.
    pub(super) fn planner_nodes(&self) -> Vec<NodeName> {
        self.sink.nodes().cloned().collect()
    }

    pub(super) fn now(&self) -> Moment {
        Moment::from_start(self.start.elapsed())
    }

    /// Works until `stop` is set.
    pub(super) async fn run(
        mut self,
        mut inputs: Receiver<Input>,
        spinning: &Spinning,
        stop: &AtomicBool,
    ) -> Result<(), NodeError> {
        let images = Arc::clone(&self.images);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        log::info!(
            "{}: loading the model for {}, mapping {}",
            self.name,
            self.planner.name(),
            self.sink.mapping().name()
        );
        self.publish_status();
        while !stop.load(Ordering::Relaxed) {
            tokio::select! {
                () = images.arrived.notified() => {}
                input = inputs.recv() => match input {
                    Some(input) => self.take(input)?,
                    None => return Err(NodeError::ThreadEnded("ros")),
                },
                _ = ticks.tick() => {
                    if !spinning.is_running() {
                        return Err(NodeError::ThreadEnded("ros"));
                    }
                    self.tick();
                }
            }
            // What came before the image, its velocity above all, is heard before the image is looked at.
            while let Ok(input) = inputs.try_recv() {
                self.take(input)?;
            }
            self.consider_image();
        }
        log::info!("{}: ending", self.name);
        if self.settings.restore_on_exit {
            self.restore().await;
        }
        Ok(())
    }

    fn take(&mut self, input: Input) -> Result<(), NodeError> {
        let now = self.now();
        match input {
            Input::Velocity { linear, angular, stamp } => {
                self.any_velocity = true;
                if let Some(guard) = &mut self.guard {
                    guard.velocity(linear, angular, stamp);
                }
            }
            Input::NewGoal => {
                log::info!("a new goal: past frames are forgotten");
                self.schedule.restart();
                self.operate(Operator::ResetHistory);
            }
            Input::Planner(node, event) => {
                let command = self.sink.handle(now, &node, event);
                self.carry_out(command);
                self.watch_planner();
            }
            Input::Request(request, answer) => self.take_request(request, answer),
            Input::Settings(settings) => self.take_settings(*settings),
            Input::Graph(facts) => self.take_graph(facts),
            Input::Inference(report) => return self.take_report(report),
        }
        Ok(())
    }

    fn take_report(&mut self, report: Report) -> Result<(), NodeError> {
        match report {
            Report::Loaded(took) => {
                log::info!("the model is there after {:.1} s", took.as_secs_f64());
                self.model = Model::Ready;
                self.make_guard()?;
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
            Report::PolicyReloaded(reloaded) => {
                let outcome = reloaded
                    .map(|path| format!("{} is in use", path.display()))
                    .map_err(|error| format!("the policy in use stays: {error}"));
                log::info!("{}", outcome.as_ref().unwrap_or_else(|kept| kept));
                // Whoever asked may have gone.
                self.reload.take().map(|asked| asked.send(outcome));
            }
        }
        Ok(())
    }

    fn make_guard(&mut self) -> Result<(), NodeError> {
        if self.guard.is_none() {
            let envelope = Envelope::new(self.planner.clone(), self.settings.envelope_limits())?;
            self.guard = Some(Guard::new(envelope, self.settings.guard_limits(), self.mode, self.now())?);
            self.publish_status();
        }
        Ok(())
    }

    fn take_request(&mut self, request: Request, answer: tokio::sync::oneshot::Sender<Outcome>) {
        log::info!("the operator asks: {request:?}");
        let outcome = match request {
            Request::Enable(enable) => {
                self.operate(if enable { Operator::Enable } else { Operator::Disable });
                Ok(if enable { "parameters are set from the next valid decision on" } else { "switched off" }.into())
            }
            Request::Hold(hold) => {
                self.operate(Operator::Hold(hold));
                Ok(if hold { "the parameters of now are held" } else { "decisions count again" }.into())
            }
            Request::ResetHistory => {
                self.operate(Operator::ResetHistory);
                Ok("past frames are forgotten".into())
            }
            Request::ReloadPolicy if self.settings.policy.is_empty() => {
                Err("no policy is in use; set the parameter policy and restart".into())
            }
            Request::ReloadPolicy if self.model != Model::Ready || self.reload.is_some() => {
                Err("a model or policy is being loaded; try again".into())
            }
            Request::ReloadPolicy => {
                self.order(Order::ReloadPolicy(self.settings.policy.clone().into()));
                self.reload = Some(answer);
                return;
            }
        };
        // Whoever asked may have gone.
        answer.send(outcome).ok();
    }

    fn operate(&mut self, request: Operator) {
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
        if self.mode != Mode::Active {
            self.sink.release();
            self.wanted = None;
        }
        let now = self.now();
        let reaction = self.guard.as_mut().map(|guard| guard.operator(now, request));
        self.react_to(reaction);
        self.publish_status();
    }

    fn take_settings(&mut self, settings: Settings) {
        log::info!("parameters of the node were changed");
        if settings.decision_rate != self.settings.decision_rate {
            self.schedule = settings.schedule();
            self.order(Order::MaxGap(self.schedule.max_gap()));
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
        self.settings = settings;
    }

    fn take_graph(&mut self, facts: GraphFacts) {
        if facts.image_publishers != self.graph.image_publishers && facts.image_publishers.len() > 1 {
            log::warn!("two publishers on {}: {}", facts.image_topic, facts.image_publishers.join(", "));
        }
        let claimed_now = facts.claimed && !self.graph.claimed;
        self.graph = facts;
        match self.graph.other_tuner.clone() {
            Some(other) if !self.settings.force => self.fail_planner(format!("{other} tunes the same planner")),
            _ if claimed_now || self.settings.force => self.apply_wanted(),
            _ => {}
        }
    }

    fn tick(&mut self) {
        let (now, ros_now) = (self.now(), self.clock.now());
        if let Some(guard) = &mut self.guard {
            let heard = self.images.slot.counts().last.is_some_and(|last| last.elapsed() < TICK * 2);
            if heard {
                guard.frames_keep_coming(now);
            }
            let jumped = self.clock_watch.read(now, ros_now).map(|event| guard.clock(now, event));
            let ticked = guard.tick(now);
            self.react_to(jumped);
            self.react_to(Some(ticked));
        }
        let commands = self.sink.tick(now);
        self.carry_out(commands);
        self.watch_planner();
        self.finish_decision(false);
        self.outlet.log(self.logger.take_waiting());
        self.report_every_second();
    }

    pub(super) fn react_to(&mut self, reaction: Option<Reaction>) {
        let Some(Reaction { action, reset_history, transition }) = reaction else { return };
        if let Some(reason) = reset_history {
            log::info!("past frames are forgotten: {reason}");
            self.order(Order::ForgetHistory);
        }
        match action {
            Action::Nothing | Action::Hold => {}
            Action::Decision { parameters, set } | Action::SafeDefaults { parameters, set } => {
                self.publish_parameters(&parameters, set);
            }
        }
        if let Some(transition) = transition {
            let text = format!("{} -> {}: {}", transition.from.as_str(), transition.to.as_str(), transition.reason);
            match transition.reason.level() {
                Level::Ok => log::info!("{text}"),
                Level::Warn => log::warn!("{text}"),
                Level::Error => log::error!("{text}"),
            }
            self.publish_status();
        }
    }

    fn publish_parameters(&mut self, parameters: &Enveloped, set: bool) {
        self.outlet.parameters(parameters.parameters());
        if set {
            self.wanted = Some(parameters.parameters().clone());
            self.apply_wanted();
        }
    }

    /// Sets what is wanted, unless another tuner may have the planner.
    fn apply_wanted(&mut self) {
        let is_ours = self.graph.claimed || self.settings.force || self.sink.nodes().next().is_none();
        let Some(wanted) = self.wanted.as_ref().filter(|_| is_ours && self.mode == Mode::Active) else { return };
        let now = self.now();
        let commands = self.sink.apply(now, wanted);
        self.carry_out(commands);
        let controller = self.sink.controller().filter(|id| Some(*id) != self.controller.as_deref());
        if let Some(id) = controller {
            self.outlet.controller(id);
            self.controller = Some(id.to_owned());
        }
    }

    fn carry_out(&self, commands: impl IntoIterator<Item = (NodeName, nav2::Command)>) {
        commands.into_iter().for_each(|(node, command)| self.clients.carry_out(node, command));
    }

    /// Passes on what the sink has to say.
    fn watch_planner(&mut self) {
        for notice in self.sink.take_notices() {
            match notice.level() {
                Level::Ok => log::info!("{notice}"),
                Level::Warn => log::warn!("{notice}"),
                Level::Error => log::error!("{notice}"),
            }
        }
        if let Some(why) = self.sink.halted() {
            self.fail_planner(why);
        }
    }

    fn fail_planner(&mut self, why: String) {
        if self.planner_fault.as_ref() == Some(&why) {
            return;
        }
        let reaction = self.guard.as_mut().map(|guard| guard.planner_failing(&why));
        if reaction.is_some() {
            self.planner_fault = Some(why);
        }
        self.react_to(reaction);
    }

    pub(super) fn order(&self, order: Order) {
        if self.orders.send(order).is_err() {
            log::error!("the inference thread has ended");
        }
    }

    async fn restore(&self) {
        for (node, values) in self.sink.start_values() {
            if self.clients.set_and_wait(&node, &values, LAST_CALL).await {
                log::info!("{node} has its start values again");
            } else {
                log::error!("{node} did not take its start values back");
            }
        }
    }
}
