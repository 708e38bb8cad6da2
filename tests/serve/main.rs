//! `veritysetup serve`, read by the programs that people use, and by clients that mean harm.

mod changing;
mod client;
mod hostile;
mod image;
mod programs;
mod recipes;
mod server;
mod sockets;
mod storm;

/// The command.
fn program() -> std::path::PathBuf {
    dmverity_tests::veritysetup()
}
