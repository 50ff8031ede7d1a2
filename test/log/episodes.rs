//! From decisions and events to steps: what a step gets for its outcome, and how episodes end.

use crate::support::episode;
use std::sync::Arc;
use std::time::Duration;

use crate::support::episode::{frame, head, stamp, step};
use vlm_planner_tuner::drive::{EpisodeEvent, Pose, Position};
use vlm_planner_tuner::frame::Stamp;
use vlm_planner_tuner::transition::log::LogEntry;
use vlm_planner_tuner::transition::{
    ChosenController, Ending, EpisodeRecorder, EpisodeRules, MadeDecision, ParameterOutcome, RewardWeights, Step,
    Truncation,
};

fn recorder(time_out: Option<f64>) -> EpisodeRecorder {
    let rules = EpisodeRules {
        max_gap: Duration::from_millis(1050),
        time_out,
        weights: RewardWeights::default(),
        run: "test".to_owned(),
    };
    EpisodeRecorder::new(head("ignored").session, rules)
}

/// The decision of step `index`, half a second after the one before it.
fn decision(index: u64) -> MadeDecision {
    decision_at(index, stamp(index))
}

fn decision_at(index: u64, stamp: Stamp) -> MadeDecision {
    let Step { velocity, feature, action, noise, explored, parameters, .. } = step(index, Ending::Continues);
    let frame = Arc::new(frame(index));
    MadeDecision { stamp, frame, velocity, feature, action, noise, explored, parameters, controller: None }
}

fn at(x: f64) -> Pose {
    Pose { position: Position { x, y: 0.0 }, yaw: 0.0 }
}

#[test]
fn a_step_is_known_when_the_next_decision_is_made() {
    let mut recorder = recorder(None);
    recorder.pose(at(0.0));
    recorder.goal(Position { x: 10.0, y: 0.0 });
    assert!(recorder.decided(decision(0)).is_none());
    recorder.outcomes([ParameterOutcome::Applied, ParameterOutcome::Stored, ParameterOutcome::Refused]);
    let chosen = ChosenController { id: "FollowPath3".into(), values: vec![("max_vel_x".into(), 0.8)] };
    recorder.controller(Some(chosen.clone()));
    recorder.pose(at(0.5));
    recorder.nearest_laser(Some(0.4));
    let LogEntry { head, step: first, frame: first_frame } = recorder.decided(decision(1)).unwrap();
    assert_eq!(first.controller, Some(chosen));
    assert_eq!(head.session.episode, "20231114T221320.000Z_dwa_test_0000");
    assert_eq!(head.session.feature_length, episode::FEATURE);
    assert_eq!((first.index, first.frame.0, first.ending, first.pose), (0, 0, Ending::Continues, Some(at(0.0))));
    assert_eq!((first.terms.progress_m, first.terms.nearest_laser_m), (Some(0.5), Some(0.4)));
    assert_eq!(first.reward, 4.0, "slack -1, and 10 for a metre");
    assert_eq!(first.parameters[1].outcome, ParameterOutcome::Stored);
    assert_eq!((&*first_frame, first.next_feature), (&frame(0), None));
    assert_eq!(first.feature, decision(0).feature);

    let last = recorder.finish().unwrap().step;
    // Nobody saw what came of it: it is there for what it saw, not to be learned from.
    assert_eq!((last.index, last.ending), (1, Ending::Truncated(Truncation::End)));
    assert_eq!((last.terms.progress_m, last.next_feature), (None, None));
    assert!(recorder.finish().is_none());
}

#[test]
fn success_and_collision_end_an_episode_at_once() {
    for (event, ending) in [(EpisodeEvent::Success, Ending::Success), (EpisodeEvent::Collision, Ending::Collision)] {
        let mut recorder = recorder(None);
        recorder.pose(at(9.0));
        recorder.goal(Position { x: 10.0, y: 0.0 });
        recorder.decided(decision(0));
        recorder.pose(at(9.75));
        let last = recorder.event(event).unwrap().step;
        assert_eq!((last.ending, last.terms.progress_m), (ending, Some(0.75)));
        assert_eq!(
            (last.terms.success, last.terms.collision),
            (ending == Ending::Success, ending == Ending::Collision)
        );
        assert_eq!(last.next_feature, None, "nothing is bootstrapped");
        assert!(recorder.event(event).is_none(), "no episode is running");
        assert!(recorder.decided(decision(1)).is_none(), "another begins");
        let other = recorder.finish().unwrap();
        assert!(other.head.session.episode.ends_with("_test_0001"), "{}", other.head.session.episode);
        assert_eq!(other.step.index, 0);
    }
}

#[test]
fn an_abort_waits_for_what_was_seen_after_it() {
    let mut recorder = recorder(None);
    recorder.decided(decision(0));
    assert!(recorder.event(EpisodeEvent::Aborted).is_none());
    assert!(recorder.event(EpisodeEvent::Success).is_none(), "of another goal");
    let last = recorder.decided(decision(1)).unwrap().step;
    assert_eq!(last.ending, Ending::Truncated(Truncation::Aborted));
    assert_eq!(last.next_feature, Some(decision(1).feature));
    assert_eq!(recorder.decided(decision(2)).unwrap().step.index, 0, "decision 1 began an episode");
}

#[test]
fn nothing_leads_across_a_gap_or_a_clock_that_is_set_back() {
    for next in [stamp(0).nanos() + 1_051_000_000, stamp(0).nanos() - 1] {
        let mut recorder = recorder(None);
        recorder.pose(at(0.0));
        recorder.goal(Position { x: 10.0, y: 0.0 });
        recorder.decided(decision(0));
        recorder.pose(at(5.0));
        let last = recorder.decided(decision_at(1, Stamp::from_nanos(next))).unwrap().step;
        assert_eq!((last.ending, last.next_feature), (Ending::Truncated(Truncation::Gap), None));
        assert_eq!(last.terms.progress_m, None);
    }
    let mut recorder = recorder(None);
    recorder.decided(decision(0));
    let within = Stamp::from_nanos(stamp(0).nanos() + 1_050_000_000);
    assert_eq!(recorder.decided(decision_at(1, within)).unwrap().step.ending, Ending::Continues);
}

#[test]
fn a_time_out_truncates_and_is_a_failure() {
    let mut recorder = recorder(Some(1.5));
    let endings: Vec<_> = (0..8).filter_map(|index| recorder.decided(decision(index))).collect();
    let (continues, timed_out) = (Ending::Continues, Ending::Truncated(Truncation::TimeOut));
    let found: Vec<_> = endings.iter().map(|entry| entry.step.ending).collect();
    assert_eq!(found, [continues, continues, timed_out, continues, continues, timed_out, continues]);
    let last = &endings[2].step;
    assert!(last.terms.time_out && last.ending.truncated() && !last.ending.terminated());
    assert_eq!((last.reward, last.next_feature.as_ref()), (-51.0, Some(&decision(3).feature)));
    assert_eq!(endings[3].step.index, 0);
}

#[test]
fn another_run_begins_somewhere_else() {
    let mut recorder = recorder(None);
    recorder.decided(decision(0));
    recorder.progress(0.25);
    recorder.progress(0.5);
    let last = recorder.event(EpisodeEvent::Cut).unwrap().step;
    assert_eq!((last.ending, last.next_feature), (Ending::Truncated(Truncation::End), None));
    assert_eq!(last.terms.progress_m, Some(0.75), "told by the recording itself");
    assert!(recorder.decided(decision(1)).is_none());
}
