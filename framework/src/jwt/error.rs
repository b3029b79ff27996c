//! Mistakes in the setup of a verifier.

use thiserror::Error;

/// Why a [`JwtVerifier`](super::JwtVerifier) cannot be made: always a mistake in the program or its configuration, found at
/// start-up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JwtError {
    /// The secret of HS256 is too short to be safe (RFC 7518, section 3.2).
    #[error("the secret for HS256 has {0} bytes: use at least 32 random bytes")]
    ShortSecret(usize),
    /// The key is not a PEM file of the algorithm's kind.
    #[error("this is not a public key for {algorithm} in PEM: {reason}")]
    BadPem {
        /// The algorithm that the key is for.
        algorithm: super::JwtAlgorithm,
        /// What is wrong with it.
        reason: String,
    },
    /// The file with the key cannot be read.
    #[error("the key file {path} cannot be read: {reason}")]
    BadFile {
        /// The file.
        path: String,
        /// Why it cannot be read.
        reason: String,
    },
    /// The text is not a set of keys.
    #[error("this is not a JSON Web Key Set: {0}")]
    BadJwks(String),
    /// The address of the key set cannot be used.
    #[error(
        "`{0}` is not the address of a key set: write an address that begins with https://, or with http:// for this machine alone"
    )]
    BadUrl(String),
}
