//! The protocol of the machine's second serial line. Messages of the guest's `init` are lines that begin with `@@` and
//! a random word for each boot, which no output can contain by accident; everything between them is output.
//!
//! `begin CASE`, its output, `end CASE code=N timeout=0|1 leak=0|1`, at last `off`; in a run of a single script instead
//! its output and `exit N`; at any time `broken REASON`, after which the machine goes off.

use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the guest reports.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Output of a case or script; it may come in pieces.
    Output(Vec<u8>),
    /// A case begins.
    Begin(String),
    /// A case has ended.
    End(End),
    /// The script of a single run has ended with this code.
    Exit(u8),
    /// The machine is no longer usable.
    Broken(String),
    /// All cases are done, the machine goes off.
    Off,
}

/// How a case ended.
#[derive(Debug, PartialEq, Eq)]
pub struct End {
    /// The case.
    pub name: String,
    /// Its exit code.
    pub code: u8,
    /// It was ended because it took too long.
    pub timed_out: bool,
    /// It left something behind; its output says what.
    pub leaked: bool,
}

/// A word for a new boot.
pub fn word() -> String {
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    format!("{:x}-{nanoseconds:x}", process::id())
}

/// Cuts the bytes of the line into events.
#[derive(Debug)]
pub struct Parser {
    marker: Vec<u8>,
    buffer: Vec<u8>,
}

impl Parser {
    /// A parser for a boot with this word.
    pub fn new(word: &str) -> Self {
        Self { marker: format!("@@{word} ").into_bytes(), buffer: Vec::new() }
    }

    /// Takes what was read and returns what it completes. Output is returned as soon as it cannot be part of a message.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.buffer.extend_from_slice(bytes);
        let mut events = Vec::new();
        loop {
            let found = self.buffer.windows(self.marker.len()).position(|window| window == self.marker);
            let Some(start) = found else {
                let keep = self.beginning_of_marker();
                self.output(self.buffer.len() - keep, &mut events);
                return events;
            };
            self.output(start, &mut events);
            let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') else {
                return events;
            };
            let message: Vec<u8> = self.buffer.drain(..=end).skip(self.marker.len()).collect();
            let message = String::from_utf8_lossy(&message);
            let message = message.trim_end();
            events.push(parse(message).unwrap_or_else(|| Event::Broken(format!("an unknown message: {message}"))));
        }
    }

    /// How many bytes at the buffer's end may be the beginning of a marker.
    fn beginning_of_marker(&self) -> usize {
        let longest = self.marker.len().saturating_sub(1).min(self.buffer.len());
        (1..=longest).rev().find(|&length| self.buffer.ends_with(&self.marker[..length])).unwrap_or(0)
    }

    fn output(&mut self, length: usize, events: &mut Vec<Event>) {
        if length > 0 {
            events.push(Event::Output(self.buffer.drain(..length).collect()));
        }
    }
}

fn parse(message: &str) -> Option<Event> {
    let (kind, rest) = message.split_once(' ').unwrap_or((message, ""));
    Some(match kind {
        "begin" => Event::Begin(rest.to_owned()),
        "exit" => Event::Exit(rest.parse().ok()?),
        "broken" => Event::Broken(rest.to_owned()),
        "off" => Event::Off,
        "end" => {
            let mut words = rest.split(' ');
            let name = words.next()?.to_owned();
            let mut value = |key: &str| words.next()?.strip_prefix(key)?.strip_prefix('=')?.parse::<u8>().ok();
            Event::End(End {
                name,
                code: value("code")?,
                timed_out: value("timeout")? != 0,
                leaked: value("leak")? != 0,
            })
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adjacent pieces of output joined: where they are cut is not part of the protocol.
    fn joined(events: Vec<Event>) -> Vec<Event> {
        let mut joined: Vec<Event> = Vec::new();
        for event in events {
            match (joined.last_mut(), event) {
                (Some(Event::Output(before)), Event::Output(more)) => before.extend(more),
                (_, event) => joined.push(event),
            }
        }
        joined
    }

    #[test]
    fn the_same_events_however_the_line_is_cut() {
        let text = b"@@w begin a-b\nout @@put\nno newline@@w end a-b code=3 timeout=0 leak=1\n@@w off\n";
        let expected = [
            Event::Begin("a-b".to_owned()),
            Event::Output(b"out @@put\nno newline".to_vec()),
            Event::End(End { name: "a-b".to_owned(), code: 3, timed_out: false, leaked: true }),
            Event::Off,
        ];
        for size in 1..=text.len() {
            let mut parser = Parser::new("w");
            let events = text.chunks(size).flat_map(|chunk| parser.feed(chunk)).collect();
            assert_eq!(joined(events), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn output_is_not_held_back() {
        let mut parser = Parser::new("w");
        assert_eq!(parser.feed(b"prompt> "), [Event::Output(b"prompt> ".to_vec())]);
    }

    #[test]
    fn an_unknown_message_is_not_passed_over() {
        assert!(matches!(Parser::new("w").feed(b"@@w end a code=x\n").as_slice(), [Event::Broken(_)]));
    }
}
