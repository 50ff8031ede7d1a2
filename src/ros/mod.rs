//! The ROS 2 node. Nothing outside this folder knows ROS.
//!
//! Three threads, and messages between them:
//! - the one that [spins](spin) owns the r2r node and drains every subscription at once ([`intake`]);
//! - the [inference](vlm_planner_tuner::live::inference) thread owns model, history and policy;
//! - the main thread runs [`control`], which owns guard and sink, and everything that waits, on tokio.

mod clock;
mod context;
mod control;
mod costmap_watch;
mod decisions;
mod diagnostics;
mod error;
mod graph;
mod intake;
mod logging;
mod messages;
mod operations;
// The message set that r2r brings for `doc-only` has no std_srvs and no /clock.
#[cfg(not(feature = "doc-only"))]
mod operator_services;
mod outlet;
mod parameter_server;
mod planner_clients;
mod planner_diagnostics;
mod planner_side;
mod planner_watch;
mod services;
mod spin;
mod surroundings;
mod survey;
mod transition_log;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::TERM_SIGNALS;
use signal_hook::flag;
use tokio::sync::{mpsc, oneshot};

use self::control::Control;
use self::costmap_watch::CostmapNews;
pub use self::error::NodeError;
use self::graph::GraphFacts;
use self::intake::ImageInbox;
use self::logging::RosLogger;
use self::planner_watch::PlannerWatch;
use self::services::{Outcome, Request};
use self::surroundings::SharedSurroundings;
use vlm_planner_tuner::frame::Stamp;
use vlm_planner_tuner::live::inference::{Loader, Report};
use vlm_planner_tuner::live::{SettingError, Settings};
use vlm_planner_tuner::nav2;
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
    /// The inference thread has something to say.
    Inference(Report),
    /// A planner's node answered, came or went.
    Planner(nav2::NodeName, nav2::Event),
    /// The operator asks for something.
    Request(Request, oneshot::Sender<Outcome>),
    /// Settings were changed. They have been checked.
    Settings(Box<Settings>),
    /// Who publishes what.
    Graph(GraphFacts),
    /// Whether the costmaps see anything.
    Costmaps(CostmapNews),
    /// A speed limit of the place, or its end.
    #[cfg_attr(not(nav2_msgs), expect(dead_code, reason = "heard only where there is nav2_msgs"))]
    SpeedLimit(Option<nav2::SpeedLimit>),
}

/// Runs the node with the model that its parameters name; with `--survey` as first argument only looks around.
pub fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("--survey") {
        return ended(survey::run());
    }
    run(Settings::model_loader)
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
    for signal in TERM_SIGNALS {
        // In this order: the second signal finds the flag set and ends the process at once.
        flag::register_conditional_shutdown(*signal, 1, Arc::clone(&stop)).map_err(NodeError::Signals)?;
        flag::register(*signal, Arc::clone(&stop)).map_err(NodeError::Signals)?;
    }
    let context = context::create()?;
    let mut node = r2r::Node::create(context, NODE_NAME, "")?;
    let logger = RosLogger::install(&node);

    // All that can be wrong with the configuration is found before anything is offered or set.
    let settings = parameter_server::settings_at_start(&node)?;
    let planner = settings.planner_spec()?;
    let mapping = nav2::Mapping::named(&settings.mapping, &planner)?;
    let loader = loader(&settings)?;
    #[cfg(not(feature = "doc-only"))]
    if settings.use_sim_time {
        node.get_time_source().enable_sim_time(&mut node)?;
    }

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(NodeError::Thread)?;
    runtime.block_on(async {
        let (inputs, received) = mpsc::channel(INPUTS);
        let images = Arc::new(ImageInbox::default());
        let surroundings = SharedSurroundings::new(&settings);
        #[cfg(not(feature = "doc-only"))]
        operator_services::start(&mut node, &inputs)?;
        parameter_server::ParameterServer::start(&mut node, settings.clone(), inputs.clone())?;
        let seen = (images.clone(), surroundings.clone());
        let control = Control::new(&mut node, settings, planner, mapping, loader, logger, seen, &inputs)?;
        let intake = intake::Intake::subscribe(&mut node, control.settings(), images, surroundings, inputs.clone())?;
        let watch = PlannerWatch::new(
            &mut node,
            control.settings(),
            control.mapping(),
            &control.planner_nodes(),
            inputs.clone(),
        )?;
        let planner = control.planner_nodes();
        let spinning = spin::Spinning::start(node, control.settings(), planner, (intake, watch), inputs)?;
        let ended = control.run(received, &spinning, &stop).await;
        spinning.end();
        ended
    })
}
