//! Why there is no decision.

use crate::checkpoint::CheckpointError;
use crate::device::{DeviceError, GpuFault};
use crate::feature::FeatureError;
use crate::origin::IdentityError;
use crate::vision_language::ModelError;
use crate::vision_language::hub::HubError;
use crate::vision_language::processor::ProcessorError;
use crate::weights::WeightError;
use planner_tuner_core::planner::PlannerError;

/// What can go wrong between files and planner parameters. Each layer's own error says where and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TunerError {
    /// A checkpoint file.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Tensors that do not make the model.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The image processor, the prompt or the tokenizer.
    #[error(transparent)]
    Processor(#[from] ProcessorError),
    /// The vision-language model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The heads.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// The base model is not where it was said to be.
    #[error(transparent)]
    Hub(#[from] Box<HubError>),
    /// The device cannot be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The planner's parameters.
    #[error(transparent)]
    Planner(#[from] PlannerError),
    /// The actor was asked for without a policy.
    #[error("the actor head needs a policy checkpoint; pass one, or use the regression head")]
    NoPolicy,
    /// Policy and supervised checkpoint contradict each other.
    #[error("policy {policy}: {reason}")]
    PolicyMismatch {
        /// The policy's files.
        policy: String,
        /// The field, what was expected and what was found.
        reason: String,
    },
    /// Files that cannot be identified.
    #[error(transparent)]
    Identity(#[from] Box<IdentityError>),
    /// The normalisation is for another number of outputs than the head has.
    #[error(
        "the regression head has {outputs} outputs, normalization/param_mean.npy has {means} values; \
         both must come from one training run"
    )]
    Normalization {
        /// Outputs of the head.
        outputs: usize,
        /// Values in the normalisation.
        means: usize,
    },
    /// The base model's layers are in 4 bits already.
    #[error("{base} is quantised already and runs as it is; leave out --quantize nf4")]
    AlreadyQuantised {
        /// The base model.
        base: std::path::PathBuf,
    },
    /// A tensor operation failed.
    #[error("the forward pass failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl TunerError {
    /// What it says about the GPU, where one is the reason.
    pub fn gpu_fault(&self) -> Option<GpuFault> {
        match self {
            Self::Tensor(error)
            | Self::Model(ModelError::Tensor(error))
            | Self::Feature(FeatureError::Tensor(error)) => GpuFault::of(error),
            _ => None,
        }
    }

    /// Whether the files are in order and there is too little memory for them, before loading or in the middle of it.
    pub fn is_out_of_memory(&self) -> bool {
        let said_before = match self {
            Self::Weights(error) | Self::Model(ModelError::Weights(error)) => {
                matches!(error, WeightError::Memory { .. })
            }
            _ => false,
        };
        said_before || self.gpu_fault() == Some(GpuFault::OutOfMemory)
    }
}
