//! The inference thread: sole owner of model, history and policy. Orders go in, reports come out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::decider::{Decider, LoadError, failure};
use crate::feature::EncodedFrame;
use crate::frame::{Frame, FrameError, HistoryRing, ResetReason};
use crate::planner::guard::{Failure, Ticket};
use crate::tuner::{Decision, Stage, TunerError};

/// Loads the model: at start, and again after its device was lost.
pub type Loader = Box<dyn Fn() -> Result<Box<dyn Decider>, LoadError> + Send>;

/// A frame to decide on, and the guard's leave to do so.
#[derive(Debug, Clone)]
pub struct Job {
    /// The image.
    pub frame: Arc<Frame>,
    /// Stamp and velocity; goes back with the report.
    pub ticket: Ticket,
}

/// What the thread is asked to do.
#[derive(Debug)]
pub enum Order {
    /// Decide.
    Decide(Job),
    /// Forget the past frames.
    ForgetHistory,
    /// The longest time between two decisions that still belong together. Forgets the past frames.
    MaxGap(Duration),
    /// Take the policy of this path, if it is a good one.
    ReloadPolicy(PathBuf),
}

/// What the thread has to say.
#[derive(Debug)]
pub enum Report {
    /// The model is there; loading took this long.
    Loaded(Duration),
    /// There is no model.
    NotLoaded(LoadError),
    /// A decision.
    Decided(Box<Decided>),
    /// No decision.
    Failed {
        /// Of the job.
        ticket: Ticket,
        /// Why.
        failure: Failure,
        /// The device is lost: [`Report::Loaded`] or [`Report::NotLoaded`] follows, and no order is taken before.
        reloading: bool,
    },
    /// Answer to [`Order::ReloadPolicy`]: why the old policy stays, if it does.
    PolicyReloaded(Result<PathBuf, String>),
}

/// A decision with what belongs to it.
#[derive(Debug)]
pub struct Decided {
    /// The job.
    pub job: Job,
    /// The decision, the history stage included.
    pub decision: Decision,
    /// Why past frames were forgotten just before it, if they were.
    pub forgotten: Option<ResetReason>,
    /// From taking the job to the report.
    pub took: Duration,
}

/// Time between losing a device and the one attempt to load the model again.
const RELOAD_AFTER: Duration = Duration::from_secs(1);

/// Starts the thread. It ends when the sender of orders is dropped.
///
/// # Errors
/// When the system cannot start a thread.
pub fn spawn(
    loader: Loader,
    max_gap: Duration,
    mut report: impl FnMut(Report) + Send + 'static,
) -> std::io::Result<Sender<Order>> {
    let (sender, orders) = channel();
    std::thread::Builder::new().name("inference".into()).spawn(move || run(&loader, max_gap, &orders, &mut report))?;
    Ok(sender)
}

fn run(loader: &Loader, max_gap: Duration, orders: &Receiver<Order>, report: &mut impl FnMut(Report)) {
    let mut max_gap = max_gap;
    while let Some(model) = load(loader, report) {
        let mut inference = match Inference::new(model, max_gap) {
            Ok(inference) => inference,
            Err(error) => {
                report(Report::NotLoaded(LoadError { message: error.to_string(), out_of_memory: false }));
                return;
            }
        };
        match inference.work(orders, report) {
            End::NoMoreOrders => return,
            End::DeviceLost => max_gap = inference.max_gap,
        }
        drop(inference);
        std::thread::sleep(RELOAD_AFTER);
    }
}

fn load(loader: &Loader, report: &mut impl FnMut(Report)) -> Option<Box<dyn Decider>> {
    let start = Instant::now();
    let loaded = catch_unwind(AssertUnwindSafe(loader)).unwrap_or_else(|panic| {
        Err(LoadError { message: format!("loading panicked: {}", panic_text(&*panic)), out_of_memory: false })
    });
    match loaded {
        Ok(model) => {
            report(Report::Loaded(start.elapsed()));
            Some(model)
        }
        Err(error) => {
            report(Report::NotLoaded(error));
            None
        }
    }
}

/// Why the work on a model ended.
enum End {
    NoMoreOrders,
    DeviceLost,
}

struct Inference {
    model: Box<dyn Decider>,
    /// `None` for a model without history.
    ring: Option<HistoryRing<Option<EncodedFrame>>>,
    max_gap: Duration,
}

impl Inference {
    fn new(model: Box<dyn Decider>, max_gap: Duration) -> Result<Self, FrameError> {
        let mut inference = Self { model, ring: None, max_gap };
        inference.set_max_gap(max_gap)?;
        Ok(inference)
    }

    fn set_max_gap(&mut self, max_gap: Duration) -> Result<(), FrameError> {
        let offsets = self.model.history_offsets();
        self.ring = if offsets.is_empty() { None } else { Some(HistoryRing::new(offsets, max_gap)?) };
        self.max_gap = max_gap;
        Ok(())
    }

    fn work(&mut self, orders: &Receiver<Order>, report: &mut impl FnMut(Report)) -> End {
        while let Ok(order) = orders.recv() {
            match order {
                Order::Decide(job) => {
                    let ticket = job.ticket;
                    match self.decide_caught(job) {
                        Ok(decided) => report(Report::Decided(Box::new(decided))),
                        Err((failure, device_lost)) => {
                            report(Report::Failed { ticket, failure, reloading: device_lost });
                            if device_lost {
                                return End::DeviceLost;
                            }
                        }
                    }
                }
                Order::ForgetHistory => self.forget(),
                Order::MaxGap(max_gap) => {
                    // The offsets have been accepted before.
                    self.set_max_gap(max_gap).ok();
                }
                Order::ReloadPolicy(path) => {
                    let reloaded = catch_unwind(AssertUnwindSafe(|| self.model.reload_policy(&path)))
                        .map_err(|panic| panic_text(&*panic))
                        .and_then(|reloaded| reloaded.map_err(|error| error.to_string()));
                    report(Report::PolicyReloaded(reloaded.map(|()| path)));
                }
            }
        }
        End::NoMoreOrders
    }

    fn forget(&mut self) {
        if let Some(ring) = &mut self.ring {
            ring.start_episode();
        }
    }

    /// A decision; a panic in a dependency is a failure of this decision, after which the same model goes on without
    /// past frames. The flag says that the device is lost and the model with it.
    fn decide_caught(&mut self, job: Job) -> Result<Decided, (Failure, bool)> {
        match catch_unwind(AssertUnwindSafe(|| self.decide(job))) {
            Ok(Ok(decided)) => Ok(decided),
            Ok(Err(error)) => {
                let failure = failure(&error);
                let device_lost = matches!(failure, Failure::ModelLost { .. });
                Err((failure, device_lost))
            }
            Err(panic) => {
                self.forget();
                Err((Failure::ModelLost { message: format!("inference panicked: {}", panic_text(&*panic)) }, false))
            }
        }
    }

    fn decide(&mut self, job: Job) -> Result<Decided, TunerError> {
        let start = Instant::now();
        let (frame, stamp) = (&*job.frame, job.ticket.stamp());
        let Some(ring) = &mut self.ring else {
            let decision = self.model.decide(frame, job.ticket.velocity(), &[])?;
            return Ok(Decided { job, decision, forgotten: None, took: start.elapsed() });
        };
        let forgotten = ring.advance_to(stamp);
        // Encoded once, now that it is the current frame; later decisions find it in the ring.
        let current = self.model.encode_for_history(frame)?;
        let encoding = start.elapsed();
        let past: Vec<EncodedFrame> = ring.select(&current).into_iter().flatten().collect();
        let mut decision = self.model.decide(frame, job.ticket.velocity(), &past)?;
        decision.times.add(Stage::History, encoding);
        ring.push(stamp, current);
        Ok(Decided { job, decision, forgotten, took: start.elapsed() })
    }
}

/// What a panic said: the payload as text.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason given".into())
}
