//! Images on web servers, read by `veritysetup` from servers that are as they should be, and from those that are not.

mod cache;
#[allow(dead_code)]
#[path = "../serve/client.rs"]
mod client;
mod command;
#[allow(dead_code)]
#[path = "../serve/image.rs"]
mod image;
mod misbehaving;
mod reading;
mod refused;
mod server;
mod tls;

/// The command with HTTP.
fn program() -> std::path::PathBuf {
    env!("CARGO_BIN_EXE_veritysetup-full").into()
}
