//! Policies in files: what reinforcement learning leaves, what a trainer hands to a robot that drives.
//!
//! | form | files | made by |
//! | --- | --- | --- |
//! | three files | `P_actor`, `P_noise`, `P_vlm_info` (pickles), `P_lora_adapter/` | the original system, and us |
//! | safetensors | `P_actor.safetensors` | us |
//! | one folder | `regression_head/`, `history_encoder/`, `normalization/`, `exploration_noise.pkl` | later versions of the original |
//!
//! With our own comes `P_manifest.json`, by which a reader knows that each file is whole. [`PolicySet`] writes all files
//! of a policy at one instant.

mod checkpoint;
mod heads;
mod locate;
mod manifest;
mod set;
mod snapshot;
mod stored;
mod vlm_info;

pub use checkpoint::PolicyCheckpoint;
pub use heads::HeadsPolicy;
pub use locate::{LocatedPolicy, locate_live};
pub use manifest::{PolicyManifest, PolicyOrigin, sha256_of};
pub use set::{PolicyForm, PolicySet, SavedPolicy};
pub use snapshot::Fingerprint;
pub use stored::StoredPolicy;
pub use vlm_info::VlmInfo;

/// Below this name lies the DPT head in an actor's file.
pub const DPT_HEAD: &str = "feature_extractor.dpt_head";
/// Below this name lies the history encoder.
pub const HISTORY_ENCODER: &str = "feature_extractor.history_encoder";

/// What follows the prefix in an actor's name.
const ACTOR: &str = "_actor";
/// What follows it in the name of an actor in safetensors form.
const ACTOR_SAFETENSORS: &str = "_actor.safetensors";
const NOISE: &str = "_noise";
const VLM_INFO: &str = "_vlm_info";
const LORA_ADAPTER: &str = "_lora_adapter";

/// All files and folders that a policy may consist of.
const FAMILY: [&str; 6] = [ACTOR, ACTOR_SAFETENSORS, NOISE, VLM_INFO, LORA_ADAPTER, PolicyManifest::SUFFIX];

/// The prefix of a policy by its actor's file: the name without what says that it is an actor.
fn stem(actor: &std::path::Path) -> String {
    let name = actor.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(ACTOR).or_else(|| name.strip_suffix(ACTOR_SAFETENSORS));
    stem.unwrap_or(&name).to_owned()
}
