//! The close codes stand in two tables, the server's and the browser client's, which must say the same.
#![allow(missing_docs, clippy::unwrap_used)]

use courtside::CloseCode;

#[test]
fn the_browser_client_has_the_same_policy() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../client/src/protocol.ts");
    let table = std::fs::read_to_string(path).unwrap();
    for (code, name) in CloseCode::TABLE {
        // The client's rows are only those that differ from what their range says, or have a name of the protocol's own.
        let has_row = code.0 >= 4000 || !code.comes_back();
        let row = format!(
            "code: {}, name: '{name}', comesBack: {}",
            code.0,
            code.comes_back()
        );
        assert_eq!(
            table.contains(&row),
            has_row,
            "client/src/protocol.ts and framework/src/close.rs disagree about {code}"
        );
    }
}
