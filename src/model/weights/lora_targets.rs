//! Which layers of the model a LoRA changes.

/// The layers of the model that a LoRA learns beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoraTargets {
    /// Attention and MLP of the language model's layers.
    pub text: bool,
    /// Attention and MLP of the vision tower's blocks.
    pub vision: bool,
    /// Both layers of the merger.
    pub merger: bool,
}

impl LoraTargets {
    /// Every linear layer, as in the original.
    pub const ALL: Self = Self { text: true, vision: true, merger: true };

    /// Whether a layer of this published name is among them.
    pub fn include(self, name: &str) -> bool {
        match name.split('.').collect::<Vec<_>>().as_slice() {
            ["visual", "merger", ..] => self.merger,
            ["visual", ..] => self.vision,
            _ => self.text,
        }
    }
}
