//! [`dmverity_fuzz::kernel_cmdline`], driven by libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dmverity_fuzz::kernel_cmdline(data));
