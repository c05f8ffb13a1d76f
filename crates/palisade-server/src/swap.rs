//! A value that is replaced whole while others read it.
//!
//! For what is read once per connection or handshake, where a read lock held for one clone of a
//! pointer costs nothing. What is read once per request is kept by each worker itself.

use std::sync::{Arc, PoisonError, RwLock};

/// A shared value with one writer now and then.
#[derive(Debug)]
pub struct Swap<T>(RwLock<Arc<T>>);

impl<T> Swap<T> {
    /// With its first value.
    pub fn new(value: T) -> Self {
        Self(RwLock::new(Arc::new(value)))
    }

    /// The value as it is now.
    pub fn load(&self) -> Arc<T> {
        // A poisoned lock holds a whole value all the same: replacing it is one assignment.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the value for those who load it from now on.
    pub fn store(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}
