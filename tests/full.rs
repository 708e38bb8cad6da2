//! `veritysetup` with all of its features.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: veritysetup::Reserving = veritysetup::Reserving;

fn main() -> ExitCode {
    veritysetup::main()
}
