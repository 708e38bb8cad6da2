//! `dump`: show what a superblock says.

use dmverity::{Error, Layout};

use super::{Spelling, header};
use crate::arguments::Arguments;
use crate::failure::Result;
use crate::output;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let hash = arguments.path(0);
    let params = dmverity::load(hash, arguments.hash_offset()?, arguments.fec()?)?;
    if params.fec().is_some() {
        return Err(Error::FecUnsupported.into());
    }
    let spelling = Spelling {
        uuid: params.uuid().map(|uuid| uuid.to_string()).unwrap_or_default(),
        algorithm: params.algorithm().to_string(),
    };
    output::print(&header(hash, &spelling, &Layout::new(&params)?, None))
}
