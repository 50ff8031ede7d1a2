//! The inference thread: sole owner of model, history and policy. Orders go in, reports come out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::decider::{Aftermath, Decider, LoadError, failure};
use super::follower::PolicyRefusal;
use super::takeover::{Following, StagedSlot, Takeover, follow, take_over, take_staged};
use crate::frame::{Frame, FrameError, ResetReason};
use crate::planner::guard::{Failure, Ticket};
use crate::tuner::{Decision, DecisionInput, DecisionStream, StagedPolicy, StreamedDecision, TunerError};

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
    /// Whether a policy of the followed folder may change a parameter by more than half of its range at once. One that
    /// was refused for that is tried again.
    AllowLargeChange(bool),
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
    PolicyReloaded(Result<PathBuf, PolicyRefusal>),
    /// A policy of the followed folder has taken over, or why the old one stays.
    PolicyFollowed(Result<Takeover, PolicyRefusal>),
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

/// Time between a failure of the GPU and the attempt to load the model again.
const RELOAD_AFTER: Duration = Duration::from_secs(1);
/// So many times within [`RELOAD_WINDOW`] the model is loaded again; what fails more often does so for a reason that
/// loading does not mend.
const RELOADS: usize = 3;
/// See [`RELOADS`].
const RELOAD_WINDOW: Duration = Duration::from_secs(600);

/// Without an order for this long, the thread sees whether a policy waits to take over.
const IDLE: Duration = Duration::from_millis(250);

/// Starts the thread. It ends when the sender of orders is dropped.
///
/// # Errors
/// When the system cannot start a thread.
pub fn spawn(
    loader: Loader,
    max_gap: Duration,
    following: Option<Following>,
    mut report: impl FnMut(Report) + Send + 'static,
) -> std::io::Result<Sender<Order>> {
    let (sender, orders) = channel();
    let work = move || run(&loader, max_gap, following, &orders, &mut report);
    std::thread::Builder::new().name("inference".into()).spawn(work)?;
    Ok(sender)
}

fn run(
    loader: &Loader,
    max_gap: Duration,
    mut following: Option<Following>,
    orders: &Receiver<Order>,
    report: &mut impl FnMut(Report),
) {
    let mut max_gap = max_gap;
    let mut reloads: Vec<Instant> = Vec::new();
    while let Some(model) = load(loader, report) {
        let mut inference = match Inference::new(model, max_gap, following.as_ref()) {
            Ok(inference) => inference,
            Err(error) => {
                report(Report::NotLoaded(LoadError { message: error.to_string(), out_of_memory: false }));
                return;
            }
        };
        match inference.work(orders, report) {
            End::NoMoreOrders => return,
            End::LoadAgain => max_gap = inference.max_gap,
            End::NeedsRestart => return report(Report::NotLoaded(lost(CONTEXT_LOST))),
        }
        reloads.retain(|reload| reload.elapsed() < RELOAD_WINDOW);
        if reloads.len() >= RELOADS {
            return report(Report::NotLoaded(lost(FAILS_AGAIN)));
        }
        reloads.push(Instant::now());
        if let Some(following) = &mut following {
            // The model is loaded with the policy that it started with; the folder's is then a new one again.
            following.allow_large_change = inference.allow_large_change;
            following.in_use = None;
        }
        drop(inference);
        std::thread::sleep(RELOAD_AFTER);
    }
}

/// What is said when the model does not come back.
const CONTEXT_LOST: &str = "the GPU's context is lost and this process can use the GPU no more; restart the node";
/// As [`CONTEXT_LOST`], of a GPU that fails again and again.
const FAILS_AGAIN: &str = "the GPU's memory was full 4 times within 10 minutes, although the model was loaded again each \
                           time; see nvidia-smi for other programs on it, or use --quantize nf4, and restart the node";

fn lost(message: &str) -> LoadError {
    LoadError { message: message.to_owned(), out_of_memory: false }
}

fn load(loader: &Loader, report: &mut impl FnMut(Report)) -> Option<Box<dyn Decider>> {
    let start = Instant::now();
    let loaded = catch_unwind(AssertUnwindSafe(loader)).unwrap_or_else(|panic| {
        Err(LoadError { message: format!("loading panicked: {}", panic_text(&*panic)), out_of_memory: false })
    });
    match loaded {
        Ok(mut model) => match warm_up(&mut *model) {
            Ok(()) => {
                report(Report::Loaded(start.elapsed()));
                Some(model)
            }
            Err(error) => {
                report(Report::NotLoaded(error));
                None
            }
        },
        Err(error) => {
            report(Report::NotLoaded(error));
            None
        }
    }
}

/// Makes what is made at the first decision now, while nobody waits for it. A full or lost GPU is found out by that; whatever
/// else goes wrong does so again at the first decision, where the guard hears of it.
fn warm_up(model: &mut dyn Decider) -> Result<(), LoadError> {
    match catch_unwind(AssertUnwindSafe(|| model.warm_up())) {
        Ok(Ok(())) => {}
        Ok(Err(error)) if Aftermath::of(&error) != Aftermath::GoesOn => return Err(error.into()),
        Ok(Err(error)) => log::warn!("the model was not warmed up: {error}"),
        Err(panic) => log::warn!("the model was not warmed up: {}", panic_text(&*panic)),
    }
    Ok(())
}

/// Why the work on a model ended.
enum End {
    NoMoreOrders,
    LoadAgain,
    NeedsRestart,
}

struct Inference {
    model: Box<dyn Decider>,
    stream: DecisionStream,
    max_gap: Duration,
    /// Where the thread that follows a folder puts what it finds.
    staged: Option<Arc<StagedSlot>>,
    /// A policy that was refused for changing too much.
    too_different: Option<Box<StagedPolicy>>,
    allow_large_change: bool,
}

impl Inference {
    fn new(model: Box<dyn Decider>, max_gap: Duration, following: Option<&Following>) -> Result<Self, FrameError> {
        let staged = following.zip(model.policy_loader()).and_then(|(following, loader)| {
            let followed = follow(following, loader);
            followed.inspect_err(|error| log::error!("no policy is followed: {error}")).ok()
        });
        let allow_large_change = following.is_some_and(|following| following.allow_large_change);
        let stream = DecisionStream::new(model.history_offsets(), max_gap)?;
        Ok(Self { model, stream, max_gap, staged, too_different: None, allow_large_change })
    }

    fn set_max_gap(&mut self, max_gap: Duration) -> Result<(), FrameError> {
        self.stream = DecisionStream::new(self.model.history_offsets(), max_gap)?;
        self.max_gap = max_gap;
        Ok(())
    }

    fn work(&mut self, orders: &Receiver<Order>, report: &mut impl FnMut(Report)) -> End {
        loop {
            // Between two decisions.
            self.follow(report);
            let order = match orders.recv_timeout(IDLE) {
                Ok(order) => order,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return End::NoMoreOrders,
            };
            match order {
                Order::Decide(job) => {
                    let ticket = job.ticket;
                    match self.decide_caught(job) {
                        Ok(decided) => report(Report::Decided(Box::new(decided))),
                        Err((failure, aftermath)) => {
                            let reloading = aftermath != Aftermath::GoesOn;
                            report(Report::Failed { ticket, failure, reloading });
                            match aftermath {
                                Aftermath::GoesOn => {}
                                Aftermath::LoadedAgain => return End::LoadAgain,
                                Aftermath::NeedsRestart => return End::NeedsRestart,
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
                        .map_err(|panic| PolicyRefusal::Panicked(panic_text(&*panic)))
                        .and_then(|reloaded| Ok(reloaded?));
                    report(Report::PolicyReloaded(reloaded.map(|()| path)));
                }
                Order::AllowLargeChange(allow) => {
                    self.allow_large_change = allow;
                    if let Some(policy) = self.too_different.take_if(|_| allow) {
                        report(Report::PolicyFollowed(self.take_over(*policy)));
                    }
                }
            }
        }
    }

    /// Takes the newest policy of the followed folder, if one waits.
    fn follow(&mut self, report: &mut impl FnMut(Report)) {
        let Some(found) = self.staged.as_deref().and_then(take_staged) else { return };
        self.too_different = None;
        report(Report::PolicyFollowed(found.and_then(|policy| self.take_over(policy))));
    }

    fn take_over(&mut self, policy: StagedPolicy) -> Result<Takeover, PolicyRefusal> {
        take_over(&mut *self.model, policy, self.allow_large_change).map_err(|kept| {
            self.too_different = kept.too_different;
            kept.refusal
        })
    }

    fn forget(&mut self) {
        self.stream.start_episode();
    }

    /// A decision; a panic in a dependency is a failure of this decision, after which the same model goes on without
    /// past frames.
    fn decide_caught(&mut self, job: Job) -> Result<Decided, (Failure, Aftermath)> {
        match catch_unwind(AssertUnwindSafe(|| self.decide(job))) {
            Ok(Ok(decided)) => Ok(decided),
            Ok(Err(error)) => Err((failure(&error), Aftermath::of(&error))),
            Err(panic) => {
                self.forget();
                Err((
                    Failure::ModelLost { message: format!("inference panicked: {}", panic_text(&*panic)) },
                    Aftermath::GoesOn,
                ))
            }
        }
    }

    fn decide(&mut self, job: Job) -> Result<Decided, TunerError> {
        let start = Instant::now();
        let input = DecisionInput {
            stamp: job.ticket.stamp(),
            frame: &job.frame,
            velocity: job.ticket.velocity(),
            named_history: None,
        };
        let StreamedDecision { decision, forgotten } = self.stream.step(&mut *self.model, input)?;
        Ok(Decided { job, decision, forgotten, took: start.elapsed() })
    }
}

/// What a panic said: the payload as text.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason given".into())
}
