//! The keys in `keys/` are for these tests alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::claims::Expiry;

const SECRET_OF_32: &[u8] = b"0123456789abcdef0123456789abcdef";

#[derive(Serialize, Deserialize, Debug)]
struct User {
    name: String,
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

fn ann() -> Value {
    json!({ "sub": "ann", "name": "Ann", "exp": now() + 300 })
}

fn signed(algorithm: Algorithm, id: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
    let mut header = Header::new(algorithm);
    header.kid = id.map(str::to_owned);
    encode(&header, claims, key).unwrap()
}

fn hs256(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET_OF_32);
    signed(Algorithm::HS256, None, &key, claims)
}

async fn code(verifier: &JwtVerifier, token: &str) -> String {
    match verifier.verify::<User>(Some(token)).await {
        Ok(identity) => {
            let (claims, _expiry) = identity.into_parts();
            format!("hello {}", claims.require::<User>().name)
        }
        Err(refusal) => refusal.code().to_owned(),
    }
}

fn ed() -> EncodingKey {
    EncodingKey::from_ed_pem(include_bytes!("keys/ed.private.pem")).unwrap()
}

fn key_set(ids: &[&str]) -> String {
    let key = |id: &&str| {
        let mut jwk = Jwk::from_encoding_key(&ed(), Algorithm::EdDSA).unwrap();
        jwk.common.key_id = Some((*id).to_owned());
        jwk
    };
    let keys = ids.iter().map(key).collect();
    serde_json::to_string(&JwkSet { keys }).unwrap()
}

#[tokio::test]
async fn each_algorithm_verifies_its_own_tokens_alone() {
    let rsa = EncodingKey::from_rsa_pem(include_bytes!("keys/rsa.private.pem")).unwrap();
    let ec = EncodingKey::from_ec_pem(include_bytes!("keys/ec.private.pem")).unwrap();
    let tokens = [
        hs256(&ann()),
        signed(Algorithm::RS256, None, &rsa, &ann()),
        signed(Algorithm::ES256, None, &ec, &ann()),
        signed(Algorithm::EdDSA, None, &ed(), &ann()),
    ];
    let public_rsa = include_bytes!("keys/rsa.public.pem");
    let verifiers = [
        JwtVerifier::hs256(SECRET_OF_32).unwrap(),
        JwtVerifier::pem(JwtAlgorithm::Rs256, public_rsa).unwrap(),
        JwtVerifier::pem(JwtAlgorithm::Es256, include_bytes!("keys/ec.public.pem")).unwrap(),
        JwtVerifier::pem(JwtAlgorithm::EdDsa, include_bytes!("keys/ed.public.pem")).unwrap(),
    ];
    for (v, verifier) in verifiers.iter().enumerate() {
        for (t, token) in tokens.iter().enumerate() {
            let expected = if v == t {
                "hello Ann"
            } else {
                "bad_credential"
            };
            assert_eq!(code(verifier, token).await, expected, "{v} {t}");
        }
    }
    // A public key that is used as HS256's secret is the classic forgery.
    let forged = EncodingKey::from_secret(public_rsa);
    let forged = signed(Algorithm::HS256, None, &forged, &ann());
    assert_eq!(code(&verifiers[1], &forged).await, "bad_credential");
}

#[tokio::test]
async fn times_issuer_audience_and_form_are_checked() {
    let verifier = JwtVerifier::hs256(SECRET_OF_32).unwrap();
    let verifier = verifier
        .issuer("them")
        .audience("us")
        .leeway(Duration::from_secs(30));
    let with = |changes: Value| {
        let mut claims =
            json!({ "sub": "ann", "name": "Ann", "exp": now() + 300, "iss": "them", "aud": "us" });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        hs256(&claims)
    };
    let good = [
        json!({}),
        json!({ "exp": now() - 20 }),
        json!({ "nbf": now() + 20 }),
        json!({ "aud": ["others", "us"] }),
    ];
    for changes in good {
        assert_eq!(
            code(&verifier, &with(changes.clone())).await,
            "hello Ann",
            "{changes}"
        );
    }
    let bad = [
        json!({ "exp": now() - 40 }),
        json!({ "exp": null }),
        json!({ "nbf": now() + 40 }),
        json!({ "aud": "others" }),
        json!({ "aud": null }),
        json!({ "iss": "others" }),
        json!({ "name": 7 }),
    ];
    for changes in bad {
        assert_eq!(
            code(&verifier, &with(changes.clone())).await,
            "bad_credential",
            "{changes}"
        );
    }
    let token = with(json!({}));
    let (head, rest) = token.split_once('.').unwrap();
    for broken in [
        "",
        "a.b.c",
        head,
        &format!("{head}.{rest}x"),
        &format!("x{token}"),
    ] {
        assert_eq!(code(&verifier, broken).await, "bad_credential", "{broken}");
    }
    // {"alg":"none"}
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", rest.split_once('.').unwrap().0);
    assert_eq!(code(&verifier, &unsigned).await, "bad_credential");
    let refusal = verifier.verify::<User>(None).await.unwrap_err();
    assert_eq!(refusal.code(), "no_credential");
}

#[tokio::test]
async fn the_subject_and_the_expiry_are_the_tokens() {
    let verifier = JwtVerifier::hs256(SECRET_OF_32).unwrap();
    let verifier = verifier.leeway(Duration::from_secs(5));
    let exp = now() + 300;
    let token = hs256(&json!({ "sub": "ann", "name": "Ann", "exp": exp }));
    let identity = verifier.verify::<User>(Some(&token)).await.unwrap();
    let (claims, expiry) = identity.into_parts();
    assert_eq!(claims.subject(), Some("ann"));
    let at = UNIX_EPOCH + Duration::from_secs(exp + 5);
    assert_eq!(expiry, Some(Expiry::At(at)));
    // As far away as a number can say: it never expires.
    let token = hs256(&json!({ "name": "Ann", "exp": u64::MAX }));
    let identity = verifier.verify::<User>(Some(&token)).await.unwrap();
    let (claims, expiry) = identity.into_parts();
    assert_eq!((claims.subject(), expiry), (None, None));
}

#[tokio::test(start_paused = true)]
async fn rotated_keys_are_fetched_once_for_all_and_old_ones_serve_while_the_address_is_away() {
    let answer = Arc::new(Mutex::new(Ok::<_, String>(key_set(&["a"]))));
    let fetches = Arc::new(AtomicU32::new(0));
    let verifier = {
        let (answer, fetches) = (answer.clone(), fetches.clone());
        JwtVerifier::jwks_from(move || {
            fetches.fetch_add(1, Ordering::Relaxed);
            let answer = answer.lock().unwrap().clone();
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                answer
            }
        })
    };
    let token = |id: &str| signed(Algorithm::EdDSA, Some(id), &ed(), &ann());
    let fetched = || fetches.load(Ordering::Relaxed);
    let (a, b) = (token("a"), token("b"));
    let both = tokio::join!(code(&verifier, &a), code(&verifier, &a));
    assert_eq!(both, ("hello Ann".to_owned(), "hello Ann".to_owned()));
    assert_eq!(fetched(), 1);
    // Invented key ids cause no storm.
    for id in 0..100 {
        let invented = token(&id.to_string());
        assert_eq!(code(&verifier, &invented).await, "bad_credential");
    }
    assert_eq!(fetched(), 1);
    *answer.lock().unwrap() = Ok(key_set(&["a", "b"]));
    tokio::time::advance(Duration::from_secs(31)).await;
    assert_eq!(code(&verifier, &b).await, "hello Ann");
    assert_eq!(fetched(), 2);
    *answer.lock().unwrap() = Err("gone".to_owned());
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!(code(&verifier, &b).await, "hello Ann");
    assert_eq!(code(&verifier, &token("c")).await, "unavailable");
    assert_eq!(fetched(), 3);
    *answer.lock().unwrap() = Ok(key_set(&["c"]));
    tokio::time::advance(Duration::from_secs(31)).await;
    assert_eq!(code(&verifier, &token("c")).await, "hello Ann");
    assert_eq!(code(&verifier, &b).await, "bad_credential");
}

#[test]
fn mistakes_are_found_at_the_start() {
    let short = JwtVerifier::hs256("short").unwrap_err();
    assert!(short.to_string().contains("at least 32"), "{short}");
    let ec = include_bytes!("keys/ec.public.pem");
    let wrong = JwtVerifier::pem(JwtAlgorithm::Rs256, ec).unwrap_err();
    assert!(wrong.to_string().contains("RS256"), "{wrong}");
    let missing = JwtVerifier::pem_file(JwtAlgorithm::Es256, "/no/such.pem").unwrap_err();
    assert!(missing.to_string().contains("/no/such.pem"), "{missing}");
    for bad in [
        "",
        "{}",
        r#"{"keys":[]}"#,
        r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#,
    ] {
        assert!(JwtVerifier::jwks(bad).is_err(), "{bad}");
    }
    assert!(JwtVerifier::jwks(&key_set(&["a"])).is_ok());
}

#[cfg(feature = "jwks")]
#[actix_web::test]
async fn keys_come_from_an_address() {
    use actix_web::{App, HttpServer, web};

    let app = || App::new().route("/keys", web::get().to(async || key_set(&["a"])));
    let server = HttpServer::new(app).workers(1).disable_signals();
    let server = server.bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    let running = server.run();
    let handle = running.handle();
    actix_web::rt::spawn(running);
    let token = signed(Algorithm::EdDSA, Some("a"), &ed(), &ann());
    let verifier = JwtVerifier::jwks_url(format!("http://{address}/keys")).unwrap();
    assert_eq!(code(&verifier, &token).await, "hello Ann");
    let verifier = JwtVerifier::jwks_url(format!("http://{address}/none")).unwrap();
    assert_eq!(code(&verifier, &token).await, "unavailable");
    handle.stop(false).await;
}
