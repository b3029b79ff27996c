//! The compiler's words for the commonest mistakes are part of the API.
//! After a change that is meant: `TRYBUILD=overwrite cargo test -p courtside --test compile_fail`, and read what it wrote.
#![allow(missing_docs, clippy::unwrap_used)]

#[test]
fn mistakes_read_well() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
