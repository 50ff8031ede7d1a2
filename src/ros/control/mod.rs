//! Where everything comes together: the main thread is told what happens, hands it to the part that owns it, and never waits.

mod decisions;
mod diagnostics;
mod operations;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{MissedTickBehavior, interval};

use super::clock::Clocks;
use super::deciding::Deciding;
use super::graph::GraphFacts;
use super::parameter_server::ParameterServer;
use super::planner_side::PlannerSide;
use super::policy::PolicyInUse;
use super::reporter::Reporter;
use super::spin::Spinning;
use super::transition_log::StepLog;
use super::vision::{Sight, Vision};
use super::{Configuration, Input, NodeError, Shared};
use vlm_planner_tuner::live::Settings;
use vlm_planner_tuner::live::inference::{Loader, Order};
use vlm_planner_tuner::nav2::{Mapping, NodeName, use_after_free};
use vlm_planner_tuner::planner::guard::{ClockEvent, Instruction, Level, Operator, Reaction};

/// Time-outs are looked for this often.
const TICK: Duration = Duration::from_millis(50);

/// The parts of the node, each owner of its state. What one has to say to another goes through here.
pub(super) struct Control {
    /// The node's full name.
    name: String,
    settings: Settings,
    parameters: ParameterServer,
    clocks: Clocks,
    vision: Vision,
    deciding: Deciding,
    policy: PolicyInUse,
    planner: PlannerSide,
    reporter: Reporter,
    log: StepLog,
    graph: GraphFacts,
}

impl Control {
    /// Makes the parts, and starts loading the model.
    pub(super) fn new(
        node: &mut r2r::Node,
        configuration: Configuration,
        loader: Loader,
        shared: &Shared,
        inputs: &Sender<Input>,
    ) -> Result<Self, NodeError> {
        let Configuration { settings, planner, mapping } = configuration;
        Ok(Self {
            name: node.fully_qualified_name()?,
            parameters: shared.parameters.clone(),
            clocks: Clocks::new(node, settings.use_sim_time),
            vision: Vision::start(&settings, shared.images.clone(), shared.surroundings.clone(), inputs.clone())?,
            policy: PolicyInUse::new(&settings),
            planner: PlannerSide::new(node, &settings, mapping, inputs.clone())?,
            reporter: Reporter::new(node, &settings, shared.logger)?,
            log: StepLog::start(&settings, &planner)?,
            graph: GraphFacts::default(),
            // Last: what is wrong with the configuration is found before a model is loaded.
            deciding: Deciding::start(&settings, planner, loader, inputs.clone())?,
            settings,
        })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn mapping(&self) -> &Mapping {
        self.planner.mapping()
    }

    /// The planner's nodes. The first stands for all of them when tuners agree on who sets its parameters.
    pub(super) fn planner_nodes(&self) -> Vec<NodeName> {
        self.planner.nodes()
    }

    /// Works until `stop` is set.
    pub(super) async fn run(
        mut self,
        mut inputs: Receiver<Input>,
        spinning: &Spinning,
        stop: &AtomicBool,
    ) -> Result<(), NodeError> {
        let images = self.vision.inbox();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mapping = self.planner.mapping();
        if let Some(danger) = use_after_free(mapping, std::env::var("ROS_DISTRO").ok().as_deref()) {
            log::warn!("{danger}");
        }
        let planner = self.deciding.planner().name();
        log::info!("{}: loading the model for {planner}, mapping {}", self.name, mapping.name());
        self.publish_status();
        while !stop.load(Ordering::Relaxed) {
            tokio::select! {
                () = images.arrived() => {}
                input = inputs.recv() => match input {
                    Some(input) => self.take(input)?,
                    None => return Err(NodeError::ThreadEnded("ros")),
                },
                _ = ticks.tick() => {
                    if !spinning.is_running() {
                        return Err(NodeError::ThreadEnded("ros"));
                    }
                    if !self.vision.is_running() {
                        return Err(NodeError::ThreadEnded("vision"));
                    }
                    self.tick()?;
                }
            }
            // What came before the image, its velocity above all, is taken before the image is looked at.
            while let Ok(input) = inputs.try_recv() {
                self.take(input)?;
            }
            self.consider_image()?;
        }
        log::info!("{}: ending", self.name);
        if self.settings.restore_on_exit {
            self.planner.restore().await;
        }
        self.log.close();
        Ok(())
    }

    fn take(&mut self, input: Input) -> Result<(), NodeError> {
        match input {
            Input::Velocity { linear, angular, stamp } => {
                self.vision.odometry_came();
                self.planner.velocity(linear, angular);
                self.deciding.velocity(linear, angular, stamp);
            }
            Input::NewGoal => {
                log::info!("a new goal: past frames are forgotten");
                self.deciding.restart_schedule();
                self.planner.new_goal();
                self.operate(Operator::ResetHistory);
            }
            Input::Planner(node, event) => {
                self.planner.take_event(self.clocks.monotonic(), &node, event);
                self.watch_planner();
            }
            Input::Request(request, answer) => self.take_request(request, answer),
            Input::Settings { settings, mode_is_meant } => self.take_settings(*settings, mode_is_meant),
            Input::Graph(facts) => self.take_graph(facts),
            Input::Costmaps(news) => {
                if let Some(request) = self.planner.take_costmaps(news) {
                    self.operate(request);
                }
            }
            Input::SpeedLimit(limit) => self.planner.take_speed_limit(self.clocks.monotonic(), limit),
            Input::Drive(event) => self.log.event(event),
            Input::Vision(Sight::Seen(look)) => {
                if let Some(seen) = self.vision.take_look(look) {
                    self.take_picture(seen);
                }
            }
            Input::Vision(Sight::Attention(attention)) => self.reporter.attention(&attention),
            Input::Inference(report) => return self.take_report(report),
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), NodeError> {
        let (now, ros_now) = (self.clocks.now(), self.clocks.ros());
        self.vision.note_arrivals(now);
        // The guard is told of every event once, so none is read before there is one.
        if self.deciding.has_guard() {
            let event = self.clocks.event();
            match event {
                Some(ClockEvent::JumpedBack) => self.vision.clock_was_set_back(ros_now),
                Some(ClockEvent::JumpedForward(_)) => self.vision.discard(),
                Some(ClockEvent::Waiting | ClockEvent::Running) | None => {}
            }
            let reactions = self.deciding.tick(now, self.vision.has_come_within(TICK * 2), event);
            self.react_to(reactions);
        }
        self.planner.tick(self.clocks.monotonic());
        self.watch_planner();
        self.finish_decision(false)?;
        self.reporter.publish_log();
        self.report_every_second();
        Ok(())
    }

    fn take_graph(&mut self, facts: GraphFacts) {
        let publishers = facts.image_publishers();
        if publishers != self.graph.image_publishers() && publishers.len() > 1 {
            log::warn!("two publishers on {}: {}", facts.image_topic(), publishers.join(", "));
        }
        let another_has_it = self.planner.take_graph(self.clocks.monotonic(), &facts);
        self.graph = facts;
        if let Some(why) = another_has_it {
            self.fail_planner(why);
        }
    }

    fn watch_planner(&mut self) {
        if let Some(why) = self.planner.watch() {
            self.fail_planner(why);
        }
    }

    fn fail_planner(&mut self, why: String) {
        if self.planner.is_given_up_for(&why) {
            return;
        }
        if let Some(reaction) = self.deciding.planner_failing(&why) {
            self.planner.give_up(why);
            self.react_to([reaction]);
        }
    }

    /// Carries out what the guard says.
    fn react_to(&mut self, reactions: impl IntoIterator<Item = Reaction>) {
        for Reaction { instruction, reset_history, transition } in reactions {
            if let Some(reason) = reset_history {
                log::info!("past frames are forgotten: {reason}");
                self.deciding.order(Order::ForgetHistory);
            }
            let (parameters, set, at_once) = match instruction {
                Instruction::Nothing | Instruction::Hold => (None, false, false),
                Instruction::Decision { parameters, set } => (Some(parameters), set, false),
                Instruction::SafeDefaults { parameters, set } => (Some(parameters), set, true),
            };
            if let Some(parameters) = parameters {
                self.reporter.parameters(parameters.parameters());
                if set {
                    self.planner.want(self.clocks.monotonic(), parameters.parameters(), at_once);
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
    }
}
