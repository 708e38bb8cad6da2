//! Images on web servers, read by `veritysetup` from servers that are as they should be, and from those that are not.

mod cache;
#[allow(dead_code)]
#[path = "../serve/client.rs"]
mod client;
mod command;
mod misbehaving;
mod reading;
mod refused;
mod server;
mod tls;
