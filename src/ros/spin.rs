//! The thread that owns the r2r node.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::NodeError;
use super::graph::GraphWatch;
use super::intake::Intake;
use super::planner_watch::PlannerWatch;

/// Longest sleep in ROS: what is asked of r2r outside of messages (is a server there?) waits this long.
const SPIN: Duration = Duration::from_millis(20);

/// The running thread. It hands on what comes as [`super::Input`].
pub(super) struct Spinning {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Spinning {
    pub(super) fn start(
        mut node: r2r::Node,
        mut intake: Intake,
        mut planner: PlannerWatch,
        mut graph: GraphWatch,
    ) -> Result<Self, NodeError> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("ros".into()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                node.spin_once(SPIN);
                intake.drain();
                planner.look(&mut node, Instant::now());
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
