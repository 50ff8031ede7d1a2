//! The model while it learns: LoRA beside its frozen matrices, and a gradient for each number of it.
//!
//! | step | file | what comes out |
//! | --- | --- | --- |
//! | a LoRA is put beside the matrices | [`LoraLayers`] | pairs of variables, as PEFT starts or saves them |
//! | an image and a prompt are seen | [`LearningModel`] | hidden states, computed in the fast way, and the blocks' inputs |
//! | and back, block by block | [`LearningModel::backward`], [`GradientSums`] | a gradient for each variable |
//! | a step | [`AdamW`] | other numbers in the variables, and averages that can be saved |
//!
//! The base model's numbers are read and never written. What learns is f32, on the model's device.

mod adam_w;
mod error;
mod gradient_sums;
mod learning_model;
mod load;
mod lora_file;
mod lora_layers;
mod lora_settings;
mod needs;

pub use crate::weights::LoraTargets;
pub use adam_w::{AdamSettings, AdamW};
pub use error::LearningError;
pub use gradient_sums::GradientSums;
pub use learning_model::{LearningModel, Sight};
pub use load::LearningModelOptions;
pub use lora_layers::LoraLayers;
pub use lora_settings::LoraSettings;
pub use needs::{LearningNeeds, LoraSize, WhatLearns};
