//! The planner sink against the faults of planners, with fake nodes and fake time.
#![allow(clippy::unwrap_used, clippy::panic)]

mod nav2_fake;

use nav2_fake::{COSTMAP, SERVER, World, dwa};
use proptest::prelude::*;
use vlm_planner_tuner::nav2::{
    ApplierLimits, Event, Mapping, Notice, OnConflict, PlannerSink, RosValue, SetService, TargetStatus,
};
use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::planner::guard::{Level, Moment};

const SPEED: &str = "FollowPath.max_vel_x";
const SAMPLES: &str = "FollowPath.vx_samples";
const INFLATION: &str = "inflation_layer.inflation_radius";

/// A world in which an action has been applied and read back.
fn applied(action: f32) -> World {
    let mut world = World::new();
    world.pass(100);
    world.apply(action);
    world.pass(1000);
    world.assert_applied(action);
    world
}

fn refused(world: &World, name: &str) -> String {
    match world.status(name) {
        TargetStatus::Refused { words } => words,
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn one_atomic_call_a_node_with_typed_values_and_a_read_back() {
    let mut world = applied(0.5);
    assert_eq!(world.server().sets.len(), 1);
    let (_, service, values) = world.server().sets[0].clone();
    assert_eq!((service, values.len()), (SetService::Atomically, 6));
    assert!(matches!(values[2], (ref name, RosValue::Integer(10)) if name == SAMPLES));
    assert_eq!(world.nodes[COSTMAP].sets.len(), 1);
    assert_eq!(world.status(SPEED), TargetStatus::Applied);
    assert_eq!(world.status(INFLATION), TargetStatus::Applied);
}

#[test]
fn fault_31_planner_absent_at_start_is_said_with_growing_pauses_and_set_when_it_comes() {
    let mut world = World::new();
    for node in world.nodes.values_mut() {
        (node.alive, node.looks_available) = (false, false);
    }
    world.apply(0.5);
    world.pass(40_000);
    assert_eq!(world.status(SPEED), TargetStatus::Unreachable);
    let waits: Vec<u64> = world
        .notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::Unreachable { node, again_in } if node.as_str() == SERVER => Some(again_in.as_secs()),
            _ => None,
        })
        .collect();
    assert_eq!(waits, [1, 2, 4, 8, 10, 10, 10]);
    assert!(world.notices.iter().all(|notice| notice.level() == Level::Warn));
    assert_eq!(world.said("not applied"), 14);

    world.server().respawn();
    let came = world.now_ms;
    world.pass(1000);
    world.assert_applied(0.5);
    assert!(world.server().sets[0].0 - came <= 1000);
    assert_eq!(world.status(SPEED), TargetStatus::Applied);
    assert_eq!(world.status(INFLATION), TargetStatus::Unreachable, "each node for itself");
}

#[test]
fn fault_31_a_node_that_is_not_configured_yet_is_set_when_it_is() {
    let mut world = World::new();
    world.server().configured = false;
    world.pass(100);
    world.apply(0.5);
    world.pass(5000);
    assert_eq!(world.server().sets, []);
    assert!(refused(&world, SPEED).starts_with("not declared; is the node configured"));
    world.server().configured = true;
    world.pass(1000);
    world.assert_applied(0.5);
    assert_eq!(world.status(SPEED), TargetStatus::Applied);
}

/// The names are asked for one at a time when a node goes away and comes back.
#[test]
fn fault_31_a_node_that_goes_away_while_its_names_are_read_is_read_again() {
    let mut world = World::new();
    world.server().values.remove(SAMPLES);
    world.pass(100);
    world.server().dies_on_get = Some(7);
    world.apply(0.5);
    world.server().looks_available = false;
    world.event(SERVER, Event::Available(false));
    world.pass(1000);
    world.server().respawn();
    world.pass(1000);
    world.assert_applied(0.5);
}

#[test]
fn fault_32_swallowed_sets_time_out_back_off_and_rebuild_the_client() {
    let mut world = World::new();
    world.server().swallows_sets = true;
    world.pass(100);
    world.apply(0.5);
    world.pass(30_000);
    let times: Vec<u64> = world.server().sets.iter().map(|(at, ..)| *at).collect();
    let pauses: Vec<u64> = times.windows(2).map(|pair| (pair[1] - pair[0] + 500) / 1000).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 10], "time-out 0.3 s and 1, 2, 4, 8, 10 s: {times:?}");
    assert_eq!(world.rebuilds, 2, "after three unanswered and three more");
    assert!(world.notices.iter().any(|notice| notice.level() == Level::Error));
    assert_eq!(world.status(SPEED), TargetStatus::Unreachable);
    assert_eq!(world.status(INFLATION), TargetStatus::Applied);
    assert_eq!(world.sink.halted(), None, "it answers reads: it did not die");
    world.server().swallows_sets = false;
    world.pass(11_000);
    world.assert_applied(0.5);
    assert_eq!(world.status(SPEED), TargetStatus::Applied);
}

#[test]
fn fault_32_late_answers_are_ignored() {
    let mut world = applied(0.5);
    world.server().swallows_sets = true;
    world.apply(-0.5);
    world.pass(500);
    assert_eq!(world.status(SPEED), TargetStatus::Unreachable);
    // Set after the time-out: the read-back finds it, no second set is needed.
    world.server().swallows_sets = false;
    let (_, _, values) = world.server().sets.last().unwrap().clone();
    world.server().values.extend(values);
    let sets = world.server().sets.len();
    world.pass(500);
    assert_eq!(world.status(SPEED), TargetStatus::Applied);
    world.pass(3000);
    assert_eq!(world.server().sets.len(), sets);
}

#[test]
fn fault_33_an_undeclared_parameter_is_refused_in_the_servers_words_and_the_others_are_applied() {
    let mut world = World::new();
    world.server().values.remove(SAMPLES);
    world.pass(100);
    world.apply(0.5);
    world.pass(2000);
    assert_eq!(refused(&world, SAMPLES), format!("parameter '{SAMPLES}' cannot be set because it was not declared"));
    assert_eq!(world.status(SPEED), TargetStatus::Applied);
    assert_eq!(world.value(SERVER, SPEED), RosValue::Double(dwa(0.5).get("max_vel_x").unwrap()));
    assert_eq!(world.said("refused FollowPath.vx_samples"), 1);
    // It comes later.
    world.server().values.insert(SAMPLES.to_owned(), RosValue::Integer(1));
    world.pass(11_000);
    assert_eq!(world.value(SERVER, SAMPLES), RosValue::Integer(10));
    assert!(matches!(world.status(SAMPLES), TargetStatus::Stored { .. }));
}

#[test]
fn fault_33_a_wrong_type_is_refused_and_a_second_batch_sets_the_others_at_once() {
    let mut world = World::new();
    world.server().values.insert(SPEED.to_owned(), RosValue::Integer(1));
    world.pass(100);
    world.apply(0.5);
    world.pass(100);
    assert!(
        refused(&world, SPEED)
            .starts_with("Wrong parameter type, parameter {FollowPath.max_vel_x} is of type {integer}")
    );
    let sizes: Vec<(SetService, usize)> = world.server().sets.iter().map(|(_, s, v)| (*s, v.len())).collect();
    assert_eq!(sizes, [(SetService::Atomically, 6), (SetService::Atomically, 5)]);
    assert_eq!(world.status("FollowPath.max_vel_theta"), TargetStatus::Applied);
    // What is refused does not hold up what comes next.
    world.apply(-0.5);
    world.pass(600);
    assert_eq!(world.value(SERVER, SAMPLES), RosValue::Integer(6));
}

#[test]
fn fault_33_a_refusal_that_names_nothing_is_resolved_one_by_one() {
    let mut world = World::new();
    world.server().refuses.insert(SPEED.to_owned(), "speed limit is active".to_owned());
    world.pass(100);
    world.apply(0.5);
    world.pass(100);
    let services: Vec<SetService> = world.server().sets.iter().map(|(_, service, _)| *service).collect();
    assert_eq!(services, [SetService::Atomically, SetService::Each]);
    assert_eq!(refused(&world, SPEED), "speed limit is active");
    assert_eq!(world.status("FollowPath.max_vel_theta"), TargetStatus::Applied);
    // Asked again after 1, 2, 4 .. s, on its own; taken once the reason is gone.
    world.server().refuses.clear();
    world.pass(1500);
    assert_eq!(world.status(SPEED), TargetStatus::Applied);
    world.assert_applied(0.5);
}

#[test]
fn fault_34_accepted_and_not_used_is_stored_and_said_once_with_the_remedy() {
    let mut world = applied(0.5);
    for name in [SAMPLES, "FollowPath.vtheta_samples", "FollowPath.PathDist.scale", "FollowPath.GoalDist.scale"] {
        let TargetStatus::Stored { remedy } = world.status(name) else { panic!("{name}") };
        assert!(remedy.contains("controller_bank"), "{remedy}");
    }
    world.apply(-0.5);
    world.pass(5000);
    assert_eq!(world.said("does not use it while it runs"), 4);
}

#[test]
fn fault_34_a_server_that_accepts_and_forgets_is_found_out() {
    let mut world = World::new();
    world.server().ignores_sets = true;
    world.pass(100);
    world.apply(0.5);
    world.pass(20_000);
    assert_eq!(refused(&world, SPEED), format!("1.55 was accepted, but {SPEED} reads back 0.26"));
    assert!(world.server().sets.len() < 8, "{}", world.server().sets.len());
    assert_eq!(world.sink.halted(), None);
}

#[test]
fn fault_35_killed_and_respawned_with_yaml_values_is_set_again_within_a_second() {
    for (looks_available, gone_ms) in [(true, 3000), (true, 400), (true, 15_000), (false, 3000), (false, 25_000)] {
        let mut world = applied(0.5);
        world.pass(5000);
        world.server().kill();
        world.server().looks_available = looks_available;
        world.pass(gone_ms);
        let sets = world.server().sets.len();
        world.server().respawn();
        let back = world.now_ms;
        world.pass(1000);
        world.assert_applied(0.5);
        let first = world.server().sets[sets].0;
        assert!(first - back <= 1000, "{} ms after {gone_ms} ms", first - back);
        assert_eq!(world.said("was restarted"), 1, "{looks_available} {gone_ms}");
        assert_eq!(world.status(SPEED), TargetStatus::Applied);
        assert_eq!(world.sink.halted(), None, "it did not die of a set");
    }
}

#[test]
fn fault_35_a_respawned_node_is_set_again_when_it_is_configured() {
    let mut world = applied(0.5);
    world.pass(5000);
    world.server().kill();
    world.pass(2000);
    world.server().respawn();
    world.server().configured = false;
    world.pass(3000);
    world.server().configured = true;
    world.pass(1000);
    world.assert_applied(0.5);
    assert_eq!(world.status(SPEED), TargetStatus::Applied);
}

#[test]
fn fault_35_a_tuner_that_is_restarted_beside_a_running_planner_finds_its_values() {
    let mut world = applied(0.5);
    let sets = world.server().sets.len();
    world.sink = PlannerSink::new(world.sink.mapping().clone(), ApplierLimits::default()).unwrap();
    world.pass(100);
    world.apply(0.5);
    world.pass(1000);
    assert_eq!(world.server().sets.len(), sets, "it has them already");
    assert_eq!(world.status(SPEED), TargetStatus::Applied);
    world.server().kill();
    world.pass(2000);
    world.server().respawn();
    world.pass(1000);
    world.assert_applied(0.5);
}

fn conflict(on_conflict: OnConflict) -> World {
    let mut world = World::with(ApplierLimits { on_conflict, ..ApplierLimits::default() });
    world.pass(100);
    world.apply(0.5);
    world.pass(5000);
    world.server().values.insert(SPEED.to_owned(), RosValue::Double(0.123));
    world.pass(1000);
    let ours = "somebody changed FollowPath.max_vel_x of controller_server from 1.55 to 0.123";
    assert_eq!(world.said(ours), 1, "{:?}", world.notices);
    world
}

#[test]
fn fault_36_an_operators_value_is_yielded_to_by_default() {
    assert_eq!(ApplierLimits::default().on_conflict, OnConflict::Yield);
    let mut world = conflict(OnConflict::Yield);
    assert_eq!(world.status(SPEED), TargetStatus::Yielded { theirs: Some(RosValue::Double(0.123)) });
    world.apply(-0.5);
    world.pass(3000);
    assert_eq!(world.value(SERVER, SPEED), RosValue::Double(0.123));
    assert_eq!(world.value(SERVER, SAMPLES), RosValue::Integer(6), "the others are still ours");
    world.sink.resume();
    world.pass(1000);
    world.assert_applied(-0.5);
}

#[test]
fn fault_36_a_respawn_ends_the_yielding() {
    let mut world = conflict(OnConflict::Yield);
    world.server().kill();
    world.pass(2000);
    world.server().respawn();
    world.pass(1000);
    world.assert_applied(0.5);
}

#[test]
fn fault_36_insist_and_stop() {
    let world = conflict(OnConflict::Insist);
    world.assert_applied(0.5);
    assert_eq!(world.status(SPEED), TargetStatus::Applied);
    let mut world = conflict(OnConflict::Stop);
    assert!(world.sink.halted().unwrap().contains("somebody else changed FollowPath.max_vel_x"));
    let sets = world.server().sets.len();
    world.apply(-0.5);
    world.pass(5000);
    assert_eq!(world.server().sets.len(), sets);
    assert!(matches!(world.status(SPEED), TargetStatus::Stopped { .. }));
}

#[test]
fn fault_37_a_planner_that_dies_of_sets_is_left_alone_after_the_second_time() {
    let mut world = applied(0.5);
    for death in 1..=2 {
        assert_eq!(world.sink.halted(), None);
        world.server().dies_on_set = Some(1);
        world.apply(if death == 1 { -0.5 } else { 0.0 });
        world.pass(5000);
        world.server().respawn();
        world.pass(1000);
        assert_eq!(world.said("went away right after"), death);
    }
    assert!(world.sink.halted().unwrap().contains("controller_server: it went away 2 times within 60 s"));
    let sets = world.server().sets.len();
    world.apply(0.9);
    world.pass(30_000);
    assert_eq!(world.server().sets.len(), sets, "nothing is set any more");
    world.sink.resume();
    world.pass(1000);
    world.assert_applied(0.9);
}

#[test]
fn fault_37_the_first_set_of_all_may_be_the_deadly_one() {
    let mut world = World::new();
    world.pass(100);
    world.server().dies_on_set = Some(1);
    world.apply(0.5);
    world.pass(3000);
    world.server().dies_on_set = Some(1);
    world.server().respawn();
    world.pass(3000);
    world.server().respawn();
    world.pass(1000);
    assert!(world.sink.halted().is_some(), "{:?}", world.notices);
}

#[test]
fn fault_37_two_deaths_far_apart_are_no_pattern() {
    let mut world = applied(0.5);
    for action in [-0.5, 0.0] {
        world.server().dies_on_set = Some(1);
        world.apply(action);
        world.pass(5000);
        world.server().respawn();
        world.pass(70_000);
    }
    assert_eq!(world.sink.halted(), None);
    world.assert_applied(0.0);
}

#[test]
fn fault_37_exposure_is_limited_by_hysteresis_and_rate() {
    let mut world = applied(0.5);
    let sets = world.server().sets.len();
    world.apply(0.51);
    world.pass(5000);
    assert_eq!(world.server().sets.len(), sets, "half a per cent of the range is not worth a call");
    for step in 0..100 {
        world.apply(if step % 2 == 0 { -0.5 } else { 0.5 });
        world.pass(50);
    }
    let times: Vec<u64> = world.server().sets[sets..].iter().map(|(at, ..)| *at).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 500), "{times:?}");
    assert!(times.len() >= 9, "{times:?}");
    world.pass(1000);
    world.assert_applied(0.5);
}

#[test]
fn start_values_are_kept_for_the_way_out() {
    let world = applied(0.5);
    let values = world.sink.start_values();
    assert_eq!(values.len(), 2);
    assert!(values[0].1.contains(&(SPEED.to_owned(), RosValue::Double(0.26))));
    assert_eq!(World::new().sink.start_values(), []);
}

#[test]
fn release_sets_nothing_any_more() {
    let mut world = applied(0.5);
    world.sink.release();
    world.server().kill();
    world.pass(2000);
    world.server().respawn();
    let (sets, gets) = (world.server().sets.len(), world.server().gets.len());
    world.pass(5000);
    assert_eq!((world.server().sets.len(), world.server().gets.len()), (sets, gets));
    world.apply(0.2);
    world.pass(1000);
    world.assert_applied(0.2);
}

#[test]
fn topic_and_shadow_publish_only() {
    let planner = PlannerSpec::builtin("teb").unwrap();
    let mapping = Mapping::named("shadow", &planner).unwrap();
    let mut sink = PlannerSink::new(mapping, ApplierLimits::default()).unwrap();
    assert_eq!(sink.apply(Moment::default(), &planner.safe_defaults()), []);
    let status = sink.status();
    assert_eq!(status.len(), planner.parameters().len());
    assert!(status.iter().all(|line| line.status == TargetStatus::Published && line.value.is_some()));
}

#[test]
fn limits_that_cannot_be_are_refused_by_name() {
    let limits = ApplierLimits { apply_rate: f64::NAN, ..ApplierLimits::default() };
    assert_eq!(limits.check().unwrap_err().to_string(), "apply_rate is NaN, expected 0.01 to 20 Hz");
    let limits = ApplierLimits { poll_interval: std::time::Duration::ZERO, ..ApplierLimits::default() };
    assert!(limits.check().unwrap_err().to_string().starts_with("poll_interval is 0 s"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Whatever a planner does in between (the fake asserts that only one call is ever in flight): once it behaves, it
    /// has what is wanted within the longest pause, unless an operator changed it or it kept dying.
    #[test]
    fn a_planner_that_comes_to_its_senses_gets_its_parameters(
        doings in proptest::collection::vec((0u8..10, 0u64..4000, -1.0f32..1.0), 1..25),
    ) {
        let mut world = World::with(ApplierLimits { on_conflict: OnConflict::Insist, hysteresis: 0.0, ..ApplierLimits::default() });
        for (doing, pause, action) in doings {
            match doing {
                0 => world.server().kill(),
                1 => world.server().respawn(),
                2 => {
                    world.server().looks_available = false;
                    world.event(SERVER, Event::Available(false));
                }
                3 => world.server().swallows_sets ^= true,
                4 => world.server().configured ^= true,
                5 => drop(world.server().refuses.insert(SPEED.to_owned(), "no".to_owned())),
                6 => drop(world.server().values.insert(SPEED.to_owned(), RosValue::Double(f64::from(action)))),
                7 => world.event(SERVER, Event::Tick),
                _ => world.apply(action),
            }
            world.pass(pause);
        }
        world.server().respawn();
        world.server().swallows_sets = false;
        world.server().configured = true;
        world.server().refuses.clear();
        world.apply(0.3);
        world.pass(15_000);
        if world.sink.halted().is_none() {
            world.assert_applied(0.3);
            prop_assert_eq!(world.status(SPEED), TargetStatus::Applied);
        }
    }
}
