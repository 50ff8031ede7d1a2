//! A problem that only heads that learn can solve: what the best action depends on lies in a part of the hidden states
//! and of the past frames that the start heads do not look at.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, dead_code)]

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::{VarBuilder, VarMap};
use vlm_planner_tuner::checkpoint::{HistoryConfig, StateDict};
use vlm_planner_tuner::feature::{DptHead, DptSizes, FeatureExtractor, HistoryEncoder, HistorySizes};
use vlm_planner_tuner::td3::heads::{LearningHeads, Seen};
use vlm_planner_tuner::td3::{Mlp, Random};
use vlm_planner_tuner::vision_language::HiddenStates;

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
