//! How often a request is repeated, and after which pauses.

use std::thread;
use std::time::Duration;

use super::client::Trouble;
use super::error::Error;

/// The longest pause before a request is repeated, unless the server names one.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    /// How often a request is sent until it has failed.
    pub(super) attempts: u32,
    /// The pause before the second one; each further one is twice as long.
    pub(super) pause: Duration,
}

impl Retry {
    /// Pauses after a request that has failed, as one of so many in a row.
    ///
    /// # Errors
    /// The error if repeating the request does not help, or was of no use often enough.
    pub(super) fn after(&self, trouble: Trouble, failures: u32) -> Result<(), Error> {
        let (error, pause) = match trouble {
            Trouble::Final(error) => return Err(error),
            Trouble::Again { error, pause } => (error, pause),
        };
        if failures >= self.attempts {
            return Err(error);
        }
        log::debug!("{error}: trying again");
        thread::sleep(pause.unwrap_or_else(|| self.pause_after(failures)));
        Ok(())
    }

    fn pause_after(&self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.pause.saturating_mul(doubled).min(LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        let retry = Retry { attempts: 5, pause: Duration::from_millis(250) };
        let of = |failures| retry.pause_after(failures);
        assert_eq!([of(1), of(2), of(3)].map(|pause| pause.as_millis()), [250, 500, 1000]);
        assert_eq!([of(10), of(40), of(u32::MAX)], [LONGEST_PAUSE; 3]);
    }
}
