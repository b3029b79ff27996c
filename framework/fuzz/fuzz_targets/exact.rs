//! Applies messages of arbitrary bytes to a stored state, as a reader does: `framework/fuzz/run exact`.
//!
//! The first byte says how long the first message is; the second message is the rest.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some((length, rest)) = bytes.split_first() {
        let (first, second) = rest.split_at(rest.len().min(usize::from(*length)));
        courtside::bench::sync::apply_messages(&[first.to_vec(), second.to_vec()]);
    }
});
