//! Files from outside: tensors, pickles, arrays, and the folders that hold them.
//!
//! Nothing in a file is trusted: no length is believed before it has been compared with the file, no pickle is
//! executed, and nothing is read through a memory map.
//!
//! | folder or file | type |
//! | --- | --- |
//! | a base model's shards, or any one tensor file | [`TensorTable`] |
//! | what supervised training leaves | [`SupervisedCheckpoint`] |
//! | what reinforcement learning leaves | [`PolicyCheckpoint`], or [`HeadsPolicy`] in its one-folder form |
//!
//! What is written is a [`StateDict`] in a [`PolicySet`]: all files of a policy, replaced at one instant ([`FileSet`]).

mod adapter;
mod error;
mod file_set;
mod history_config;
mod json;
mod lora_config;
mod normalization;
pub mod npy;
mod pickle;
mod policy;
mod safetensors_file;
mod saved_state;
mod sharded;
mod stand_in;
mod state_dict;
mod supervised;
mod supervised_files;
mod tensor_source;
mod tensor_table;
mod torch_pickle;
mod torch_save;
mod torch_zip;

pub use adapter::{Adapter, AdapterFiles};
pub use error::CheckpointError;
pub use file_set::{FileSet, SetFile};
pub use history_config::HistoryConfig;
pub use lora_config::{LoraConfig, ModulePatterns};
pub use normalization::Normalization;
pub use pickle::PickleError;
pub use policy::{
    DPT_HEAD, Fingerprint, HISTORY_ENCODER, HeadsPolicy, LocatedPolicy, PolicyCheckpoint, PolicyForm, PolicyManifest,
    PolicyOrigin, PolicySet, SavedPolicy, StoredPolicy, VlmInfo, locate_live, sha256_of,
};
pub use saved_state::{SavedState, StateFormat};
pub(crate) use stand_in::stand_in;
pub use state_dict::StateDict;
pub use supervised::{AdapterRequirement, Heads, SupervisedCheckpoint};
pub use supervised_files::SupervisedFiles;
pub use tensor_source::TensorMeta;
pub use tensor_table::{TensorFormat, TensorTable};
