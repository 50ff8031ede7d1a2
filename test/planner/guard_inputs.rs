//! The guard against the faults of frames, odometry and the clock, with fake time. Numbers are those of the fault table
//! that the promises are tested by.

use crate::support::guard_scene::{Scene, action, dwa, ms, sets};
use vlm_planner_tuner::frame::{Frame, OddAppearance, Stamp};
use vlm_planner_tuner::planner::envelope::EnvelopeLimits;
use vlm_planner_tuner::planner::guard::{
    ClockEvent, FrameArrival, FrameVerdict, GuardLimits, Instruction, Level, Mode, Reason, State, image_hash,
};

/// A scene that is Nominal.
fn nominal() -> Scene {
    let mut scene = Scene::new();
    assert!(sets(&scene.good()));
    assert_eq!(scene.state(), State::Nominal);
    scene
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
fn fault_07_an_odd_image_is_decided_on_and_reported() {
    let mut scene = nominal();
    let odd = |scene: &mut Scene, odd| {
        scene.pass(500);
        let (stamp, ros_now) = (scene.ros(), scene.ros());
        let arrival = FrameArrival { stamp, ros_now, image_hash: stamp.nanos() as u64, odd };
        let verdict = scene.guard.frame(scene.now(), arrival).0;
        assert!(matches!(verdict, FrameVerdict::Use { .. }), "{verdict:?}");
        scene.guard.status(scene.now())
    };
    let status = odd(&mut scene, Some(OddAppearance::NoRobot));
    assert_eq!((status.state, status.level), (State::Nominal, Level::Warn));
    assert_eq!(status.warnings, [Reason::ImageOdd(OddAppearance::NoRobot)]);
    let sentence = status.warnings.first().unwrap().to_string();
    assert!(sentence.contains("does not look like a Jackal costmap"), "{sentence}");
    assert_eq!(odd(&mut scene, None).warnings, []);
}

#[test]
fn scan_range_max_zero_a_blind_sensor_holds_then_is_safe_and_is_named() {
    let mut scene = nominal();
    let blind = |scene: &mut Scene| {
        scene.pass(500);
        scene.odometry(0.5);
        let reaction = scene.guard.sensor_blind(scene.now(), "scan range_max is 0 m");
        scene.note(reaction)
    };
    blind(&mut scene);
    assert_eq!((scene.state(), scene.reason()), (State::Holding, "sensor_blind"));
    assert_eq!(scene.guard.status(scene.now()).level, Level::Error);
    (0..4).for_each(|_| drop(blind(&mut scene)));
    assert_eq!((scene.state(), scene.reason()), (State::Safe, "no_valid_decision"));
    let sentence = scene.guard.status(scene.now()).reason.to_string();
    assert!(sentence.contains("the sensor is blind") && sentence.contains("range_max is 0 m"), "{sentence}");
    assert_eq!(scene.safe_defaults(), [(dwa().safe_defaults(), true)]);
    // Seeing again leads back, after three good frames.
    assert_eq!([scene.good(), scene.good(), scene.good()].map(|reaction| sets(&reaction)), [false, false, true]);
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
    assert!(
        status.reason.to_string().contains("the newest image is stamped 0.80 s before ROS time"),
        "{}",
        status.reason
    );
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
    assert_eq!(reaction.instruction, Instruction::Nothing);
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
    assert_eq!(
        (reaction.instruction, reaction.reset_history),
        (Instruction::Hold, Some(Reason::StampInFuture(ms(201))))
    );
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
    assert_eq!(reaction.instruction, Instruction::Hold);
    assert!(reaction.reset_history.is_some());
    assert_eq!(scene.guard.decided(scene.now(), in_flight, &action(0.5), None).instruction, Instruction::Nothing);
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
    assert_eq!((reaction.instruction, reaction.reset_history), (Instruction::Nothing, None));
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
    assert_eq!(scene.guard.decided(scene.now(), in_flight, &action(0.9), None).instruction, Instruction::Nothing);
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
    assert_eq!((reaction.instruction, reaction.reset_history), (Instruction::Nothing, Some(Reason::ClockJumpedBack)));
    assert_eq!(scene.guard.decided(scene.now(), in_flight, &action(0.9), None).instruction, Instruction::Nothing);
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
        FrameArrival { stamp: Stamp::from_nanos(5), ros_now: Stamp::from_nanos(0), image_hash: 1, odd: None },
    );
    assert_eq!(reaction.0, FrameVerdict::Refuse(Reason::WaitingForClock));
    assert_eq!(scene.admit(Stamp::from_nanos(5)), Err(Reason::WaitingForClock));
}
