//! A problem whose best action is known: the reward is minus the squared distance to a hidden function of the feature.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, dead_code)]

use vlm_planner_tuner::frame::{BodyVelocity, Stamp};
use vlm_planner_tuner::identity::{ExtractorId, PolicyId};
use vlm_planner_tuner::numbers::Action;
use vlm_planner_tuner::numbers::Feature;
use vlm_planner_tuner::planner::{ParameterSpec, PlannerSpec};
use vlm_planner_tuner::td3::{ActionSpace, Activations, Mlp, Random, ReplayBuffer};
use vlm_planner_tuner::transition::{
    Ending, FrameNumber, ParameterOutcome, RewardTerms, SentParameter, Session, Step, Truncation,
};

/// Logged steps of the problem.
pub struct Toy {
    pub planner: PlannerSpec,
    pub feature: usize,
    hidden: Mlp,
}

/// Steps of an episode.
const EPISODE: u64 = 20;

impl Toy {
    pub fn new(planner: &str, feature: usize, seed: u64) -> Self {
        let planner = PlannerSpec::builtin(planner).unwrap();
        let hidden = Mlp::random(&[feature, planner.parameters().len()], &mut Random::new(seed));
        Self { planner, feature, hidden }
    }

    /// Statistics as supervised training leaves them: the middle of the range, a quarter of it.
    pub fn space(&self) -> ActionSpace {
        let parameters = self.planner.parameters();
        let mean: Vec<f32> = parameters.iter().map(|p| ((p.min() + p.max()) / 2.0) as f32).collect();
        let std: Vec<f32> = parameters.iter().map(|p| ((p.max() - p.min()) / 4.0) as f32).collect();
        ActionSpace::from_statistics(&self.planner, &mean, &std).unwrap()
    }

    /// The best action for each row of features.
    pub fn best(&self, features: &[f32]) -> Vec<f32> {
        act(&self.hidden, features)
    }

    /// Mean squared distance of an actor's actions from the best ones.
    pub fn error(&self, actor: &Mlp, features: &[f32]) -> f64 {
        let (found, best) = (act(actor, features), self.best(features));
        let sum: f64 = found.iter().zip(&best).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        sum / found.len() as f64
    }

    pub fn features(&self, rows: usize, random: &mut Random) -> Vec<f32> {
        (0..rows * self.feature).map(|_| random.normal()).collect()
    }

    /// Steps of an episode, whose actions explore everything; the last is cut off.
    pub fn episode(&self, random: &mut Random) -> Vec<Step> {
        let mut next = self.features(1, random);
        (0..EPISODE)
            .map(|index| {
                let feature = std::mem::replace(&mut next, self.features(1, random));
                let action: Vec<f32> =
                    self.planner.parameters().iter().map(|_| (2.0 * random.uniform() - 1.0) as f32).collect();
                let best = self.best(&feature);
                let reward = -action.iter().zip(&best).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
                let last = index + 1 == EPISODE;
                self.step(index, &feature, &action, reward, last.then_some(&next))
            })
            .collect()
    }

    pub fn step(&self, index: u64, seen: &[f32], action: &[f32], reward: f32, next: Option<&Vec<f32>>) -> Step {
        let feature = |values: &[f32]| Feature::from_values(values.to_vec()).unwrap();
        let action = Action::from_values(action.to_vec()).unwrap();
        let sent = |(parameter, value): (&ParameterSpec, f64)| SentParameter {
            name: parameter.name().to_owned(),
            value,
            outcome: ParameterOutcome::Applied,
        };
        Step {
            stamp: Stamp::from_nanos(index as i64 * 500_000_000),
            index,
            frame: FrameNumber(index),
            velocity: BodyVelocity::new(0.5, 0.0).unwrap(),
            pose: None,
            goal: None,
            feature: feature(seen),
            noise: vec![0.0; action.values().len()],
            parameters: self.planner.from_action(action.values()).unwrap().iter().map(sent).collect(),
            explored: action.clone(),
            action,
            controller: None,
            terms: RewardTerms::default(),
            reward,
            ending: if next.is_some() { Ending::Truncated(Truncation::End) } else { Ending::Continues },
            next_feature: next.map(|next| feature(next)),
        }
    }

    /// Who logged it.
    pub fn session(&self, episode: &str) -> Session {
        Session {
            episode: episode.to_owned(),
            planner: self.planner.name().to_owned(),
            parameters: self.planner.parameters().iter().map(|parameter| parameter.name().to_owned()).collect(),
            feature_length: self.feature,
            policy: PolicyId("a".repeat(64)),
            extractor: ExtractorId("b".repeat(64)),
        }
    }

    /// A buffer of some episodes.
    pub fn buffer(&self, episodes: usize, seed: u64) -> ReplayBuffer {
        let mut random = Random::new(seed);
        let mut buffer = ReplayBuffer::new(self.space(), self.feature, 1_000_000, 1000.0);
        for episode in 0..episodes {
            for step in self.episode(&mut random) {
                buffer.push(&format!("episode {episode}"), &step).unwrap();
            }
        }
        buffer
    }
}

fn act(actor: &Mlp, features: &[f32]) -> Vec<f32> {
    let mut activations = Activations::default();
    actor.forward(features, features.len() / actor.inputs(), &mut activations).unwrap();
    activations.output().iter().map(|value| value.tanh()).collect()
}
