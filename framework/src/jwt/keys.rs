//! The keys that verify tokens, and which of them a token asks for.

use std::fmt;

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};

use super::error::JwtError;

/// How a token is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum JwtAlgorithm {
    /// RSA with SHA-256.
    Rs256,
    /// ECDSA on the curve P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl JwtAlgorithm {
    pub(super) fn inner(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

impl fmt::Display for JwtAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        })
    }
}

/// A key, and the one algorithm that it is used with: a token cannot choose another one for it.
#[derive(Clone)]
pub(super) struct VerifyingKey {
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl fmt::Debug for VerifyingKey {
    /// Without the key, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl VerifyingKey {
    pub(super) fn from_pem(algorithm: JwtAlgorithm, pem: &[u8]) -> Result<Self, JwtError> {
        let key = match algorithm {
            JwtAlgorithm::Rs256 => DecodingKey::from_rsa_pem(pem),
            JwtAlgorithm::Es256 => DecodingKey::from_ec_pem(pem),
            JwtAlgorithm::EdDsa => DecodingKey::from_ed_pem(pem),
        };
        Ok(Self {
            id: None,
            algorithm: algorithm.inner(),
            key: key.map_err(|error| JwtError::BadPem {
                algorithm,
                reason: error.to_string(),
            })?,
        })
    }
}

/// Some keys of one issuer.
#[derive(Clone, Default, Debug)]
pub(super) struct Keys(Vec<VerifyingKey>);

impl Keys {
    pub(super) fn one(key: VerifyingKey) -> Self {
        Self(vec![key])
    }

    /// The keys of a JSON Web Key Set (RFC 7517). Keys for encryption or of unknown kinds are left out, because issuers publish
    /// them in the same set. Symmetric keys are left out, because what is published is no secret.
    pub(super) fn from_jwks(json: &str) -> Result<Self, JwtError> {
        let bad = |error: serde_json::Error| JwtError::BadJwks(error.to_string());
        let set: JwkSet = serde_json::from_str(json).map_err(bad)?;
        let keys: Vec<_> = set.keys.iter().filter_map(usable).collect();
        if keys.is_empty() {
            let none = "it has no key for RS256, ES256 or EdDSA signatures";
            return Err(JwtError::BadJwks(none.to_owned()));
        }
        Ok(Self(keys))
    }

    /// The key that signed a token of this algorithm: the one with the token's key id, or the only one of the algorithm if the
    /// token or the key names none.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&VerifyingKey> {
        let mut fitting = self.0.iter().filter(|key| key.algorithm == algorithm);
        if let Some(id) = id {
            let named = self
                .0
                .iter()
                .find(|key| key.algorithm == algorithm && key.id.as_deref() == Some(id));
            return named.or_else(|| fitting.next().filter(|key| key.id.is_none()));
        }
        let first = fitting.next();
        first.filter(|_| fitting.next().is_none())
    }
}

/// A key of a set, if it verifies signatures of an algorithm that is supported.
fn usable(jwk: &Jwk) -> Option<VerifyingKey> {
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        _ => return None,
    };
    let named = match jwk.common.key_algorithm {
        None => algorithm,
        Some(KeyAlgorithm::RS256) => Algorithm::RS256,
        Some(KeyAlgorithm::ES256) => Algorithm::ES256,
        Some(KeyAlgorithm::EdDSA) => Algorithm::EdDSA,
        Some(_) => return None,
    };
    if named != algorithm {
        return None;
    }
    Some(VerifyingKey {
        id: jwk.common.key_id.clone(),
        algorithm,
        key: DecodingKey::from_jwk(jwk).ok()?,
    })
}
