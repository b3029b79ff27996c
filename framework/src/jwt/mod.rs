//! Verifies JSON Web Tokens (RFC 7519) for [`ServerBuilder::authenticate`](crate::ServerBuilder::authenticate).

mod cache;
mod error;
mod keys;
mod verifier;

#[cfg(feature = "jwks")]
mod fetch;

pub use error::JwtError;
pub use keys::JwtAlgorithm;
pub use verifier::JwtVerifier;
