//! Pictures for people: where the model looks, and what was decided over a drive.

mod attention;
mod error;
mod plot;
mod png;

pub use attention::attention_overlay;
pub use error::PictureError;
pub use plot::{DecisionSeries, FrameStrip, PlottedDecision, StageBar, StageChart, plot_decisions, plot_stages};
pub use png::{frame_to_png, save_png};
