//! When the files of a policy that somebody else writes are complete.

use std::time::Duration;

/// Watches files without a clock of its own or a look at the disk: `F` is whatever is equal as long as the files are.
///
/// Files with a manifest are tried at once, because it tells whether they are complete; without one, or if they do not
/// fit it, they have to stay the same for [`Self::STABLE`] first.
#[derive(Debug, Clone)]
pub struct PolicyWatch<F> {
    /// The files that have been judged, taken or refused.
    judged: Option<F>,
    /// Others, and since when they are the same.
    seen: Option<(F, Duration)>,
}

/// What to do about the files that were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// They are known, or there are none.
    Nothing,
    /// They are still being written, as far as one can tell.
    Wait,
    /// A manifest came with them: take them if they fit it, otherwise go on waiting.
    Try,
    /// They have not changed for long enough: take or refuse them.
    Judge,
}

impl<F: Clone + PartialEq> PolicyWatch<F> {
    /// Files without a manifest have to stay the same for this long.
    pub const STABLE: Duration = Duration::from_millis(500);

    /// `in_use` are the files that the policy in use was read from.
    pub fn new(in_use: Option<F>) -> Self {
        Self { judged: in_use, seen: None }
    }

    /// Looks at what is there `now`, on a clock that never goes back: the files, and whether a manifest is among them.
    pub fn look(&mut self, now: Duration, found: Option<(&F, bool)>) -> Look {
        let Some((files, has_manifest)) = found.filter(|(files, _)| self.judged.as_ref() != Some(*files)) else {
            self.seen = None;
            return Look::Nothing;
        };
        let since = match &self.seen {
            Some((seen, since)) if seen == files => *since,
            _ => {
                self.seen = Some((files.clone(), now));
                now
            }
        };
        if now.saturating_sub(since) >= Self::STABLE {
            Look::Judge
        } else if has_manifest {
            Look::Try
        } else {
            Look::Wait
        }
    }

    /// These files have been taken or refused: they are looked at again when they change.
    pub fn settle(&mut self, files: F) {
        self.judged = Some(files);
        self.seen = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn files_without_a_manifest_have_to_rest() {
        let mut watch = PolicyWatch::new(Some(1));
        assert_eq!(watch.look(ms(0), None), Look::Nothing);
        assert_eq!(watch.look(ms(0), Some((&1, false))), Look::Nothing, "in use");
        assert_eq!(watch.look(ms(100), Some((&2, false))), Look::Wait);
        assert_eq!(watch.look(ms(590), Some((&3, false))), Look::Wait, "still written to");
        assert_eq!(watch.look(ms(1089), Some((&3, false))), Look::Wait);
        assert_eq!(watch.look(ms(1090), Some((&3, false))), Look::Judge);
        watch.settle(3);
        assert_eq!(watch.look(ms(9000), Some((&3, false))), Look::Nothing, "judged once");
        assert_eq!(watch.look(ms(9001), Some((&1, false))), Look::Wait, "back to the first");
    }

    #[test]
    fn a_manifest_makes_waiting_needless() {
        let mut watch = PolicyWatch::new(None);
        assert_eq!(watch.look(ms(0), Some((&1, true))), Look::Try);
        assert_eq!(watch.look(ms(250), Some((&1, true))), Look::Try, "did not fit, may still");
        assert_eq!(watch.look(ms(500), Some((&1, true))), Look::Judge, "does not fit, and nobody writes any more");
    }

    #[test]
    fn files_that_vanish_start_anew() {
        let mut watch = PolicyWatch::new(None);
        assert_eq!(watch.look(ms(0), Some((&1, false))), Look::Wait);
        assert_eq!(watch.look(ms(250), None), Look::Nothing);
        assert_eq!(watch.look(ms(600), Some((&1, false))), Look::Wait);
    }
}
