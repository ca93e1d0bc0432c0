//! What most connections have nothing of, for there may be a million of them.

use std::ops::{Deref, DerefMut};

/// A value that takes no memory until it is written to.
pub(super) struct Rare<T>(Option<Box<T>>);

/// What stands for it until then.
pub(super) trait Empty: Sized + 'static {
    const EMPTY: &'static Self;
}

impl<T: Default> Rare<T> {
    /// Octets of memory besides its own.
    pub(super) fn octets(&self) -> usize {
        self.0.as_ref().map_or(0, |_| size_of::<T>())
    }

    pub(super) fn into_value(self) -> T {
        self.0.map(|value| *value).unwrap_or_default()
    }
}

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Empty> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::EMPTY)
    }
}

impl<T: Empty + Default> DerefMut for Rare<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}
