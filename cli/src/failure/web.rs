//! What is said of web servers.

use std::io;

use dmverity::http::Error;

use super::Failure;

/// The error of a web server that is in an error of reading.
pub(super) fn of(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// Says why a file on a web server cannot be read, and what can be done about it.
pub(crate) fn explained(failure: Failure, error: &Error) -> Failure {
    let failure = failure.hint(format!("{error}."));
    match error {
        Error::NoRanges => failure.hint("use a server that serves ranges (status 206), or download the file."),
        Error::Status { status: 401 | 403 } => {
            failure.hint("a user and a password can be given in the URL: https://USER:PASSWORD@HOST/PATH.")
        }
        Error::Changed { .. } => failure.hint("start again to read the new version; it needs its own root hash."),
        Error::Connection { kind: io::ErrorKind::PermissionDenied, .. } => {
            failure.hint("to trust another authority, name a file with its certificate in SSL_CERT_FILE.")
        }
        _ => failure,
    }
}
