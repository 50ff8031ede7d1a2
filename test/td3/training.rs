//! Trainings: that they learn, that they go on where they were interrupted, what they refuse.

use std::path::Path;
use std::time::Instant;

use crate::support::say;
use crate::support::toy::Toy;
use vlm_planner_tuner::identity::{ExtractorId, PolicyId};
use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::td3::{
    Batch, CurvePoint, LogGate, MixedLogs, Mixing, Mlp, Random, ReplayBuffer, SavedTraining, Skipped, StartPolicy,
    StepRefused, TrainConfig, TrainError, Training, changes_of,
};
use vlm_planner_tuner::transition::{Ending, RewardWeights};

fn quick() -> TrainConfig {
    TrainConfig { gamma: 0.3, n_step: 1, actor_lr: 1e-3, critic_lr: 1e-3, tau: 0.02, ..TrainConfig::default() }
}

#[test]
fn the_actor_finds_the_best_action_of_a_problem_whose_answer_is_known() {
    let toy = Toy::new("dwa", 16, 1);
    let start = Instant::now();
    let actor = Mlp::random(&[16, 7], &mut Random::new(2));
    let features = toy.features(500, &mut Random::new(3));
    let before = toy.error(&actor, &features);
    let mut training = Training::start(quick(), toy.space(), actor, toy.buffer(500, 4), 5).unwrap();

    for _ in 0..800 {
        training.step().unwrap();
    }
    let after = toy.error(training.learner().actor(), &features);
    say(&format!(
        "toy problem: the actor's error fell from {before:.4} to {after:.4} ({:.1} %, bar 10 %) in {} updates, {:.1} s",
        100.0 * after / before,
        training.iteration(),
        start.elapsed().as_secs_f64()
    ));
    assert!(after < 0.1 * before, "{before} {after}");

    let changes = changes_of(&mut training).unwrap().parameters;
    assert_eq!(changes.len(), 7);
    for change in changes {
        assert!(change.mean_change > 0.0 && change.largest_change.abs() >= change.mean_change, "{change:?}");
        assert!((change.new - change.old).abs() <= change.mean_change + 1e-9, "{change:?}");
    }
}

fn run(training: &mut Training, updates: usize) -> Vec<CurvePoint> {
    (0..updates).filter_map(|_| training.step().unwrap()).collect()
}

#[test]
fn an_interrupted_training_goes_on_to_the_last_bit() {
    let toy = Toy::new("teb", 8, 1);
    let actor = Mlp::random(&[8, 7], &mut Random::new(2));
    let begin = || Training::start(quick(), toy.space(), actor.clone(), toy.buffer(10, 3), 4).unwrap();

    let mut whole = begin();
    let expected = run(&mut whole, 230);
    assert_eq!(expected.len(), 4);

    // Interrupted between two points of the curves, and at an odd update, when the actor's turn is due.
    let folder = tempfile::tempdir().unwrap();
    let mut points = Vec::new();
    let mut part = begin();
    for stop in [77, 120, 230] {
        let updates = stop - part.iteration() as usize;
        points.extend(run(&mut part, updates));
        part.save(folder.path(), "logs").unwrap();
        let saved = SavedTraining::open(folder.path()).unwrap();
        assert_eq!((saved.step(), saved.logs()), (stop as u64, "logs"));
        part = saved.resume(quick(), toy.space(), toy.buffer(10, 3), None).unwrap();
    }
    assert_eq!(points, expected);
    let all = |training: &Training| {
        let learner = training.learner();
        let critics = [learner.critic(), learner.critic_target()].map(|critic| {
            let values: Vec<u32> = critic.named().iter().flat_map(|t| t.values).map(|value| value.to_bits()).collect();
            values
        });
        let actors = [learner.actor(), learner.actor_target(), training.start_actor()]
            .map(|actor| actor.values().iter().map(|value| value.to_bits()).collect::<Vec<_>>());
        (critics, actors, training.reward_scale().to_bits(), training.skipped())
    };
    assert_eq!(all(&part), all(&whole));
    // Optimisers and random numbers, too: what comes next is the same.
    assert_eq!(run(&mut part, 70), run(&mut whole, 70));
    assert_eq!(all(&part), all(&whole));
}

#[test]
fn nothing_to_resume_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let error = SavedTraining::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("holds no saved training"), "{error}");
}

#[test]
fn updates_without_numbers_are_skipped_and_ten_in_a_row_end_the_training() {
    let toy = Toy::new("dwa", 8, 1);
    let actor = Mlp::random(&[8, 7], &mut Random::new(2));
    let good = Training::start(quick(), toy.space(), actor.clone(), toy.buffer(4, 3), 4).unwrap();
    let mut learner = good.learner().clone();
    let mut batch = Batch::default();
    good.sampler().draw(8, &mut Random::new(5), &mut batch);
    batch.reward[3] = f32::NAN;
    let update = learner.update(&batch, &[0.0; 56]).unwrap();
    assert_eq!(update.skipped, Some(Skipped::Critic));
    let weights = |named: Vec<vlm_planner_tuner::td3::NamedTensor>| {
        named.iter().flat_map(|tensor| tensor.values.to_vec()).collect::<Vec<f32>>()
    };
    assert_eq!(weights(learner.critic().named()), weights(good.learner().critic().named()));
    assert_eq!(weights(learner.critic_target().named()), weights(good.learner().critic_target().named()));
    assert_eq!(learner.actor().values(), actor.values());

    // Features so large that every estimate is infinite.
    let mut buffer = ReplayBuffer::new(toy.space(), 8, 100, 1000.0);
    let next = vec![3e38; 8];
    for index in 0..20 {
        buffer.push("a", &toy.step(index, &[3e38; 8], &[0.0; 7], -1.0, (index == 19).then_some(&next))).unwrap();
    }
    let mut training = Training::start(quick(), toy.space(), actor.clone(), buffer, 4).unwrap();
    for _ in 0..9 {
        training.step().unwrap();
    }
    let error = training.step().unwrap_err();
    assert!(matches!(error, TrainError::Diverged { skipped: 10, iteration: 10 }), "{error}");
    assert_eq!(training.skipped(), 10);
    assert_eq!(training.learner().actor().values(), actor.values(), "the last good actor is kept");
}

#[test]
fn logs_that_do_not_belong_together_are_refused_by_name() {
    let toy = Toy::new("dwa", 8, 1);
    let planner = || PlannerSpec::builtin("dwa").unwrap();
    let (first, second) = (Path::new("logs/first.mcap"), Path::new("logs/second.mcap"));
    let admit = |mixing, change: &dyn Fn(&mut vlm_planner_tuner::transition::Session)| {
        let mut gate = LogGate::new(planner(), 8, mixing);
        gate.admit(&toy.session("a"), first).unwrap();
        let mut other = toy.session("b");
        change(&mut other);
        gate.admit(&other, second)
    };
    assert_eq!(admit(Mixing::Refused, &|_| ()), Ok(()));

    let names = |error: &MixedLogs, parts: &[&str]| {
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    };
    for mixing in [Mixing::Refused, Mixing::Allowed] {
        let error = admit(mixing, &|session| session.planner = "TEB".to_owned()).unwrap_err();
        names(&error, &["logs/second.mcap", "TEB", "DWA"]);
        let error = admit(mixing, &|session| session.parameters.swap(0, 1)).unwrap_err();
        names(&error, &["logs/second.mcap", "max_vel_theta, max_vel_x", "max_vel_x, max_vel_theta"]);
        let error = admit(mixing, &|session| session.feature_length = 4).unwrap_err();
        names(&error, &["logs/second.mcap", "have 4 numbers", "takes 8"]);
    }
    let other_extractor = |session: &mut vlm_planner_tuner::transition::Session| {
        session.extractor = ExtractorId("c".repeat(64));
    };
    let other_policy = |session: &mut vlm_planner_tuner::transition::Session| {
        session.policy = PolicyId("d".repeat(64));
    };
    let error = admit(Mixing::Refused, &other_extractor).unwrap_err();
    names(&error, &["logs/first.mcap", "logs/second.mcap", &"b".repeat(64), &"c".repeat(64), "--allow-mixed"]);
    let error = admit(Mixing::Refused, &other_policy).unwrap_err();
    names(&error, &["logs/first.mcap", "logs/second.mcap", &"a".repeat(64), &"d".repeat(64), "--allow-mixed"]);
    assert_eq!(admit(Mixing::Allowed, &other_extractor), Ok(()));
    assert_eq!(admit(Mixing::Allowed, &other_policy), Ok(()));

    let start = |extractor: Option<&str>| {
        let extractor = extractor.map(|id| ExtractorId(id.repeat(64)));
        let start = StartPolicy { id: PolicyId("e".repeat(64)), extractor };
        LogGate::new(planner(), 8, Mixing::Refused).with_start(start).admit(&toy.session("a"), first)
    };
    assert_eq!(start(Some("b")), Ok(()));
    assert_eq!(start(None), Ok(()));
    names(&start(Some("c")).unwrap_err(), &["logs/first.mcap", &"b".repeat(64), &"c".repeat(64), "start policy"]);

    let weights = RewardWeights::default();
    let others = RewardWeights::from_yaml("progress_reward: 20.0", "mine.yaml").unwrap();
    for (mixing, is_refused) in [(Mixing::Refused, true), (Mixing::Allowed, false)] {
        let mut gate = LogGate::new(planner(), 8, mixing);
        gate.admit_reward(&weights, first).unwrap();
        let other = gate.admit_reward(&others, second);
        assert_eq!(other.is_err(), is_refused);
        other.err().iter().for_each(|error| names(error, &["first.mcap", "second.mcap", "relabel"]));
    }
}

#[test]
fn steps_with_numbers_out_of_range_are_refused_and_nothing_leads_across_them() {
    let toy = Toy::new("dwa", 8, 1);
    let mut buffer = ReplayBuffer::new(toy.space(), 8, 100, 50.0);
    let steps = toy.episode(&mut Random::new(1));
    let mut wild = steps[5].clone();
    wild.reward = -50.5;
    let mut nan = steps[5].clone();
    nan.reward = f32::NAN;
    let mut parameter = steps[5].clone();
    parameter.parameters[0].value = 2.5;
    for step in &steps[..5] {
        buffer.push("a", step).unwrap();
    }
    assert!(matches!(buffer.push("a", &wild), Err(StepRefused::Reward { .. })));
    assert!(matches!(buffer.push("a", &nan), Err(StepRefused::Reward { .. })));
    let refused = buffer.push("a", &parameter).unwrap_err().to_string();
    assert_eq!(refused, "it sent max_vel_x = 2.5, expected a number from 0.2 to 2");
    for step in &steps[6..] {
        buffer.push("a", step).unwrap();
    }
    // Step 4 has lost its successor: it ends windows and begins none.
    assert_eq!(buffer.len(), 19);
    assert_eq!(buffer.window(1, 8, 0.9).unwrap().steps, 3);
    assert_eq!(buffer.window(4, 8, 0.9), None);
    assert_eq!(buffer.window(5, 3, 0.9).unwrap().steps, 3);
    assert_eq!(buffer.starts().len(), 18);

    let shorter = Toy::new("dwa", 4, 1).episode(&mut Random::new(1)).remove(0);
    assert!(matches!(buffer.push("a", &shorter), Err(StepRefused::Feature { expected: 8, found: 4 })));
}

#[test]
fn an_episode_without_an_end_counts_up_to_its_last_known_observation() {
    let toy = Toy::new("dwa", 8, 1);
    let mut steps = toy.episode(&mut Random::new(1));
    steps.truncate(3);
    assert_eq!(steps[2].ending, Ending::Continues);
    let mut buffer = ReplayBuffer::new(toy.space(), 8, 100, 50.0);
    for step in &steps {
        buffer.push("a", step).unwrap();
    }
    // Another episode behind it, whose numbers would even fit.
    for (step, index) in toy.episode(&mut Random::new(2)).iter().zip(3..) {
        buffer.push("b", &vlm_planner_tuner::transition::Step { index, ..step.clone() }).unwrap();
    }
    assert_eq!(buffer.window(0, 8, 0.9).unwrap().steps, 2);
    assert_eq!(buffer.window(2, 8, 0.9), None);
    let mut batch = Batch::default();
    buffer.add_window(0, &buffer.window(0, 8, 0.9).unwrap(), 2.0, &mut batch);
    assert_eq!(batch.next_state, steps[2].feature.values());
    assert_eq!((batch.not_done[0], batch.discount[0]), (1.0, 0.81));
    let sum = 2.0 * (f64::from(steps[0].reward) + 0.9 * f64::from(steps[1].reward));
    assert!((f64::from(batch.reward[0]) - sum).abs() < 1e-6);
}

#[test]
fn a_buffer_without_a_window_is_refused() {
    let toy = Toy::new("dwa", 8, 1);
    let mut buffer = ReplayBuffer::new(toy.space(), 8, 100, 50.0);
    buffer.push("a", &toy.episode(&mut Random::new(1))[0]).unwrap();
    let actor = Mlp::random(&[8, 7], &mut Random::new(2));
    let error = Training::start(quick(), toy.space(), actor, buffer, 1).unwrap_err();
    assert!(matches!(error, TrainError::NothingToLearn { steps: 1 }), "{error}");
}
