//! The heads of either checkpoint, loaded strictly.

use std::sync::Arc;

use candle_core::{DType, Device};
use candle_nn::VarBuilder;

use crate::checkpoint::{
    DPT_HEAD, HISTORY_ENCODER, HistoryConfig, PolicyCheckpoint, SupervisedCheckpoint, TensorTable,
};
use crate::feature::{DptHead, DptSizes, FeatureExtractor, HistoryEncoder, HistorySizes};
use crate::policy::Actor;
use crate::weights::{WeightError, load_strictly};

/// Feature extractor of the supervised checkpoint.
pub fn load_supervised(
    checkpoint: &SupervisedCheckpoint,
    hidden: usize,
    device: &Device,
) -> Result<FeatureExtractor, WeightError> {
    let config = super::load::history(checkpoint);
    let heads = (&checkpoint.regression_head, checkpoint.history_encoder.as_ref());
    load_heads(heads, config, hidden, device)
}

/// A feature extractor of a DPT head with its regression and, where there is a configuration for it, a history encoder.
pub fn load_heads(
    (regression_head, history_encoder): (&TensorTable, Option<&TensorTable>),
    config: Option<&HistoryConfig>,
    hidden: usize,
    device: &Device,
) -> Result<FeatureExtractor, WeightError> {
    let table: Arc<TensorTable> = Arc::new(regression_head.clone());
    let sizes = dpt_sizes(&table, "", hidden, config);
    let dpt_head = load_strictly(table, DType::F32, device, |vb| DptHead::new(sizes, vb))?;
    let history = match (config, history_encoder) {
        (Some(config), Some(table)) => {
            let sizes = history_sizes(table, "", config);
            let build = |vb: VarBuilder| HistoryEncoder::new(sizes, vb);
            let encoder = load_strictly(Arc::new(table.clone()), DType::F32, device, build)?;
            Some((encoder, sizes.frames))
        }
        _ => None,
    };
    Ok(FeatureExtractor::new(dpt_head, history))
}

/// Feature extractor and actor of a policy. Sizes that are not in the tensors are those of the supervised checkpoint
/// the policy was trained from.
pub fn load_policy(
    policy: &PolicyCheckpoint,
    history: Option<&HistoryConfig>,
    hidden: usize,
    actions: usize,
    device: &Device,
) -> Result<(FeatureExtractor, Actor), WeightError> {
    let table: Arc<TensorTable> = Arc::new(policy.actor.clone());
    let dpt = dpt_sizes(&table, &format!("{DPT_HEAD}."), hidden, history);
    let encoder = history.map(|config| history_sizes(&table, &format!("{HISTORY_ENCODER}."), config));
    load_strictly(table, DType::F32, device, |vb| {
        let dpt_head = DptHead::new(dpt, vb.pp(DPT_HEAD))?;
        let encoder = encoder
            .map(|sizes| {
                Ok::<_, candle_core::Error>((HistoryEncoder::new(sizes, vb.pp(HISTORY_ENCODER))?, sizes.frames))
            })
            .transpose()?;
        Ok((FeatureExtractor::new(dpt_head, encoder), Actor::new(dpt.feature, actions, vb.clone())?))
    })
}

/// Where the tensors that tell the sizes are missing, 1 stands for them: every tensor is then reported.
fn dpt_sizes(table: &TensorTable, prefix: &str, hidden: usize, history: Option<&HistoryConfig>) -> DptSizes {
    let history = history.map(|config| config.history_dim);
    let unknown = DptSizes { hidden, feature: 1, history, num_params: 1 };
    DptSizes::of(table, prefix, hidden, history).unwrap_or(unknown)
}

fn history_sizes(table: &TensorTable, prefix: &str, config: &HistoryConfig) -> HistorySizes {
    HistorySizes::of(table, prefix, config.history_dim, config.num_history_frames)
}
