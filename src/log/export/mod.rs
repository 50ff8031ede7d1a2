//! Logs as arrays for Python: one `.npz` an episode with the names that Minari gives to its arrays.
//!
//! ```text
//! dataset/
//!   metadata.json            planner, parameters, lengths, who acted in which episode, what each array is
//!   to_minari.py             makes a data set that Minari loads
//!   episode_0.npz            observations, actions, rewards, terminations, truncations, …
//!   episode_0/frames/        000000.png, … where a step's number in `frames` says
//! ```
//!
//! `numpy.load("episode_0.npz")["observations"]` is all it takes to read them. An exported episode has no holes: where
//! steps were lost, the log's episode becomes several, each but the last truncated.

mod array;
mod dataset;
mod error;
mod trajectory;

pub use dataset::{DatasetExport, ExportReport};
pub use error::{ExportError, Mixed};
pub use trajectory::Trajectory;
