//! The guard against the faults of model, planner and operator, with fake time. Numbers are those of the fault
//! table that the promises are tested by.

use crate::support::guard_scene::{Scene, action, dwa, ms, sets};
use vlm_planner_tuner::planner::envelope::EnvelopeLimits;
use vlm_planner_tuner::planner::guard::{Failure, GuardLimits, Instruction, Level, Mode, Operator, Reason, State};
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
    assert_eq!(scene.good().instruction, Instruction::Hold);
    assert_eq!(scene.good().instruction, Instruction::Hold);
    assert_eq!((scene.state(), scene.reason()), (State::Safe, "recovering"));
    scene.nan();
    assert_eq!(scene.good().instruction, Instruction::Hold);
    assert_eq!(scene.good().instruction, Instruction::Hold);
    assert!(sets(&scene.good()));
    assert_eq!(scene.state(), State::Nominal);
    scene.pass(2500);
    assert_eq!(scene.safe_defaults().len(), 2, "once for each time in Safe");
}

#[test]
fn from_holding_valid_decisions_are_set_at_once_and_three_in_a_row_make_nominal() {
    let mut scene = nominal();
    assert_eq!(scene.nan().instruction, Instruction::Hold);
    assert_eq!(scene.state(), State::Holding);
    for state in [State::Holding, State::Holding, State::Nominal] {
        assert!(sets(&scene.good()));
        assert_eq!(scene.state(), state);
    }
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
    assert!(matches!(reaction.instruction, Instruction::SafeDefaults { set: true, .. }));
    assert_eq!(scene.state(), State::Safe);
    assert!(scene.guard.status(scene.now()).reason.to_string().contains("(feature)"));
    assert!(scene.reactions.iter().all(|reaction| match &reaction.instruction {
        Instruction::Decision { parameters, .. } => parameters.parameters().iter().all(|(_, value)| value.is_finite()),
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
    assert!(matches!(reaction.instruction, Instruction::SafeDefaults { set: true, .. }));
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
    assert!(matches!(reaction.instruction, Instruction::Decision { set: false, .. }));
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
    assert_eq!(scene.guard.decided(scene.now(), in_flight, &action(0.5), None).instruction, Instruction::Nothing);
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
        assert_eq!(scene.good().instruction, Instruction::Hold);
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
    assert_eq!(scene.guard.decided(scene.now(), in_flight, &action(0.5), None).instruction, Instruction::Nothing);
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
