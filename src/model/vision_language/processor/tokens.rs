//! The prompt in token ids.

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;

use super::{ProcessorError, Prompt, prompt::IMAGE_PAD, read_bounded};

/// The full Qwen2.5 tokenizer.json has 5 to 11 MB.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Token ids of a prompt with one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizedPrompt {
    /// All ids: text, image tokens, text.
    pub input_ids: Vec<u32>,
    /// Where the image tokens begin in `input_ids`.
    pub image_start: usize,
    /// How many image tokens there are, without a gap.
    pub image_tokens: usize,
}

impl TokenizedPrompt {
    /// Length of the sequence, L.
    pub fn len(&self) -> usize {
        self.input_ids.len()
    }

    /// Whether there is not a single token.
    pub fn is_empty(&self) -> bool {
        self.input_ids.is_empty()
    }
}

/// A model's tokenizer, and the id that stands for the image.
#[derive(Debug, Clone)]
pub struct PromptTokenizer {
    tokenizer: Tokenizer,
    image_token_id: u32,
    path: PathBuf,
}

impl PromptTokenizer {
    /// Name of the file in the base model's folder.
    pub const FILE: &str = "tokenizer.json";

    /// Reads tokenizer.json (the file itself or the folder that holds it). `image_token_id` is the model's, from
    /// config.json.
    ///
    /// # Errors
    /// [`ProcessorError::Read`] or [`ProcessorError::Tokenizer`] for a file that cannot be used,
    /// [`ProcessorError::ImageToken`] when it gives `<|image_pad|>` another id than the model.
    pub fn load(path: &Path, image_token_id: u32) -> Result<Self, ProcessorError> {
        let path = if path.is_dir() { path.join(Self::FILE) } else { path.to_owned() };
        let bytes = read_bounded(&path, MAX_FILE_BYTES).map_err(|source| ProcessorError::Read {
            path: path.clone(),
            what: "the tokenizer in the format of the tokenizers library, published beside the base model's weights",
            source,
        })?;
        let refuse = |e: tokenizers::Error| ProcessorError::Tokenizer { path: path.clone(), reason: e.to_string() };
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(refuse)?;
        // A file can be saved with either switched on; a prompt is neither cut off nor filled up.
        tokenizer.with_truncation(None).map_err(refuse)?.with_padding(None);
        let found = tokenizer.token_to_id(IMAGE_PAD);
        if found != Some(image_token_id) {
            return Err(ProcessorError::ImageToken { path, expected: image_token_id, found });
        }
        Ok(Self { tokenizer, image_token_id, path })
    }

    /// Ids of a text as it is; added tokens in it are recognised, none are added.
    ///
    /// # Errors
    /// [`ProcessorError::Tokenizer`] when the library refuses the text.
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>, ProcessorError> {
        match self.tokenizer.encode_fast(text, false) {
            Ok(encoding) => Ok(encoding.get_ids().to_vec()),
            Err(e) => Err(ProcessorError::Tokenizer { path: self.path.clone(), reason: e.to_string() }),
        }
    }

    /// Ids of a prompt whose image takes `image_tokens` tokens.
    ///
    /// Added tokens split a text before anything else is done to it, and the halves of a [`Prompt`] end and begin with
    /// one: encoding them apart gives the ids of the whole.
    ///
    /// # Errors
    /// [`ProcessorError::ImageTokenCount`] when the text itself holds image tokens, or there are none for the image;
    /// [`ProcessorError::Tokenizer`] when the library refuses the text.
    pub fn encode(&self, prompt: &Prompt, image_tokens: usize) -> Result<TokenizedPrompt, ProcessorError> {
        let mut input_ids = self.encode_text(prompt.before_image())?;
        let image_start = input_ids.len();
        input_ids.resize(image_start + image_tokens, self.image_token_id);
        input_ids.extend(self.encode_text(prompt.after_image())?);

        let found = input_ids.iter().filter(|&&id| id == self.image_token_id).count();
        if found != image_tokens || found == 0 {
            return Err(ProcessorError::ImageTokenCount { expected: image_tokens, found });
        }
        Ok(TokenizedPrompt { input_ids, image_start, image_tokens })
    }
}
