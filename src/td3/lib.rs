//! An updated policy: twin delayed deterministic policy gradients (TD3) from logged steps.
//!
//! | step | file | what comes out |
//! | --- | --- | --- |
//! | logs are let in | `mixed_logs` | steps of one planner, one extractor, one policy |
//! | steps wait | [`ReplayBuffer`] | features in memory, the oldest overwritten |
//! | windows are drawn | [`Sampler`], [`n_step`] | a [`Batch`]: rewards summed, never across an end, a cut or a lost step |
//! | an update | [`Learner`] | a critic that estimates better, an actor that it likes better |
//! | many of them | [`Training`], [`SavedTraining`] | curves, and a state to go on from |
//! | the result | [`compare_actors`] | what changed, parameter by parameter |

mod action_space;
mod batch;
mod comparison;
mod config;
mod critic;
mod curve_files;
mod curves;
mod error;
mod event_file;
mod exploration;
pub mod heads;
mod learner;
mod learning_actor;
mod learning_critic;
mod learns;
mod logs;
mod mixed_logs;
mod mlp;
pub mod n_step;
mod optimizer;
mod policy_tensors;
mod progress;
mod replay_buffer;
mod sampler;
mod saved_training;
mod training;
mod update;
mod update_heads;

pub use action_space::{ActionSpace, Axis};
pub use batch::Batch;
pub use comparison::{ActorChange, ActorOn, compare_actors};
pub use config::{Automatic, LearnerSettings, RewardScale, TrainConfig};
pub use critic::{CriticMoments, CriticNumbers, CriticPass, TwinCritic};
pub use curve_files::CurveFiles;
pub use curves::{Averages, CurvePoint, curve_names};
pub use error::TrainError;
pub use exploration::exploration_noise;
pub use learner::Learner;
pub use learns::Learns;
pub use logs::{LogSummary, read_logs, read_logs_with_frames};
pub use mixed_logs::{LogGate, MixedLogs, Mixing, StartPolicy};
pub use mlp::{Activations, Gradients, Mlp, NamedTensor};
pub use optimizer::{AdamStep, Moments, Optimizer};
pub use planner_tuner_core::random::Random;
pub use policy_tensors::{Changes, actor_of, changes_of, trained_policy};
pub use progress::Progress;
pub use replay_buffer::{ReplayBuffer, StepRefused};
pub use sampler::Sampler;
pub use saved_training::SavedTraining;
pub use training::Training;
pub use update::{ActorUpdate, GradientNorm, Skipped, Update};
pub use update_heads::{Frozen, Heads};
