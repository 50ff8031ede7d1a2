//! What depends on sizes alone is made once per size.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// More sizes than this are not seen in one run (the prompt's length varies with the digits of the velocities); the
/// cache is emptied rather than grown.
const MAX_ENTRIES: usize = 16;

/// Values by the size they were made for.
#[derive(Debug)]
pub struct GeometryCache<K, V>(HashMap<K, Arc<V>>);

impl<K, V> Default for GeometryCache<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash, V> GeometryCache<K, V> {
    /// The value for `key`, made by `make` if it is not there yet.
    pub fn get_or_make<E>(&mut self, key: K, make: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        if let Some(value) = self.0.get(&key) {
            return Ok(value.clone());
        }
        let value = Arc::new(make()?);
        if self.0.len() >= MAX_ENTRIES {
            self.0.clear();
        }
        self.0.insert(key, value.clone());
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_and_bounded() {
        let mut cache = GeometryCache::default();
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
        assert!(cache.0.len() <= MAX_ENTRIES);
    }
}
