//! What becomes of images and of their owners' data when something goes wrong at any moment: system calls that fail,
//! file systems that are full, files that change meanwhile, signals, and two commands at once.
//!
//! `FAULTS=all` tries every fault of every call; without it, a sample that is the same every time.

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
