//! The handshake: the client sends options, the last of which chooses the export.

use std::io::{Read, Write};

use super::error::Error;
use super::export::Export;
use super::input::Stream;
use super::protocol::{
    ALLOCATION, ALLOCATION_ID, FIXED_NEWSTYLE, GREETING, MAX_OPTION, MAX_OPTIONS, MAX_REQUEST, NO_ZEROES, OPTION,
    OPTION_REPLY, TRANSMISSION_FLAGS, ZEROES, answer, info, option,
};

/// What both sides speak from then on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Agreed {
    /// Replies to reads are chunks.
    pub(super) structured: bool,
    /// The client may ask for the extents of `base:allocation`.
    pub(super) allocation: bool,
}

/// What an option leads to.
enum Next {
    /// Another option.
    Option,
    /// Requests.
    Transmission,
    /// Nothing.
    End,
}

/// Greets a client, and answers its options: `None` if it chooses no export.
pub(super) fn negotiate<S: Read + Write>(stream: &mut Stream<S>, export: &Export<'_>) -> Result<Option<Agreed>, Error> {
    let offered = FIXED_NEWSTYLE | NO_ZEROES;
    send(stream, &[GREETING.as_slice(), OPTION, &offered.to_be_bytes()].concat())?;
    let Some(flags) = stream.message(false)? else { return Ok(None) };
    let flags = u32::from_be_bytes(flags);
    if flags & !u32::from(offered) != 0 {
        return Err(Error::violation("the client set flags that were not offered"));
    }
    let mut handshake =
        Handshake { stream, export, with_zeroes: flags & u32::from(NO_ZEROES) == 0, agreed: Agreed::default() };
    let mut data = Vec::new();
    for _ in 0..MAX_OPTIONS {
        let Some(option) = handshake.next(&mut data)? else { return Ok(None) };
        match handshake.answer(option, &data)? {
            Next::Option => {}
            Next::Transmission => return Ok(Some(handshake.agreed)),
            Next::End => return Ok(None),
        }
    }
    Err(Error::violation("the client sent too many options"))
}

struct Handshake<'a, S> {
    stream: &'a mut Stream<S>,
    export: &'a Export<'a>,
    with_zeroes: bool,
    agreed: Agreed,
}

impl<S: Read + Write> Handshake<'_, S> {
    /// Reads the next option, whose data replace those of the last one.
    fn next(&mut self, data: &mut Vec<u8>) -> Result<Option<u32>, Error> {
        let Some(magic) = self.stream.message::<8>(false)? else { return Ok(None) };
        if magic != *OPTION {
            return Err(Error::violation("the client sent something else than an option"));
        }
        let option = self.stream.u32()?;
        let len = self.stream.u32()?;
        if len > MAX_OPTION {
            self.reply(option, &[(answer::ERR_TOO_BIG, &[])])?;
            return Err(Error::violation("the client sent an option that is too long"));
        }
        data.clear();
        data.resize(len as usize, 0);
        self.stream.read_exact(data)?;
        Ok(Some(option))
    }

    fn answer(&mut self, option: u32, data: &[u8]) -> Result<Next, Error> {
        match option {
            option::EXPORT_NAME if !data.is_empty() => {
                return Err(Error::violation("the client asked for an export that does not exist"));
            }
            option::EXPORT_NAME => {
                let flags = TRANSMISSION_FLAGS.to_be_bytes();
                let zeroes: &[u8] = if self.with_zeroes { &[0; ZEROES] } else { &[] };
                send(self.stream, &[&self.export.size.to_be_bytes(), flags.as_slice(), zeroes].concat())?;
                return Ok(Next::Transmission);
            }
            option::ABORT => {
                // The client may have gone already.
                let _ = self.reply(option, &[(answer::ACK, &[])]);
                return Ok(Next::End);
            }
            // The empty name, after its length.
            option::LIST if data.is_empty() => {
                self.reply(option, &[(answer::SERVER, &0_u32.to_be_bytes()), (answer::ACK, &[])])?;
            }
            option::INFO | option::GO => return self.tell(option, data),
            option::STRUCTURED_REPLY if data.is_empty() => {
                self.agreed.structured = true;
                self.reply(option, &[(answer::ACK, &[])])?;
            }
            option::LIST | option::STRUCTURED_REPLY => self.reply(option, &[(answer::ERR_INVALID, &[])])?,
            option::LIST_META_CONTEXT | option::SET_META_CONTEXT => self.contexts(option, data)?,
            _ => self.reply(option, &[(answer::ERR_UNSUP, &[])])?,
        }
        Ok(Next::Option)
    }

    /// Tells the size, and what else was asked for.
    fn tell(&mut self, option: u32, data: &[u8]) -> Result<Next, Error> {
        let Some((name, wanted)) = informations(data) else {
            self.reply(option, &[(answer::ERR_INVALID, &[])])?;
            return Ok(Next::Option);
        };
        if !name.is_empty() {
            self.reply(option, &[(answer::ERR_UNKNOWN, &[])])?;
            return Ok(Next::Option);
        }
        let Export { size, preferred_block, .. } = *self.export;
        let export = [&info::EXPORT.to_be_bytes()[..], &size.to_be_bytes(), &TRANSMISSION_FLAGS.to_be_bytes()].concat();
        let sizes = [1, preferred_block, MAX_REQUEST].map(u32::to_be_bytes);
        let block_size = [&info::BLOCK_SIZE.to_be_bytes()[..], sizes.as_flattened()].concat();
        let name = info::NAME.to_be_bytes();
        let mut answers = vec![(answer::INFO, export.as_slice())];
        for (information, content) in [(info::NAME, &name[..]), (info::BLOCK_SIZE, &block_size)] {
            if wanted.contains(&information.to_be_bytes()) {
                answers.push((answer::INFO, content));
            }
        }
        answers.push((answer::ACK, &[]));
        self.reply(option, &answers)?;
        Ok(if option == option::GO { Next::Transmission } else { Next::Option })
    }

    /// Lists or selects the metadata contexts that a client asks for: there is one.
    fn contexts(&mut self, option: u32, data: &[u8]) -> Result<(), Error> {
        let is_set = option == option::SET_META_CONTEXT;
        if is_set {
            // What was selected before is no longer, whatever comes of this.
            self.agreed.allocation = false;
        }
        let Some((name, queries)) = queries(data).filter(|_| self.agreed.structured) else {
            return self.reply(option, &[(answer::ERR_INVALID, &[])]);
        };
        if !name.is_empty() {
            return self.reply(option, &[(answer::ERR_UNKNOWN, &[])]);
        }
        // To list, no query asks for all contexts, and a namespace for all that are in it.
        let is_meant = |query: &&[u8]| *query == ALLOCATION || (!is_set && *query == b"base:");
        let found = queries.iter().any(is_meant) || (!is_set && queries.is_empty());
        let id = if is_set { ALLOCATION_ID } else { 0 };
        let context = [&id.to_be_bytes()[..], ALLOCATION].concat();
        let mut answers = vec![(answer::ACK, &[][..])];
        if found {
            answers.insert(0, (answer::META_CONTEXT, &context));
        }
        self.agreed.allocation |= is_set && found;
        self.reply(option, &answers)
    }

    /// Sends the answers to an option, each with its data.
    fn reply(&mut self, option: u32, answers: &[(u32, &[u8])]) -> Result<(), Error> {
        let mut bytes = Vec::new();
        for (kind, data) in answers {
            bytes.extend(OPTION_REPLY.to_be_bytes());
            bytes.extend(option.to_be_bytes());
            bytes.extend(kind.to_be_bytes());
            bytes.extend(u32::try_from(data.len()).expect("no answer is long").to_be_bytes());
            bytes.extend(*data);
        }
        send(self.stream, &bytes)
    }
}

fn send<S: Read + Write>(stream: &mut Stream<S>, bytes: &[u8]) -> Result<(), Error> {
    stream.out().write_all(bytes)?;
    Ok(stream.out().flush()?)
}

/// The name of the export and the informations about it that `INFO` and `GO` ask for: `None` if the data are not right.
fn informations(data: &[u8]) -> Option<(&[u8], &[[u8; 2]])> {
    let (name, rest) = text(data)?;
    let (count, rest) = rest.split_first_chunk()?;
    let (wanted, rest) = rest.as_chunks();
    (rest.is_empty() && wanted.len() == usize::from(u16::from_be_bytes(*count))).then_some((name, wanted))
}

/// The name of the export and the queries of an option about metadata contexts: `None` if the data are not right.
fn queries(data: &[u8]) -> Option<(&[u8], Vec<&[u8]>)> {
    let (name, rest) = text(data)?;
    let (count, mut rest) = rest.split_first_chunk()?;
    let mut queries = Vec::new();
    // Each takes some of the data.
    for _ in 0..u32::from_be_bytes(*count) {
        let (query, after) = text(rest)?;
        queries.push(query);
        rest = after;
    }
    rest.is_empty().then_some((name, queries))
}

/// A text after its length, and what follows it.
fn text(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = data.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)
}
