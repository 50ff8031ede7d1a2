//! Heads of any size with random numbers, and a problem that frozen ones cannot solve: the best action is a product of
//! what the hidden states say, which no single layer makes of the features of the start.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, dead_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use candle_nn::{VarBuilder, VarMap};
use vlm_planner_tuner::checkpoint::{HistoryConfig, StateDict};
use vlm_planner_tuner::feature::{DptHead, DptSizes, FeatureExtractor, HistoryEncoder, HistorySizes};
use vlm_planner_tuner::frame::{Frame, HistoryRing, Stamp};
use vlm_planner_tuner::identity::{ExtractorId, PolicyId};
use vlm_planner_tuner::td3::heads::{
    FrameRef, HeadTraining, HeadsOrigin, LearningHeads, ObservationSource, ObservationTable, Observed, Seen,
};
use vlm_planner_tuner::td3::{
    Activations, LogGate, LogSummary, Mixing, Mlp, Random, ReplayBuffer, SavedTraining, TrainConfig, TrainError,
    Training, actor_of, read_logs_with_frames, trained_policy,
};
use vlm_planner_tuner::transition::log::{FolderStore, Placement, Rotation};
use vlm_planner_tuner::transition::{EpisodeWriter, FrameNumber, LogHead, RewardWeights, Step};
use vlm_planner_tuner::vision_language::HiddenStates;

use super::toy::Toy;

/// Sizes of the heads: small, and all different where they may differ.
#[derive(Debug, Clone, Copy)]
pub struct HeadSizes {
    pub hidden: usize,
    pub feature: usize,
    pub history: Option<usize>,
    pub side: u32,
}

impl HeadSizes {
    pub fn history_config(self) -> Option<HistoryConfig> {
        self.history.map(|history_dim| HistoryConfig {
            use_history: true,
            num_history_frames: 2,
            history_dim,
            history_image_size: self.side,
            history_offsets: vec![1, 2],
        })
    }
}

/// A policy's tensors with random numbers, as large as PyTorch starts them.
pub fn random_policy(sizes: HeadSizes, actions: usize, random: &mut Random) -> StateDict {
    let map = VarMap::new();
    let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
    let HeadSizes { hidden, feature, history, .. } = sizes;
    let dpt = DptSizes { hidden, feature, history, num_params: actions + 2 };
    DptHead::new(dpt, vb.pp("feature_extractor.dpt_head")).unwrap();
    if let Some(dim) = history {
        let sizes = HistorySizes { dim, frames: 2, feed_forward: 2 * dim };
        HistoryEncoder::new(sizes, vb.pp("feature_extractor.history_encoder")).unwrap();
    }
    let wanted: BTreeMap<String, Vec<usize>> = {
        let vars = map.data().lock().unwrap();
        vars.iter().map(|(name, var)| (name.clone(), var.dims().to_vec())).collect()
    };
    let mut tensors = Vec::new();
    for (name, shape) in wanted {
        let inputs: usize = shape.iter().skip(1).product();
        let is_norm = name.ends_with("weight") && shape.len() == 1;
        let values = (0..shape.iter().product()).map(|_| {
            let value = (2.0 * random.uniform() - 1.0) as f32;
            if is_norm { 1.0 + 0.1 * value } else { value / (inputs.max(4) as f32).sqrt() }
        });
        tensors.push((name, Tensor::from_vec(values.collect(), shape, &Device::Cpu).unwrap()));
    }
    for tensor in Mlp::random(&[feature, actions], random).named("fc") {
        tensors.push((tensor.name.clone(), Tensor::from_slice(tensor.values, tensor.shape, &Device::Cpu).unwrap()));
    }
    StateDict::new(tensors).unwrap()
}

pub fn learning_heads(policy: &StateDict, sizes: HeadSizes) -> LearningHeads {
    LearningHeads::new(policy, sizes.history_config().as_ref(), sizes.hidden, &Device::Cpu).unwrap()
}

/// The same heads as a robot runs them.
pub fn plain_extractor(policy: &StateDict, sizes: HeadSizes) -> FeatureExtractor {
    let tensors = policy.iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
    let vb = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let num_params = policy.get("feature_extractor.dpt_head.mlp.6.weight").unwrap().dims()[0];
    let HeadSizes { hidden, feature, history, .. } = sizes;
    let dpt =
        DptHead::new(DptSizes { hidden, feature, history, num_params }, vb.pp("feature_extractor.dpt_head")).unwrap();
    let encoder = history.map(|dim| {
        let sizes = HistorySizes { dim, frames: 2, feed_forward: 2 * dim };
        (HistoryEncoder::new(sizes, vb.pp("feature_extractor.history_encoder")).unwrap(), 2)
    });
    FeatureExtractor::new(dpt, encoder)
}

/// Random numbers in the shape of what heads see.
pub fn random_seen(sizes: HeadSizes, seq: usize, random: &mut Random) -> Seen {
    let mut normal = |shape: &[usize]| {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.normal()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    };
    let side = sizes.side as usize;
    let hidden_states = HiddenStates::new([(); 4].map(|()| normal(&[seq, sizes.hidden])));
    let newest_first =
        if sizes.history.is_some() { vec![normal(&[3, side, side]), normal(&[3, side, side])] } else { vec![] };
    Seen { hidden_states, newest_first }
}

/// Steps of an episode.
const EPISODE: u64 = 20;

/// Episodes follow each other without a break.
fn stamp(episode: usize, index: u64) -> Stamp {
    Stamp::from_nanos((episode as u64 * EPISODE + index) as i64 * 500_000_000)
}

/// Logged drives of the problem, on disk.
pub struct ToyHeads {
    pub policy: StateDict,
    pub toy: Toy,
    pub logs: tempfile::TempDir,
    world: World,
    episodes: usize,
}

/// What there is to see.
#[derive(Debug, Clone, Copy)]
pub struct World {
    seed: u64,
    sizes: HeadSizes,
    /// The hidden states hold no numbers.
    blind: bool,
}

impl World {
    fn new(seed: u64, history: Option<usize>) -> Self {
        Self { seed, sizes: HeadSizes { hidden: 12, feature: 16, history, side: 16 }, blind: false }
    }

    /// Two numbers that decide about the best action.
    fn signal(self, of: FrameRef) -> [f32; 2] {
        let mut random = Random::new(self.seed ^ ((of.episode as u64) << 32) ^ of.number.0);
        [(); 2].map(|()| (2.0 * random.uniform() - 1.0) as f32)
    }

    /// In [-1, 1], one number a parameter.
    fn best(self, of: FrameRef) -> Vec<f32> {
        let [a, b] = self.signal(of);
        let (product, difference) = (a * b, (a * a - b * b) / 2.0);
        let bent = |k: f32| 0.8 * (4.0 * (product * k.cos() + difference * k.sin())).tanh();
        (0..7).map(|k| bent(k as f32)).collect()
    }

    fn see(self, observed: &Observed) -> Seen {
        let signal = self.signal(observed.frame);
        let state = |layer: usize| {
            let values = (0..6 * 12).map(|i| {
                let fixed = if self.blind { f32::NAN } else { ((i + 17 * layer) as f32).sin() };
                if i % 12 < 6 { fixed + 2.0 * signal[i % 2] * ((i % 12) as f32 + 1.0).cos() } else { fixed }
            });
            Tensor::from_vec(values.collect(), (6, 12), &Device::Cpu).unwrap()
        };
        let past = |of: &FrameRef| {
            let side = self.sizes.side as usize;
            let values = (0..3 * side * side).map(|i| (i as f32 * 0.1 + of.number.0 as f32).sin());
            Tensor::from_vec(values.collect(), (3, side, side), &Device::Cpu).unwrap()
        };
        let newest_first = observed.newest_first.iter().map(past).collect();
        Seen { hidden_states: HiddenStates::new([state(0), state(1), state(2), state(3)]), newest_first }
    }
}

impl ObservationSource for World {
    fn see(&mut self, observations: &[&Observed]) -> Result<Vec<Seen>, TrainError> {
        Ok(observations.iter().map(|observed| World::see(*self, observed)).collect())
    }
}

impl ToyHeads {
    /// Writes logs of some episodes, with the features that the start policy's heads make.
    pub fn new(seed: u64, episodes: usize, history: Option<usize>) -> Self {
        let world = World::new(seed, history);
        let mut random = Random::new(seed);
        let policy = random_policy(world.sizes, 7, &mut random);
        let toy = Toy::new("dwa", world.sizes.feature, seed);
        let this = Self { policy, toy, logs: tempfile::tempdir().unwrap(), world, episodes };
        this.log(&learning_heads(&this.policy, world.sizes));
        this
    }

    /// The same drives, with features in their log that no heads of theirs have made.
    pub fn with_other_features(&self) -> Self {
        let (policy, logs) = (self.policy.clone(), tempfile::tempdir().unwrap());
        let toy = Toy::new("dwa", self.world.sizes.feature, self.world.seed);
        let other = Self { policy, toy, logs, world: self.world, episodes: self.episodes };
        other.log(&learning_heads(&random_policy(self.world.sizes, 7, &mut Random::new(99)), self.world.sizes));
        other
    }

    fn log(&self, heads: &LearningHeads) {
        let mut random = Random::new(self.world.seed + 7);
        let feature = |observed: &Observed| {
            let mut feature = Vec::new();
            heads.features(&[self.world.see(observed)], &mut feature).unwrap();
            feature
        };
        let observed = self.observe(0..self.episodes);
        let mut features: Vec<Vec<Vec<f32>>> =
            observed.iter().map(|steps| steps.iter().map(&feature).collect()).collect();
        features.push(Vec::new());
        for (episode, pair) in features.windows(2).enumerate() {
            let steps: Vec<Step> = (0..EPISODE)
                .map(|index| {
                    let action: Vec<f32> = (0..7).map(|_| (2.0 * random.uniform() - 1.0) as f32).collect();
                    let best = self.world.best(observed[episode][index as usize].frame);
                    let reward = -action.iter().zip(&best).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
                    let next = pair[1].first().filter(|_| index + 1 == EPISODE);
                    let step = self.toy.step(index, &pair[0][index as usize], &action, reward, next);
                    Step { stamp: stamp(episode, index), ..step }
                })
                .collect();
            self.write(episode, &steps);
        }
    }

    fn offsets(&self) -> &'static [usize] {
        if self.world.sizes.history.is_some() { &[1, 2] } else { &[] }
    }

    /// What is seen on a drive of several episodes, each of which goes on where the last was cut.
    fn observe(&self, episodes: std::ops::Range<usize>) -> Vec<Vec<Observed>> {
        let mut ring = HistoryRing::new(self.offsets(), std::time::Duration::MAX).unwrap();
        let velocity = self.toy.step(0, &[0.0; 16], &[0.0; 7], 0.0, None).velocity;
        let mut observe = |episode, index| {
            let frame = FrameRef { episode, number: FrameNumber(index) };
            let newest_first = ring.select(&frame);
            ring.push(stamp(episode, index), frame);
            Observed { frame, velocity, newest_first }
        };
        episodes.map(|episode| (0..EPISODE).map(|index| observe(episode, index)).collect()).collect()
    }

    fn write(&self, episode: usize, steps: &[Step]) {
        let store = FolderStore::open(self.logs.path(), Placement::AtOnce).unwrap();
        let session = self.toy.session(&format!("drive_{episode:03}"));
        let head = LogHead { session, weights: RewardWeights::default() };
        let mut log = EpisodeWriter::new(Arc::new(store), Arc::new(head), Rotation::default()).unwrap();
        for step in steps {
            log.write(step, &Frame::from_rgb8(2, 2, vec![step.index as u8; 12]).unwrap()).unwrap();
            log.flush().unwrap();
        }
        log.finish_part().unwrap();
    }

    /// The logs in memory, with what each step has seen.
    pub fn read(&self) -> (ReplayBuffer, ObservationTable, LogSummary) {
        let mut buffer = ReplayBuffer::new(self.toy.space(), self.world.sizes.feature, 1_000_000, 1000.0);
        let mut table = ObservationTable::new(self.offsets()).unwrap();
        let mut gate = LogGate::new(self.toy.planner.clone(), self.world.sizes.feature, Mixing::Refused);
        let logs = [self.logs.path().to_owned()];
        let summary = read_logs_with_frames(&logs, &mut gate, &mut buffer, &mut table).unwrap();
        (buffer, table, summary)
    }

    /// Heads that begin with the start policy's numbers.
    pub fn heads(&self) -> HeadTraining {
        self.heads_of("toy", self.world)
    }

    /// The same, said to stand behind another model.
    pub fn heads_on(&self, model: &str) -> HeadTraining {
        self.heads_of(model, self.world)
    }

    /// The same, behind a model that gives no numbers.
    pub fn blind_heads(&self) -> HeadTraining {
        self.heads_of("toy", World { blind: true, ..self.world })
    }

    fn heads_of(&self, model: &str, world: World) -> HeadTraining {
        let origin = HeadsOrigin {
            model: model.to_owned(),
            policy: PolicyId("a".repeat(64)),
            extractor: ExtractorId("b".repeat(64)),
        };
        HeadTraining::new(origin, learning_heads(&self.policy, world.sizes), self.read().1, Box::new(world))
    }

    pub fn training(&self, config: TrainConfig, heads: Option<HeadTraining>) -> Training {
        let actor = actor_of(&self.policy, &self.toy.planner).unwrap();
        Training::start(config, self.toy.space(), actor, self.read().0, 4).unwrap().with_heads(heads)
    }

    pub fn resume(
        &self,
        saved: SavedTraining,
        config: TrainConfig,
        heads: Option<HeadTraining>,
    ) -> Result<Training, TrainError> {
        saved.resume(config, self.toy.space(), self.read().0, heads)
    }

    /// The tensors of a policy in the state of a training.
    pub fn trained(&self, training: &Training) -> StateDict {
        let start = vlm_planner_tuner::checkpoint::PolicySet {
            actor: self.policy.clone(),
            noise: None,
            vlm_info: None,
            step: None,
            origin: Default::default(),
            lora_adapter: None,
        };
        trained_policy(&start, training, &self.toy.planner, &LogSummary::default()).unwrap().actor
    }

    /// Mean squared distance of a policy's actions from the best ones, on drives that are in no log.
    pub fn error(&self, policy: &StateDict) -> f64 {
        let heads = learning_heads(policy, self.world.sizes);
        let actor = actor_of(policy, &self.toy.planner).unwrap();
        let observed: Vec<Observed> = self.observe(1000..1015).into_iter().flatten().collect();
        let seen: Vec<Seen> = observed.iter().map(|observed| self.world.see(observed)).collect();
        let (mut features, mut activations) = (Vec::new(), Activations::default());
        heads.features(&seen, &mut features).unwrap();
        actor.forward(&features, seen.len(), &mut activations).unwrap();
        let best = observed.iter().flat_map(|observed| self.world.best(observed.frame));
        let said = activations.output().iter().map(|value| value.tanh());
        said.zip(best).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / (seen.len() * 7) as f64
    }
}
