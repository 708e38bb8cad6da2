//! The built command, run as its callers run it: golden vectors, both directions with the reference tool, bad input,
//! interruption. Each test works in a directory of its own on files it made.

mod bad_input;
mod behaviour;
mod golden;
mod interrupted;
mod reference;
mod sandbox;
mod source;
