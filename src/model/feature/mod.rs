//! 256 numbers: hidden states and history become the feature.
//!
//! The DPT head projects the last four hidden states, fuses them from the deepest to the earliest, pools them with a
//! learned attention, and fuses the result with what the history encoder says of the previous frames. All in f32.
//!
//! A robot computes frame by frame ([`FeatureExtractor`]), what learns a batch at once, with a gradient ([`BatchHeads`]).

mod attention_map;
mod attention_pool;
mod batch_heads;
mod by_hand;
mod convolution;
mod dpt_head;
mod error;
mod extractor;
mod fusion_block;
mod history_encoder;
mod history_image;
mod learned_linear;
mod norm;
mod pillow_bilinear;
mod projection;
mod regression;
mod sequence_layout;

pub use attention_map::AttentionMap;
pub use batch_heads::{BatchHeads, HeadGradient, HeadParts};
pub use dpt_head::{DptHead, DptSizes, Pooled};
pub use error::FeatureError;
pub(crate) use error::values;
pub use extractor::{EncodedFrame, ExtractedFeature, FeatureExtractor, HeadInput};
pub use history_encoder::{HistoryEncoder, HistorySizes};
pub use history_image::HistoryImageProcessor;
pub use projection::ProjectedPrefix;
pub use regression::{HeadDropout, RegressionHead};
