//! Applies patches of any bytes to a state, as a client does with what it is sent: `framework/fuzz/run patch`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| courtside::bench::sync::apply_bytes(bytes));
