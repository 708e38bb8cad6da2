//! The program: see the library next to it.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: veritysetup::Reserving = veritysetup::Reserving;

fn main() -> ExitCode {
    veritysetup::main()
}
