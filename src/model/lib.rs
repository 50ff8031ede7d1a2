//! The model: a frame and its history go in, a decision comes out.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`checkpoint`] | the files of base, supervised checkpoint and policy, read without executing anything, and written atomically |
//! | [`weights`], [`vectors`] | dense, merged and 4-bit weights; the vector instructions they are computed with |
//! | [`device`] | the CPU, or a GPU; what an error of one means |
//! | [`vision_language`] | Qwen2.5-VL: prompt and image become the last four hidden states |
//! | [`feature`] | DPT head and history encoder: hidden states become 256 numbers |
//! | [`policy`] | the actor, and what has to be true before another policy takes over |
//! | [`tuner`] | all of it in order, from a frame to a decision |
//! | [`learning`] | a LoRA beside the frozen matrices, gradients through the whole model, AdamW |
//! | [`origin`] | which files a decision came from, as checksums |
//!
//! Nothing here knows a command line, a progress bar, ROS or logs.

pub mod checkpoint;
pub mod device;
pub mod feature;
pub mod learning;
pub mod origin;
pub mod policy;
pub mod thread_count;
pub mod tuner;
pub mod vectors;
pub mod vision_language;
pub mod weights;
