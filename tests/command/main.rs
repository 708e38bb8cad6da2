//! The built command, run as its callers run it: golden vectors, both directions with the reference tool, bad input,
//! interruption; its manual and the shells' completions. Each test works in a directory of its own on files it made.

mod algorithms;
mod append;
mod bad_input;
mod behaviour;
mod completions;
mod dependencies;
mod environment;
mod exhausted;
mod expected;
mod fec;
mod fec_case;
mod fec_reference;
mod fec_repair;
mod from_cmdline;
mod golden;
mod help;
mod holes;
mod hostile;
mod install;
mod interrupted;
mod json;
mod locked;
mod manual;
mod mapping_paths;
mod places;
mod planning;
mod progress;
mod reference;
mod root_hash_file;
mod root_hashes;
mod sandbox;
mod several_faults;
mod source;
mod threads;
mod ways;
