//! Bytes that no tree has written.

use proptest::prelude::*;
use serde_json::Value;

use super::{Change, InOrder, Pair};
use crate::sync::exact::encoding::{DEEPEST, PATCH, WHOLE};
use crate::sync::exact::trial::apply_messages;
use crate::sync::exact::{ExactState, Unreadable};
use crate::sync::tests::values::{mix, state};

/// Nearly valid: real tags and ops with numbers that may be wrong.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select((0_u8..40).collect::<Vec<_>>()).prop_map(|byte| vec![byte]),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
        1 => prop::sample::select(vec![
            b"\x12\x01a".to_vec(),
            b"\x41a".to_vec(),
            b"\x0e\x02\x12\x01a\x81\x12\x01b\x82".to_vec(),
            b"\x0d\x03\x81\x82\x83".to_vec(),
            b"\x0d\xff\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec(),
        ]),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn any_bytes_do_no_harm(first in pieces(), second in pieces(), patch in pieces()) {
        let framed = |kind: u8, bytes: Vec<u8>| [vec![kind], bytes].concat();
        apply_messages(&[framed(WHOLE, first), framed(PATCH, second), framed(PATCH, patch)]);
    }

    /// A message that was changed on its way is refused, or it is read as something else, and no more.
    #[test]
    fn damaged_messages_do_no_harm(
        first in state(),
        other in state(),
        seed in any::<u64>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut pair = Pair::default();
        let whole = pair.step(&first);
        let next = pair.update(&mix(&first, &other, &mut (seed | 1)));
        let messages = [whole.bytes, next.bytes];
        for at in 0..2 {
            let mut damaged = messages.clone();
            if damaged[at].is_empty() {
                continue;
            }
            for (index, byte) in &damage {
                let at_byte = index.index(damaged[at].len());
                damaged[at][at_byte] = *byte;
            }
            apply_messages(&damaged);
            let length = cut.index(messages[at].len());
            let mut state = ExactState::default();
            if at == 1 {
                state.apply(&messages[0]).unwrap();
            }
            prop_assert!(state.apply(&messages[at][..length]).is_err(), "a part is no message");
            prop_assert!(state.deserialize::<Value>().is_err(), "nothing is left of it");
        }
    }
}

#[test]
fn depth_is_refused_and_not_followed() {
    for opening in [
        b"\x0d\x01".to_vec(),
        b"\x0e\x01\x41a".to_vec(),
        b"\x11\x41a".to_vec(),
        b"\x0e\x01".to_vec(),
    ] {
        let mut bytes = vec![WHOLE];
        bytes.extend(opening.repeat(100_000));
        bytes.push(0);
        let refused = ExactState::default().apply(&bytes).unwrap_err();
        assert!(matches!(refused, Unreadable::Damaged(_)), "{refused}");
    }
    // The same by ways into a value.
    let mut pair = Pair::default();
    let mut value = serde_json::json!([]);
    for _ in 1..DEEPEST {
        value = serde_json::json!([value]);
    }
    assert_eq!(pair.step(&value).change, Change::Whole);
    let mut bytes = vec![PATCH];
    bytes.extend([1].repeat(100_000));
    assert!(pair.state.apply(&bytes).is_err());
}

/// An order that goes in a circle would be read without end, or doubled at each level.
#[test]
fn an_order_that_is_none_is_refused() {
    let map = InOrder(vec![(1, 1), (2, 2), (3, 3)]);
    for (patch, is_refused) in [
        // Into the map: behind the second comes the first, and so on.
        (&b"\x01\x16\x05\x00"[..], true),
        (b"\x01\x05\x05\x00", true),
        // The third behind the first, the second behind the third.
        (b"\x01\x0e\x15\x0d\x00", false),
        // A removed entry whose place is still in the order.
        (b"\x01\x0c\x00", true),
        // A new key without a value is none, and has no place.
        (b"\x01\x03\x84\x00", false),
        (b"\x01\x03\x84\x06\x1d\x00", true),
        (b"\x01\x03\x84\x1a\x84\x00", true),
        (b"\x01\x03\x84\x1e\x1d\x1a\x84\x00", false),
    ] {
        let mut pair = Pair::default();
        pair.step(&map);
        let applied = pair.state.apply(&[&[PATCH], patch].concat());
        applied.unwrap();
        let read = pair.state.deserialize::<InOrder<u8, u8>>();
        assert_eq!(read.is_err(), is_refused, "{patch:?}: {read:?}");
        let tree = pair.state.into_tree();
        assert_eq!(tree.is_err(), is_refused);
    }
}
