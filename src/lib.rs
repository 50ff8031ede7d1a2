//! Re-tunes a classical local planner by looking at the scene.
//!
//! The folders follow the road of one decision:
//!
//! | step | folder | what comes out |
//! | --- | --- | --- |
//! | an image comes in | [`frame`], [`recording`] | [`frame::Frame`], with its stamp and the robot's [`frame::BodyVelocity`] |
//! | or is drawn | [`scene`] | the [`frame::render::Scene`] that scan, plan and pose make |
//! | hidden states | [`vision_language`] | the last four hidden states of a frozen Qwen2.5-VL |
//! | 256 numbers | [`feature`] | the pooled feature, and where the model looked |
//! | an action | [`policy`] | seven numbers in [-1, 1] |
//! | planner parameters | [`planner`] | named values, in range by construction, past [`planner::guard`] |
//! | a planner that obeys | [`nav2`] | what to set on which ROS node, and what became of it |
//! | a logged step | [`transition`] | what the robot saw, did and got for it |
//!
//! [`checkpoint`] reads and writes the files that all of this is loaded from, [`export`] hands logs to Python, [`picture`] shows it to people, [`cli`] is the command
//! line on top.

pub mod cli;
pub mod live;
pub mod live_view;
pub mod page;
pub mod picture;
pub mod simulated;

pub use planner_tuner_core::{durable, frame, identity, nav2, numbers, planner, random, scene};
pub use planner_tuner_finetune as finetune;
pub use planner_tuner_log::{drive, export, recording, transition, viewer};
pub use planner_tuner_model::{
    checkpoint, device, feature, learning, origin, policy, thread_count, tuner, vectors, vision_language, weights,
};
pub use planner_tuner_simulation as simulation;
pub use planner_tuner_td3 as td3;
