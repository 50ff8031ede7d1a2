//! Whatever comes in, nothing outside the envelope leaves.

use crate::support::guard_scene;
use std::collections::BTreeMap;

use crate::support::guard_scene::ms;
use proptest::prelude::*;
use vlm_planner_tuner::frame::Stamp;
use vlm_planner_tuner::nav2::{Mapping, RosType, RosValue, plan};
use vlm_planner_tuner::planner::envelope::{ChangeCause, Envelope, EnvelopeLimits};
use vlm_planner_tuner::planner::guard::{
    ClockEvent, Failure, FrameArrival, Guard, GuardLimits, Instruction, Mode, Moment, Operator, Reaction,
};
use vlm_planner_tuner::planner::{PlannerParameters, PlannerSpec};

const PLANNERS: [&str; 4] = ["dwa", "teb", "mppi", "ddp"];

/// The floor that the default limits put under the inflation radius, m.
const FLOOR: f64 = 0.215 + 0.02;

fn assert_within(parameters: &PlannerParameters, floor: f64) {
    for (parameter, value) in parameters.iter() {
        let name = parameter.name();
        assert!(value.is_finite() && parameter.min() <= value && value <= parameter.max(), "{name} = {value}");
        assert!(!parameter.is_integer() || value.fract() == 0.0, "{name} = {value}");
        assert!(name != "inflation_radius" || value >= floor, "{name} = {value}");
    }
}

#[test]
fn fault_38_inflation_stays_above_the_inscribed_radius_and_below_the_ceiling() {
    let planner = PlannerSpec::builtin("dwa").unwrap();
    let inflation = |limits: EnvelopeLimits, action: f32| {
        let limits = EnvelopeLimits { slew_rate: None, hysteresis: 0.0, ..limits };
        let envelope = Envelope::new(planner.clone(), limits).unwrap();
        let applied = envelope.apply(&planner.from_action(&[action; 7]).unwrap(), None, Moment::default());
        applied.parameters().get("inflation_radius").unwrap()
    };
    let large = EnvelopeLimits { inscribed_radius: 0.4, ..EnvelopeLimits::default() };
    let allowed = EnvelopeLimits { allow_below_inscribed: true, ..EnvelopeLimits::default() };
    assert!((inflation(EnvelopeLimits::default(), -1.0) - FLOOR).abs() < 1e-9);
    assert!((inflation(large, -1.0) - 0.42).abs() < 1e-9);
    assert!((inflation(allowed, -1.0) - 0.1).abs() < 1e-6);
    assert!((inflation(EnvelopeLimits::default(), 1.0) - 0.6).abs() < 1e-6);
    let giant = EnvelopeLimits { inscribed_radius: 0.7, ..EnvelopeLimits::default() };
    let refused = Envelope::new(planner.clone(), giant).unwrap_err().to_string();
    assert!(refused.contains("set allow_below_inscribed"), "{refused}");
}

/// P1: 10^6 actions of any bit pattern, through scaling, envelope and mapping, each after the one before.
#[test]
fn p1_a_million_bit_patterns_give_nothing_outside_the_envelope() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut passed = 0;
    for name in PLANNERS {
        let planner = PlannerSpec::builtin(name).unwrap();
        let envelope = Envelope::new(planner.clone(), EnvelopeLimits::default()).unwrap();
        let mapping = Mapping::named(&format!("nav2_{}", if name == "dwa" { "dwb" } else { name }), &planner).ok();
        let mut last = None;
        let mut now = Moment::default();
        for case in 0..250_000 {
            let action: Vec<f32> = (0..planner.parameters().len())
                .map(|_| match random() {
                    // Every other case near the range, or few would be free of NaN and most at the limits.
                    bits if case % 2 == 0 => f32::from_bits(bits as u32),
                    bits => (bits as u32 as f32 / u32::MAX as f32) * 2.4 - 1.2,
                })
                .collect();
            now = now + ms(random() % 1500);
            let Ok(proposed) = planner.from_action(&action) else {
                assert!(action.iter().any(|value| !value.is_finite()), "{action:?}");
                continue;
            };
            let applied = envelope.apply(&proposed, last.as_ref(), now);
            assert_within(applied.parameters(), FLOOR);
            for batch in mapping.iter().flat_map(|mapping| plan(mapping, applied.parameters())) {
                for planned in batch.values {
                    assert!(planned.value.as_f64().is_finite(), "{planned:?}");
                    let integer =
                        ["samples", "batch_size", "time_steps"].iter().any(|n| planned.ros_parameter.ends_with(n));
                    assert_eq!(matches!(planned.value, RosValue::Integer(_)), integer, "{planned:?}");
                }
            }
            passed += 1;
            last = Some(applied);
        }
    }
    assert!(passed > 500_000, "{passed} were finite");
}

#[test]
fn types_are_the_servers() {
    for (planner, mapping) in [("dwa", "nav2_dwb"), ("mppi", "nav2_mppi")] {
        let mapping = Mapping::named(mapping, &PlannerSpec::builtin(planner).unwrap()).unwrap();
        for target in mapping.targets() {
            let integer =
                mapping.planner().parameters().iter().any(|p| p.name() == target.parameter() && p.is_integer());
            assert_eq!(target.ros_type() == RosType::Integer, integer, "{}", target.ros_parameter());
        }
    }
}

fn limits() -> impl Strategy<Value = EnvelopeLimits> {
    (proptest::option::of(0.01..10.0), 0.0..0.3, 0.0..0.3, 0.0..0.1, any::<bool>()).prop_map(
        |(slew_rate, hysteresis, inscribed_radius, inflation_margin, allow_below_inscribed)| EnvelopeLimits {
            slew_rate,
            slew_rate_of: BTreeMap::new(),
            hysteresis,
            inscribed_radius,
            inflation_margin,
            allow_below_inscribed,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn steps_keep_to_slew_rate_and_hysteresis(
        limits in limits(),
        steps in proptest::collection::vec((proptest::array::uniform7(-1.0f32..=1.0), 0u64..1500), 1..40),
    ) {
        let planner = guard_scene::dwa();
        let envelope = Envelope::new(planner.clone(), limits.clone()).unwrap();
        let floor = if limits.allow_below_inscribed { 0.0 } else { limits.inscribed_radius + limits.inflation_margin };
        let (mut last, mut now) = (None, Moment::default());
        for (action, pause) in steps {
            now = now + ms(pause);
            let proposed = planner.from_action(&action).unwrap();
            let applied = envelope.apply(&proposed, last.as_ref(), now);
            assert_within(applied.parameters(), floor);
            prop_assert_eq!(&applied, &envelope.apply(&proposed, last.as_ref(), now), "it is a function");
            if let Some(before) = &last {
                let pairs = before.parameters().iter().zip(applied.parameters().iter());
                for ((parameter, from), (_, to)) in pairs {
                    let range = parameter.max() - parameter.min();
                    let kept = from == to;
                    prop_assert!(kept || (to - from).abs() >= limits.hysteresis * range * 0.999, "{}", parameter.name());
                    // Beside its ramp, a value may lag by the hysteresis and by what an integer is rounded by.
                    let slack = limits.hysteresis * range + if parameter.is_integer() { 1.0 } else { 0.0 };
                    let seconds = (pause as f64 / 1e3).min(1.0);
                    let longest = limits.slew_rate.map_or(range, |rate| rate * range * seconds);
                    prop_assert!((to - from).abs() <= longest + slack + 1e-9, "{} {from} {to}", parameter.name());
                }
            }
            for change in applied.changes() {
                prop_assert!(change.proposed != change.applied);
                prop_assert!(limits.slew_rate.is_some() || change.cause != ChangeCause::SlewRate);
            }
            last = Some(applied);
        }
    }

    #[test]
    fn a_steady_proposal_is_reached(action in proptest::array::uniform7(-1.0f32..=1.0), rate in 0.005..2.0) {
        let planner = guard_scene::dwa();
        let limits = EnvelopeLimits { slew_rate: Some(rate), allow_below_inscribed: true, ..EnvelopeLimits::default() };
        let envelope = Envelope::new(planner.clone(), limits).unwrap();
        let proposed = planner.from_action(&action).unwrap();
        let mut now = Moment::default();
        let mut last = envelope.safe_defaults(now);
        for _ in 0..500 {
            now = now + ms(500);
            last = envelope.apply(&proposed, Some(&last), now);
        }
        for ((parameter, wanted), (_, reached)) in proposed.iter().zip(last.parameters().iter()) {
            let near = 0.02 * (parameter.max() - parameter.min());
            prop_assert!((wanted - reached).abs() < near, "{} {wanted} {reached}", parameter.name());
        }
    }

    #[test]
    fn off_lets_everything_pass(actions in proptest::collection::vec(proptest::array::uniform7(-1.0f32..=1.0), 1..10)) {
        let planner = guard_scene::dwa();
        let envelope = Envelope::new(planner.clone(), EnvelopeLimits::off()).unwrap();
        let mut last = None;
        for action in actions {
            let proposed = planner.from_action(&action).unwrap();
            let applied = envelope.apply(&proposed, last.as_ref(), Moment::default());
            prop_assert_eq!(applied.parameters(), &proposed);
            prop_assert_eq!(applied.changes(), &[]);
            last = Some(applied);
        }
    }
}

/// Anything that can happen to a guard.
#[derive(Debug, Clone)]
enum Happening {
    Frame { stamp: i64, hash: u64 },
    FrameNow,
    Refused,
    Velocity { linear: f64, angular: f64, behind: i64 },
    Admit { behind: i64 },
    Decided { action: [u32; 7] },
    Failed(u8),
    Clock(u8, i64),
    Operator(u8),
    PlannerFailing,
    Pass(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        1 => (any::<i64>(), any::<u64>()).prop_map(|(stamp, hash)| Happening::Frame { stamp, hash }),
        6 => Just(Happening::FrameNow),
        1 => Just(Happening::Refused),
        4 => (any::<f64>(), any::<f64>(), 0i64..3_000_000_000)
            .prop_map(|(linear, angular, behind)| Happening::Velocity { linear, angular, behind }),
        4 => (-1.0f64..1.0).prop_map(|linear| Happening::Velocity { linear, angular: 0.0, behind: 0 }),
        6 => (0i64..700_000_000).prop_map(|behind| Happening::Admit { behind }),
        4 => proptest::array::uniform7(any::<u32>()).prop_map(|action| Happening::Decided { action }),
        4 => Just(Happening::Decided { action: [0x3f00_0000; 7] }),
        1 => (0u8..3).prop_map(Happening::Failed),
        1 => (0u8..4, any::<i64>()).prop_map(|(event, by)| Happening::Clock(event, by)),
        1 => (0u8..6).prop_map(Happening::Operator),
        1 => Just(Happening::PlannerFailing),
        6 => (0u64..3000).prop_map(Happening::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    /// In any order of events: what leaves is in range, safe defaults come once an excursion, nothing is set when the
    /// mode forbids it, no ticket is older than the limit, and nothing panics.
    #[test]
    fn any_sequence_of_events_keeps_the_promises(
        happenings in proptest::collection::vec(happening(), 1..120),
        mode in prop_oneof![Just(Mode::Active), Just(Mode::Shadow), Just(Mode::Disabled)],
    ) {
        let planner = guard_scene::dwa();
        let envelope = Envelope::new(planner.clone(), EnvelopeLimits::default()).unwrap();
        let mut guard = Guard::new(envelope, GuardLimits::default(), mode, Moment::default()).unwrap();
        let (mut now, mut ros, mut mode) = (Moment::default(), 1_000_000_000_000_i64, mode);
        let (mut ticket, mut safe_called, mut failing) = (None, false, false);
        for happening in happenings {
            let mut reactions: Vec<Reaction> = Vec::new();
            match happening {
                Happening::Frame { stamp, hash } => {
                    let arrival = FrameArrival { stamp: Stamp::from_nanos(stamp), ros_now: Stamp::from_nanos(ros), image_hash: hash, odd: None };
                    reactions.push(guard.frame(now, arrival).1);
                }
                Happening::FrameNow => {
                    let stamp = Stamp::from_nanos(ros);
                    reactions.push(guard.frame(now, FrameArrival { stamp, ros_now: stamp, image_hash: ros as u64, odd: None }).1);
                }
                Happening::Refused => reactions.push(guard.frame_refused(now, "mono16")),
                Happening::Velocity { linear, angular, behind } => {
                    guard.velocity(linear, angular, Stamp::from_nanos(ros.saturating_sub(behind)));
                }
                Happening::Admit { behind } => {
                    match guard.admit(now, Stamp::from_nanos(ros.saturating_sub(behind)), Stamp::from_nanos(ros)) {
                        Ok(admitted) => {
                            prop_assert!(admitted.age() <= ms(500));
                            prop_assert!(admitted.velocity().linear().is_finite());
                            ticket = Some(admitted);
                        }
                        Err((_, reaction)) => reactions.push(reaction),
                    }
                }
                Happening::Decided { action } => if let Some(ticket) = ticket.take() {
                    let action = action.map(f32::from_bits);
                    reactions.push(match planner.from_action(&action) {
                        Ok(proposed) => guard.decided(now, ticket, &proposed, Some(&action)),
                        Err(_) => guard.failed(now, ticket, Failure::NotFinite { stage: "action" }),
                    });
                },
                Happening::Failed(kind) => if let Some(ticket) = ticket.take() {
                    let message = String::from("injected");
                    reactions.push(guard.failed(now, ticket, match kind {
                        0 => Failure::NotFinite { stage: "feature" },
                        1 => Failure::Failed { stage: "vision", message },
                        _ => Failure::ModelLost { message },
                    }));
                },
                Happening::Clock(event, by) => {
                    ros = by.saturating_abs().max(1);
                    reactions.push(guard.clock(now, match event {
                        0 => ClockEvent::Waiting,
                        1 => ClockEvent::Running,
                        2 => ClockEvent::JumpedBack,
                        _ => ClockEvent::JumpedForward(ms(5000)),
                    }));
                }
                Happening::Operator(request) => {
                    let request = match request {
                        0 => Operator::Enable,
                        1 => Operator::Shadow,
                        2 => Operator::Disable,
                        3 => Operator::ResetHistory,
                        4 => Operator::Hold(true),
                        _ => Operator::Hold(false),
                    };
                    let before = mode;
                    mode = match request {
                        Operator::Enable => Mode::Active,
                        Operator::Shadow => Mode::Shadow,
                        Operator::Disable => Mode::Disabled,
                        _ => mode,
                    };
                    failing &= request != Operator::Enable;
                    safe_called &= before == mode;
                    reactions.push(guard.operator(now, request));
                }
                Happening::PlannerFailing => {
                    failing = true;
                    reactions.push(guard.planner_failing("died twice"));
                }
                Happening::Pass(time) => {
                    now = now + ms(time);
                    ros = ros.saturating_add(time as i64 * 1_000_000);
                    reactions.push(guard.tick(now));
                }
            }
            for reaction in reactions {
                let (parameters, set, safe) = match reaction.instruction {
                    Instruction::Decision { parameters, set } => (parameters, set, false),
                    Instruction::SafeDefaults { parameters, set } => (parameters, set, true),
                    Instruction::Nothing | Instruction::Hold => continue,
                };
                assert_within(parameters.parameters(), FLOOR);
                prop_assert!(mode != Mode::Disabled);
                prop_assert!(!set || (mode == Mode::Active && !failing));
                prop_assert!(!(safe && safe_called), "the safe defaults came twice");
                safe_called = safe;
            }
        }
    }
}
