//! One request for a range, and its answer.

use std::io::{self, ErrorKind, Read as _};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use ureq::config::Config;
use ureq::http::{Response, StatusCode, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body, BodyReader};

use super::address::Address;
use super::answer::{self, Origin};
use super::counters::{Counting, add};
use super::error::Error;

/// More headers than this, in bytes, are refused.
const MOST_HEADERS: usize = 64 << 10;

/// An answer may take this many times as long as the server may send nothing.
const WHOLE_ANSWER: u32 = 20;

/// How many connections are kept open for the next request: those of the threads that fetch, and those of readers.
const KEPT_CONNECTIONS: usize = 16;

/// Asks one server for ranges of one file. Any thread may do so.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    pub(super) address: Address,
    pub(super) counting: Counting,
}

/// Why a request has failed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The same request may succeed later: after this pause, if the server names one.
    Again {
        error: Error,
        pause: Option<Duration>,
    },
    Final(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

impl Trouble {
    fn again(error: Error) -> Self {
        Self::Again { error, pause: None }
    }

    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Again { error, .. } | Self::Final(error) => error,
        }
    }
}

impl Client {
    /// `patience` is how long the server may send nothing.
    pub(super) fn new(address: Address, patience: Duration) -> Result<Self, Error> {
        let roots = rustls_native_certs::load_native_certs().certs;
        if roots.is_empty() && address.url.starts_with("https:") {
            return Err(Error::NoCertificates);
        }
        let roots: Vec<_> = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::Specific(Arc::new(roots)));
        let config = Config::builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .max_response_header_size(MOST_HEADERS)
            .max_idle_connections(KEPT_CONNECTIONS)
            .max_idle_connections_per_host(KEPT_CONNECTIONS)
            .user_agent(concat!("dmverity/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .timeout_connect(Some(patience))
            .timeout_resolve(Some(patience))
            .timeout_per_read(Some(patience))
            .timeout_per_write(Some(patience))
            .timeout_recv_response(Some(patience))
            .timeout_recv_body(Some(patience.saturating_mul(WHOLE_ANSWER)));
        Ok(Self { agent: config.build().new_agent(), address, counting: Counting::default() })
    }

    /// Asks for these bytes, of which there are some; the file may end before the last of them.
    pub(super) fn begin(&self, asked: &Range<u64>, known: Option<&Origin>) -> Result<Answer<'_>, Trouble> {
        add(&self.counting.requests, 1);
        let request = self.agent.get(&self.address.url);
        let request = request.header(header::RANGE, format!("bytes={}-{}", asked.start, asked.end - 1));
        let request = match &self.address.authorization {
            Some(authorization) => request.header(header::AUTHORIZATION, authorization),
            None => request,
        };
        let answer = request.call().map_err(|error| trouble(&error)).and_then(|response| self.accept(response, asked));
        let answer = answer.and_then(|answer| {
            known.map_or(Ok(()), |known| known.check(&answer.origin))?;
            Ok(answer)
        });
        answer.inspect_err(|_| add(&self.counting.failed_requests, 1))
    }

    fn accept(&self, response: Response<Body>, asked: &Range<u64>) -> Result<Answer<'_>, Trouble> {
        let (parts, body) = response.into_parts();
        match parts.status {
            StatusCode::PARTIAL_CONTENT => {}
            StatusCode::OK => return Err(Error::NoRanges.into()),
            status => {
                let error = Error::Status { status: status.as_u16() };
                let is_passing = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
                return Err(if is_passing {
                    Trouble::Again { error, pause: answer::pause(&parts.headers) }
                } else {
                    error.into()
                });
            }
        }
        let (origin, bytes) = answer::read(&parts.headers, asked)?;
        Ok(Answer { reader: body.into_reader(), left: bytes.end - bytes.start, origin, counting: &self.counting })
    }
}

/// An answer whose headers are right.
pub(super) struct Answer<'c> {
    reader: BodyReader<'static>,
    /// How many bytes have not been read.
    pub(super) left: u64,
    pub(super) origin: Origin,
    counting: &'c Counting,
}

impl Answer<'_> {
    /// Reads the next bytes, of which there are so many.
    pub(super) fn fill(&mut self, mut buffer: &mut [u8]) -> Result<(), Trouble> {
        self.left -= buffer.len() as u64;
        while !buffer.is_empty() {
            let count = self.read(buffer).inspect_err(|_| add(&self.counting.failed_requests, 1))?;
            add(&self.counting.bytes_fetched, count as u64);
            buffer = &mut buffer[count..];
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Trouble> {
        match self.reader.read(buffer) {
            Ok(0) => Err(Trouble::again(Error::answer("it ends too early"))),
            Ok(count) => Ok(count),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Err(Trouble::again(Error::answer("it ends too early")))
            }
            Err(error) => Err(io_trouble(&error)),
        }
    }

    /// Fails if more bytes follow. The connection can be used again.
    pub(super) fn finish(mut self) -> Result<(), Trouble> {
        match self.reader.read(&mut [0]) {
            // All that was asked for is there.
            Ok(0) | Err(_) => Ok(()),
            Ok(_) => Err(Error::answer("it is longer than the range").into()),
        }
    }
}

fn trouble(error: &ureq::Error) -> Trouble {
    let connection = |what: &str, kind| Trouble::again(Error::Connection { what: what.to_owned(), kind });
    match error {
        ureq::Error::Io(error) => io_trouble(error),
        ureq::Error::Timeout(_) => connection("the server does not answer in time", ErrorKind::TimedOut),
        ureq::Error::HostNotFound => connection("the server's name is not known", ErrorKind::NotFound),
        ureq::Error::ConnectionFailed => connection("there is no connection", ErrorKind::ConnectionRefused),
        ureq::Error::Protocol(_) => Trouble::again(Error::answer("it is not HTTP")),
        ureq::Error::Rustls(error) => tls(error),
        ureq::Error::TooManyRedirects => Error::answer("it redirects without end").into(),
        ureq::Error::BadUri(_) => Error::answer("it redirects to what is not a URL").into(),
        ureq::Error::LargeResponseHeader(..) => Error::answer("its headers are too long").into(),
        other => Error::Connection { what: format!("the request failed: {other}"), kind: ErrorKind::Other }.into(),
    }
}

/// A connection that failed. What is wrong with a certificate does not pass.
fn io_trouble(error: &io::Error) -> Trouble {
    let inner = error.get_ref();
    if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls(error);
    }
    if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        return trouble(error);
    }
    let what = if error.kind() == ErrorKind::TimedOut {
        "the server does not answer in time".to_owned()
    } else {
        format!("the connection failed: {}", error.kind())
    };
    Trouble::again(Error::Connection { what, kind: error.kind() })
}

fn tls(error: &rustls::Error) -> Trouble {
    let what = match error {
        rustls::Error::InvalidCertificate(error) => format!("the server's certificate is not trusted: {error}"),
        other => format!("TLS failed: {other}"),
    };
    Error::Connection { what, kind: ErrorKind::PermissionDenied }.into()
}
