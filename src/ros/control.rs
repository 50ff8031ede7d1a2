//! The one place where everything comes together: it owns guard and sink, is told what happens, and never waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{MissedTickBehavior, interval};

use super::clock::RosTime;
use super::costmap_watch::CostmapNews;
use super::decisions::{Finished, InFlight};
use super::graph::GraphFacts;
use super::intake::{ImageInbox, ImageMessage};
use super::logging::RosLogger;
use super::messages::Source;
use super::parameter_server::ParameterServer;
use super::planner_clients::PlannerClients;
use super::publishers::Publishers;
use super::services::Outcome;
use super::spin::Spinning;
use super::surroundings::{Painter, SharedSurroundings};
use super::{Input, NodeError};
use vlm_planner_tuner::frame::Stamp;
use vlm_planner_tuner::live::inference::{self, Loader, Order};
use vlm_planner_tuner::live::{Arrived, ClockWatch, DrivingTime, Latencies, NodeLog, Settings};
use vlm_planner_tuner::nav2::{Mapping, NodeName, PlannerSink, use_after_free};
use vlm_planner_tuner::planner::envelope::Envelope;
use vlm_planner_tuner::planner::guard::{ClockEvent, Guard, Instruction, Level, Mode, Moment, Operator, Reaction};
use vlm_planner_tuner::planner::{PlannerParameters, PlannerSpec};
use vlm_planner_tuner::recording::DecisionSchedule;

/// Time-outs are looked for this often.
const TICK: Duration = Duration::from_millis(50);

/// A robot that is slower than this, m/s and rad/s, stands.
const STANDING_BELOW: f64 = 0.01;

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
    /// Whom diagnostics come from.
    pub(super) source: Source,
    pub(super) start: Instant,
    driving: DrivingTime,
    /// How many images had come when one last came, and when that was.
    heard: (u64, Moment),
    /// Of the image that is decided on, or of the scan that it is drawn from.
    pub(super) frame_id: String,
    pub(super) parameters: ParameterServer,
    pub(super) clock: RosTime,
    pub(super) clock_watch: ClockWatch,
    pub(super) logger: &'static RosLogger,
    pub(super) images: Arc<ImageInbox>,
    pub(super) painter: Painter,
    /// A scan that waits for the odometry behind it.
    pub(super) waiting: Option<Arrived<ImageMessage>>,
    /// Stamp of the image that was considered last, and since when.
    pub(super) waiting_since: Option<(Stamp, Moment)>,
    pub(super) publishers: Publishers,

    pub(super) model: Model,
    pub(super) orders: std::sync::mpsc::Sender<Order>,
    pub(super) in_flight: Option<InFlight>,
    pub(super) schedule: DecisionSchedule,
    pub(super) any_velocity: bool,
    /// Where the policy in use was read, once one of `policy_folder` has taken over.
    pub(super) followed: Option<std::path::PathBuf>,
    /// Why the last policy of `policy_folder` was not taken.
    pub(super) policy_refused: Option<String>,
    pub(super) reload: Option<tokio::sync::oneshot::Sender<Outcome>>,

    /// From the moment that the model is there.
    pub(super) guard: Option<Guard>,
    pub(super) mode: Mode,
    pub(super) sink: PlannerSink,
    pub(super) clients: PlannerClients,
    /// What the planner should have, kept while it may not be set yet.
    pub(super) wanted: Option<PlannerParameters>,
    pub(super) controller: Option<String>,
    pub(super) planner_fault: Option<String>,
    pub(super) costmaps: CostmapNews,
    /// Switched to shadow because a costmap is blind, to be active again when it sees.
    pub(super) waits_for_sight: bool,

    pub(super) graph: GraphFacts,
    pub(super) finished: Option<Finished>,
    pub(super) latencies: Latencies,
    pub(super) reported: Instant,
    pub(super) log: Option<NodeLog>,
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
        (images, surroundings, parameters): (Arc<ImageInbox>, SharedSurroundings, ParameterServer),
        inputs: &Sender<Input>,
    ) -> Result<Self, NodeError> {
        let sink = PlannerSink::new(mapping, settings.applier_limits())?;
        let clients = PlannerClients::new(node, sink.nodes(), inputs.clone())?;
        // Refused here, and not when the model is there at last.
        Envelope::new(planner.clone(), settings.envelope_limits())?;
        settings.guard_limits().check()?;
        let schedule = settings.schedule();
        let reports = inputs.clone();
        let orders = inference::spawn(loader, schedule.max_gap(), settings.following(), move |report| {
            // The node is on its way out if nobody listens any more.
            reports.blocking_send(Input::Inference(report)).ok();
        });
        Ok(Self {
            name: node.fully_qualified_name()?,
            mode: settings.operating_mode(),
            source: Source::of(node, &settings.hardware_id)?,
            start: Instant::now(),
            driving: DrivingTime::new(settings.use_sim_time),
            heard: (0, Moment::default()),
            frame_id: String::new(),
            parameters,
            clock: RosTime::of(node),
            clock_watch: ClockWatch::default(),
            logger,
            images,
            painter: Painter::new(surroundings),
            waiting: None,
            waiting_since: None,
            publishers: Publishers::new(node, settings.draws_images(), logger.publishes())?,
            model: Model::Loading,
            orders: orders.map_err(NodeError::Thread)?,
            in_flight: None,
            schedule,
            any_velocity: false,
            followed: None,
            policy_refused: None,
            reload: None,
            guard: None,
            sink,
            clients,
            wanted: None,
            controller: None,
            planner_fault: None,
            costmaps: CostmapNews::default(),
            waits_for_sight: false,
            graph: GraphFacts::default(),
            finished: None,
            latencies: Latencies::default(),
            reported: Instant::now(),
            log: NodeLog::start(&settings, &planner)?,
            settings,
            planner,
        })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn mapping(&self) -> &Mapping {
        self.sink.mapping()
    }

    /// The planner's nodes. The first stands for all of them when tuners agree on who sets its parameters.
    pub(super) fn planner_nodes(&self) -> Vec<NodeName> {
        self.sink.nodes().cloned().collect()
    }

    /// For what has to do with images and decisions: as the robot lives time, see [`DrivingTime`].
    pub(super) fn now(&self) -> Moment {
        self.driving.now(|| (self.monotonic(), self.clock.now()))
    }

    /// For calls to the planner, whose processes wait for no simulation.
    pub(super) fn monotonic(&self) -> Moment {
        Moment::from_start(self.start.elapsed())
    }

    /// For how long no image has come, as the robot lives time.
    pub(super) fn image_silence(&self) -> Duration {
        self.now().since(self.heard.1)
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
        if let Some(danger) = use_after_free(self.sink.mapping(), std::env::var("ROS_DISTRO").ok().as_deref()) {
            log::warn!("{danger}");
        }
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
        if let Some(log) = self.log.take() {
            log.close();
        }
        Ok(())
    }

    fn take(&mut self, input: Input) -> Result<(), NodeError> {
        match input {
            Input::Velocity { linear, angular, stamp } => {
                self.any_velocity = true;
                self.sink.standing(linear.abs() < STANDING_BELOW && angular.abs() < STANDING_BELOW);
                if let Some(guard) = &mut self.guard {
                    guard.velocity(linear, angular, stamp);
                }
            }
            Input::NewGoal => {
                log::info!("a new goal: past frames are forgotten");
                self.schedule.restart();
                self.sink.new_goal();
                self.operate(Operator::ResetHistory);
            }
            Input::Planner(node, event) => {
                let command = self.sink.handle(self.monotonic(), &node, event);
                self.carry_out(command);
                self.watch_planner();
            }
            Input::Request(request, answer) => self.take_request(request, answer),
            Input::Settings { settings, mode_is_meant } => self.take_settings(*settings, mode_is_meant),
            Input::Graph(facts) => self.take_graph(facts),
            Input::Costmaps(news) => self.take_costmaps(news),
            Input::SpeedLimit(limit) => self.take_speed_limit(limit),
            Input::Drive(event) => {
                if let Some(log) = &mut self.log {
                    log.event(event);
                }
            }
            Input::Inference(report) => return self.take_report(report),
        }
        Ok(())
    }

    fn tick(&mut self) {
        let (now, monotonic, ros_now) = (self.now(), self.monotonic(), self.clock.now());
        let received = self.images.slot.counts().received;
        if received != self.heard.0 {
            self.heard = (received, now);
        }
        if let Some(guard) = &mut self.guard {
            let heard = self.images.slot.counts().last.is_some_and(|last| last.elapsed() < TICK * 2);
            if heard {
                guard.frames_keep_coming(now);
            }
            let event = self.clock_watch.read(monotonic, ros_now);
            if event == Some(ClockEvent::JumpedBack) {
                self.painter.clock_was_set_back(ros_now);
                self.waiting = None;
            }
            let jumped = event.map(|event| guard.clock(now, event));
            let ticked = guard.tick(now);
            self.react_to(jumped);
            self.react_to(Some(ticked));
        }
        let commands = self.sink.tick(monotonic);
        self.carry_out(commands);
        self.watch_planner();
        self.finish_decision(false);
        self.publishers.log(self.logger.take_waiting());
        self.report_every_second();
    }

    pub(super) fn react_to(&mut self, reaction: Option<Reaction>) {
        let Some(Reaction { instruction, reset_history, transition }) = reaction else { return };
        if let Some(reason) = reset_history {
            log::info!("past frames are forgotten: {reason}");
            self.order(Order::ForgetHistory);
        }
        match instruction {
            Instruction::Nothing | Instruction::Hold => {}
            Instruction::Decision { parameters, set } => self.publish_parameters(&parameters, set, false),
            Instruction::SafeDefaults { parameters, set } => self.publish_parameters(&parameters, set, true),
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

    pub(super) fn order(&self, order: Order) {
        if self.orders.send(order).is_err() {
            log::error!("the inference thread has ended");
        }
    }
}
