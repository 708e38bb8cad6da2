//! How many threads may hash at a time.

use std::sync::{Condvar, Mutex};

/// A limited number of permits to hash.
pub(crate) struct Semaphore {
    count: usize,
    left: Mutex<usize>,
    returned: Condvar,
}

/// One permit; it is returned when dropped.
pub(crate) struct Permit<'a>(&'a Semaphore);

impl Semaphore {
    /// This many permits.
    pub(crate) fn new(count: usize) -> Self {
        Self { count, left: Mutex::new(count), returned: Condvar::new() }
    }

    /// How many there are in all.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Waits for one.
    pub(crate) fn take(&self) -> Permit<'_> {
        let left = self.left.lock().expect("no panic while it was held");
        *self.returned.wait_while(left, |left| *left == 0).expect("no panic while it was held") -= 1;
        Permit(self)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Ok(mut left) = self.0.left.lock() {
            *left += 1;
            self.0.returned.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn no_more_are_out_than_there_are() {
        let permits = Semaphore::new(2);
        let out = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _permit = permits.take();
                        assert!(out.fetch_add(1, Ordering::SeqCst) < 2);
                        thread::yield_now();
                        out.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(*permits.left.lock().unwrap(), 2);
    }
}
