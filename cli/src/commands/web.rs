//! Files on web servers, in a build with the feature `http`.

use std::path::Path;
use std::time::Duration;

use dmverity::http::{Cache, CacheError, Counters, Error};
use serde::Serialize;

pub(super) use dmverity::http::Remote;

use crate::arguments::WebOptions;
use crate::escape::{escaped, text_of};
use crate::failure::{Exit, Failure, Result, web};
use crate::output;

/// The size of a cache unless another one is given, in bytes.
const CACHE_BYTES: u64 = 1 << 30;

/// What was fetched from web servers.
#[derive(Clone, Copy, Serialize)]
pub(super) struct FetchedFields {
    requests: u64,
    failed_requests: u64,
    bytes_fetched: u64,
    bytes_from_cache: u64,
}

impl FetchedFields {
    /// Of these files together; `None` if there are none.
    pub(super) fn of<'a>(files: impl Iterator<Item = &'a Remote>) -> Option<Self> {
        let Counters { requests, failed_requests, bytes_fetched, bytes_from_cache, .. } =
            files.map(Remote::counters).reduce(Counters::and)?;
        Some(Self { requests, failed_requests, bytes_fetched, bytes_from_cache })
    }

    /// As words of a line.
    pub(super) fn line(&self) -> String {
        let Self { requests, failed_requests, bytes_fetched, bytes_from_cache } = self;
        format!(
            "http_requests={requests} http_failed_requests={failed_requests} http_bytes_fetched={bytes_fetched} \
             http_bytes_from_cache={bytes_from_cache}"
        )
    }
}

/// Opens the file at a URL.
pub(super) fn open(options: &WebOptions, name: &Path, cache: Option<&Cache>) -> Result<Remote> {
    let url = options.url(name);
    let url = url.to_str().unwrap_or_default();
    let cannot_open = |error: &Error| {
        let failure = Failure::new(Exit::Device, format!("Device {} cannot be opened.", text_of(name)));
        web::explained(failure, error)
    };
    let builder = Remote::builder(url).map_err(|error| cannot_open(&error))?;
    let builder = options.timeout.map(Duration::from_secs).into_iter().fold(builder, dmverity::http::Builder::timeout);
    cache.into_iter().fold(builder, dmverity::http::Builder::cache).open().map_err(|error| cannot_open(&error))
}

/// Opens the cache, if there is to be one. Where another process uses it, or there is no room for it, it is done
/// without.
pub(super) fn cache(options: &WebOptions) -> Result<Option<Cache>> {
    let Some(path) = &options.cache else { return Ok(None) };
    let name = text_of(path);
    let without = |why: &str| warn(&format!("{why}: reading goes on without the cache {}.", text_of(path)));
    let told = name.clone();
    let opened = Cache::open(path, options.cache_size.unwrap_or(CACHE_BYTES), move |error| {
        warn(&format!("nothing more is kept in the cache {told}: {}.", error.kind()));
    });
    let cannot_use = || Failure::new(Exit::Device, format!("Cannot use {name} as a cache."));
    match opened {
        Ok(cache) => Ok(Some(cache)),
        Err(CacheError::Busy) => {
            without("another process uses it");
            Ok(None)
        }
        Err(CacheError::Io { source }) if is_full(&source) => {
            without("there is no room");
            Ok(None)
        }
        Err(CacheError::Io { source }) => Err(cannot_use().because(&source)),
        Err(CacheError::TooSmall { least }) => {
            Err(Failure::new(Exit::Parameters, "Invalid value of option --http-cache-size.")
                .hint(format!("a cache has at least {least} bytes.")))
        }
        Err(CacheError::Foreign) => {
            Err(cannot_use().hint("it is something else, and was left as it is: name a new file, or an empty one."))
        }
        Err(error) => Err(cannot_use().hint(format!("{error}."))),
    }
}

fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | FileTooLarge | QuotaExceeded)
}

fn warn(text: &str) {
    output::print_error(&format!("WARNING: {}\n", escaped(text)));
}
