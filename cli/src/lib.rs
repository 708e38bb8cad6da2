//! `veritysetup`: arguments in, calls of the `dmverity` library, text or JSON out.
//!
//! What callers depend on - words, streams, exit codes - is decided here and in the modules below; what is done with an
//! image is decided in the library. This is a separate library so that fuzz targets reach the parser; it is not an
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
mod kernel_options;
mod memory;
#[cfg(feature = "fuse")]
mod mounting;
mod options;
mod output;
mod passing;
mod progress;
mod refused;
mod report;
mod root_hash_file;
mod serving;
mod streams;
mod url;
mod whole_file;

use std::process::ExitCode;

use arguments::{Command, Invocation, Request};
use failure::Result;
use output::Form;
use report::Report;
use url::without_user;

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
        Ok(Request::Run(invocation)) => {
            let Invocation { action, name, output, warnings, command } = *invocation;
            if output.debug {
                start_log();
            }
            let is_printable = if output.is_needed(action) { output::check() } else { Ok(()) };
            let mut result = is_printable.and(command).and_then(|command| run(&command));
            let report = match &mut result {
                Ok(report) => report,
                Err(failure) => {
                    failure.action = Some(action);
                    failure.report.get_or_insert_default()
                }
            };
            report.warnings.splice(0..0, warnings);
            output::finish(output.form, Some(name), result)
        }
        Err(failure) => {
            // With --json there is an object even for a command line that cannot be understood.
            let json = command_line.iter().skip(1).take_while(|&word| word != "--").any(|word| word == "--json");
            output::finish(if json { Form::Json } else { Form::Text { verbose: false } }, None, Err(failure))
        }
    }
}

fn start_log() {
    // It can only be set once, and this is the only place that does.
    let _ = log::set_logger(&output::DebugLog);
    log::set_max_level(log::LevelFilter::Debug);
    log::debug!(
        "dmverity {} processing {:?}",
        env!("CARGO_PKG_VERSION"),
        std::env::args_os().map(without_user).collect::<Vec<_>>()
    );
}

fn run(command: &Command) -> Result<Report> {
    match command {
        Command::Format(format) => commands::format::run(format),
        Command::Verify(verify) => commands::verify::run(verify),
        Command::Update(update) => commands::update::run(update),
        Command::Repair(repair) => commands::repair::run(repair),
        Command::Open(open) => commands::open::run(open),
        Command::FromCmdline(from_cmdline) => commands::root_device::run(from_cmdline),
        Command::Close(close) => commands::close::run(close),
        Command::Status(status) => commands::status::run(status),
        Command::Dump(dump) => commands::dump::run(dump),
        Command::Plan(plan) => commands::plan::run(plan),
        Command::Table(table) => commands::table::run(table),
        Command::Features => commands::features::run(),
        Command::Keyring(keyring) => commands::keyring::run(keyring),
        Command::Inspect(inspect) => commands::inspect::run(inspect),
        Command::Build(build) => commands::build::run(build),
        Command::Benchmark(benchmark) => commands::benchmark::run(benchmark),
        Command::Sign(sign) => commands::sign::run(sign),
        Command::Signature(signature) => commands::signature::run(signature),
        Command::Serve(serve) => commands::serve::run(serve),
        #[cfg(feature = "fuse")]
        Command::MountFile(mount) => commands::mount_file::run(mount),
    }
}
