//! Heads that learn: DPT head, history encoder and history fusion, together with the actor's own layer.
//!
//! Where the model in front of them is frozen, its hidden states are computed once for each logged frame and kept on disk.
//! Where its LoRA learns with them, each frame is looked at again for each update. Logged features are those of other heads
//! from the first update on; nothing here learns from them.
//!
//! | step | file | what comes out |
//! | --- | --- | --- |
//! | what a step has seen | [`ObservationTable`] | its frame, its velocity, the frames before it |
//! | it is looked at, by a frozen model | [`LogObserver`], [`DiskCache`] | hidden states and past pixels, from the log or the cache |
//! | or through a LoRA that learns | [`LearningView`] | the same, computed with the LoRA as it is now |
//! | features | [`LearningHeads`] | of a batch at once, the robot's up to rounding |
//! | and back | [`LearningHeads`], [`LearningView`], [`HeadTraining`] | a gradient for every weight, and Adam's step |
//!
//! **What moves the heads.** The original's actor owns one feature extractor, which its critic and both targets share; its
//! targets copy only `fc`, action encoder and q-heads. So here the actor's optimiser owns LoRA, heads and `fc`: one Adam, one
//! learning rate (`actor_lr`), one gradient norm. The critic takes the feature as it comes, and its loss does not reach
//! the heads; nor does the actor's loss reach them through the critic's own view of the feature, only through the action.
//! Next states are seen with the current heads.

mod disk_cache;
pub mod hidden_entry;
mod learning_heads;
mod learning_view;
mod log_observer;
mod observed;
mod source;
mod training;

pub use disk_cache::{CacheKey, DiskCache};
pub use hidden_entry::HiddenFormat;
pub use learning_heads::LearningHeads;
pub use learning_view::LearningView;
pub use log_observer::{CacheSettings, LogObserver};
pub use observed::{FrameRef, ObservationTable, Observed};
pub use source::{ObservationSource, Seen};
pub use training::{HeadTraining, HeadsOrigin};
