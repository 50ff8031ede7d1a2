//! What depends on sizes alone is made once per size.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// More sizes than this are not seen in one run (the prompt's length varies with the digits of the velocities); the
/// cache is emptied rather than grown.
const MAX_ENTRIES: usize = 16;

/// Values by the size they were made for.
#[derive(Debug)]
pub struct GeometryCache<K, V>(Mutex<HashMap<K, Arc<V>>>);

impl<K, V> Default for GeometryCache<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V> GeometryCache<K, V> {
    /// The value for `key`, made by `make` if it is not there yet.
    pub fn get_or_make<E>(&self, key: K, make: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = entries.get(&key) {
            return Ok(value.clone());
        }
        let value = Arc::new(make()?);
        if entries.len() >= MAX_ENTRIES {
            entries.clear();
        }
        entries.insert(key, value.clone());
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_and_bounded() {
        let cache = GeometryCache::default();
        let mut made = 0;
        for key in [1, 1, 2, 1] {
            let value = cache.get_or_make(key, || {
                made += 1;
                Ok::<_, ()>(key * 10)
            });
            assert_eq!(value.map(|v| *v), Ok(key * 10));
        }
        assert_eq!(made, 2);
        for key in 0..100 {
            assert!(cache.get_or_make(key, || Ok::<_, ()>(key)).is_ok());
        }
        assert!(cache.0.lock().is_ok_and(|entries| entries.len() <= MAX_ENTRIES));
    }
}
