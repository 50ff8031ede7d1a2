//! The thread that decodes and draws, so that nobody waits for pixels. Work goes in, what was seen comes out as
//! [`Input::Vision`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::eye::{Eye, Picture};
use super::painter::{Drawing, NoImage};
use crate::ros::intake::ImageMessage;
use crate::ros::{Input, NodeError};
use vlm_planner_tuner::feature::AttentionMap;
use vlm_planner_tuner::frame::{Frame, Stamp};
use vlm_planner_tuner::live::inference::panic_text;
use vlm_planner_tuner::picture::attention_overlay;

/// What the thread is asked to do.
pub(super) enum Work {
    /// Make a picture of a message.
    See { number: u64, message: ImageMessage, stamp: Stamp },
    /// Draw what a decision looked at.
    DrawAttention(Attention<Arc<Frame>>, AttentionMap),
    /// Draw the next image into the memory of this frame.
    Reuse(Arc<Frame>),
}

/// A frame with attention, drawn or yet to be drawn, and what its message says.
#[derive(Debug)]
pub(in crate::ros) struct Attention<F> {
    pub(in crate::ros) frame: F,
    pub(in crate::ros) stamp: Stamp,
    pub(in crate::ros) frame_id: String,
}

/// What the thread has to say.
#[derive(Debug)]
pub(in crate::ros) enum Sight {
    /// A message was looked at.
    Seen(Look),
    /// A decision's attention is drawn.
    Attention(Attention<Frame>),
}

/// What became of a message.
#[derive(Debug)]
pub(in crate::ros) struct Look {
    /// Of the work.
    pub(super) number: u64,
    pub(super) picture: Result<Picture, NoImage>,
    /// What has been drawn by then.
    pub(super) drawing: Drawing,
}

/// The running thread. It ends when this is dropped.
pub(super) struct EyeThread {
    work: Sender<Work>,
    thread: JoinHandle<()>,
}

impl EyeThread {
    pub(super) fn start(eye: Eye, inputs: tokio::sync::mpsc::Sender<Input>) -> Result<Self, NodeError> {
        let (work, orders) = channel();
        let report = move |sight| {
            // The node is on its way out if nobody listens any more.
            inputs.blocking_send(Input::Vision(sight)).ok();
        };
        let thread = std::thread::Builder::new().name("vision".into()).spawn(move || run(eye, &orders, report));
        Ok(Self { work, thread: thread.map_err(NodeError::Thread)? })
    }

    /// Asks for something; an error when the thread has ended, which is a bug.
    pub(super) fn ask(&self, work: Work) -> Result<(), NodeError> {
        self.work.send(work).map_err(|_| NodeError::ThreadEnded("vision"))
    }

    /// Whether the thread still runs.
    pub(super) fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }
}

fn run(mut eye: Eye, orders: &Receiver<Work>, report: impl Fn(Sight)) {
    while let Ok(work) = orders.recv() {
        match work {
            Work::See { number, message, stamp } => {
                let seen = catch_unwind(AssertUnwindSafe(|| eye.see(message, stamp)));
                let picture = seen.unwrap_or_else(|panic| {
                    // Whatever it was in the middle of is not to be met again.
                    eye.start_afresh();
                    let problem = format!("reading it panicked: {}; this is a bug", panic_text(&*panic));
                    log::error!("an image was refused: {problem}");
                    Err(NoImage::Refused(problem))
                });
                report(Sight::Seen(Look { number, picture, drawing: eye.drawing().clone() }));
            }
            Work::DrawAttention(Attention { frame, stamp, frame_id }, map) => {
                match catch_unwind(AssertUnwindSafe(|| attention_overlay(&frame, &map))) {
                    Ok(Ok(frame)) => report(Sight::Attention(Attention { frame, stamp, frame_id })),
                    Ok(Err(error)) => log::warn!("~/attention: {error}"),
                    Err(panic) => log::error!("~/attention: drawing it panicked: {}", panic_text(&*panic)),
                }
            }
            Work::Reuse(frame) => eye.recycle(frame),
        }
    }
}
