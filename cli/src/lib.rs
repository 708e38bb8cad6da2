//! `veritysetup`: arguments in, calls of the `dmverity` library, text or JSON out.
//!
//! What callers depend on - words, streams, exit codes - is decided here and in the modules below; what is done with an
//! image is decided in the library. This is a library of its own so that fuzz targets reach the parser; it is no
//! interface for other programs, which call `dmverity`.

mod arguments;
mod commands;
mod environment;
mod escape;
mod failure;
#[doc(hidden)]
pub mod fuzzing;
mod help;
mod interruption;
mod memory;
mod options;
mod output;
mod progress;
mod refusal;
mod report;
mod root_hash_file;
mod streams;

use std::process::ExitCode;

use arguments::{Arguments, Request};
use failure::Result;
use options::Action;
use output::Form;
use report::Report;

pub use memory::Reserving;

/// Runs the command that this process was started with, and returns its exit code.
pub fn main() -> ExitCode {
    memory::keep_reserve();
    interruption::outlive_full_files();
    let command_line: Vec<_> = std::env::args_os().collect();
    match arguments::parse(&command_line) {
        Ok(Request::Text(text)) => {
            let form = Form::Text { verbose: false };
            output::finish(form, None, Ok(Report { text, ..Report::default() }))
        }
        Ok(Request::Run(mut arguments)) => {
            let debug = arguments.flag("debug");
            if debug {
                start_log();
            }
            let verbose = debug || arguments.flag("verbose");
            let form = if arguments.flag("json") {
                Form::Json
            } else if arguments.flag("env") {
                Form::Env(arguments.action)
            } else {
                Form::Text { verbose }
            };
            let warnings = std::mem::take(&mut arguments.warnings);
            let mut result = run(&arguments);
            let report = match &mut result {
                Ok(report) => report,
                Err(failure) => {
                    failure.action = Some(arguments.action);
                    failure.report.get_or_insert_default()
                }
            };
            report.warnings.splice(0..0, warnings);
            output::finish(form, Some(arguments.name), result)
        }
        Err(failure) => {
            // Who wants an object gets one, also for a command line that cannot be understood.
            let json = command_line.iter().skip(1).take_while(|&word| word != "--").any(|word| word == "--json");
            output::finish(if json { Form::Json } else { Form::Text { verbose: false } }, None, Err(failure))
        }
    }
}

fn start_log() {
    // It can only be set once, and this is the only place that does.
    let _ = log::set_logger(&output::DebugLog);
    log::set_max_level(log::LevelFilter::Debug);
    log::debug!("dmverity {} processing {:?}", env!("CARGO_PKG_VERSION"), std::env::args_os().collect::<Vec<_>>());
}

fn run(arguments: &Arguments) -> Result<Report> {
    // These print nothing, or what no one loses anything by; the others would do their work for nothing.
    if arguments.flag("json") || !matches!(arguments.action, Action::Verify | Action::Open | Action::Close) {
        output::check()?;
    }
    match arguments.action {
        Action::Format => commands::format::run(arguments),
        Action::Verify => commands::verify::run(arguments),
        Action::Repair => commands::repair::run(arguments),
        Action::Open => commands::open::run(arguments),
        Action::Close => commands::close::run(arguments),
        Action::Status => commands::status::run(arguments),
        Action::Dump => commands::dump::run(arguments),
        Action::Plan => commands::plan::run(arguments),
        Action::Table => commands::table::run(arguments),
        Action::Features => commands::features::run(arguments),
        Action::Benchmark => commands::benchmark::run(arguments),
    }
}
