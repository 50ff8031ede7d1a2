//! An image and a sentence become patches and token ids.
