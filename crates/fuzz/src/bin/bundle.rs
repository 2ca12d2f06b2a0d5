//! libFuzzer on the bundle loader.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tamis_fuzz::bundle(bytes));
