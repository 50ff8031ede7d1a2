//! Frames as PNG files.

use std::path::Path;

use super::PictureError;
use crate::frame::{Frame, PngEffort};
use planner_tuner_core::durable::replace_file;

/// Writes a frame as a PNG file. A reader sees the old file or the whole new one.
///
/// # Errors
/// [`PictureError::Encode`] when the encoder gives up, [`PictureError::Write`] when the file cannot be written.
pub fn save_png(path: &Path, frame: &Frame) -> Result<(), PictureError> {
    let png = frame.to_png(PngEffort::Small)?;
    replace_file(path, &png).map_err(|source| PictureError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_saved_frame_is_read_back() {
        let frame = Frame::from_rgb8(3, 2, (0..18).collect()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frame.png");
        std::fs::write(&path, "old").unwrap();
        save_png(&path, &frame).unwrap();
        let read = image::open(&path).unwrap().into_rgb8();
        assert_eq!((read.dimensions(), read.as_raw().as_slice()), ((3, 2), frame.rgb()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let frame = Frame::from_rgb8(1, 1, vec![0; 3]).unwrap();
        let error = save_png(Path::new("/nowhere/frame.png"), &frame).unwrap_err().to_string();
        assert!(error.starts_with("cannot write picture /nowhere/frame.png:"), "{error}");
    }
}
