#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| callbox_fuzz::ice_servers(data));
