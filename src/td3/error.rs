//! Why nothing was learned.

use std::path::PathBuf;

/// What can go wrong between logs and a better actor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The statistics are not those of this planner.
    #[error(
        "{planner} has {expected} parameters, the checkpoint's normalization describes {found}; give the supervised \
         checkpoint that was trained for this planner"
    )]
    Normalization {
        /// The planner.
        planner: String,
        /// Its parameters.
        expected: usize,
        /// Entries of the statistics.
        found: usize,
    },
    /// The training's settings cannot be read.
    #[error("cannot read training settings {}: {source}", path.display())]
    ReadConfig {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The training's settings are wrong.
    #[error("{file}: {problem}{hint}")]
    Config {
        /// The file.
        file: String,
        /// What the YAML reader found, with line and column.
        problem: serde_yaml::Error,
        /// The nearest key, or nothing.
        hint: String,
    },
    /// A setting has a value that cannot be.
    #[error("{file}: {key} is {found}, expected {expected}")]
    Setting {
        /// The file.
        file: String,
        /// The key.
        key: &'static str,
        /// Its value.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// Two logs, or a log and the policy, do not belong together.
    #[error(transparent)]
    Mixed(#[from] super::MixedLogs),
    /// The start policy's actor cannot be trained.
    #[error("the start policy does not fit: {problem}")]
    Actor {
        /// What was expected and what was found.
        problem: String,
    },
    /// Another training mode than the one that a training was begun with.
    #[error("the training was begun with --train {begun}, --train {asked} is another one; leave --train out to go on")]
    OtherMode {
        /// What learned so far.
        begun: &'static str,
        /// What was asked for.
        asked: &'static str,
    },
    /// Another frozen model than the one that a training was begun with.
    #[error(
        "the training was begun on hidden states of model {begun}, this is model {found}; go on with the same --base,          --checkpoint, --dtype, --quantize and pixels"
    )]
    OtherModel {
        /// The model so far.
        begun: String,
        /// The model that was given.
        found: String,
    },
    /// An observation that nothing is known of.
    #[error("there is no frame for {observation:?}; this is an error of the program")]
    NotObserved {
        /// Where it should be.
        observation: super::n_step::Observation,
    },
    /// Past frames that no ring holds.
    #[error(transparent)]
    History(#[from] planner_tuner_core::frame::FrameError),
    /// The frozen model cannot be run.
    #[error(transparent)]
    Model(#[from] Box<planner_tuner_model::tuner::TunerError>),
    /// The model that learns cannot be run.
    #[error(transparent)]
    Learning(#[from] planner_tuner_model::learning::LearningError),
    /// The heads cannot be run.
    #[error(transparent)]
    Heads(#[from] planner_tuner_model::feature::FeatureError),
    /// The cache of hidden states cannot be used.
    #[error("cache {}: {source}", path.display())]
    Cache {
        /// Its folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A log cannot be read at all.
    #[error(transparent)]
    Log(#[from] planner_tuner_log::transition::TransitionError),
    /// A folder without a log.
    #[error("{} holds no transition log (*.mcap); write some with planner_tuner replay --log", path.display())]
    NoLogs {
        /// The folder.
        path: PathBuf,
    },
    /// There is nothing to learn from.
    #[error("the logs hold {steps} steps and no window of them can be learned from; log a drive of several decisions")]
    NothingToLearn {
        /// Steps that were taken up.
        steps: usize,
    },
    /// Training went astray.
    #[error(
        "the last {skipped} updates gave NaN or infinite numbers, the last one at update {iteration}; the policy saved \
         before is kept. Lower actor_lr and critic_lr, or look for wild rewards in the logs"
    )]
    Diverged {
        /// Updates skipped in a row.
        skipped: u32,
        /// The last of them.
        iteration: u64,
    },
    /// A folder without a training.
    #[error("{} holds no saved training; give the folder that -o named, or leave --resume out", folder.display())]
    NothingToResume {
        /// The folder.
        folder: PathBuf,
    },
    /// A checkpoint, or what a training saves, cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] planner_tuner_model::checkpoint::CheckpointError),
    /// A file of curves cannot be read or written.
    #[error("{}: {problem}", path.display())]
    Curves {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A matrix operation failed.
    #[error("an update failed: {0}")]
    Tensor(#[from] candle_core::Error),
}
