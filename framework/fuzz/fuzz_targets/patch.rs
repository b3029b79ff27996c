//! Applies patches of arbitrary bytes to a state, as a client does with received patches: `framework/fuzz/run patch`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| courtside::bench::sync::apply_bytes(bytes));
