//! Why an image on a web server cannot be read.

use std::io;

/// What went wrong with a web server. Its message ends without a full stop, and names no URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL cannot be used.
    #[error("the URL cannot be used: {what}")]
    Url {
        /// What is wrong with it.
        what: &'static str,
    },
    /// There is no connection, or it failed, and trying again did not help.
    #[error("{what}")]
    Connection {
        /// What the client says.
        what: String,
        /// What kind of error of the system it is.
        kind: io::ErrorKind,
    },
    /// No certificate of an authority was found on this system, so that no HTTPS server can be trusted.
    #[error("no certificates of authorities were found on this system; SSL_CERT_FILE names a file of them")]
    NoCertificates,
    /// The server answered with a status other than 206.
    #[error("the server answers with status {status}")]
    Status {
        /// The number of the status.
        status: u16,
    },
    /// The server sends the whole file in place of the range that was asked for.
    #[error("the server serves no ranges of the file")]
    NoRanges,
    /// An answer is not what was asked for.
    #[error("the server's answer cannot be used: {what}")]
    Answer {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file is no longer the one whose first bytes were read.
    #[error("the file on the server has changed: it has another {what} than before")]
    Changed {
        /// What differs.
        what: &'static str,
    },
}

impl Error {
    pub(super) fn answer(what: &'static str) -> Self {
        Self::Answer { what }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Url { .. } => io::ErrorKind::InvalidInput,
            Error::Connection { kind, .. } => *kind,
            Error::Status { status: 404 | 410 } => io::ErrorKind::NotFound,
            Error::Status { status: 401 | 403 } => io::ErrorKind::PermissionDenied,
            Error::NoRanges => io::ErrorKind::Unsupported,
            Error::NoCertificates | Error::Status { .. } | Error::Answer { .. } | Error::Changed { .. } => {
                io::ErrorKind::Other
            }
        };
        Self::new(kind, error)
    }
}
