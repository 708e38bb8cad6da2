//! `verify -`: the data on standard input are checked while they pass.

use std::path::Path;

use dmverity::messages::DATA_AREA_FAILED;
use dmverity::{Area, Corruption, Error, StreamVerifier, Work};

use super::existing::Image;
use super::verify::{FaultFields, FoundFields, VerifyFields};
use crate::arguments;
use crate::failure::{Exit, Failure, Result, sizes};
use crate::interruption;
use crate::output;
use crate::passing::{Input, Output, STDIN_NAME, STDOUT_NAME};
use crate::report::Report;

pub(super) fn run(arguments: &arguments::Verify, image: Image) -> Result<Report> {
    let Image { source, params, root_hash, signer, warnings, .. } = image;
    let mut verifier = StreamVerifier::new(Input::new([])?).name(STDIN_NAME);
    if arguments.tee {
        let copy = Output::new().map_err(|error| output::unwritable(&error))?;
        verifier = verifier.hand_on(copy, STDOUT_NAME);
    }
    let verify = |work: &Work<'_>| verifier.verify(source.hash(), &params, &root_hash, work);
    let found = interruption::watched(&arguments.work, Path::new(STDIN_NAME), verify)?.map_err(refused)?;
    let fields = VerifyFields {
        data_device: super::shown(source.data()),
        hash_device: super::shown(source.hash()),
        fec_device: None,
        hash_offset: params.hash_offset(),
        root_hash: root_hash.to_string(),
        signer,
        found: FoundFields::of_first(found.as_ref().map(fault)),
        fec: None,
    };
    let report = Report { warnings, ..Report::new("", fields) };
    let Some(bad) = found else { return Ok(report) };
    let position = format!("Verification failed at position {}.", bad.position);
    Err(report.failed(Failure::of_lines(Exit::Permission, vec![position, DATA_AREA_FAILED.to_owned()])))
}

fn fault(found: &Corruption) -> FaultFields {
    let kind = if found.area == Area::Hash { "hash_block" } else { "data_block" };
    FaultFields { kind, position: found.position }
}

/// A stream of another length is a failed verification, like a device that ends too early.
fn refused(error: Error) -> Failure {
    let failed = || Failure::new(Exit::Parameters, DATA_AREA_FAILED);
    match error {
        Error::StreamTooShort { found, needed, .. } => failed().hint(format!("{STDIN_NAME}: {}", sizes(found, needed))),
        Error::StreamTooLong { needed, .. } => {
            failed().hint(format!("{STDIN_NAME}: it goes on after the {needed} bytes that the hash tree is of."))
        }
        Error::DeviceTooSmall { found, needed, .. } => failed().hint(sizes(found, needed)),
        Error::Io { action: "write", source, .. } => output::unwritable(&source),
        error => error.into(),
    }
}
