//! What is constant at the start of every prompt is computed once.

use std::sync::Arc;

/// The state of the prefix that was seen last, with the token ids it was computed for: other ids make another state.
///
/// Everything else that it depends on (weights, precision, positions of the prefix) is constant for a model.
#[derive(Debug)]
pub struct PrefixCache<S>(Option<(Vec<u32>, Arc<S>)>);

impl<S> Default for PrefixCache<S> {
    fn default() -> Self {
        Self(None)
    }
}

impl<S> PrefixCache<S> {
    /// The state for these ids, made by `make` when the last ids were others.
    pub fn get_or_make<E>(&mut self, ids: &[u32], make: impl FnOnce() -> Result<S, E>) -> Result<Arc<S>, E> {
        if let Some((_, state)) = self.0.as_ref().filter(|(known, _)| known == ids) {
            return Ok(state.clone());
        }
        let state = Arc::new(make()?);
        self.0 = Some((ids.to_vec(), state.clone()));
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_ids_make_another_state() {
        let mut cache = PrefixCache::default();
        let mut get =
            |ids: &[u32], state: &str| cache.get_or_make(ids, || Ok::<_, ()>(state.to_string())).map(|s| (*s).clone());
        assert_eq!(get(&[1, 2], "a"), Ok("a".into()));
        assert_eq!(get(&[1, 2], "not made"), Ok("a".into()));
        assert_eq!(get(&[1, 2, 3], "b"), Ok("b".into()));
        assert_eq!(get(&[1, 2], "c"), Ok("c".into()));
    }

    #[test]
    fn a_failure_leaves_what_was_there() {
        let mut cache = PrefixCache::default();
        assert!(cache.get_or_make(&[1], || Ok::<_, ()>(1)).is_ok());
        assert!(cache.get_or_make(&[2], || Err(())).is_err());
        assert_eq!(cache.get_or_make(&[1], || Err(())).map(|s| *s), Ok(1));
    }
}
