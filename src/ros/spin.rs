//! The thread that owns the r2r node.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;

use super::graph::GraphWatch;
use super::intake::Intake;
use super::planner_watch::PlannerWatch;
use super::{Input, NodeError};
use vlm_planner_tuner::live::Settings;
use vlm_planner_tuner::nav2::NodeName;

/// Longest sleep in ROS: what is asked of r2r outside of messages (is a server there?) waits this long.
const SPIN: Duration = Duration::from_millis(20);

/// The running thread.
pub(super) struct Spinning {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Spinning {
    pub(super) fn start(
        mut node: r2r::Node,
        settings: &Settings,
        planner: Vec<NodeName>,
        (mut intake, mut watch): (Intake, PlannerWatch),
        inputs: Sender<Input>,
    ) -> Result<Self, NodeError> {
        let mut graph = GraphWatch::new(&node, settings, planner, inputs)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("ros".into()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                node.spin_once(SPIN);
                intake.drain();
                watch.look(&mut node, Instant::now());
                graph.look(&mut node, Instant::now());
            }
            // The node goes here, explicitly: peers see it go at once.
        });
        Ok(Self { stop, thread: thread.map_err(NodeError::Thread)? })
    }

    /// Whether the thread still runs. It ends early only by a panic in r2r.
    pub(super) fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Ends the thread, and the node with it.
    pub(super) fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            log::error!("the thread that spins had panicked");
        }
    }
}
