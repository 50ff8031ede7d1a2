//! `planner_tuner replay`: parameters for every decision frame of a recording.

mod args;
mod columns;
mod ending;
mod follow;
mod lines;
mod log_args;
mod outputs;
mod summary;
mod transitions;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::ending::say_where;
use self::lines::Lines;
use self::outputs::Outputs;
use self::summary::Summary;
pub use self::summary::percentile;
use self::transitions::Transitions;
use super::Outcome;
use super::interrupt::Interrupt;
use super::progress::counting_bar;
use super::stdout::{self, Reader};
use crate::feature::EncodedFrame;
use crate::frame::{BodyVelocity, Frame, HistoryRing, StampedFrame};
use crate::recording::{DecisionSchedule, RecordedFrame, Recording};
use crate::tuner::{Decision, Stage, Tuner, TunerError};

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
    let mut outputs = Outputs::create(&args)?;
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
    let picture = outputs.finish(&args, tuner.planner())?;
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
    ring: HistoryRing<Option<EncodedFrame>>,
}

impl Replay {
    fn new(tuner: &Tuner, schedule: DecisionSchedule) -> anyhow::Result<Self> {
        let max_gap = schedule.max_gap();
        let ring = HistoryRing::new(tuner.history_offsets(), max_gap)?;
        Ok(Self { schedule, max_gap, ring })
    }

    /// A decision, if one is due at this frame. Frames in between never become history: history frames are one decision
    /// apart.
    fn step(&mut self, tuner: &mut Tuner, recorded: RecordedFrame) -> Result<Option<ReplayedDecision>, TunerError> {
        let RecordedFrame { frame, velocity, age_s, episode_start, history, .. } = recorded;
        if episode_start {
            self.ring.start_episode();
            self.schedule.restart();
        }
        if !self.schedule.is_due(frame.stamp) {
            return Ok(None);
        }
        if let Some(reason) = self.ring.advance_to(frame.stamp) {
            log::debug!("history emptied at {:.3} s: {reason}", frame.stamp.seconds());
        }
        let decision = self.decide(tuner, &frame, velocity, history.as_deref())?;
        Ok(Some(ReplayedDecision { frame, velocity, age_s, decision }))
    }

    /// `history` is what the recording itself names as the frames before this one, newest first.
    fn decide(
        &mut self,
        tuner: &mut Tuner,
        StampedFrame { stamp, frame }: &StampedFrame,
        velocity: BodyVelocity,
        history: Option<&[Arc<Frame>]>,
    ) -> Result<Decision, TunerError> {
        let start = Instant::now();
        let named = history.map(|history| encode_named(tuner, history)).transpose()?;
        // Encoded once, now that it is the current frame; later decisions find it in the ring.
        let current = tuner.encode_for_history(frame)?;
        let encoding = start.elapsed();
        let past = match named {
            Some(named) => self.ring.select_from(&named, &current),
            None => self.ring.select(&current),
        };
        let past: Vec<EncodedFrame> = past.into_iter().flatten().collect();
        let mut decision = tuner.decide(frame, velocity, &past)?;
        decision.times.add(Stage::History, encoding);
        self.ring.push(*stamp, current);
        Ok(decision)
    }
}

fn encode_named(tuner: &mut Tuner, history: &[Arc<Frame>]) -> Result<Vec<Option<EncodedFrame>>, TunerError> {
    let seen = tuner.history_offsets().last().copied().unwrap_or_default();
    history.iter().take(seen).map(|frame| tuner.encode_for_history(frame)).collect()
}
