//! Whether a node is the process that it was.

use std::collections::HashSet;

/// Tells one process of a node from the next by the identities of an endpoint that every process of it has.
///
/// A node that was killed looks alive until its DDS lease ends, 20 s later, and its successor goes unnoticed beside it:
/// same name, same services. Its endpoints are others.
#[derive(Debug, Clone, Default)]
pub struct ProcessWatch {
    seen: HashSet<Vec<u8>>,
}

impl ProcessWatch {
    /// Takes the endpoints that are there now; true when one is among them that was not, of a node that was there before.
    pub fn is_replaced(&mut self, present: impl IntoIterator<Item = Vec<u8>>) -> bool {
        let present: HashSet<Vec<u8>> = present.into_iter().collect();
        if present.is_empty() {
            return false;
        }
        let is_known = self.seen.is_empty() || present.is_subset(&self.seen);
        self.seen = present;
        !is_known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_endpoint_is_another_process() {
        let mut watch = ProcessWatch::default();
        let mut look = |present: &[u8]| watch.is_replaced(present.iter().map(|id| vec![*id]));
        assert!(!look(&[]), "not there yet");
        assert!(!look(&[1]), "the first");
        assert!(!look(&[1]));
        assert!(look(&[1, 2]), "beside the one that was killed");
        assert!(!look(&[2, 1]));
        assert!(!look(&[2]), "whose lease has ended");
        assert!(!look(&[]), "gone");
        assert!(!look(&[2]), "only lost for a moment");
        assert!(look(&[3]), "and after a clean end");
    }
}
