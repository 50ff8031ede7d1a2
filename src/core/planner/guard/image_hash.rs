//! A number by which a repeated image is known.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::frame::Frame;

/// Hash of a frame's size and pixels: the same image has the same hash within a process.
pub fn image_hash(frame: &Frame) -> u64 {
    let mut hasher = DefaultHasher::new();
    (frame.width(), frame.height()).hash(&mut hasher);
    hasher.write(frame.rgb());
    hasher.finish()
}
