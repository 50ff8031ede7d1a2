//! The chat layout around the rendered templates.

/// The token that is repeated once for every image token.
pub(super) const IMAGE_PAD: &str = "<|image_pad|>";

/// A finished prompt, without the image tokens between its two halves.
///
/// The layout is Qwen2.5-VL's chat template for one system and one user message, image first, without a generation
/// prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    before_image: String,
    after_image: String,
}

impl Prompt {
    /// Puts the two messages into the chat layout. Nothing is trimmed.
    pub fn new(system: &str, user: &str) -> Self {
        Self {
            before_image: format!("<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n<|vision_start|>"),
            after_image: format!("<|vision_end|>{user}<|im_end|>\n"),
        }
    }

    /// Everything up to and including `<|vision_start|>`: the same for every frame.
    pub fn before_image(&self) -> &str {
        &self.before_image
    }

    /// Everything from `<|vision_end|>` on.
    pub fn after_image(&self) -> &str {
        &self.after_image
    }

    /// The whole text with this many `<|image_pad|>` in its middle.
    pub fn text(&self, image_tokens: usize) -> String {
        [&self.before_image, IMAGE_PAD.repeat(image_tokens).as_str(), &self.after_image].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chat_layout_to_the_letter() {
        assert_eq!(
            Prompt::new("be brief\n", " hi ").text(2),
            "<|im_start|>system\nbe brief\n<|im_end|>\n<|im_start|>user\n\
             <|vision_start|><|image_pad|><|image_pad|><|vision_end|> hi <|im_end|>\n"
        );
    }
}
