//! Makes a frame of a message: decodes it, or draws it, and looks at what came out.

use std::sync::Arc;

use super::painter::{Drawing, NoImage, Painter};
use crate::ros::intake::{ImageMessage, decode_raw};
use crate::ros::surroundings::SharedSurroundings;
use vlm_planner_tuner::frame::{Frame, OddAppearance, Stamp, odd_appearance};
use vlm_planner_tuner::planner::guard::image_hash;

/// A frame, and what the guard wants to know of its pixels.
#[derive(Debug)]
pub(in crate::ros) struct Picture {
    frame: Arc<Frame>,
    hash: u64,
    odd: Option<OddAppearance>,
}

impl Picture {
    fn new(frame: Frame) -> Self {
        Self { hash: image_hash(&frame), odd: odd_appearance(&frame), frame: Arc::new(frame) }
    }

    /// The pixels.
    pub(in crate::ros) fn frame(&self) -> &Arc<Frame> {
        &self.frame
    }

    /// The same of equal pixels.
    pub(in crate::ros) fn hash(&self) -> u64 {
        self.hash
    }

    /// Why it does not look like what the model was trained on, if so.
    pub(in crate::ros) fn odd(&self) -> Option<OddAppearance> {
        self.odd
    }
}

/// All that is slow about images. Lives on a thread of its own.
pub(super) struct Eye {
    expected_size: Option<(u32, u32)>,
    painter: Painter,
}

impl Eye {
    pub(super) fn new(expected_size: Option<(u32, u32)>, surroundings: SharedSurroundings) -> Self {
        Self { expected_size, painter: Painter::new(surroundings) }
    }

    /// The picture of a message, or why there is none. An image of another size than the expected one is not decoded.
    pub(super) fn see(&mut self, message: ImageMessage, stamp: Stamp) -> Result<Picture, NoImage> {
        let size = self.expected_size;
        let frame = match message {
            ImageMessage::Raw(image) => decode_raw(&image, size),
            ImageMessage::Compressed(image) => Frame::from_compressed_of_size(&image.format, &image.data, size),
            ImageMessage::Scan(scan) => return self.painter.draw(scan, stamp).map(Picture::new),
        };
        frame.map(Picture::new).map_err(|error| NoImage::Refused(error.to_string()))
    }

    /// Forgets all that it has between two images but the counts.
    pub(super) fn start_afresh(&mut self) {
        self.painter.start_afresh();
    }

    /// What has been drawn so far.
    pub(super) fn drawing(&self) -> &Drawing {
        self.painter.drawing()
    }

    /// Takes back the frame of a decision that is over, to draw the next one into its memory.
    pub(super) fn recycle(&mut self, frame: Arc<Frame>) {
        self.painter.recycle(frame);
    }
}
