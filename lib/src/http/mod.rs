//! Feature `http`: an image on a web server, read in ranges over HTTP and HTTPS.
//!
//! A [`Remote`] is a [`ReadAt`]: what a [`VerifiedReader`] or any other part of this library reads from it is fetched
//! when it is needed. A read here and there fetches a small aligned range; a reader that goes on gets growing ranges,
//! which threads fetch ahead of it over connections of their own. Each of several such readers keeps its own pace.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use dmverity::http::Remote;
//! use dmverity::{Image, ReadAt as _, Storage};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let remote = Arc::new(Remote::builder("https://example.org/image.raw")?.open()?);
//! let image = Image::in_one(Storage::Shared(remote))?;
//! let params = image.load(image.locate()?, None)?;
//! # let root_hash = image.unverified_root_hash(&params)?;
//! let reader = image.reader(&params, &root_hash).build()?;
//! let mut bytes = [0; 4096];
//! reader.read_exact_at(&mut bytes, 0)?;
//! # Ok(())
//! # }
//! ```
//!
//! # What a server has to do
//!
//! Answer requests for ranges with 206 and the total size, and keep the file as it is: an entity tag or a time of
//! modification that changes is an error, as is any answer that is not exactly the range that was asked for. Redirects
//! are followed. The certificates of HTTPS are those that the system trusts, or those that `SSL_CERT_FILE` and
//! `SSL_CERT_DIR` name; `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are followed.
//!
//! # Hostile servers
//!
//! Nothing proves the bytes that a server sends until a reader has compared them with the root hash. Headers are
//! bounded and checked, and an answer of another length than the range is refused. A request that gets no answer in
//! time is repeated, a bounded number of times. Memory does not grow with the image.
//!
//! A [`Cache`] keeps blocks in a local file, and only those that a [`VerifiedReader`] has proven. It is not trusted
//! either: what comes from it is proven again, and fetched again if it is wrong.

mod address;
mod answer;
mod cache;
mod client;
mod counters;
mod error;
mod lines;
mod pieces;
mod remote;
mod retry;
mod shared;
mod streams;
mod worker;

#[cfg(test)]
mod tests;

pub use address::is_url;
#[doc(hidden)]
pub use answer::fuzz_headers;
pub use cache::{Cache, CacheError};
pub use counters::Counters;
pub use error::Error;
pub use remote::{Builder, Remote};

#[cfg(doc)]
use crate::io::ReadAt;
#[cfg(doc)]
use crate::reader::VerifiedReader;
