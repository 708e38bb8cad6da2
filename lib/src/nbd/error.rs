//! Why a connection has ended before its client said so.

use std::io;

/// A connection that did not end as the protocol has it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stream failed: the client has gone in the middle of a message, or a timeout of the stream has passed.
    #[error("the connection failed")]
    Io {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The client did what no client may do.
    #[error("{what}")]
    Violation {
        /// What it did.
        what: &'static str,
    },
}

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        Self::Io { source }
    }
}

impl Error {
    pub(super) fn violation(what: &'static str) -> Self {
        Self::Violation { what }
    }
}
