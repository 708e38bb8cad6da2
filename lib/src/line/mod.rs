//! Lines for other systems, and lines read from them: device-mapper's tables, boot parameters, kernel command lines.
//! Text only, no I/O.

pub mod boot;
pub mod cmdline;
mod parameters;
pub mod table;
