//! The guard against the faults of inputs, model, clock and operator, with fake time. Numbers are those of the fault
//! table that the promises are tested by.
#![allow(clippy::unwrap_used, clippy::panic)]

mod guard_scene;

use guard_scene::{Scene, action, dwa, ms, sets};
use vlm_planner_tuner::frame::{Frame, Stamp};
use vlm_planner_tuner::planner::envelope::EnvelopeLimits;
use vlm_planner_tuner::planner::guard::{
    Action, ClockEvent, Failure, FrameVerdict, GuardLimits, Level, Mode, Operator, Reason, State, image_hash,
};

/// A scene that is Nominal.
fn nominal() -> Scene {
    let mut scene = Scene::new();
    assert!(sets(&scene.good()));
    assert_eq!(scene.state(), State::Nominal);
    scene
}

/// A scene that is Safe because frames stopped.
fn safe() -> Scene {
    let mut scene = nominal();
    scene.pass(2500);
    assert_eq!(scene.state(), State::Safe);
    scene
}

#[test]
fn p2_no_decision_on_a_frame_older_than_the_limit_and_the_ticket_carries_stamp_and_age() {
    let mut scene = nominal();
    scene.pass(600);
    scene.odometry(0.5);
    let fresh = scene.ros_ago(500);
    scene.guard.velocity(0.5, 0.0, fresh);
    let ticket = scene.admit(fresh).unwrap();
    assert_eq!((ticket.stamp(), ticket.age()), (fresh, ms(500)));
    assert_eq!(scene.admit(scene.ros_ago(501)), Err(Reason::FrameStale(ms(501))));
    assert_eq!(scene.state(), State::Holding);
}

#[test]
fn p3_safe_defaults_are_set_once_after_the_hold_timeout_and_said_so() {
    let mut scene = nominal();
    scene.pass(1950);
    assert_eq!(scene.state(), State::Holding);
    assert_eq!(scene.safe_defaults(), []);
    scene.pass(50);
    assert_eq!(scene.state(), State::Safe);
    let transition = scene.reactions.last().unwrap().transition.clone().unwrap();
    assert_eq!((transition.from, transition.to), (State::Holding, State::Safe));
    assert!(
        transition
            .reason
            .to_string()
            .starts_with("no valid decision for 2.00 s, safe defaults; last problem: no image")
    );
    scene.pass(60_000);
    assert_eq!(scene.safe_defaults(), [(dwa().safe_defaults(), true)]);
    assert_eq!(scene.guard.status(scene.now()).level, Level::Error);
}

#[test]
fn back_from_safe_only_after_three_good_frames_in_a_row() {
    let mut scene = safe();
    assert_eq!(scene.good().action, Action::Hold);
    assert_eq!(scene.good().action, Action::Hold);
    assert_eq!((scene.state(), scene.reason()), (State::Safe, "recovering"));
    scene.nan();
    assert_eq!(scene.good().action, Action::Hold);
    assert_eq!(scene.good().action, Action::Hold);
    assert!(sets(&scene.good()));
    assert_eq!(scene.state(), State::Nominal);
    scene.pass(2500);
    assert_eq!(scene.safe_defaults().len(), 2, "once for each time in Safe");
}

#[test]
fn from_holding_valid_decisions_are_set_at_once_and_three_in_a_row_make_nominal() {
    let mut scene = nominal();
    assert_eq!(scene.nan().action, Action::Hold);
    assert_eq!(scene.state(), State::Holding);
    for state in [State::Holding, State::Holding, State::Nominal] {
        assert!(sets(&scene.good()));
        assert_eq!(scene.state(), state);
    }
}

#[test]
fn fault_01_no_image_ever() {
    let mut scene = Scene::new();
    scene.pass(1950);
    assert_eq!((scene.state(), scene.reason()), (State::Starting, "starting_up"));
    scene.pass(30_000);
    assert_eq!((scene.state(), scene.reason()), (State::Starting, "no_frame"));
    assert_eq!(scene.safe_defaults(), [(dwa().safe_defaults(), true)]);
    assert_eq!(scene.guard.status(scene.now()).level, Level::Error);
    // The safe defaults are set: leaving them takes three good frames, as from Safe.
    assert_eq!([scene.good(), scene.good(), scene.good()].map(|reaction| sets(&reaction)), [false, false, true]);
    assert_eq!(scene.state(), State::Nominal);
}

#[test]
fn fault_03_stale_frames_hold_then_safe() {
    let mut scene = nominal();
    for _ in 0..5 {
        scene.pass(500);
        let stamp = scene.ros_ago(800);
        scene.odometry(0.5);
        if let FrameVerdict::Use { stamp, .. } = scene.image(stamp).0 {
            assert!(matches!(scene.admit(stamp), Err(Reason::FrameStale(_))));
        }
    }
    assert_eq!(scene.state(), State::Safe);
    assert_eq!(scene.safe_defaults().len(), 1);
    let status = scene.guard.status(scene.now());
    assert!(status.reason.to_string().contains("the newest image is 0.80 s old"), "{}", status.reason);
}

#[test]
fn fault_04_frozen_image_while_the_robot_moves() {
    let mut scene = nominal();
    let freeze = |scene: &mut Scene, linear: f64, times: usize| {
        for _ in 0..times {
            scene.pass(500);
            scene.odometry(linear);
            let stamp = scene.ros();
            let (verdict, _) = scene.image_of(stamp, 7);
            assert!(matches!(verdict, FrameVerdict::Use { .. }));
        }
    };
    freeze(&mut scene, 0.0, 40);
    assert_eq!(scene.warnings(), [""; 0], "a robot that stands sees the same");
    freeze(&mut scene, 0.5, 10);
    assert_eq!(scene.warnings(), [""; 0]);
    freeze(&mut scene, 0.5, 2);
    assert_eq!(scene.warnings(), ["image_frozen"]);
    assert_eq!(scene.guard.status(scene.now()).warnings[0].level(), Level::Warn);
    let stamp = scene.ros_ago(-1);
    assert_eq!(scene.image_of(stamp, 7).0, FrameVerdict::Use { stamp, same_image: true });
    let stamp = scene.ros_ago(-2);
    assert_eq!(scene.image_of(stamp, 8).0, FrameVerdict::Use { stamp, same_image: false });
    assert_eq!(scene.warnings(), [""; 0]);
}

#[test]
fn fault_04_the_hash_is_that_of_size_and_pixels() {
    let frame =
        |width, height, value| Frame::from_rgb8(width, height, vec![value; (width * height * 3) as usize]).unwrap();
    assert_eq!(image_hash(&frame(4, 2, 9)), image_hash(&frame(4, 2, 9)));
    assert_ne!(image_hash(&frame(4, 2, 9)), image_hash(&frame(4, 2, 8)));
    assert_ne!(image_hash(&frame(4, 2, 9)), image_hash(&frame(2, 4, 9)));
}

#[test]
fn fault_05_stamp_zero_becomes_the_time_of_receipt() {
    let mut scene = nominal();
    scene.pass(500);
    let (verdict, reaction) = scene.image(Stamp::from_nanos(0));
    assert_eq!(verdict, FrameVerdict::Use { stamp: scene.ros(), same_image: false });
    assert_eq!(reaction.action, Action::Nothing);
    assert_eq!(scene.warnings(), ["stamp_zero"]);
    assert_eq!(scene.state(), State::Nominal);
}

#[test]
fn fault_05_stamp_in_the_future_resets_the_ring_and_holds() {
    let mut scene = nominal();
    scene.pass(500);
    let near = scene.ros_ago(-200);
    assert!(matches!(scene.image(near).0, FrameVerdict::Use { .. }));
    let far = scene.ros_ago(-201);
    let (verdict, reaction) = scene.image(far);
    assert_eq!(verdict, FrameVerdict::Refuse(Reason::StampInFuture(ms(201))));
    assert_eq!((reaction.action, reaction.reset_history), (Action::Hold, Some(Reason::StampInFuture(ms(201)))));
    assert_eq!(scene.state(), State::Holding);
}

#[test]
fn fault_05_stamp_that_goes_back_resets_the_ring_holds_and_drops_the_decision_in_flight() {
    let mut scene = nominal();
    scene.pass(500);
    let in_flight = scene.start();
    let earlier = scene.ros_ago(100);
    let (verdict, reaction) = scene.image(earlier);
    assert_eq!(verdict, FrameVerdict::Refuse(Reason::StampBackwards(ms(100))));
    assert_eq!(reaction.action, Action::Hold);
    assert!(reaction.reset_history.is_some());
    assert_eq!(scene.guard.decided(scene.now(), in_flight, &action(0.5), None).action, Action::Nothing);
    assert_eq!(scene.guard.status(scene.now()).counts.decisions_dropped, 1);
    scene.good();
    assert_eq!(scene.state(), State::Holding);
}

#[test]
fn a_frame_that_comes_twice_is_dropped_without_ado() {
    let mut scene = nominal();
    scene.pass(500);
    let stamp = scene.ros();
    scene.image(stamp);
    let (verdict, reaction) = scene.image(stamp);
    assert_eq!(verdict, FrameVerdict::Refuse(Reason::FrameRepeated));
    assert_eq!((reaction.action, reaction.reset_history), (Action::Nothing, None));
    assert_eq!(scene.state(), State::Nominal);
}

#[test]
fn fault_06_refused_messages_hold_then_safe() {
    let mut scene = nominal();
    for _ in 0..10 {
        scene.pass(250);
        let reaction = scene.guard.frame_refused(scene.now(), "encoding is 'yuv422', expected rgb8");
        scene.note(reaction);
    }
    assert_eq!(scene.state(), State::Safe);
    assert_eq!(scene.safe_defaults().len(), 1);
    assert!(scene.guard.status(scene.now()).counts.frames_refused == 10);
}

#[test]
fn fault_08_velocity_missing_nan_or_stale() {
    let mut scene = Scene::new();
    let stamp = scene.ros();
    assert_eq!(scene.admit(stamp), Err(Reason::VelocityMissing));
    scene.odometry(f64::NAN);
    assert_eq!(scene.admit(stamp), Err(Reason::VelocityInvalid));

    let mut scene = nominal();
    scene.pass(200);
    let stamp = scene.ros();
    scene.odometry(f64::NAN);
    assert_eq!(scene.admit(stamp).unwrap().velocity().linear(), 0.5, "the last usable one is fresh");
    scene.pass(50);
    scene.odometry(f64::NAN);
    let stamp = scene.ros();
    assert_eq!(scene.admit(stamp), Err(Reason::VelocityInvalid));
    assert_eq!(scene.state(), State::Holding);
}

#[test]
fn fault_08_zero_is_assumed_only_where_configured() {
    let limits = GuardLimits { assume_stationary: true, ..GuardLimits::default() };
    let mut scene = Scene::with(Mode::Active, limits, EnvelopeLimits::off());
    let stamp = scene.ros();
    assert_eq!(scene.admit(stamp).unwrap().velocity().linear(), 0.0);
    assert_eq!(scene.warnings(), ["assumed_stationary"]);
    scene.odometry(f64::NAN);
    assert_eq!(scene.admit(stamp), Err(Reason::VelocityInvalid), "NaN is no standing robot");
}

#[test]
fn fault_10_two_publishers_whose_stamps_interleave_lead_to_safe() {
    let mut scene = nominal();
    for _ in 0..3 {
        scene.pass(100);
        scene.odometry(0.5);
        let (newer, older) = (scene.ros(), scene.ros_ago(80));
        scene.image(newer);
        scene.image(older);
    }
    assert_eq!((scene.state(), scene.reason()), (State::Safe, "stamps_interleave"));
    assert_eq!(scene.safe_defaults().len(), 1);
    // One of the two is gone: the stamps of ten frames must all advance but two.
    for _ in 0..15 {
        scene.pass(100);
        let stamp = scene.ros();
        scene.image(stamp);
    }
    (0..3).for_each(|_| drop(scene.good()));
    assert_eq!(scene.state(), State::Nominal);
}

#[test]
fn fault_11_three_decisions_with_nan_in_a_row_lead_to_safe() {
    let mut scene = nominal();
    scene.nan();
    scene.nan();
    scene.good();
    scene.nan();
    scene.nan();
    assert_eq!((scene.state(), scene.reason()), (State::Holding, "not_finite"));
    let reaction = scene.nan();
    assert!(matches!(reaction.action, Action::SafeDefaults { set: true, .. }));
    assert_eq!(scene.state(), State::Safe);
    assert!(scene.guard.status(scene.now()).reason.to_string().contains("(feature)"));
    assert!(scene.reactions.iter().all(|reaction| match &reaction.action {
        Action::Decision { parameters, .. } => parameters.parameters().iter().all(|(_, value)| value.is_finite()),
        _ => true,
    }));
}

#[test]
fn fault_12_a_saturated_or_constant_policy_is_warned_of_and_goes_on() {
    let mut scene = Scene::new();
    let decide = |scene: &mut Scene, action_of: &dyn Fn(u64) -> [f32; 7], times: u64| {
        for step in 0..times {
            scene.pass(500);
            let ticket = scene.start();
            let action = action_of(step);
            let proposed = dwa().from_action(&action).unwrap();
            scene.guard.decided(scene.now(), ticket, &proposed, Some(&action));
        }
    };
    let saturated = |step: u64| [1.0, -1.0, 1.0, 0.9995, 0.1 + step as f32 * 1e-3, 0.0, 0.0];
    decide(&mut scene, &saturated, 19);
    assert_eq!(scene.warnings(), [""; 0]);
    decide(&mut scene, &saturated, 1);
    assert_eq!(scene.warnings(), ["policy_saturated"]);
    assert_eq!(scene.state(), State::Nominal);
    decide(&mut scene, &|_| [0.25; 7], 19);
    assert_eq!(scene.warnings(), [""; 0]);
    decide(&mut scene, &|_| [0.25; 7], 1);
    assert_eq!(scene.warnings(), ["policy_constant"]);
    decide(&mut scene, &|step| [step as f32 * 1e-3; 7], 1);
    assert_eq!(scene.warnings(), [""; 0]);
}

#[test]
fn fault_13_and_15_a_lost_model_is_safe_at_once_and_recovers() {
    let mut scene = nominal();
    scene.pass(500);
    let ticket = scene.start();
    let lost = Failure::ModelLost { message: "inference task panicked: index out of bounds".into() };
    let reaction = scene.guard.failed(scene.now(), ticket, lost);
    assert!(matches!(reaction.action, Action::SafeDefaults { set: true, .. }));
    assert_eq!((scene.state(), scene.reason()), (State::Safe, "model_lost"));
    (0..3).for_each(|_| drop(scene.good()));
    assert_eq!(scene.state(), State::Nominal);
}

#[test]
fn fault_14_slow_inference_warns_over_the_budget_and_is_no_valid_decision_over_the_hold_timeout() {
    let mut scene = nominal();
    let ticket = scene.start();
    scene.pass(700);
    let reaction = scene.guard.decided(scene.now(), ticket, &action(0.1), None);
    assert!(sets(&reaction));
    assert_eq!(scene.warnings(), ["inference_slow"]);
    for _ in 0..5 {
        scene.pass(50);
        let ticket = scene.start();
        scene.pass(2100);
        let reaction = scene.guard.decided(scene.now(), ticket, &action(0.1), None);
        assert!(!sets(&reaction));
    }
    assert_eq!(scene.state(), State::Safe);
    assert_eq!(scene.guard.status(scene.now()).level, Level::Error);
}

#[test]
fn fault_36_37_a_failing_planner_is_safe_until_enabled_again_and_nothing_is_set() {
    let mut scene = nominal();
    let reaction = scene.guard.planner_failing("controller_server: it went away 2 times within 60 s");
    assert!(!sets(&reaction));
    assert_eq!(reaction.transition.unwrap().to, State::Safe);
    for _ in 0..5 {
        assert!(!sets(&scene.good()));
    }
    scene.pass(10_000);
    assert_eq!((scene.state(), scene.reason()), (State::Safe, "planner_failing"));
    assert_eq!(scene.safe_defaults(), [], "setting is what kills it");
    scene.guard.operator(scene.now(), Operator::Enable);
    assert!((0..3).map(|_| scene.good()).any(|reaction| sets(&reaction)));
    assert_eq!(scene.state(), State::Nominal);
}

#[test]
fn fault_39_a_clock_set_back_empties_the_ring_drops_the_decision_in_flight_and_is_not_safe() {
    let mut scene = nominal();
    scene.pass(500);
    let in_flight = scene.start();
    scene.ros_offset -= 60_000;
    // The bag looped: /clock and the next image are a minute back. Nobody said so, the stamps of receipt do.
    scene.pass(50);
    scene.odometry(0.5);
    let stamp = scene.ros();
    let (verdict, reaction) = scene.image(stamp);
    assert!(matches!(verdict, FrameVerdict::Use { .. }));
    assert_eq!(reaction.reset_history, Some(Reason::ClockJumpedBack));
    assert_eq!(scene.guard.decided(scene.now(), in_flight, &action(0.9), None).action, Action::Nothing);
    assert_eq!(scene.state(), State::Nominal);
    assert!(sets(&scene.good()));
    assert_eq!(scene.safe_defaults(), []);
    assert_eq!(scene.guard.status(scene.now()).counts.decisions_dropped, 1);
}

#[test]
fn fault_39_a_clock_event_does_the_same_and_a_jump_ahead_makes_frames_stale() {
    let mut scene = nominal();
    let in_flight = scene.start();
    let reaction = scene.guard.clock(scene.now(), ClockEvent::JumpedBack);
    assert_eq!((reaction.action, reaction.reset_history), (Action::Nothing, Some(Reason::ClockJumpedBack)));
    assert_eq!(scene.guard.decided(scene.now(), in_flight, &action(0.9), None).action, Action::Nothing);
    assert_eq!(scene.state(), State::Nominal);

    let stamp = scene.ros();
    scene.odometry(0.5);
    scene.image(stamp);
    scene.ros_offset += 5_000;
    scene.guard.clock(scene.now(), ClockEvent::JumpedForward(ms(5000)));
    assert!(matches!(scene.admit(stamp), Err(Reason::FrameStale(_))));
    assert_eq!(scene.state(), State::Holding);
}

#[test]
fn fault_40_waiting_for_the_clock() {
    let mut scene = Scene::new();
    scene.ros_offset = 0;
    scene.guard.clock(scene.now(), ClockEvent::Waiting);
    scene.pass(5000);
    assert_eq!((scene.state(), scene.reason()), (State::Starting, "waiting_for_clock"));
    assert_eq!(scene.guard.status(scene.now()).level, Level::Error);
    assert_eq!(scene.safe_defaults().len(), 1);
    let reaction = scene.guard.frame(
        scene.now(),
        vlm_planner_tuner::planner::guard::FrameArrival {
            stamp: Stamp::from_nanos(5),
            ros_now: Stamp::from_nanos(0),
            image_hash: 1,
        },
    );
    assert_eq!(reaction.0, FrameVerdict::Refuse(Reason::WaitingForClock));
    assert_eq!(scene.admit(Stamp::from_nanos(5)), Err(Reason::WaitingForClock));
}

#[test]
fn fault_45_a_starved_node_warns_holds_and_becomes_safe_by_the_same_rules() {
    let mut scene = nominal();
    let mut states = Vec::new();
    for delay in [400, 800, 1200, 1600] {
        let ticket = scene.start();
        scene.pass(delay);
        scene.guard.decided(scene.now(), ticket, &action(0.2), None);
        states.push((scene.state(), !scene.warnings().is_empty()));
    }
    assert_eq!(states[0], (State::Nominal, false));
    assert!(states[1..].iter().all(|(_, warned)| *warned), "{states:?}");
    let stamp = scene.ros();
    scene.pass(2050);
    assert!(scene.admit(stamp).is_err());
    assert_eq!(scene.state(), State::Safe);
}

#[test]
fn shadow_decides_and_sets_nothing() {
    let mut scene = Scene::with(Mode::Shadow, GuardLimits::default(), EnvelopeLimits::off());
    let reaction = scene.good();
    assert!(matches!(reaction.action, Action::Decision { set: false, .. }));
    scene.pass(3000);
    assert_eq!(scene.safe_defaults(), [(dwa().safe_defaults(), false)]);
    let status = scene.guard.status(scene.now());
    assert_eq!((status.state, status.health), (State::Shadow, State::Safe));
    assert!(scene.reactions.iter().all(|reaction| !sets(reaction)));
    let reaction = scene.guard.operator(scene.now(), Operator::Enable);
    assert_eq!(reaction.transition.unwrap().to, State::Starting);
    assert!(sets(&scene.good()));
}

#[test]
fn disabled_does_not_even_decide() {
    let mut scene = nominal();
    let in_flight = scene.start();
    let reaction = scene.guard.operator(scene.now(), Operator::Disable);
    assert_eq!(reaction.transition.unwrap().to, State::Disabled);
    assert_eq!(scene.guard.decided(scene.now(), in_flight, &action(0.5), None).action, Action::Nothing);
    let stamp = scene.ros();
    assert_eq!(scene.admit(stamp), Err(Reason::OperatorDisabled));
    scene.pass(10_000);
    assert_eq!(scene.safe_defaults(), []);
    assert_eq!(scene.state(), State::Disabled);
    scene.guard.operator(scene.now(), Operator::Enable);
    assert_eq!(scene.state(), State::Starting);
    assert!(sets(&scene.good()));
}

#[test]
fn the_operator_holds_the_parameters_of_now() {
    let mut scene = nominal();
    scene.guard.operator(scene.now(), Operator::Hold(true));
    for _ in 0..10 {
        assert_eq!(scene.good().action, Action::Hold);
    }
    assert_eq!((scene.state(), scene.reason()), (State::Holding, "operator_hold"));
    scene.guard.operator(scene.now(), Operator::Hold(false));
    assert!(sets(&scene.good()));
    // A held robot whose inputs die is as unsafe as any.
    scene.guard.operator(scene.now(), Operator::Hold(true));
    scene.pass(2500);
    assert_eq!(scene.state(), State::Safe);
}

#[test]
fn a_new_goal_drops_the_decision_in_flight() {
    let mut scene = nominal();
    let in_flight = scene.start();
    let reaction = scene.guard.operator(scene.now(), Operator::ResetHistory);
    assert_eq!(reaction.reset_history, Some(Reason::HistoryReset));
    assert_eq!(scene.guard.decided(scene.now(), in_flight, &action(0.5), None).action, Action::Nothing);
    assert_eq!(scene.state(), State::Nominal);
}

#[test]
fn limits_that_cannot_be_are_refused_by_name() {
    let refused = |limits: GuardLimits| limits.check().unwrap_err().to_string();
    let ok = GuardLimits::default;
    assert!(refused(GuardLimits { max_frame_age: ms(0), ..ok() }).starts_with("max_frame_age is 0 s, expected more"));
    assert!(refused(GuardLimits { hold_timeout: ms(400), ..ok() }).contains("at least max_frame_age"));
    assert!(refused(GuardLimits { good_frames: 0, ..ok() }).starts_with("good_frames is 0"));
    let mut scene = nominal();
    assert!(scene.guard.set_limits(GuardLimits { good_frames: 0, ..ok() }).is_err());
    assert_eq!(*scene.guard.limits(), ok());
}
