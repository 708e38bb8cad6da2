//! Images and their owners' data survive faults at any moment: failing system calls, full file systems, files that
//! change meanwhile, signals, and two commands at once.
//!
//! `FAULTS=all` tries every fault of every call; without it, a fixed sample.

#[cfg(target_arch = "x86_64")]
mod changing;
#[cfg(target_arch = "x86_64")]
mod full;
#[cfg(target_arch = "x86_64")]
mod matrix;
#[cfg(target_arch = "x86_64")]
mod scenario;
#[cfg(target_arch = "x86_64")]
mod scenarios;
#[cfg(target_arch = "x86_64")]
mod signals;
#[cfg(target_arch = "x86_64")]
mod together;
#[cfg(target_arch = "x86_64")]
mod tracer;

#[cfg(not(target_arch = "x86_64"))]
#[test]
fn faults_are_injected() {
    panic!("the tracer knows only the registers of x86-64: run these tests there");
}
