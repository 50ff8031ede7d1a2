//! What can be wrong with the files that say how an image and a prompt are prepared, and with what they are applied to.

use std::{io, path::PathBuf};

use super::ResizeError;

/// Why an image or a prompt could not be prepared for the model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessorError {
    /// A file is missing, unreadable or far too large.
    #[error("{path}: {source}; expected {what}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the file is for, and where it comes from.
        what: &'static str,
        /// What the file system said.
        source: io::Error,
    },
    /// A file is not the JSON it should be.
    #[error("{path}: not the expected JSON: {source}", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// A field holds a value that the processor cannot work with.
    #[error("{origin}: field '{field}' is {found}, expected {expected}")]
    Field {
        /// The file, or `command line`.
        origin: String,
        /// The field's name in the file.
        field: &'static str,
        /// The value.
        found: String,
        /// What is accepted.
        expected: String,
    },
    /// Two files for the same settings, with different ones.
    #[error("{folder}: {one} and {other} do not say the same of the image processor; remove the one that is wrong",
        folder = folder.display())]
    TwoFiles {
        /// The folder of both.
        folder: PathBuf,
        /// The file for the image processor alone.
        one: &'static str,
        /// The file for all parts of the processor.
        other: &'static str,
    },
    /// The fewest pixels are more than the most.
    #[error(
        "min_pixels {min_pixels} ({min_origin}) is larger than max_pixels {max_pixels} ({max_origin}); change one of them"
    )]
    PixelBudget {
        /// Fewest pixels after the resize.
        min_pixels: u64,
        /// Where that number comes from.
        min_origin: String,
        /// Most pixels after the resize.
        max_pixels: u64,
        /// Where that number comes from.
        max_origin: String,
    },
    /// An image that HF's `smart_resize` refuses.
    #[error(
        "image is {width}x{height} pixels: the longer side may be at most 200 times the shorter one; crop the image"
    )]
    AspectRatio {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
    },
    /// The resize itself failed.
    #[error(transparent)]
    Resize(#[from] ResizeError),
    /// An image that does not divide into blocks of merged patches.
    #[error("image of {width}x{height} pixels does not divide into blocks of {factor}x{factor}; resize it first")]
    PatchGrid {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
        /// `patch_size * merge_size`, pixels.
        factor: u32,
    },
    /// A prompt template with a placeholder that cannot be filled in.
    #[error("{origin}: template '{template}' has {placeholder} at byte {offset}: {reason}")]
    Placeholder {
        /// The file.
        origin: String,
        /// `system` or `user`.
        template: &'static str,
        /// The placeholder with its braces.
        placeholder: String,
        /// Where it starts in the template, bytes.
        offset: usize,
        /// What is wrong and what would be right.
        reason: PlaceholderError,
    },
    /// `tokenizers` refused the file or the text.
    #[error("{path}: {reason}", path = path.display())]
    Tokenizer {
        /// The tokenizer file.
        path: PathBuf,
        /// What the library said.
        reason: String,
    },
    /// Tokenizer and model disagree on the id of the image token.
    #[error(
        "{path}: the id of <|image_pad|> is {}, but config.json says image_token_id = {expected}; \
         take tokenizer.json and config.json from the same model",
        found.map_or("missing".to_owned(), |id| id.to_string()),
        path = path.display()
    )]
    ImageToken {
        /// The tokenizer file.
        path: PathBuf,
        /// The id in config.json.
        expected: u32,
        /// The id in tokenizer.json.
        found: Option<u32>,
    },
    /// The prompt does not hold the image tokens exactly once.
    #[error(
        "the prompt has {found} image tokens, expected {expected} for this image; \
         the templates in prompt.json must not hold <|image_pad|> themselves"
    )]
    ImageTokenCount {
        /// Tokens that the image needs.
        expected: usize,
        /// Tokens in the prompt.
        found: usize,
    },
}

/// Why a placeholder of a prompt template cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceholderError {
    /// No such placeholder.
    #[error("not known; {{linear_vel:.3f}}, {{angular_vel:.3f}} and {{planner}} are filled in")]
    Unknown,
    /// A format for the planner's name.
    #[error("the planner's name takes no format; write {{planner}}")]
    PlannerFormat,
    /// A velocity without a number of decimals.
    #[error(
        "a velocity needs a format with 0 to 9 decimals such as {{{name}:.3f}}, as the checkpoint was trained with"
    )]
    Decimals {
        /// The placeholder's name.
        name: String,
    },
}
