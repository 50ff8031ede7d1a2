//! The planner sink beside planners that are killed, come back, are changed by others, and die of being set.

use crate::support::nav2_fake::{SAMPLES, SERVER, SPEED, World, applied};
use proptest::prelude::*;
use vlm_planner_tuner::nav2::{ApplierLimits, Event, OnConflict, PlannerSink, RosValue, TargetStatus};

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

/// Reading finds a respawn, and discovery tells of it a moment later: after the set, of which it did not die.
#[test]
fn fault_35_a_respawn_that_is_told_of_twice_is_one() {
    let mut world = applied(0.5);
    for respawn in 1..=3 {
        world.pass(5000);
        world.server().kill();
        world.pass(1500);
        world.server().respawn();
        world.pass(1000);
        world.assert_applied(0.5);
        let sets = world.server().sets.len();
        world.event(SERVER, Event::Replaced);
        world.pass(1000);
        assert_eq!(world.server().sets.len(), sets, "it has them already");
        assert_eq!((world.said("was restarted"), world.said("went away right after")), (respawn, 0));
    }
    assert_eq!(world.sink.halted(), None);
}

#[test]
fn fault_35_a_respawn_that_no_call_noticed_is_told_of_by_discovery() {
    let mut world = applied(0.5);
    world.pass(5000);
    world.server().kill();
    world.server().respawn();
    world.event(SERVER, Event::Replaced);
    world.pass(100);
    world.assert_applied(0.5);
    assert_eq!(world.said("was restarted"), 1);
}

#[test]
fn fault_37_a_death_that_discovery_tells_of_first_counts() {
    let mut world = applied(0.5);
    for death in 1..=2 {
        world.apply(if death == 1 { -0.5 } else { 0.0 });
        world.pass(600);
        world.server().kill();
        world.server().respawn();
        world.event(SERVER, Event::Replaced);
        world.pass(100);
        assert_eq!(world.said("went away right after"), death);
    }
    assert!(world.sink.halted().is_some());
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

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Whatever a planner does in between (the fake asserts that only one call is ever in flight): once it behaves, it
    /// has what is wanted within the longest pause, unless an operator changed it or it kept dying.
    #[test]
    fn a_planner_that_comes_to_its_senses_gets_its_parameters(
        doings in proptest::collection::vec((0u8..12, 0u64..4000, -1.0f32..1.0), 1..25),
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
                8 => world.event(SERVER, Event::Replaced),
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
