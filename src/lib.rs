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

#[path = "model/checkpoint/mod.rs"]
pub mod checkpoint;
pub mod cli;
#[path = "log/drive/mod.rs"]
pub mod drive;
#[path = "log/export/mod.rs"]
pub mod export;
#[path = "model/feature/mod.rs"]
pub mod feature;
#[path = "core/frame/mod.rs"]
pub mod frame;
#[path = "core/identity.rs"]
pub mod identity;
pub mod live;
#[path = "core/nav2/mod.rs"]
pub mod nav2;
#[path = "core/numbers/mod.rs"]
pub mod numbers;
#[path = "model/origin/mod.rs"]
pub mod origin;
pub mod picture;
#[path = "core/planner/mod.rs"]
pub mod planner;
#[path = "model/policy/mod.rs"]
pub mod policy;
#[path = "core/random.rs"]
pub mod random;
#[path = "log/recording/mod.rs"]
pub mod recording;
#[path = "core/scene/mod.rs"]
pub mod scene;
pub mod td3;
#[path = "model/thread_count.rs"]
pub mod thread_count;
#[path = "log/transition/mod.rs"]
pub mod transition;
#[path = "model/tuner/mod.rs"]
pub mod tuner;
#[path = "model/vectors.rs"]
pub mod vectors;
#[path = "model/vision_language/mod.rs"]
pub mod vision_language;
#[path = "model/weights/mod.rs"]
pub mod weights;
