//! The program: see the library beside it.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: veritysetup::Reserving = veritysetup::Reserving;

fn main() -> ExitCode {
    veritysetup::main()
}
