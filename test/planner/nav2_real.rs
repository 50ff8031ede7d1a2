//! What a real controller_server does, as measured, against the sink, in fake time.

use crate::support::nav2_fake::{SAMPLES, SERVER, SPEED, World, applied, dwa};
use vlm_planner_tuner::nav2::{ApplierLimits, Event, LifecycleState, RosValue, TargetStatus};

fn shipped() -> World {
    World::with_mapping(include_str!("../../config/nav2/nav2_dwb.yaml"), ApplierLimits::default())
}

/// Somebody else sets a parameter, and the node tells of it.
fn foreign_set(world: &mut World, name: &str, value: f64) {
    world.server().values.insert(name.to_owned(), RosValue::Double(value));
    world.event(SERVER, Event::Changed(vec![(name.to_owned(), Some(RosValue::Double(value)))]));
}

/// What was set since, as the node tells of it.
fn echo(world: &mut World, from: usize) {
    let sets: Vec<_> = world.server().sets[from..].iter().map(|(_, _, values)| values.clone()).collect();
    for values in sets {
        world.event(SERVER, Event::Changed(values.into_iter().map(|(name, value)| (name, Some(value))).collect()));
    }
}

#[test]
fn sets_are_few_and_carry_speeds_and_samples_together() {
    let mut world = shipped();
    world.pass(100);
    world.apply(0.5);
    world.pass(5000);
    let before = world.server().sets.len();
    // 2 % of the range is not worth a set, however long it lasts.
    world.apply(0.54);
    world.pass(10_000);
    assert_eq!(world.server().sets.len(), before);
    for step in 0..120 {
        world.apply(if step % 2 == 0 { -0.5 } else { 0.5 });
        world.pass(500);
    }
    let sets = &world.server().sets[before..];
    let times: Vec<u64> = sets.iter().map(|(at, ..)| *at).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 2000), "{times:?}");
    assert!((20..=31).contains(&times.len()), "0.5 Hz in 60 s: {}", times.len());
    assert!(sets.iter().all(|(_, _, values)| values.len() == 6), "one batch");
}

#[test]
fn small_changes_are_set_at_a_new_goal_or_while_standing_where_the_mapping_says_so() {
    let text = include_str!("../../config/nav2/nav2_dwb.yaml")
        .replace("apply:", "apply:\n  small_changes: {at_new_goal: true, while_standing: true}");
    let mut world = World::with_mapping(&text, ApplierLimits::default());
    world.pass(100);
    world.apply(0.5);
    world.pass(5000);
    let sets = world.server().sets.len();
    world.apply(0.56);
    world.pass(5000);
    assert_eq!(world.server().sets.len(), sets);
    world.sink.new_goal();
    world.pass(1000);
    assert_eq!(world.server().sets.len(), sets + 1);
    world.apply(0.5);
    world.pass(5000);
    assert_eq!(world.server().sets.len(), sets + 1);
    world.sink.standing(true);
    world.pass(1000);
    assert_eq!(world.server().sets.len(), sets + 2);
}

#[test]
fn safe_defaults_do_not_wait_for_their_turn() {
    let mut world = shipped();
    world.pass(100);
    world.apply(0.5);
    world.pass(500);
    let commands = world.sink.apply_at_once(world.now(), &dwa(-0.5));
    assert!(commands.iter().any(|(node, _)| node.as_str() == SERVER));
}

#[test]
fn four_foreign_sets_while_values_change_are_kept_and_told_of() {
    let mut world = applied(0.5);
    echo(&mut world, 0);
    let names = [SPEED, "FollowPath.max_vel_theta", "FollowPath.PathDist.scale", "FollowPath.GoalDist.scale"];
    for (turn, name) in names.into_iter().enumerate() {
        let before = world.server().sets.len();
        world.apply(if turn % 2 == 0 { -0.5 } else { 0.25 });
        world.pass(500);
        echo(&mut world, before);
        foreign_set(&mut world, name, 0.111);
        assert_eq!(world.status(name), TargetStatus::Yielded { theirs: Some(RosValue::Double(0.111)) }, "at once");
    }
    world.apply(0.0);
    world.pass(5000);
    for name in names {
        assert_eq!(world.value(SERVER, name), RosValue::Double(0.111), "{name}");
    }
    assert_eq!(world.said("somebody changed"), 4, "{:?}", world.notices);
    assert_eq!(world.sink.reports()[0].counts.conflicts, 4);
    assert_eq!(world.value(SERVER, SAMPLES), RosValue::Integer(8), "the others are still ours");
}

/// Our set was on its way already: the node takes it after theirs.
#[test]
fn a_foreign_value_that_a_set_of_ours_overtakes_is_given_back() {
    let mut world = applied(0.5);
    echo(&mut world, 0);
    let before = world.server().sets.len();
    world.apply(-0.5);
    world.event(SERVER, Event::Changed(vec![(SPEED.to_owned(), Some(RosValue::Double(0.111)))]));
    assert_eq!(world.server().sets.len(), before + 1);
    echo(&mut world, before);
    world.pass(1000);
    assert_eq!(world.value(SERVER, SPEED), RosValue::Double(0.111));
    assert_eq!(world.said("somebody changed"), 1);
}

#[test]
fn what_is_stored_is_in_use_after_the_next_configure_and_nothing_before_is() {
    let mut world = applied(0.5);
    world.event(SERVER, Event::Lifecycle(LifecycleState::Active));
    world.pass(500);
    assert!(matches!(world.status(SAMPLES), TargetStatus::Stored { .. }));
    for state in [LifecycleState::Leaving, LifecycleState::Inactive, LifecycleState::Leaving] {
        world.event(SERVER, Event::Lifecycle(state));
    }
    world.event(SERVER, Event::Lifecycle(LifecycleState::Unconfigured));
    let unconfigured = TargetStatus::NotInUse { state: LifecycleState::Unconfigured };
    assert_eq!(world.status(SPEED), unconfigured);
    let (gets, sets) = (world.server().gets.len(), world.server().sets.len());
    world.pass(10_000);
    assert_eq!((world.server().gets.len(), world.server().sets.len()), (gets, sets), "quiet");
    assert_eq!(world.status(SPEED), unconfigured);
    for state in [LifecycleState::Configuring, LifecycleState::Inactive] {
        world.event(SERVER, Event::Lifecycle(state));
    }
    world.pass(500);
    assert_eq!(world.status(SPEED), TargetStatus::NotInUse { state: LifecycleState::Inactive });
    assert_eq!(world.said("FollowPath.vx_samples 10, which was only stored, is in use now"), 1, "{:?}", world.notices);
    world.event(SERVER, Event::Lifecycle(LifecycleState::Active));
    world.pass(500);
    assert_eq!(world.status(SAMPLES), TargetStatus::Applied);
    world.apply(-0.5);
    world.pass(1000);
    assert!(matches!(world.status(SAMPLES), TargetStatus::Stored { .. }), "another value is only stored again");
    assert_eq!(world.sink.halted(), None);
}

#[test]
fn clean_restarts_are_no_deaths_and_kills_are() {
    let mut world = applied(0.5);
    for restart in 0..3 {
        world.apply(if restart % 2 == 0 { -0.5 } else { 0.5 });
        world.pass(600);
        world.event(SERVER, Event::Left);
        world.server().kill();
        world.server().looks_available = false;
        world.pass(3000);
        world.server().respawn();
        world.event(SERVER, Event::Replaced);
        world.pass(1000);
    }
    assert_eq!((world.sink.halted(), world.said("went away right after")), (None, 0), "{:?}", world.notices);
    for death in 1..=2 {
        world.apply(if death == 1 { -0.5 } else { 0.5 });
        world.pass(600);
        world.server().kill();
        world.server().respawn();
        world.event(SERVER, Event::Replaced);
        world.pass(1000);
    }
    assert!(world.sink.halted().is_some());
    let last = world.notices.iter().rposition(|notice| notice.to_string().contains("nothing is set any more")).unwrap();
    assert!(world.notices[last..].iter().all(|notice| !notice.to_string().contains("ours are set again")));
}

#[test]
fn services_that_nobody_answers_before_configure_are_asked_less_and_less_and_told_of_once() {
    let mut world = World::new();
    world.server().alive = false;
    world.apply(0.5);
    world.pass(60_000);
    let gets = world.server().gets.len();
    assert!(gets <= 12, "{gets}");
    let about: Vec<String> = world.notices.iter().map(ToString::to_string).filter(|n| n.starts_with(SERVER)).collect();
    assert_eq!(about.iter().filter(|notice| notice.contains("answers none")).count(), 1, "{about:?}");
    assert_eq!(about.iter().filter(|notice| notice.contains("not applied")).count(), 0, "{about:?}");
    world.server().respawn();
    // The node tells that it is configured: it is not waited for.
    world.event(SERVER, Event::Lifecycle(LifecycleState::Inactive));
    world.pass(500);
    world.assert_applied(0.5);
}

/// The bank that the shipped mapping shows, with its comment marks taken away.
fn banked() -> World {
    let text = include_str!("../../config/nav2/nav2_dwb.yaml");
    let (head, bank) = text.split_once("# controller_bank:").unwrap();
    let bank: Vec<&str> = bank.lines().map(|line| line.strip_prefix('#').unwrap_or(line)).collect();
    let text = format!("{head}controller_bank:{}\n", bank.join("\n"));
    let mut world = World::with_mapping(&text, ApplierLimits::default());
    for (name, value) in [("max_vel_x", 0.5), ("max_vel_theta", 1.0)] {
        world.server().values.insert(format!("FollowPathWide.{name}"), RosValue::Double(value));
    }
    world
}

#[test]
fn a_controller_is_selected_only_when_it_is_there_as_expected_and_somebody_listens() {
    let mut world = banked();
    world.pass(100);
    world.apply(-0.9);
    world.pass(2000);
    assert_eq!(world.sink.controller(), Some("FollowPath"));
    let why = |world: &World| match world.status(SAMPLES) {
        TargetStatus::NotSelected { why } => why,
        other => panic!("{other:?}"),
    };
    assert!(why(&world).contains("nobody subscribes"));
    world.sink.selector_is_heard(true);
    assert!(
        why(&world).contains("FollowPath.vx_samples of controller_server is 20, and the bank says 6"),
        "{}",
        why(&world)
    );
    for (name, value) in [
        ("vx_samples", RosValue::Integer(6)),
        ("vtheta_samples", RosValue::Integer(20)),
        ("PathDist.scale", RosValue::Double(0.4 * 0.75)),
        ("GoalDist.scale", RosValue::Double(0.4)),
    ] {
        world.server().values.insert(format!("FollowPath.{name}"), value);
    }
    world.pass(3000);
    assert_eq!(world.status(SAMPLES), TargetStatus::Selected);
    let line = world.sink.status().into_iter().find(|line| line.parameter == "vx_samples").unwrap();
    assert_eq!(line.value, Some(RosValue::Integer(6)), "the controller's value, not the wanted one");
    let sets = &world.server().sets;
    assert!(sets.iter().flat_map(|(_, _, values)| values).all(|(name, _)| !name.ends_with("samples")));
}

/// As measured: each set makes MPPI start its optimiser anew, which costs as much way as 0.28 s of standing (0.49 m/s without
/// sets, 0.42 at 0.5 Hz, 0.23 at 2 Hz). The five minutes pass on a simulated clock.
#[test]
fn a_wandering_policy_costs_mppi_at_most_a_tenth_of_its_speed() {
    let planner = vlm_planner_tuner::planner::PlannerSpec::builtin("mppi").unwrap();
    let mut world = World::mppi();
    world.pass(100);
    let mut action = [0.0_f32; 8];
    let mut random = 7_u32;
    for _ in 0..600 {
        for value in &mut action {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *value = (*value + (random >> 16) as f32 / 65_536.0 - 0.5).clamp(-1.0, 1.0);
        }
        world.decide(&planner.from_action(&action).unwrap());
        world.pass(500);
    }
    let sets: Vec<u64> = world.server().sets.iter().map(|(at, ..)| *at).collect();
    assert!((30..=60).contains(&sets.len()), "{}", sets.len());
    let driven_ms = 300_000.0 - 280.0 * sets.len() as f64;
    assert!(driven_ms / 300_000.0 >= 0.9, "{} of the speed", driven_ms / 300_000.0);
    assert!(sets.windows(2).all(|pair| pair[1] - pair[0] >= 5000), "{sets:?}");
}

#[test]
fn an_untouched_mppi_is_left_untouched() {
    let planner = vlm_planner_tuner::planner::PlannerSpec::builtin("mppi").unwrap();
    let mut world = World::mppi();
    world.pass(100);
    world.decide(&planner.safe_defaults());
    world.pass(5000);
    assert_eq!(world.server().sets, [], "the safe defaults are Nav2's start values");
}
