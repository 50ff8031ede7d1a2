//! The past frames that the history encoder looks at.

use std::collections::VecDeque;
use std::time::Duration;

use super::{FrameError, Stamp};

/// Past frames (or what has been computed from them), newest first, one decision step apart.
///
/// Offsets count decision steps back from the current frame: `[1, 2]` selects the two frames before it, `[3, 4]` the
/// third and the fourth before it (`history_offsets` in a checkpoint's history_config.json). A missing older frame
/// repeats the oldest one there is; with none at all, the current frame stands in.
///
/// The ring is emptied when an episode starts, when time does not advance, and after a gap. It holds no clock: stamps
/// come with the frames. `T` is cheap to clone (an `Arc<Frame>`, a tensor).
///
/// ```
/// use std::time::Duration;
/// use planner_tuner_core::frame::{HistoryRing, Stamp};
///
/// let mut ring = HistoryRing::new(&[1, 2], Duration::from_secs(1))?;
/// for (step, name) in ["a", "b", "c"].into_iter().enumerate() {
///     let stamp = Stamp::from_nanos(step as i64 * 500_000_000);
///     ring.advance_to(stamp);
///     let past = ring.select(&name);
///     assert_eq!(past, [["a", "a"], ["a", "a"], ["b", "a"]][step]);
///     ring.push(stamp, name);
/// }
/// # Ok::<(), planner_tuner_core::frame::FrameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct HistoryRing<T> {
    offsets: Vec<usize>,
    max_gap: Duration,
    newest: Option<Stamp>,
    frames: VecDeque<T>,
}

/// Why a [`HistoryRing`] was emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetReason {
    /// A new episode began.
    NewEpisode,
    /// The stamp is not after that of the newest frame: the clock jumped back, or a frame came twice.
    TimeJumpedBack,
    /// The newest frame is further back than the largest accepted gap.
    Gap,
}

impl std::fmt::Display for ResetReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NewEpisode => "a new episode began",
            Self::TimeJumpedBack => "time did not advance",
            Self::Gap => "too much time had passed since the newest past frame",
        })
    }
}

impl<T: Clone> HistoryRing<T> {
    /// Offsets of the checkpoints that do not state theirs: the two frames before the current one.
    pub const DEFAULT_OFFSETS: [usize; 2] = [1, 2];

    /// Largest accepted offset, decision steps.
    pub const MAX_OFFSET: usize = 64;

    /// An empty ring. `max_gap` is the longest time between two decisions that still belong together. Without offsets, as
    /// for a head without history, it remembers no frame.
    ///
    /// # Errors
    /// [`FrameError::HistoryOffsets`] unless `offsets` is a rising list within `1..=`[`Self::MAX_OFFSET`].
    pub fn new(offsets: &[usize], max_gap: Duration) -> Result<Self, FrameError> {
        let rising = offsets.is_sorted_by(|newer, older| newer < older);
        let in_range = offsets.iter().all(|offset| (1..=Self::MAX_OFFSET).contains(offset));
        if !rising || !in_range {
            return Err(FrameError::HistoryOffsets { found: offsets.to_vec(), max: Self::MAX_OFFSET });
        }
        Ok(Self { offsets: offsets.to_vec(), max_gap, newest: None, frames: VecDeque::new() })
    }

    /// Empties the ring where `stamp` does not continue it, and says why. Call it before [`Self::select`].
    pub fn advance_to(&mut self, stamp: Stamp) -> Option<ResetReason> {
        let newest = self.newest?;
        let elapsed = i128::from(stamp.nanos()) - i128::from(newest.nanos());
        let reason = match u128::try_from(elapsed) {
            Err(_) | Ok(0) => ResetReason::TimeJumpedBack,
            Ok(nanos) if nanos > self.max_gap.as_nanos() => ResetReason::Gap,
            Ok(_) => return None,
        };
        self.clear();
        Some(reason)
    }

    /// Empties the ring because an episode starts; `None` when there was nothing to forget.
    pub fn start_episode(&mut self) -> Option<ResetReason> {
        let had_frames = self.newest.is_some();
        self.clear();
        had_frames.then_some(ResetReason::NewEpisode)
    }

    /// The past frames for `current`, newest first, one for each offset.
    pub fn select(&self, current: &T) -> Vec<T> {
        let oldest = self.frames.back().unwrap_or(current);
        self.offsets.iter().map(|offset| self.frames.get(offset - 1).unwrap_or(oldest).clone()).collect()
    }

    /// As [`Self::select`], from frames that somebody else remembered, newest first.
    pub fn select_from(&self, newest_first: &[T], current: &T) -> Vec<T> {
        let oldest = newest_first.last().unwrap_or(current);
        self.offsets.iter().map(|offset| newest_first.get(offset - 1).unwrap_or(oldest).clone()).collect()
    }

    /// Remembers a frame once its decision is made; one beyond the largest offset is dropped.
    pub fn push(&mut self, stamp: Stamp, frame: T) {
        self.advance_to(stamp);
        self.frames.push_front(frame);
        self.frames.truncate(self.offsets.last().copied().unwrap_or_default());
        self.newest = Some(stamp);
    }

    /// Number of past frames that are held.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether no past frame is held.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The offsets, decision steps back from the current frame.
    pub fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    fn clear(&mut self) {
        self.frames.clear();
        self.newest = None;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn ring(offsets: &[usize]) -> HistoryRing<i64> {
        HistoryRing::new(offsets, Duration::from_secs(1)).unwrap()
    }

    /// Feeds frames named after their number, half a second apart, and returns what each of them saw.
    fn drive(ring: &mut HistoryRing<i64>, frames: std::ops::Range<i64>) -> Vec<Vec<i64>> {
        frames
            .map(|number| {
                let stamp = Stamp::from_nanos(number * SECOND / 2);
                assert_eq!(ring.advance_to(stamp), None);
                let seen = ring.select(&number);
                ring.push(stamp, number);
                seen
            })
            .collect()
    }

    #[test]
    fn newest_first_and_padded_with_the_oldest() {
        let seen = drive(&mut ring(&[1, 2]), 0..4);
        assert_eq!(seen, [[0, 0], [0, 0], [1, 0], [2, 1]]);
    }

    #[test]
    fn offsets_reach_further_back() {
        let mut ring = ring(&[3, 4]);
        let seen = drive(&mut ring, 0..6);
        assert_eq!(seen, [[0, 0], [0, 0], [0, 0], [0, 0], [1, 0], [2, 1]]);
        assert_eq!(ring.len(), 4, "no more than the largest offset is held");
    }

    #[test]
    fn resets_say_why() {
        let mut ring = ring(&[1, 2]);
        drive(&mut ring, 0..3);
        let mut again = ring.clone();
        assert_eq!(ring.advance_to(Stamp::from_nanos(SECOND)), Some(ResetReason::TimeJumpedBack), "the same stamp");
        assert!(ring.is_empty());
        assert_eq!(ring.select(&9), [9, 9]);

        assert_eq!(again.advance_to(Stamp::from_nanos(2 * SECOND)), None, "exactly the largest gap");
        assert_eq!(again.advance_to(Stamp::from_nanos(2 * SECOND + 1)), Some(ResetReason::Gap));
        assert_eq!(again.advance_to(Stamp::from_nanos(0)), None, "an empty ring continues anywhere");

        drive(&mut again, 0..2);
        assert_eq!(again.start_episode(), Some(ResetReason::NewEpisode));
        assert_eq!(again.start_episode(), None);
    }

    #[test]
    fn a_push_that_does_not_continue_starts_afresh() {
        let mut ring = ring(&[1, 2]);
        drive(&mut ring, 0..3);
        ring.push(Stamp::from_nanos(i64::MIN), 7);
        assert_eq!(ring.select(&8), [7, 7]);
        ring.push(Stamp::from_nanos(i64::MAX), 9);
        assert_eq!(ring.len(), 1);
    }

    #[test]
    fn without_offsets_nothing_is_remembered() {
        let mut ring = ring(&[]);
        ring.push(Stamp::from_nanos(0), 1);
        assert_eq!((ring.select(&2), ring.is_empty()), (vec![], true));
    }

    #[test]
    fn refuses_offsets_that_name_no_past_frames() {
        for bad in [&[0][..], &[2, 1], &[1, 1], &[65]] {
            let error = HistoryRing::<i64>::new(bad, Duration::from_secs(1)).unwrap_err().to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
        }
    }
}
