//! What reinforcement learning trains of a checkpoint, and what it freezes.

use crate::checkpoint::{PolicyCheckpoint, SupervisedCheckpoint, TensorTable};
use serde::Serialize;

/// Parameter counts per network, as the training system prints them when it starts.
///
/// The heads are trained. The vision-language model is frozen; only a policy that says `vlm_trainable` trains its
/// adapter.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// One row per network.
    pub networks: Vec<Network>,
    /// What a saved policy holds, in f32: the heads, the actor's last layer, and the adapter where it is trained.
    pub policy_bytes: u64,
}

/// One row of the summary.
#[derive(Debug, Serialize)]
pub struct Network {
    /// Name.
    pub name: &'static str,
    /// All values; `None` for a part that was not given.
    pub total: Option<u64>,
    /// Values that training changes.
    pub trainable: Option<u64>,
    /// Values that stay.
    pub frozen: Option<u64>,
}

/// Outputs of an actor when there is none to look at: every built-in planner with seven parameters.
const ACTIONS: u64 = 7;

impl Summary {
    /// Counts. Without a base model the vision-language row is unknown; without a policy its last layer is taken for
    /// one of seven actions and the adapter for frozen.
    pub fn of(
        checkpoint: &SupervisedCheckpoint,
        base: Option<&TensorTable>,
        policy: Option<&PolicyCheckpoint>,
    ) -> Self {
        let vlm_trainable = policy.and_then(|policy| policy.vlm_info.as_ref()).is_some_and(|info| info.vlm_trainable);
        let trained_adapter = policy.and_then(|policy| policy.lora_adapter.as_ref());
        let adapter = trained_adapter.or(checkpoint.adapter.as_ref());
        let adapter = adapter.map_or(0, |adapter| adapter.tensors.parameter_count());
        let trained = if vlm_trainable { adapter } else { 0 };

        let head = &checkpoint.regression_head;
        let history = checkpoint.history_encoder.as_ref().map_or(0, TensorTable::parameter_count);
        let heads = head.parameter_count() + history;
        let actor = match policy {
            Some(policy) => policy.actor.parameter_count(),
            None => heads + ACTIONS * (feature_size(head) + 1),
        };
        let trained_row = |name, total| Network { name, total: Some(total), trainable: Some(total), frozen: Some(0) };
        let base = base.map(|base| base.parameter_count() + adapter);
        let vlm = Network {
            name: "VLM (with adapter)",
            total: base,
            trainable: base.map(|_| trained),
            frozen: base.map(|total| total - trained),
        };
        Self {
            networks: vec![
                vlm,
                trained_row("DPT head", head.parameter_count()),
                trained_row("history encoder", history),
            ],
            policy_bytes: (actor + trained) * size_of::<f32>() as u64,
        }
    }
}

/// Length of the feature: what the first layer of the regression MLP takes in.
fn feature_size(head: &TensorTable) -> u64 {
    let first = head.names().find(|name| name.starts_with("mlp.") && name.ends_with(".weight"));
    let shape = first.and_then(|name| head.meta(name)).map(|meta| meta.shape.as_slice());
    match shape {
        Some([_, feature]) => *feature as u64,
        _ => 0,
    }
}
