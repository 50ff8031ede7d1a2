//! What the model is given: patches of the resized image, token ids of the prompt, and their positions.
//!
//! [`ImageProcessor`] turns a frame into rows of patches as HF's `Qwen2VLImageProcessorFast` does, [`PromptTemplate`]
//! words the question, [`PromptTokenizer`] spells it in token ids, and [`MropePositions`] says where each token is in
//! time, height and width.

mod bounded_file;
mod error;
mod image_processor;
mod mrope_positions;
mod patches;
mod preprocessor_config;
mod preprocessor_layers;
mod prompt;
mod prompt_template;
mod resize;
mod smart_resize;
mod tokens;

pub(crate) use bounded_file::read_bounded;
pub use error::{PlaceholderError, ProcessorError};
pub use image_processor::ImageProcessor;
pub use mrope_positions::MropePositions;
pub use patches::{GridThw, ProcessedImage};
pub use preprocessor_config::{PixelBudget, PreprocessorConfig};
pub use prompt::Prompt;
pub use prompt_template::PromptTemplate;
pub use resize::{ResizeError, Resizer};
pub use smart_resize::{ImageSize, smart_resize};
pub use tokens::{PromptTokenizer, TokenizedPrompt};
