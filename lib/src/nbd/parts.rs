//! Long reads in parts: while one part is being sent, another thread reads the next ones.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::Scope;

use super::export::Export;
use super::protocol::{Request, errno};
use crate::io::ReadAt;
use crate::memory;
use crate::reader::Corruption;
use crate::work::start_thread;

/// Long reads are cut into parts of this size: what is read stays in the processor's cache until it is sent.
pub(super) const PART: u32 = 512 << 10;

/// A shorter part is read sooner than another thread wakes up for it.
const WORTH_A_WAKE: u32 = 64 << 10;

/// How many parts the other thread is given before they are needed.
const AHEAD: usize = 2;

/// A request that has failed.
#[derive(Clone, Copy)]
pub(super) struct Refused {
    pub(super) errno: u32,
    /// Where on the disk, if that is known.
    pub(super) offset: Option<u64>,
}

impl From<u32> for Refused {
    fn from(errno: u32) -> Self {
        Self { errno, offset: None }
    }
}

/// As much of a read as is answered by one chunk.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) cookie: u64,
    /// In bytes of the disk.
    pub(super) offset: u64,
    /// In bytes.
    pub(super) len: u32,
    /// Whether it ends its reply.
    pub(super) last: bool,
}

/// A part's bytes, at the beginning of a buffer, or why there are none.
pub(super) struct Filled {
    buffer: Vec<u8>,
    result: Result<(), Refused>,
}

impl Filled {
    fn new(storage: &dyn ReadAt, mut buffer: Vec<u8>, part: Part) -> Self {
        let result = fill(&mut buffer, storage, part);
        Self { buffer, result }
    }

    /// The bytes of the part that it was filled for.
    pub(super) fn bytes(&self, part: Part) -> Result<&[u8], &Refused> {
        self.result.as_ref().map(|()| &self.buffer[..part.len as usize])
    }
}

/// The parts of reads that are to be answered, in order.
pub(super) struct Parts<'scope, 'env> {
    export: &'env Export<'env>,
    scope: &'scope Scope<'scope, 'env>,
    queue: VecDeque<Queued>,
    helper: Option<Helper>,
    spare: Vec<Vec<u8>>,
}

#[derive(Clone, Copy)]
struct Queued {
    part: Part,
    /// Whether the other thread reads it.
    given: bool,
}

/// The other thread. It fills buffers in the order in which it is given parts, and ends when this is dropped.
struct Helper {
    jobs: Sender<(Vec<u8>, Part)>,
    filled: Receiver<Filled>,
}

impl<'scope, 'env> Parts<'scope, 'env> {
    pub(super) fn new(export: &'env Export<'env>, scope: &'scope Scope<'scope, 'env>) -> Self {
        Self { export, scope, queue: VecDeque::new(), helper: None, spare: Vec::new() }
    }

    /// Whether more parts wait than both threads are busy with.
    pub(super) fn are_enough(&self) -> bool {
        self.queue.len() > AHEAD
    }

    /// Adds a read's parts, each of `most` bytes but for the last one.
    pub(super) fn add(&mut self, request: Request, most: u32) {
        let Request { cookie, offset, length, .. } = request;
        self.queue.extend((0..length).step_by(most as usize).map(|done| {
            let len = most.min(length - done);
            let part = Part { cookie, offset: offset + u64::from(done), len, last: done + len == length };
            Queued { part, given: false }
        }));
    }

    /// The next part, read. The other thread reads what follows it meanwhile.
    pub(super) fn next(&mut self) -> Option<(Part, Filled)> {
        self.give();
        let Queued { part, given } = self.queue.pop_front()?;
        let filled = if given { self.receive() } else { Filled::new(&*self.export.storage, self.buffer(), part) };
        Some((part, filled))
    }

    /// Takes back the buffer of what was sent.
    pub(super) fn reuse(&mut self, filled: Filled) {
        self.spare.push(filled.buffer);
    }

    /// Drops what is left of the reply whose part was the last one that [`next`](Self::next) returned.
    pub(super) fn skip_reply(&mut self) {
        while let Some(Queued { part, given }) = self.queue.pop_front() {
            if given {
                let filled = self.receive();
                self.reuse(filled);
            }
            if part.last {
                return;
            }
        }
    }

    /// Gives the other thread the parts after the first one, unless other clients keep the processors busy.
    fn give(&mut self) {
        if self.export.readers() >= self.export.processors {
            return;
        }
        for index in 1..self.queue.len().min(1 + AHEAD) {
            let Queued { part, given } = self.queue[index];
            if given || !(WORTH_A_WAKE..=PART).contains(&part.len) {
                continue;
            }
            let buffer = self.buffer();
            let Some(helper) = self.helper() else { return };
            // It has panicked if it takes none: the scope's thread will, too.
            self.queue[index].given = helper.jobs.send((buffer, part)).is_ok();
        }
    }

    fn receive(&self) -> Filled {
        let filled = self.helper.as_ref().and_then(|helper| helper.filled.recv().ok());
        filled.unwrap_or_else(|| Filled { buffer: Vec::new(), result: Err(errno::EIO.into()) })
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// The other thread, started when it is first needed; `None` if the system gives none.
    fn helper(&mut self) -> Option<&Helper> {
        if self.helper.is_none() {
            let (jobs, received) = mpsc::channel::<(Vec<u8>, Part)>();
            let (send, filled) = mpsc::channel();
            let storage = &*self.export.storage;
            let run = move || {
                for (buffer, part) in received {
                    if send.send(Filled::new(storage, buffer, part)).is_err() {
                        return;
                    }
                }
            };
            start_thread("read ahead", |builder| builder.spawn_scoped(self.scope, run))?;
            self.helper = Some(Helper { jobs, filled });
        }
        self.helper.as_ref()
    }
}

/// Reads `len` bytes into the buffer, which grows if it has to.
fn fill(buffer: &mut Vec<u8>, storage: &dyn ReadAt, Part { offset, len, .. }: Part) -> Result<(), Refused> {
    let needed = len as usize;
    if buffer.len() < needed {
        // Never both of them.
        *buffer = Vec::new();
        *buffer = memory::zeroed(needed.next_power_of_two()).map_err(|_| errno::ENOMEM)?;
    }
    let read = storage.read_exact_at(&mut buffer[..needed], offset);
    read.map_err(|error| Refused { errno: errno::EIO, offset: bad_offset(&error, offset, len) })
}

/// Where on the disk the bytes are that made a read fail, as far as the read goes.
fn bad_offset(error: &io::Error, offset: u64, len: u32) -> Option<u64> {
    let corruption: &Corruption = error.get_ref()?.downcast_ref()?;
    // The block may begin before them.
    Some(corruption.data.start.clamp(offset, offset + u64::from(len) - 1))
}
