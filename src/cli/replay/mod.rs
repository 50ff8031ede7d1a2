//! `planner_tuner replay`: parameters for every decision frame of a recording.

mod args;
mod columns;
mod ending;
mod follow;
mod lines;
mod log_args;
mod outputs;
mod page;
mod summary;
mod transitions;

use std::time::{Duration, Instant};

use self::ending::say_where;
use self::lines::Lines;
use self::outputs::Outputs;
use self::page::Ending;
use self::summary::Summary;
pub use self::summary::percentile;
use self::transitions::Transitions;
use super::Outcome;
use super::interrupt::Interrupt;
use super::progress::counting_bar;
use super::stdout::{self, Reader};
use crate::frame::{BodyVelocity, StampedFrame};
use crate::recording::{DecisionSchedule, RecordedFrame, Recording};
use crate::tuner::{Decision, DecisionInput, DecisionStream, Stage, StreamedDecision, Tuner, TunerError};

pub use args::{Rate, ReplayArgs, parse_rate};

/// A decision with the moment it belongs to.
struct ReplayedDecision {
    frame: StampedFrame,
    velocity: BodyVelocity,
    age_s: f64,
    decision: Decision,
}

/// Runs the command.
///
/// # Errors
/// What cannot be opened, loaded or written. A frame that cannot be used is skipped and counted instead.
pub fn run(args: ReplayArgs) -> anyhow::Result<Outcome> {
    let args = args.with_demo()?;
    args.model.required()?;
    args.check()?;
    let mut recording = Recording::open(args.recording()?, &args.recording_options())?;
    let (mut tuner, mut follow) = args.follow.load(&args.model)?;
    let mut replay = Replay::new(&tuner, args.schedule()?)?;
    let mut outputs = Outputs::create(&args, tuner.planner())?;
    let mut transitions = Transitions::begin(&args, &recording, &tuner, replay.max_gap)?;
    let mut lines = Lines::new(args.form(), tuner.planner(), stdout::terminal_width());
    let mut summary = Summary::default();

    let total = recording.remaining();
    let bar = counting_bar(total as u64, "frames");
    let interrupt = Interrupt::listen()?;
    stdout::write(&lines.header())?;
    while interrupt.asked().is_none() {
        let start = Instant::now();
        let Some(item) = recording.next() else { break };
        bar.inc(1);
        // Skipped frames are logged and counted by the recording.
        let Ok(recorded) = item else { continue };
        let decoded = start.elapsed();
        if let Some(follow) = &mut follow {
            bar.suspend(|| follow.between_decisions(&mut tuner));
        }
        if let Some(transitions) = &mut transitions {
            transitions.reach(&recorded)?;
        }
        let Some(mut replayed) = replay.step(&mut tuner, recorded).unwrap_or_else(|error| {
            bar.suspend(|| log::error!("no decision: {error}"));
            summary.count_failure();
            None
        }) else {
            continue;
        };
        replayed.decision.times.add(Stage::Decode, decoded);
        summary.add(&replayed.decision);
        outputs.add(&replayed)?;
        if let Some(transitions) = &mut transitions {
            transitions.add(&replayed)?;
        }
        let line = lines.line(&replayed);
        if bar.suspend(|| stdout::write(&line))? == Reader::Gone {
            break;
        }
    }
    // A finished bar stands at its end.
    let seen = bar.position();
    bar.finish_and_clear();
    let skips = recording.skips();
    let interrupted = interrupt.asked();
    if interrupted.is_some() {
        log::warn!("stopped after {seen} of {total} frames; what was decided until then is kept");
    }
    if let Some(transitions) = transitions {
        transitions.finish()?;
    }
    let ending = Ending { summary: &summary, skips, is_interrupted: interrupted.is_some() };
    let picture = outputs.finish(&args, tuner.planner(), &ending)?;
    log::info!("{}", summary.describe(skips));
    if let Some(picture) = picture {
        say_where(&picture);
    }
    if let Some(code) = interrupted {
        return Ok(Outcome::Interrupted(code));
    }
    Ok(if skips.is_empty() && !summary.has_failures() { Outcome::Complete } else { Outcome::DataLost })
}

/// What carries over from one decision to the next.
struct Replay {
    schedule: DecisionSchedule,
    max_gap: Duration,
    stream: DecisionStream,
}

impl Replay {
    fn new(tuner: &Tuner, schedule: DecisionSchedule) -> anyhow::Result<Self> {
        let max_gap = schedule.max_gap();
        let stream = DecisionStream::new(tuner.history_offsets(), max_gap)?;
        Ok(Self { schedule, max_gap, stream })
    }

    /// A decision, if one is due at this frame. Frames in between never become history: history frames are one decision
    /// apart.
    fn step(&mut self, tuner: &mut Tuner, recorded: RecordedFrame) -> Result<Option<ReplayedDecision>, TunerError> {
        let RecordedFrame { frame, velocity, age_s, episode_start, history, .. } = recorded;
        if episode_start {
            self.stream.start_episode();
            self.schedule.restart();
        }
        if !self.schedule.is_due(frame.stamp) {
            return Ok(None);
        }
        let input =
            DecisionInput { stamp: frame.stamp, frame: &frame.frame, velocity, named_history: history.as_deref() };
        let StreamedDecision { decision, forgotten } = self.stream.step(tuner, input)?;
        if let Some(reason) = forgotten {
            log::debug!("history emptied at {:.3} s: {reason}", frame.stamp.seconds());
        }
        Ok(Some(ReplayedDecision { frame, velocity, age_s, decision }))
    }
}
