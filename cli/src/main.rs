//! `veritysetup`: arguments in, calls of the `dmverity` library, text out.
//!
//! What callers depend on - words, streams, exit codes - is decided here and in the modules below; what is done with an
//! image is decided in the library.

mod arguments;
mod commands;
mod failure;
mod interruption;
mod options;
mod output;
mod refusal;

use std::process::ExitCode;

use arguments::{Arguments, Request};
use failure::Result;
use options::Action;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let (verbose, result) = match arguments::parse(&arguments) {
        Ok(Request::Text(text)) => (false, output::print(&text)),
        Ok(Request::Run(arguments)) => {
            let debug = arguments.flag("debug");
            if debug {
                start_log();
            }
            (debug || arguments.flag("verbose"), run(&arguments))
        }
        Err(failure) => (false, Err(failure)),
    };
    let (last_line, code) = match result {
        Ok(()) => ("Command successful.\n".to_owned(), ExitCode::SUCCESS),
        Err(failure) => {
            output::print_error(&failure.text());
            let (code, reason) = (failure.exit.code(), failure.exit.reason());
            (format!("Command failed with code -{code} ({reason}).\n"), code.into())
        }
    };
    if verbose {
        // The command has ended as it has; nobody is told twice.
        let _ = output::print(&last_line);
    }
    code
}

fn start_log() {
    // It can only be set once, and this is the only place that does.
    let _ = log::set_logger(&output::DebugLog);
    log::set_max_level(log::LevelFilter::Debug);
    log::debug!("dmverity {} processing {:?}", env!("CARGO_PKG_VERSION"), std::env::args().collect::<Vec<_>>());
}

fn run(arguments: &Arguments) -> Result<()> {
    match arguments.action {
        Action::Format => commands::format::run(arguments),
        Action::Verify => commands::verify::run(arguments),
        Action::Repair => commands::repair::run(arguments),
        Action::Open => commands::open::run(arguments),
        Action::Close => commands::close::run(arguments),
        Action::Status => commands::status::run(arguments),
        Action::Dump => commands::dump::run(arguments),
        Action::Features => commands::features::run(arguments),
        Action::Benchmark => commands::benchmark::run(arguments),
    }
}
