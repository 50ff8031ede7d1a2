//! The planner sink against the faults of planners, with fake nodes and fake time.

use crate::support::nav2_fake::{COSTMAP, INFLATION, SAMPLES, SERVER, SPEED, World, applied, dwa};
use vlm_planner_tuner::nav2::{ApplierLimits, Event, Mapping, Notice, PlannerSink, RosValue, SetService, TargetStatus};
use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::planner::guard::{Level, Moment};
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
fn fault_32_swallowed_sets_time_out_back_off_and_are_told_of_once() {
    let mut world = World::new();
    world.server().swallows_sets = true;
    world.pass(100);
    world.apply(0.5);
    world.pass(30_000);
    let times: Vec<u64> = world.server().sets.iter().map(|(at, ..)| *at).collect();
    let pauses: Vec<u64> = times.windows(2).map(|pair| (pair[1] - pair[0] + 500) / 1000).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 10], "time-out 0.3 s and 1, 2, 4, 8, 10 s: {times:?}");
    assert_eq!(world.said("left three calls unanswered"), 1);
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
