//! A file on a web server that is read like a local one.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use super::cache::Cache;
use super::client::{Client, Trouble};
use super::counters::Counters;
use super::error::Error;
use super::pieces::PIECE;
use super::retry::Retry;
use super::shared::Shared;
use super::worker;
use crate::io::ReadAt;

/// How a file on a web server is to be read. [`Remote::builder`] makes one.
#[derive(Debug)]
#[must_use]
pub struct Builder {
    address: Address,
    timeout: Duration,
    retry: Retry,
    cache: Option<Cache>,
}

impl Builder {
    /// How long the server may send nothing until a request counts as failed: 30 seconds unless this is called. An
    /// answer that takes twenty times as long as a whole is given up too.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often a request is sent until a read fails, at least once: 5 times unless this is called. An attempt that
    /// brought some of what was asked for begins the count again.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.retry.attempts = attempts.max(1);
        self
    }

    /// The pause before a request is sent for the second time, 250 ms unless this is called. Each further one is twice
    /// as long, up to 8 seconds; a server can ask for another one, up to 30 seconds.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.retry.pause = pause;
        self
    }

    /// Keeps what a reader has proven in a cache, and reads from it.
    pub fn cache(mut self, cache: &Cache) -> Self {
        self.cache = Some(cache.clone());
        self
    }

    /// Asks the server for the first bytes, and thereby for the size.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn open(self) -> Result<Remote, Error> {
        let Self { address, timeout, retry, cache } = self;
        let client = Client::new(address, timeout)?;
        let mut failures = 0;
        let (origin, first) = loop {
            match first(&client) {
                Ok(found) => break found,
                Err(trouble) => {
                    failures += 1;
                    retry.after(trouble, failures)?;
                }
            }
        };
        let cache = cache.map(|cache| cache.of(&client.address.url, &origin));
        let shared = Shared::new(client, origin, cache, retry);
        shared.lock().pieces.arrive(0, first);
        Ok(Remote { shared })
    }
}

/// The first piece of a file, and which file it is of.
fn first(client: &Client) -> Result<(super::answer::Origin, Vec<u8>), Trouble> {
    let mut answer = client.begin(&(0..PIECE), None)?;
    let mut bytes = vec![0; usize::try_from(answer.left).expect("a piece fits memory")];
    answer.fill(&mut bytes)?;
    let origin = answer.origin.clone();
    answer.finish()?;
    Ok((origin, bytes))
}

/// A file on a web server, read in ranges. Any number of threads can read at the same time.
///
/// Reads fail with an [`Error`] inside the [`io::Error`] once trying again has not helped.
pub struct Remote {
    shared: Arc<Shared>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("url", &self.url()).field("size", &self.shared.origin.size).finish()
    }
}

impl Remote {
    /// The file at a URL that begins with `http://` or `https://`. A user and a password in it are sent as HTTP's
    /// "basic" authentication, to the server that it names and to no other.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn builder(url: &str) -> Result<Builder, Error> {
        Ok(Builder {
            address: Address::parse(url)?,
            timeout: Duration::from_secs(30),
            retry: Retry { attempts: 5, pause: Duration::from_millis(250) },
            cache: None,
        })
    }

    /// The URL, without user and password.
    pub fn url(&self) -> &str {
        &self.shared.client.address.url
    }

    /// What was fetched until now.
    pub fn counters(&self) -> Counters {
        self.shared.client.counting.now()
    }
}

impl ReadAt for Remote {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).filter(|&end| end <= self.shared.origin.size);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        if buffer.is_empty() {
            return Ok(());
        }
        if self.shared.plan(&(offset..end)) {
            worker::wake(&self.shared);
        }
        let (mut rest, mut position) = (buffer, offset);
        while !rest.is_empty() {
            let in_piece = usize::try_from(PIECE - position % PIECE).expect("a piece fits memory");
            let (part, after) = rest.split_at_mut(in_piece.min(rest.len()));
            self.shared.read(part, position, (end - 1) / PIECE)?;
            position += part.len() as u64;
            rest = after;
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.shared.origin.size)
    }

    fn name(&self) -> Option<String> {
        Some(self.url().to_owned())
    }

    fn proven(&self, offset: u64, bytes: &[u8]) {
        if let Some(cache) = &self.shared.cache {
            cache.keep(offset, bytes);
        }
    }

    fn disproven(&self, bytes: Range<u64>) -> bool {
        self.shared.forget(&bytes);
        true
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.has_ended = true;
        state.queue.clear();
        drop(state);
        // A thread that waits for a server ends when that answers, or is given up.
        self.shared.asked.notify_all();
    }
}
