//! A session is its subject's: another's credential does not bring it back.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside_tests::wire_tools::{Desk, Wire, calm, dial, on_each_worker, quiet};
use serde_json::json;

/// Whose credential it is, its own word says; `guest` is nobody's.
async fn server() -> TestServer {
    let builder = Server::builder()
        .config(calm())
        .room::<Desk>()
        .authenticate(async |sign_in| {
            let name = sign_in.token().unwrap_or("guest").to_owned();
            Ok(match name.as_str() {
                "guest" => Identity::new(name),
                _ => Identity::new(name.clone()).subject(name),
            })
        });
    TestServer::start(builder, 2).await.unwrap()
}

fn with(path: &str, credential: &str) -> String {
    format!("{path}&access_token={credential}")
}

#[test]
fn a_resume_by_another_subject_is_a_new_session_and_the_old_one_lives_on() {
    for (owner, other) in [("ann", "bob"), ("ann", "guest"), ("guest", "bob")] {
        on_each_worker(move |format, worker| async move {
            let server = server().await;
            let path = format!("/ws?format={}", format.name());
            let mut wire = Wire::open_at(&server, 0, format, &with(&path, owner)).await;
            wire.join(json!({})).await;
            let way = wire.way_back(&wire.token(), wire.received);
            for way in [way.clone(), format!("{way}&restore=true&attempt=9")] {
                let stranger = Wire::open_at(&server, worker, format, &with(&way, other)).await;
                assert_eq!(
                    (&stranger.welcome["resumed"], &stranger.welcome["reason"]),
                    (&json!(false), &json!("identity"))
                );
                assert_ne!(stranger.welcome["session"], wire.welcome["session"]);
                assert!(stranger.welcome.get("rooms").is_none());
            }
            // Nor can another end it.
            let end = with(&format!("{way}&end=true"), other);
            let (raw, _control) = dial(&server, worker, &end).await;
            raw.unwrap().close_code().await.unwrap();
            quiet().await;
            assert_eq!(wire.ask(json!({"action": "ping"})).await["event"], "pong");
            let way = wire.way_back(&wire.token(), wire.received);
            let back = Wire::open_at(&server, worker, format, &with(&way, owner)).await;
            assert!(back.resumed(), "{}", back.welcome);
            assert_eq!(back.welcome["session"], wire.welcome["session"]);
        });
    }
}
