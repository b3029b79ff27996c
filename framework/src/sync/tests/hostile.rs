//! Bytes that none of our encoders writes.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::sync::merge::apply;
use crate::sync::trial::apply_bytes;
use crate::wire::codec::Format;

/// Nearly valid MessagePack: real markers with lengths that may be wrong.
fn markers() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            0x80_u8, 0x81, 0x82, 0x83, 0x8f, 0x90, 0x91, 0x93, 0xa0, 0xa1, 0xc0, 0xc1, 0xc3, 0, 1,
            2, 5, 0xff,
        ])
        .prop_map(|byte| vec![byte]),
        (
            prop::sample::select(vec![
                0xc4_u8, 0xc7, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xcf, 0xd0, 0xd3, 0xd9, 0xdb, 0xdc,
                0xdd, 0xde, 0xdf
            ]),
            prop::collection::vec(any::<u8>(), 0..9)
        )
            .prop_map(|(marker, mut rest)| {
                rest.insert(0, marker);
                rest
            }),
        Just(b"\xa1a".to_vec()),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn hostile_patches_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        apply_bytes(&bytes);
    }

    #[test]
    fn hostile_markers_do_no_harm(bytes in markers()) {
        apply_bytes(&bytes);
    }

    #[test]
    fn hostile_json_does_no_harm(text in r#"[{}\[\]",:01eE.\\u-]{0,60}"#) {
        apply_bytes(text.as_bytes());
    }
}

#[test]
fn depth_is_refused_and_not_followed() {
    for (open, key) in [(b"\x91".to_vec(), 0), (b"\x81\xa1a".to_vec(), 1)] {
        let mut bytes = open.repeat(100_000);
        bytes.push(0xc0);
        let mut keys = Vec::new();
        assert!(apply(Format::MsgPack, &bytes, &mut Value::Null, &mut keys).is_err());
        assert!(keys.len() <= 129 * key);
    }
    let json = b"[".repeat(100_000);
    assert!(apply(Format::Json, &json, &mut Value::Null, &mut Vec::new()).is_err());
}

#[test]
fn a_number_that_names_no_key_is_refused() {
    let mut keys = vec!["a".to_owned()];
    let mut state = json!({});
    // {0: 1}, then {"b": 2, 1: 3}: the second key is known by then, so the later one counts.
    assert!(apply(Format::MsgPack, b"\x81\x00\x01", &mut state, &mut keys).is_ok());
    assert!(
        apply(
            Format::MsgPack,
            b"\x82\xa1b\x02\x01\x03",
            &mut state,
            &mut keys
        )
        .is_ok()
    );
    assert_eq!(state, json!({"a": 1, "b": 3}));
    assert!(apply(Format::MsgPack, b"\x81\x02\x01", &mut state, &mut keys).is_err());
    assert!(apply(Format::MsgPack, b"\x81\xff\x01", &mut state, &mut keys).is_err());
}
