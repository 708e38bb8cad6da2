//! [`dmverity_fuzz::command_line`], driven by libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dmverity_fuzz::command_line(data));
