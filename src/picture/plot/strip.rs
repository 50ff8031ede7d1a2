//! The strip of frames under the panels.

use plotters::prelude::*;

use super::Page;
use super::style::{self, CENTRE, DEFAULT, DrawError, FINE, MUTED, fill, letters, place, text};
use super::time_axis::TimeAxis;
use crate::frame::StampedFrame;
use crate::picture::thumbnail;

/// Frames in a full strip.
const SLOTS: usize = 8;
/// Height of the strip with its captions, pixels of the finished picture.
pub(super) const HEIGHT: i32 = 158;
/// Rows of the lines that lead from the time axis to a frame.
const LEADER: i32 = 20;
/// Largest size of a frame in the strip, pixels of the finished picture.
const THUMBNAIL: (i32, i32) = (136, 92);

/// Frames of a drive of unknown length: keeps a few dozen, evenly spread, whatever is pushed.
#[derive(Debug, Clone, Default)]
pub struct FrameStrip {
    kept: Vec<StampedFrame>,
    pushed: usize,
    /// Every 2^thinned-th frame is kept.
    thinned: u32,
}

impl FrameStrip {
    /// Most frames that are kept.
    const CAPACITY: usize = 32;

    /// Offers the next frame of the drive.
    pub fn push(&mut self, frame: StampedFrame) {
        if self.pushed.is_multiple_of(1 << self.thinned) {
            self.kept.push(frame);
        }
        self.pushed += 1;
        if self.kept.len() > Self::CAPACITY {
            let mut index = 0usize;
            self.kept.retain(|_| {
                index += 1;
                !index.is_multiple_of(2)
            });
            self.thinned += 1;
        }
    }

    /// Whether no frame was pushed.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

impl FromIterator<StampedFrame> for FrameStrip {
    fn from_iter<I: IntoIterator<Item = StampedFrame>>(frames: I) -> Self {
        let mut strip = Self::default();
        frames.into_iter().for_each(|frame| strip.push(frame));
        strip
    }
}

/// Draws up to [`SLOTS`] frames side by side, each the one nearest in time to the middle of its place, with a line to its
/// time on the axis.
pub(super) fn draw(page: &Page<'_>, time: &TimeAxis, top: i32, frames: &FrameStrip) -> Result<(), DrawError> {
    let slots = frames.kept.len().min(SLOTS);
    let (left, right) = time.columns();
    let (first, end) = time.shown();
    let mut previous = None;
    for slot in 0..slots {
        let middle = (slot as f64 + 0.5) / slots as f64;
        let wanted = first + (end - first) * middle;
        let distance = |frame: &StampedFrame| (time.seconds_of(frame.stamp) - wanted).abs();
        let Some(frame) = frames.kept.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))) else { break };
        if previous == Some(frame.stamp) {
            continue;
        }
        previous = Some(frame.stamp);
        let centre = left + (f64::from(right - left) * middle).round() as i32;
        draw_frame(page, time, top, centre, frame)?;
    }
    Ok(())
}

fn draw_frame(
    page: &Page<'_>,
    time: &TimeAxis,
    top: i32,
    centre: i32,
    stamped: &StampedFrame,
) -> Result<(), DrawError> {
    let seconds = time.seconds_of(stamped.stamp);
    let column = time.column(seconds);
    let leader = DEFAULT.stroke_width(FINE as u32);
    page.draw(&PathElement::new(vec![(column, place(top)), (place(centre), place(top + LEADER))], leader))?;
    page.draw(&Circle::new((column, place(top)), 2 * FINE, DEFAULT.filled()))?;

    let small = thumbnail(&stamped.frame, (place(THUMBNAIL.0) as u32, place(THUMBNAIL.1) as u32))?;
    let size = (small.width(), small.height());
    let (width, height) = (size.0 as i32, size.1 as i32);
    let (left, top) = (place(centre) - width / 2, place(top + LEADER));
    fill(page, [(left - FINE, top - FINE), (left + width + FINE - 1, top + height + FINE - 1)], DEFAULT.filled())?;
    let bitmap = BitMapElement::with_owned_buffer((left, top), size, small.into_rgb());
    page.draw(&bitmap.ok_or("a frame of the strip has the wrong size")?)?;
    let caption = format!("{seconds:.1} s");
    text(page, &caption, (centre, (top + height) / style::FINE + 16), letters(14, MUTED), CENTRE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use crate::frame::{Frame, Stamp};

    #[test]
    fn a_long_drive_leaves_an_even_strip() {
        let frame = Arc::new(Frame::from_rgb8(1, 1, vec![0; 3]).unwrap());
        let stamped = |nanos| StampedFrame { stamp: Stamp::from_nanos(nanos), frame: frame.clone() };
        for pushed in [1, 32, 33, 100, 10_000] {
            let strip: FrameStrip = (0..pushed).map(stamped).collect();
            let stamps: Vec<i64> = strip.kept.iter().map(|frame| frame.stamp.nanos()).collect();
            let step = stamps.get(1).copied().unwrap_or(1);
            assert!(stamps.iter().enumerate().all(|(index, stamp)| *stamp == index as i64 * step), "{stamps:?}");
            assert!(stamps.len() <= FrameStrip::CAPACITY && stamps.last().unwrap() + step >= pushed, "{stamps:?}");
        }
    }
}
