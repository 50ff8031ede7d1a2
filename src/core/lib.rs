//! What a planner tuner is without a model: frames and scenes come in, parameters go out, past a guard.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`frame`] | an image with its stamp and the robot's velocity, the ring of past frames, and the renderer |
//! | [`pose`] | where a robot is, in the plane |
//! | [`scene`] | what scan, plan, pose and transforms make: a picture to draw |
//! | [`numbers`] | what a model gives for a frame: a feature and an action, finite by construction |
//! | [`planner`] | the planner's parameters, in range by construction, and the guard that decides what may leave |
//! | [`durable`] | files that are whole or not there |
//! | [`nav2`] | what is set on which ROS node, and what became of it |
//! | [`identity`], [`random`] | who decided; random numbers that are the same everywhere |
//!
//! Nothing here knows tensors, ROS, a command line or a clock: time is passed in.

pub mod durable;
pub mod frame;
pub mod identity;
pub mod nav2;
pub mod numbers;
pub mod planner;
pub mod pose;
pub mod random;
pub mod scene;
