//! Checks that messages of any bytes are applied safely. The property tests and the fuzz target use it.

use serde_json::Value;

use super::state::ExactState;

/// Applies messages of arbitrary bytes one after the other, as a reader does, and reads what there is then.
///
/// # Panics
///
/// If what was read is not the same after another way through the encoding.
pub fn apply_messages(messages: &[Vec<u8>]) {
    let mut state = ExactState::default();
    for message in messages {
        let is_applied = state.apply(message).is_ok();
        let read = state.deserialize::<Value>();
        assert!(is_applied || read.is_err(), "an error leaves no value");
        let Ok(mut tree) = state.into_tree() else {
            state = ExactState::default();
            continue;
        };
        let mut whole = Vec::new();
        assert!(tree.write_whole(&mut whole), "there is a value");
        state = ExactState::default();
        state.apply(&whole).expect("a written value can be read");
        if let (Ok(read), Ok(again)) = (&read, state.deserialize::<Value>()) {
            assert_eq!(read, &again);
        }
    }
}
