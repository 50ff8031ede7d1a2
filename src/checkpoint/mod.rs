//! Files from outside: tensors, pickles, arrays, and the folders that hold them.
//!
//! Nothing in a file is trusted: no length is believed before it has been compared with the file, no pickle is
//! executed, and nothing is read through a memory map.
//!
//! | folder or file | type |
//! | --- | --- |
//! | a base model's shards, or any one tensor file | [`TensorTable`] |
//! | what supervised training leaves | [`SupervisedCheckpoint`] |
//! | what reinforcement learning leaves | [`PolicyCheckpoint`] |

mod adapter;
mod error;
mod history_config;
mod json;
mod normalization;
pub mod npy;
mod pickle;
mod policy;
mod safetensors_file;
mod sharded;
mod supervised;
mod tensor_source;
mod tensor_table;
mod torch_pickle;
mod torch_zip;

pub use adapter::{Adapter, LoraConfig};
pub use error::CheckpointError;
pub use history_config::HistoryConfig;
pub use normalization::Normalization;
pub use pickle::PickleError;
pub use policy::{PolicyCheckpoint, VlmInfo};
pub use supervised::{AdapterRequirement, Heads, SupervisedCheckpoint};
pub use tensor_source::TensorMeta;
pub use tensor_table::{TensorFormat, TensorTable};
