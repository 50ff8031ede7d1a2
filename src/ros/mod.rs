//! The ROS 2 node. Nothing outside this folder knows ROS.
//!
//! Four threads, and messages between them:
//! - the one that [spins](spin) owns the r2r node and drains every subscription at once ([`intake`]);
//! - the one of [`vision`] decodes images, or draws them;
//! - the [inference](vlm_planner_tuner::live::inference) thread owns model, history and policy;
//! - the main thread runs [`control`], whose parts own guard, sink and publishers, and everything that waits, on tokio.

mod clock;
mod context;
mod control;
mod costmap_watch;
mod deciding;
mod error;
mod graph;
mod intake;
mod logging;
mod messages;
// The message set that r2r brings for `doc-only` has no std_srvs and no /clock.
#[cfg(not(feature = "doc-only"))]
mod operator_services;
mod parameter_server;
mod planner_clients;
mod planner_side;
mod planner_watch;
mod policy;
mod publishers;
mod reporter;
mod services;
mod signals;
mod spin;
mod surroundings;
mod survey;
mod transition_log;
mod vision;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{mpsc, oneshot};

use self::control::Control;
use self::costmap_watch::CostmapNews;
pub use self::error::NodeError;
use self::graph::{GraphFacts, GraphWatch};
use self::intake::{ImageInbox, Intake};
use self::logging::RosLogger;
use self::parameter_server::ParameterServer;
use self::planner_watch::PlannerWatch;
use self::services::{Outcome, Request};
use self::spin::Spinning;
use self::surroundings::SharedSurroundings;
use self::vision::Sight;
use vlm_planner_tuner::frame::Stamp;
use vlm_planner_tuner::live::inference::{Loader, Report};
use vlm_planner_tuner::live::{NodeParameters, RosArguments, SettingError, Settings, read_parameters};
use vlm_planner_tuner::nav2::{self, Mapping};
use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::recording::DriveEvent;

#[cfg(not(feature = "doc-only"))]
r2r::assert_compiled_with_use_sim_time_support!();

/// The node's name where no remapping says otherwise.
const NODE_NAME: &str = "planner_tuner";

/// Inputs that may wait for [`control`]. It never waits itself, so this is a burst, not a backlog.
const INPUTS: usize = 1024;

/// What [`control`] is told. Images have a place of their own.
#[derive(Debug)]
enum Input {
    /// Odometry came: m/s, rad/s, as in the message.
    Velocity { linear: f64, angular: f64, stamp: Stamp },
    /// A navigation goal is being worked on that was not before.
    NewGoal,
    /// Something that the transition log wants to know.
    Drive(DriveEvent),
    /// A message was looked at, or something was drawn.
    Vision(Sight),
    /// The inference thread has something to say.
    Inference(Report),
    /// A planner's node answered, came or went.
    Planner(nav2::NodeName, nav2::Event),
    /// The operator asks for something.
    Request(Request, oneshot::Sender<Outcome>),
    /// Settings were changed. They have been checked.
    Settings {
        /// As they are after the change.
        settings: Box<Settings>,
        /// Whether the mode was among what was changed: else it is that of the moment, which a service may change meanwhile.
        mode_is_meant: bool,
    },
    /// Who publishes what.
    Graph(GraphFacts),
    /// Whether the costmaps see anything.
    Costmaps(CostmapNews),
    /// A speed limit of the place, or its end.
    #[cfg_attr(not(nav2_msgs), expect(dead_code, reason = "comes only where there is nav2_msgs"))]
    SpeedLimit(Option<nav2::SpeedLimit>),
}

/// What the node is to be, checked.
struct Configuration {
    settings: Settings,
    planner: PlannerSpec,
    mapping: Mapping,
}

/// What [`control`] shares with the other threads and tasks.
struct Shared {
    images: Arc<ImageInbox>,
    surroundings: SharedSurroundings,
    parameters: ParameterServer,
    logger: &'static RosLogger,
}

/// What `--help` says.
const HELP: &str = "\
The ROS 2 node of vlm_planner_tuner: costmap images in, planner parameters out.

Usage: planner_tuner_node [--help | --help-parameters | --version | --survey] [--ros-args ARGUMENTS]

Options:
  -h, --help     This text
  -V, --version  The version
  --help-parameters
                 The node's parameters: default, what is accepted, what each is
  --survey       Look at topics, QoS and the planner's parameters, print one JSON object, and end
                 (planner_tuner doctor asks for it)

ROS arguments:
  --params-file FILE          Parameters, as config/jackal_dwb.yaml has them, with comments
  -p NAME:=VALUE              One parameter
  -r FROM:=TO                 Another name for a topic or service; __node:= and __ns:= for the node
  --log-level LEVEL           debug, info, warn, error; LOGGER:=LEVEL for one logger

The model is named by the parameters base, checkpoint and policy; mode is shadow (set nothing), active or disabled.
--help-parameters lists all parameters; of a running node: ros2 param describe /planner_tuner NAME

Examples:
  planner_tuner_node --ros-args -p base:=Qwen/Qwen2.5-VL-3B-Instruct -p checkpoint:=/models/dwa
  planner_tuner_node --ros-args --params-file config/jackal_dwb.yaml -p base:=/models/base -p checkpoint:=/models/dwa
  ros2 param set /planner_tuner mode active
";

/// Runs the node with the model that its parameters name, or does what its first own argument asks for.
pub fn main() -> ExitCode {
    let own = RosArguments::read(std::env::args()).own;
    let say = |text: &str| {
        // Whoever has closed the pipe has read enough.
        std::io::stdout().write_all(text.as_bytes()).ok();
        ExitCode::SUCCESS
    };
    match own.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => run(Settings::model_loader),
        ["-h" | "--help"] => say(HELP),
        ["--help-parameters"] => say(&Settings::help()),
        ["-V" | "--version"] => say(concat!("planner_tuner_node ", env!("CARGO_PKG_VERSION"), "\n")),
        ["--survey", ..] => ended(survey::run()),
        [unknown, ..] => {
            let what = format!(
                "planner_tuner_node: unknown argument '{unknown}'; ROS's own stand behind --ros-args, see --help\n"
            );
            std::io::stderr().write_all(what.as_bytes()).ok();
            ExitCode::from(2)
        }
    }
}

/// Runs the node until a signal ends it; `loader` makes of the settings what loads the model.
pub fn run(loader: impl FnOnce(&Settings) -> Result<Loader, SettingError>) -> ExitCode {
    ended(start(loader))
}

fn ended(result: Result<(), NodeError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The log may not be there yet, or lead to a node that is gone.
            writeln!(std::io::stderr(), "planner_tuner_node: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn start(loader: impl FnOnce(&Settings) -> Result<Loader, SettingError>) -> Result<(), NodeError> {
    let stop = Arc::new(AtomicBool::new(false));
    signals::watch(&stop).map_err(NodeError::Signals)?;
    let arguments = RosArguments::read(std::env::args());
    let context = context::create(&arguments)?;
    let mut node = r2r::Node::create(context, NODE_NAME, "")?;
    let logger = RosLogger::install(&node, &arguments);

    // All that can be wrong with the configuration is found before anything is offered or set.
    let NodeParameters { settings, remarks } = read_parameters(&arguments.parameters, &node.fully_qualified_name()?)?;
    remarks.iter().for_each(|(level, remark)| log::log!(*level, "{remark}"));
    let planner = settings.planner_spec()?;
    let mapping = Mapping::named(&settings.mapping, &planner)?;
    let loader = loader(&settings)?;
    #[cfg(not(feature = "doc-only"))]
    if settings.use_sim_time {
        node.get_time_source().enable_sim_time(&mut node)?;
    }

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(NodeError::Thread)?;
    runtime.block_on(async {
        let (inputs, received) = mpsc::channel(INPUTS);
        let surroundings = SharedSurroundings::new(&settings);
        #[cfg(not(feature = "doc-only"))]
        operator_services::start(&mut node, &inputs)?;
        let parameters = ParameterServer::start(&mut node, settings.clone(), inputs.clone())?;
        let configuration = Configuration { settings, planner, mapping };
        let shared = Shared { images: Arc::default(), surroundings, parameters, logger };
        let control = Control::new(&mut node, configuration, loader, &shared, &inputs)?;
        let (settings, planner) = (control.settings(), control.planner_nodes());
        let intake = Intake::subscribe(&mut node, settings, shared.images, shared.surroundings, inputs.clone())?;
        let planner_watch = PlannerWatch::new(&mut node, control.mapping(), &planner, inputs.clone())?;
        let graph_watch = GraphWatch::new(&node, settings, planner, inputs)?;
        let spinning = Spinning::start(node, intake, planner_watch, graph_watch)?;
        let ended = control.run(received, &spinning, &stop).await;
        spinning.end();
        ended
    })
}
