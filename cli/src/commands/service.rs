//! What the commands have in common that hand out an image until they are told to end: a reader that reports bad
//! blocks, signals, and a command that is run meanwhile.

use std::io;
use std::sync::Arc;

use dmverity::{Corruption, Params, VerifiedReader};
use serde::Serialize;

use super::bad_blocks::BadBlocks;
use super::source::Source;
use super::verified::{self, Verified, VerifiedFields};
use crate::arguments::{OnCorruption, ServiceOptions};
use crate::failure::{Exit, Failure, Result};
use crate::output;
use crate::report::Report;
use crate::serving::{Child, Wake, Woken};

/// An image that is handed out.
pub(super) struct Service {
    pub(super) reader: Arc<VerifiedReader>,
    pub(super) params: Params,
    pub(super) fields: VerifiedFields,
    warnings: Vec<String>,
    pub(super) wake: Arc<Wake>,
    pub(super) source: Source,
    bad_blocks: Arc<BadBlocks>,
    /// Whether a bad block is the end.
    stops: bool,
    json: bool,
    is_quiet: bool,
}

/// What was handed out.
pub(super) trait Counted: Serialize {
    /// In one line of text.
    fn line(&self) -> String;
}

/// The way in which it is handed out.
pub(super) trait Front {
    /// Waits for something to happen.
    fn wait(&self) -> Result<Woken>;

    /// What was handed out until now, in one line.
    fn counters(&self) -> String;

    /// Hands out nothing more.
    fn finish(&self);
}

impl Service {
    /// Finds an image and its root hash, as `open` does. From now on signals do not end the command, but wake it.
    /// `failed` makes the failure of a command that cannot start.
    pub(super) fn open(options: &ServiceOptions, failed: impl FnOnce(&io::Error) -> Failure) -> Result<Self> {
        let ServiceOptions { image, reader: options, json, is_quiet } = options;
        let (json, is_quiet) = (*json, *is_quiet);
        let stops = options.on_corruption == OnCorruption::Stop;
        let mut made = None;
        let Verified { reader, params, fields, warnings, source } = verified::open(image, options, || {
            let bad_blocks = Arc::new(BadBlocks::new(options.events.as_ref())?);
            let wake = Wake::new().map_err(|error| failed(&error))?;
            let (told, woken) = made.insert((bad_blocks, wake)).clone();
            Ok(move |found: &Corruption| {
                told.report(found);
                if stops && !found.recovered {
                    woken.stop();
                }
            })
        })?;
        let (bad_blocks, wake) = made.expect("the reader has got what reports");
        Ok(Self { reader: Arc::new(reader), params, fields, warnings, wake, source, bad_blocks, stops, json, is_quiet })
    }

    /// What was handed out until now, in one line.
    pub(super) fn shown(&self, counters: &impl Counted) -> String {
        if self.json { serde_json::to_string(counters).expect("numbers") } else { counters.line() }
    }

    /// The result of the command: a failure if a bad block has ended it. `what` is what has ended.
    pub(super) fn ended(&self, what: &str, counters: &impl Counted, report: Report) -> Result<Report> {
        let warnings = [self.warnings.clone(), report.warnings].concat();
        let notes = Vec::from_iter((!self.is_quiet).then(|| counters.line()));
        let report = Report { notes, warnings, ..report };
        match self.bad_blocks.first_lost().filter(|_| self.stops) {
            Some(line) => Err(report.failed(
                Failure::new(Exit::Permission, line)
                    .hint(format!("{what} has ended with it, as --on-corruption=stop demands.")),
            )),
            None => Ok(report),
        }
    }
}

/// Waits until a signal comes, the command has ended, or the service has to stop. The result is the exit code of the
/// command.
pub(super) fn run(front: &impl Front, mut child: Option<&mut Child>) -> Result<Option<u8>> {
    let mut is_interrupted = false;
    let mut has_stopped = false;
    loop {
        let woken = front.wait()?;
        if woken.show {
            output::print_error(&(front.counters() + "\n"));
        }
        let Some(child) = &mut child else {
            if woken.end || woken.interrupt || woken.stop {
                break;
            }
            continue;
        };
        if let Some(code) = child.exit_code() {
            front.finish();
            return Ok(Some(code));
        }
        // A terminal has interrupted the command too.
        if woken.end || (woken.interrupt && is_interrupted) {
            child.end();
        }
        is_interrupted |= woken.interrupt;
        if woken.stop && !has_stopped {
            has_stopped = true;
            front.finish();
            child.end();
        }
    }
    front.finish();
    Ok(None)
}
