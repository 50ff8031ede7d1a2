//! Training against PyTorch's numbers: a traced run, n-step returns.

use std::path::Path;

use crate::support;
use crate::support::set_planner::planner_of_set;
use crate::support::{Expected, Report, max_difference, max_relative_difference};
use serde_json::Value;
use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::td3::{ActionSpace, Batch, Learner, Mlp, NamedTensor, TrainConfig, TwinCritic};

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A traced run: its settings, its networks, its one batch.
struct Traced {
    trace: Value,
    expected: Expected,
    inputs: Expected,
    learner: Learner,
    batch: Batch,
}

impl Traced {
    fn open(folder: &Path) -> Self {
        let trace = json(&folder.join("trace.json"));
        let inputs = Expected::open(&folder.join("inputs.safetensors"));
        let number = |key: &str| trace[key].as_f64().unwrap();
        let config = TrainConfig {
            gamma: number("gamma"),
            tau: number("tau") as f32,
            policy_noise: number("policy_noise") as f32,
            noise_clip: number("noise_clip") as f32,
            update_actor_freq: trace["update_actor_freq"].as_u64().unwrap(),
            max_grad_norm: number("max_grad_norm"),
            actor_lr: number("actor_lr"),
            critic_lr: number("critic_lr"),
            clamp_next_action: false,
            ..TrainConfig::default()
        };
        let planner = planner_of_set(trace["algorithm"].as_str().unwrap(), &trace["action_ranges"], None);
        let [mean, std] = ["param_mean", "param_std"].map(|name| inputs.values(name));
        let space = ActionSpace::from_statistics(&planner, &mean, &std).unwrap();
        let scales: Vec<f32> = space.axes().iter().flat_map(|axis| [axis.scale, axis.bias]).collect();
        let [scale, bias] = ["action_scale", "action_bias"].map(|name| inputs.values(name));
        let expected_scales: Vec<f32> = scale.into_iter().zip(bias).flat_map(|(scale, bias)| [scale, bias]).collect();
        assert!(max_difference(&scales, &expected_scales) <= 1e-6, "{scales:?} {expected_scales:?}");

        let weights = Expected::open(&folder.join("weights_initial.safetensors"));
        let feature = trace["feature_dim"].as_u64().unwrap() as usize;
        let read = |prefix: &str, name: &str| Ok::<_, candle_core::Error>(weights.values(&format!("{prefix}.{name}")));
        let actor = |prefix: &str| Mlp::load(&[feature, space.len()], "fc", |name, _| read(prefix, name)).unwrap();
        let critic = |prefix: &str| TwinCritic::load(feature, space.len(), |name, _| read(prefix, name)).unwrap();
        let actors = [actor("actor"), actor("actor_target")];
        let critics = [critic("critic"), critic("critic_target")];
        let batch = Batch {
            size: trace["batch"].as_u64().unwrap() as usize,
            state: inputs.values("state"),
            action: inputs.values("action"),
            reward: inputs.values("reward"),
            not_done: inputs.values("not_done"),
            discount: inputs.values("gamma_n"),
            next_state: inputs.values("next_state"),
            ..Batch::default()
        };
        let learner = Learner::from_networks(config.learner(), space, actors, critics);
        Self { expected: Expected::open(&folder.join("trace.safetensors")), trace, inputs, learner, batch }
    }

    /// Compares tensors under a prefix; returns how many of their values there were, and how many are within 4e-5 only.
    fn compare_weights(&self, prefix: &str, tensors: Vec<NamedTensor>, report: &mut Report) -> (usize, usize) {
        let stride = self.trace["row_stride"].as_u64().unwrap() as usize;
        let (mut total, mut loose) = (0, 0);
        for NamedTensor { name, shape, values } in tensors {
            let name = format!("{prefix}.{name}");
            let (found, expected): (Vec<f32>, _) = match self.expected.get(&name) {
                Some(expected) => (values.to_vec(), expected),
                None => {
                    let rows = values.chunks_exact(shape[1]).step_by(stride).flatten().copied().collect();
                    (rows, self.expected.values(&format!("{name}.strided_rows")))
                }
            };
            report.add("weights, largest difference", max_difference(&found, &expected), 4e-5);
            total += found.len();
            loose += found.iter().zip(&expected).filter(|(a, b)| (*a - *b).abs() > 1e-6).count();

            let checksum = &self.trace["weight_checksums"][&name];
            let sums = [
                values.iter().copied().map(f64::from).sum::<f64>(),
                values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt(),
            ];
            for (found, key) in sums.into_iter().zip(["sum", "l2"]) {
                let difference = (found - checksum[key].as_f64().unwrap()).abs() as f32;
                // What a difference of 1e-7 of every weight in one direction would give.
                report.add(
                    &format!("checksums, {key} beside the values' number"),
                    difference / values.len() as f32,
                    1e-7,
                );
            }
        }
        (total, loose)
    }
}

/// Named as another implementation names them.
fn renamed<'a>(prefix: &str, tensors: Vec<NamedTensor<'a>>) -> Vec<NamedTensor<'a>> {
    tensors.into_iter().map(|tensor| NamedTensor { name: format!("{prefix}.{}", tensor.name), ..tensor }).collect()
}

#[test]
fn fixture_a_traced_run_gives_the_numbers_of_pytorch() {
    let Some(folder) = support::fixture_set("td3") else { return };
    let mut traced = Traced::open(&folder);
    let mut report = Report::default();
    let iterations = traced.trace["iterations"].as_array().unwrap().clone();
    let (mut total, mut loose) = (0, 0);
    for (index, iteration) in iterations.iter().enumerate() {
        let noise = traced.inputs.values(&format!("noise.{index}"));
        let update = traced.learner.update(&traced.batch, &noise).unwrap();
        assert_eq!(update.skipped, None);
        let relative = |key: &str, found: f64| {
            let expected = iteration[key].as_f64().unwrap();
            ((found - expected) / expected).abs() as f32
        };
        report.add("critic loss", relative("critic_loss", update.critic_loss), 1e-5);
        report.add("critic norm", relative("critic_grad_norm_before_clip", update.critic_norm.before), 1e-5);
        report.add("critic norm, clipped", relative("critic_grad_norm_after_clip", update.critic_norm.after), 1e-5);
        assert_eq!(update.actor.is_none(), iteration["actor_loss"].is_null(), "whose turn it is");
        if let Some(actor) = &update.actor {
            report.add("actor loss", relative("actor_loss", actor.loss), 1e-5);
            report.add("actor norm", relative("actor_grad_norm_before_clip", actor.norm.before), 1e-5);
            report.add("actor norm, clipped", relative("actor_grad_norm_after_clip", actor.norm.after), 1e-5);
        }
        let prefix = format!("it{}", index + 1);
        let ([q1, q2], [target_q1, target_q2]) = (traced.learner.estimates(), traced.learner.target_estimates());
        for (name, found) in [
            ("q1", q1),
            ("q2", q2),
            ("target_q1", target_q1),
            ("target_q2", target_q2),
            ("target_q", traced.learner.targets()),
            ("next_action_normalised", traced.learner.next_actions()),
        ] {
            let expected = traced.expected.values(&format!("{prefix}.{name}"));
            report.add(name, max_relative_difference(found, &expected), 1e-5);
        }
        let learner = &traced.learner;
        let weights = [
            renamed("actor", learner.actor().named("fc")),
            renamed("actor_target", learner.actor_target().named("fc")),
            renamed("critic", learner.critic().named()),
            renamed("critic_target", learner.critic_target().named()),
        ]
        .concat();
        let (of_all, of_loose) = traced.compare_weights(&format!("{prefix}.weights"), weights, &mut report);
        (total, loose) = (total + of_all, loose + of_loose);

        let gradients = format!("{prefix}.grad_before_clip");
        let named = [
            renamed("critic", learner.critic().split(learner.critic_gradient())),
            renamed("actor", learner.actor().split(learner.actor_gradient(), "fc")),
        ]
        .concat();
        for tensor in named {
            if let Some(expected) = traced.expected.get(&format!("{gradients}.{}", tensor.name)) {
                report.add("gradients", max_relative_difference(tensor.values, &expected), 1e-5);
            }
        }
    }
    report.add("share of weights beyond 1e-6", loose as f32 / total as f32, 1e-3);
    report.finish(&format!("TD3 trace of {} iterations against PyTorch", iterations.len()));
}

mod n_step_returns {
    use vlm_planner_tuner::frame::{BodyVelocity, Stamp};
    use vlm_planner_tuner::numbers::Action;
    use vlm_planner_tuner::numbers::Feature;
    use vlm_planner_tuner::td3::ReplayBuffer;
    use vlm_planner_tuner::transition::{Ending, FrameNumber, RewardTerms, Step, Truncation};

    use super::*;

    /// Whether a step that nothing follows brings its next observation.
    #[derive(Clone, Copy, PartialEq)]
    enum OwnNext {
        Stored,
        Missing,
    }

    /// The time that a feature stands for: one number a frame, so that the buffer's answers can be read off.
    fn feature(time: usize) -> Feature {
        Feature::from_values(vec![time as f32]).unwrap()
    }

    /// The fixture's transitions in a ring of a capacity.
    fn ring(set: &Value, capacity: usize, own: OwnNext) -> ReplayBuffer {
        let planner = PlannerSpec::builtin("dwa").unwrap();
        let count = planner.parameters().len();
        let space = ActionSpace::from_statistics(&planner, &vec![0.0; count], &vec![1.0; count]).unwrap();
        let mut buffer = ReplayBuffer::new(space, 1, capacity, 1e6);
        let number = |key: &str, time: usize| set[key][time].as_f64().unwrap();
        let steps = set["reward"].as_array().unwrap().len();
        for time in 0..steps {
            let episode = number("episode", time);
            let first = (0..time).find(|before| number("episode", *before) == episode).unwrap_or(time);
            let ending = match (number("done", time), number("truncated", time)) {
                (0.0, 0.0) => Ending::Continues,
                (0.0, _) => Ending::Truncated(Truncation::TimeOut),
                _ => Ending::Collision,
            };
            let last = time + 1 == steps || number("episode", time + 1) != episode;
            let step = Step {
                stamp: Stamp::from_nanos(time as i64),
                index: (time - first) as u64,
                frame: FrameNumber(time as u64),
                velocity: BodyVelocity::new(0.0, 0.0).unwrap(),
                pose: None,
                goal: None,
                feature: feature(time),
                action: Action::from_values(vec![0.0; count]).unwrap(),
                noise: vec![0.0; count],
                explored: Action::from_values(vec![0.0; count]).unwrap(),
                parameters: Vec::new(),
                controller: None,
                terms: RewardTerms::default(),
                reward: number("reward", time) as f32,
                ending,
                next_feature: (last && own == OwnNext::Stored).then(|| feature(time + 1)),
            };
            buffer.push(&format!("episode {episode}"), &step).unwrap();
        }
        buffer
    }

    fn numbers(expected: &Value, key: &str) -> Vec<f64> {
        expected[key].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    }

    #[test]
    fn fixture_n_step_returns_are_right_in_both_buffers() {
        let Some(folder) = support::fixture_set("td3") else { return };
        let set = json(&folder.join("nstep.json"));
        let (n, gamma) = (set["n_step"].as_u64().unwrap() as usize, set["gamma"].as_f64().unwrap());
        let mut report = Report::default();
        for (name, case) in set["cases"].as_object().unwrap() {
            let capacity = case["capacity"].as_u64().unwrap() as usize;
            for own in [OwnNext::Stored, OwnNext::Missing] {
                let buffer = ring(&set, capacity, own);
                let key = if own == OwnNext::Stored { "expected_correct_own_next" } else { "expected_correct" };
                let expected = &case[key];
                let [steps, reward, not_done, discount] =
                    ["steps", "reward", "not_done", "gamma"].map(|key| numbers(expected, key));
                assert_eq!(buffer.len(), steps.len());
                let times = numbers(case, "slot_time");
                for slot in 0..buffer.len() {
                    let mut batch = Batch::default();
                    let place = format!("{name}, {key}, slot {slot}");
                    let window = buffer.window(slot, n, gamma);
                    if own == OwnNext::Missing && expected["valid"][slot] == 0 {
                        assert_eq!(window, None, "{place}");
                        continue;
                    }
                    let window = window.unwrap();
                    buffer.add_window(slot, &window, 1.0, &mut batch);
                    assert_eq!((batch.size, window.steps as f64), (1, steps[slot]), "{place}");
                    assert_eq!(f64::from(batch.not_done[0]), not_done[slot], "{place}");
                    assert_eq!(batch.state, [times[slot] as f32], "{place}");
                    report.add(&format!("{name}, {key}, reward"), (batch.reward[0] - reward[slot] as f32).abs(), 1e-5);
                    if not_done[slot] == 0.0 {
                        assert_eq!(batch.next_state, [0.0], "{place}");
                        continue;
                    }
                    report.add(
                        &format!("{name}, {key}, discount"),
                        (batch.discount[0] - discount[slot] as f32).abs(),
                        1e-5,
                    );
                    let next_time = match own {
                        // The observation after the last step.
                        OwnNext::Stored => {
                            assert_eq!(window.last as f64, expected["last_slot"][slot].as_f64().unwrap(), "{place}");
                            times[window.last] + 1.0
                        }
                        OwnNext::Missing => numbers(expected, "next_time")[slot],
                    };
                    assert_eq!(f64::from(batch.next_state[0]), next_time, "{place}");
                }
                let valid = (0..buffer.len()).filter(|slot| own == OwnNext::Stored || expected["valid"][*slot] == 1);
                assert_eq!(buffer.starts(), valid.collect::<Vec<_>>(), "{name}, {key}");
            }
        }
        report.finish(&format!("returns over {n} steps"));
    }
}
