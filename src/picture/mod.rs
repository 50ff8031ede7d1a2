//! Pictures for people: where the model looks, what was decided over a drive, and how a training went.

mod attention;
mod error;
mod plot;
mod png;

pub use attention::attention_overlay;
pub use error::PictureError;
pub use plot::{
    Curve, CurveSheet, DecisionSeries, FrameStrip, PlottedDecision, StageBar, StageChart, plot_curves, plot_decisions,
    plot_stages,
};
pub use png::save_png;
