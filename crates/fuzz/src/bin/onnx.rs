//! libFuzzer on the ONNX importer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tamis_fuzz::onnx(bytes));
