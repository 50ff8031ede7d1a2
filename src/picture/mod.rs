//! Pictures for people: where the model looks, what was decided over a drive, and how a training went.

mod attention;
mod error;
mod plot;
mod png;
mod thumbnail;

pub use attention::attention_overlay;
pub use error::PictureError;
pub use plot::{
    ColourScale, Curve, CurveSheet, DecisionSeries, DriveMap, FrameStrip, MapPoint, MapTrack, PlottedDecision,
    StageBar, StageChart, plot_curves, plot_decisions, plot_drive, plot_stages,
};
pub use png::save_png;
pub use thumbnail::{thumbnail, to_jpeg};
