//! `veritysetup`: arguments in, calls of the `dmverity` library, text out.
//!
//! What callers depend on - words, streams, exit codes - is decided here and in the modules below; what is done with an
//! image is decided in the library.

mod arguments;
mod commands;
mod failure;
mod options;
mod output;

use std::process::ExitCode;

use arguments::{Arguments, Request};
use failure::Result;
use options::Action;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let request = match arguments::parse(&arguments) {
        Ok(request) => request,
        Err(failure) => {
            output::print_error(&failure.text());
            return failure.exit.code().into();
        }
    };
    let arguments = match request {
        Request::Text(text) => {
            output::print(&text);
            return ExitCode::SUCCESS;
        }
        Request::Run(arguments) => arguments,
    };
    if arguments.debug {
        // It can only be set once, and this is the only place that does.
        let _ = log::set_logger(&output::DebugLog);
        log::set_max_level(log::LevelFilter::Debug);
        log::debug!("dmverity {} processing {:?}", env!("CARGO_PKG_VERSION"), std::env::args().collect::<Vec<_>>());
    }
    let verbose = arguments.verbose || arguments.debug;
    match run(&arguments) {
        Ok(()) => {
            if verbose {
                output::print("Command successful.\n");
            }
            ExitCode::SUCCESS
        }
        Err(failure) => {
            output::print_error(&failure.text());
            if verbose {
                let (code, reason) = (failure.exit.code(), failure.exit.reason());
                output::print(&format!("Command failed with code -{code} ({reason}).\n"));
            }
            failure.exit.code().into()
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    match arguments.action {
        Action::Format => commands::format::run(arguments),
        Action::Verify => commands::verify::run(arguments),
        Action::Open => commands::open::run(arguments),
        Action::Close => commands::close::run(arguments),
        Action::Status => commands::status::run(arguments),
        Action::Dump => commands::dump::run(arguments),
    }
}
