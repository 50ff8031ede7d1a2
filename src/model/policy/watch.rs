//! When the files of a policy that somebody else writes are complete.

use std::time::Duration;

/// Watches files without a clock of its own or a look at the disk: `F` is whatever is equal as long as the files are.
///
/// Files with a manifest are tried at once, because it tells whether they are complete; without one, or if they do not
/// fit it, they have to stay the same for a while first, and for much longer while some of the files before are still
/// among them.
///
/// What that excludes: with a manifest, any mixture and any half file. Without one, a half file that does not parse (a
/// pickle without its end, a container without its directory, a missing tensor), and a mixture of old and new files
/// unless the copy rests for [`Self::PATIENCE`] settling times in its middle. What it cannot: a writer that rests for
/// longer than that between two files, or replaces one file only and means it (which is taken, late).
#[derive(Debug, Clone)]
pub struct PolicyWatch<F> {
    settle: Duration,
    /// The files that have been judged, taken or refused.
    judged: Option<F>,
    /// Others, and since when they are the same.
    seen: Option<(F, Duration)>,
}

/// What speaks for the files being complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// A manifest lies among them.
    Manifest,
    /// Every file of the set before has been replaced, or there was none before.
    AllNew,
    /// Some file of the set before is still there, or is gone.
    PartlyOld,
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
    /// Files without a manifest have to stay the same for this long, unless another time is chosen: a copy over a
    /// network may rest for seconds.
    pub const SETTLE: Duration = Duration::from_secs(5);
    /// So many times as long while files of the set before are among them.
    pub const PATIENCE: u32 = 6;

    /// `in_use` are the files that the policy in use was read from.
    pub fn new(in_use: Option<F>, settle: Duration) -> Self {
        Self { settle, judged: in_use, seen: None }
    }

    /// The files that have been judged last.
    pub fn judged(&self) -> Option<&F> {
        self.judged.as_ref()
    }

    /// Looks at what is there `now`, on a clock that never goes back: the files, and what speaks for them.
    pub fn look(&mut self, now: Duration, found: Option<(&F, Evidence)>) -> Look {
        let Some((files, evidence)) = found.filter(|(files, _)| self.judged.as_ref() != Some(*files)) else {
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
        let settle = match evidence {
            Evidence::Manifest | Evidence::AllNew => self.settle,
            Evidence::PartlyOld => self.settle * Self::PATIENCE,
        };
        if now.saturating_sub(since) >= settle {
            Look::Judge
        } else if evidence == Evidence::Manifest {
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
    use super::Evidence::{AllNew, Manifest, PartlyOld};
    use super::*;

    const SETTLE: Duration = Duration::from_millis(500);

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn files_without_a_manifest_have_to_rest() {
        let mut watch = PolicyWatch::new(Some(1), SETTLE);
        assert_eq!(watch.look(ms(0), None), Look::Nothing);
        assert_eq!(watch.look(ms(0), Some((&1, AllNew))), Look::Nothing, "in use");
        assert_eq!(watch.look(ms(100), Some((&2, AllNew))), Look::Wait);
        assert_eq!(watch.look(ms(590), Some((&3, AllNew))), Look::Wait, "still written to");
        assert_eq!(watch.look(ms(1089), Some((&3, AllNew))), Look::Wait);
        assert_eq!(watch.look(ms(1090), Some((&3, AllNew))), Look::Judge);
        watch.settle(3);
        assert_eq!(watch.look(ms(9000), Some((&3, AllNew))), Look::Nothing, "judged once");
        assert_eq!(watch.look(ms(9001), Some((&1, AllNew))), Look::Wait, "back to the first");
    }

    #[test]
    fn a_manifest_makes_waiting_needless() {
        let mut watch = PolicyWatch::new(None, SETTLE);
        assert_eq!(watch.look(ms(0), Some((&1, Manifest))), Look::Try);
        assert_eq!(watch.look(ms(250), Some((&1, Manifest))), Look::Try, "did not fit, may still");
        assert_eq!(watch.look(ms(500), Some((&1, Manifest))), Look::Judge, "does not fit, and nobody writes any more");
    }

    #[test]
    fn files_that_vanish_start_anew() {
        let mut watch = PolicyWatch::new(None, SETTLE);
        assert_eq!(watch.look(ms(0), Some((&1, AllNew))), Look::Wait);
        assert_eq!(watch.look(ms(250), None), Look::Nothing);
        assert_eq!(watch.look(ms(600), Some((&1, AllNew))), Look::Wait);
    }

    #[test]
    fn a_set_that_is_still_partly_the_old_one_rests_longer() {
        let mut watch = PolicyWatch::new(Some(1), SETTLE);
        assert_eq!(watch.look(ms(0), Some((&2, PartlyOld))), Look::Wait);
        assert_eq!(watch.look(ms(2999), Some((&2, PartlyOld))), Look::Wait);
        assert_eq!(watch.look(ms(3000), Some((&2, PartlyOld))), Look::Judge, "somebody means it");
        assert_eq!(watch.look(ms(3100), Some((&3, AllNew))), Look::Wait);
        assert_eq!(watch.look(ms(3600), Some((&3, AllNew))), Look::Judge);
    }
}
