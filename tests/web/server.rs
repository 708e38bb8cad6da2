//! A web server of one file that does as a test tells it, a thread for each connection.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The file that is served, by path.
type Files = HashMap<String, Arc<Vec<u8>>>;

/// A request.
pub(crate) struct Request {
    /// How many came before it.
    pub(crate) number: usize,
    pub(crate) path: String,
    /// With lower-case names.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) range: Range<usize>,
}

/// What is sent.
pub(crate) struct Answer {
    pub(crate) status: &'static str,
    pub(crate) headers: Vec<(&'static str, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// How many bytes of the body are sent before the connection is closed.
    pub(crate) cut: Option<usize>,
    /// Whether it then stays open, and nothing is sent.
    pub(crate) stalls: bool,
    /// Sent in place of everything else.
    pub(crate) raw: Option<Vec<u8>>,
}

impl Answer {
    /// A right one.
    pub(crate) fn right(file: &[u8], range: &Range<usize>) -> Self {
        let range = range.start.min(file.len())..range.end.min(file.len());
        let body = file[range.clone()].to_vec();
        let content_range = format!("bytes {}-{}/{}", range.start, range.end.max(1) - 1, file.len());
        let length = body.len().to_string();
        let headers = vec![
            ("Content-Range", content_range.into_bytes()),
            ("Content-Length", length.into_bytes()),
            ("ETag", b"\"first\"".to_vec()),
        ];
        Self { status: "206 Partial Content", headers, body, cut: None, stalls: false, raw: None }
    }

    /// Without a body.
    pub(crate) fn status(status: &'static str) -> Self {
        let headers = vec![("Content-Length", b"0".to_vec())];
        Self { status, headers, body: Vec::new(), cut: None, stalls: false, raw: None }
    }

    /// These bytes alone.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { raw: Some(bytes.into()), ..Self::status("") }
    }

    /// The same with another value of a header, or with one more.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    fn send(&self, stream: &mut impl Write) -> std::io::Result<()> {
        if let Some(raw) = &self.raw {
            return stream.write_all(raw);
        }
        let mut head = format!("HTTP/1.1 {}\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            head.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        head.extend(b"\r\n");
        stream.write_all(&head)?;
        stream.write_all(&self.body[..self.cut.unwrap_or(self.body.len())])
    }
}

/// A connection, with TLS or without.
trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

type Behaviour = dyn Fn(&Request, &[u8]) -> Answer + Send + Sync;

/// A server that runs until the test ends.
pub(crate) struct Server {
    pub(crate) port: u16,
    scheme: &'static str,
    requests: Arc<AtomicUsize>,
    files: Arc<Mutex<Files>>,
}

impl Server {
    /// Serves files as it should.
    pub(crate) fn right() -> Self {
        Self::new(|request, file| Answer::right(file, &request.range))
    }

    pub(crate) fn new(behaviour: impl Fn(&Request, &[u8]) -> Answer + Send + Sync + 'static) -> Self {
        Self::with(None, behaviour)
    }

    /// The same over TLS.
    pub(crate) fn over_tls(config: ServerConfig) -> Self {
        Self::with(Some(Arc::new(config)), |request, file| Answer::right(file, &request.range))
    }

    fn with(
        tls: Option<Arc<ServerConfig>>,
        behaviour: impl Fn(&Request, &[u8]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let (requests, files) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Files::new())));
        let (counted, served): (_, Arc<Mutex<Files>>) = (Arc::clone(&requests), Arc::clone(&files));
        let behaviour: Arc<Behaviour> = Arc::new(behaviour);
        let scheme = if tls.is_some() { "https" } else { "http" };
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (counted, served, behaviour) = (Arc::clone(&counted), Arc::clone(&served), Arc::clone(&behaviour));
                let tls = tls.clone();
                thread::spawn(move || connection(wrapped(stream, tls), &counted, &served, &*behaviour));
            }
        });
        Self { port, scheme, requests, files }
    }

    /// Puts a file, as it is now, where clients find it.
    pub(crate) fn put(&self, path: &Path) -> String {
        let name = path.file_name().expect("a file").to_str().expect("text");
        self.put_bytes(name, std::fs::read(path).expect("readable"))
    }

    pub(crate) fn put_bytes(&self, name: &str, bytes: Vec<u8>) -> String {
        self.files.lock().expect("unharmed").insert(format!("/{name}"), Arc::new(bytes));
        format!("{}://127.0.0.1:{}/{name}", self.scheme, self.port)
    }

    /// How many requests it has got.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

fn wrapped(stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> Box<dyn Stream> {
    stream.set_nodelay(true).expect("it is open");
    match tls {
        None => Box::new(stream),
        Some(config) => Box::new(StreamOwned::new(ServerConnection::new(config).expect("a configuration"), stream)),
    }
}

fn connection(stream: Box<dyn Stream>, requests: &AtomicUsize, files: &Mutex<Files>, behaviour: &Behaviour) {
    let mut reader = BufReader::new(stream);
    while let Some(mut request) = read(&mut reader) {
        request.number = requests.fetch_add(1, Ordering::Relaxed);
        let file = files.lock().expect("unharmed").get(&request.path).cloned();
        let answer = match file {
            Some(file) => behaviour(&request, &file),
            None => Answer::status("404 Not Found"),
        };
        if answer.send(reader.get_mut()).is_err() {
            return;
        }
        if answer.stalls {
            // Until the client has gone.
            let _ = reader.read_line(&mut String::new());
            return;
        }
        if answer.cut.is_some() || answer.raw.is_some() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<Box<dyn Stream>>) -> Option<Request> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|&count| count > 0)?;
    let path = first.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&count| count > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    assert!(first.starts_with("GET "), "only GET is sent: {first}");
    let range = headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let (start, last) = range.expect("every request is for a range");
    let range = start.parse().expect("a number")..last.parse::<usize>().expect("a number") + 1;
    Some(Request { number: 0, path, headers, range })
}
