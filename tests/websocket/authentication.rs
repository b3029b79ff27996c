//! Who is let in, and what holds while that is being found out.

use std::sync::Arc;
use std::time::Duration;

use courtside::prelude::*;
use courtside::testing::{TestServer, run};
use courtside::{Claims, Config, Format, ServerBuilder};
use courtside_tests::raw_tools::{Answer, Peer, Request, soon};
use courtside_tests::wire_tools::quiet;
use tokio::sync::Semaphore;

use super::builder;

/// A server that has to ask somebody about a client with the credential `slow`, who answers when the semaphore allows.
fn asking(config: Config) -> (ServerBuilder, Arc<Semaphore>) {
    let answers = Arc::new(Semaphore::new(0));
    let asked = answers.clone();
    let builder = builder()
        .config(config)
        .authenticate(async move |_, credential| {
            if credential == Some("slow") {
                let answer = asked.acquire().await;
                answer
                    .map_err(|_| Refusal::new("gone", "nobody answers"))?
                    .forget();
            }
            Ok(Claims::default())
        });
    (builder, answers)
}

fn slow() -> Request {
    Request::new("/ws?access_token=slow")
}

/// What a client is answered, about whom the server asks while `act` is done.
async fn answer_after(server: &TestServer, act: impl Future<Output = ()>) -> Answer {
    let waits = async { slow().send(server).await };
    let acts = async {
        quiet().await;
        act.await;
    };
    soon(async { tokio::join!(waits, acts) }).await.0
}

#[test]
fn a_credential_that_is_not_good_is_refused_in_the_applications_words() {
    run(async {
        let builder = builder().authenticate(async |_, credential| match credential {
            Some("secret") => Ok(Claims::new("ada")),
            _ => Err(Refusal::new("no_ticket", "buy one")),
        });
        let server = TestServer::start(builder, 1).await.unwrap();
        for format in Format::ALL {
            let query = format!("?format={}", format.name());
            let guess = format!("{query}&access_token=guess");
            for (query, headers) in [
                (&query, None),
                (&guess, None),
                (&query, Some(("Authorization", "Bearer guess"))),
                (&query, Some(("Authorization", "Basic secret"))),
            ] {
                let headers: Vec<_> = headers.into_iter().collect();
                let mut peer = Peer::open_to_anything(&server, format, query, &headers).await;
                let end = peer.farewell().await;
                end.expect(4501, query);
                let goodbye = end.goodbye().unwrap();
                assert_eq!(
                    (&goodbye["error"], &goodbye["reason"]),
                    (&"no_ticket".into(), &"buy one".into())
                );
                assert_eq!(end.events.len(), 1, "no welcome");
                assert_eq!(end.ended_at, end.closed_at, "it was answered");
            }
        }
        assert_eq!(server.server().connections(), 0);
        assert_eq!(server.server().sessions(), 0);
        for request in [
            Request::new("/ws?access_token=secret"),
            Request::new("/ws").with("Authorization", "Bearer secret"),
            Request::new("/ws").with("Authorization", "bearer secret"),
        ] {
            assert_eq!(request.send(&server).await.status, 101);
        }
    });
}

/// Programs can find out so whether a credential is good, and what they read is an answer in HTTP.
#[test]
fn a_request_that_is_no_handshake_is_told_of_its_credential_by_a_status() {
    run(async {
        let builder = builder().authenticate(async |_, credential| match credential {
            Some("secret") => Ok(Claims::new("ada")),
            _ => Err(Refusal::new("no_ticket", "buy one")),
        });
        let server = TestServer::start(builder, 1).await.unwrap();
        let plain = |target| Request::new(target).without("Upgrade");
        for request in [
            plain("/ws?access_token=guess"),
            plain("/ws").with("Authorization", "Bearer guess"),
        ] {
            let answer = request.send(&server).await;
            answer.expect(401, "no_ticket");
            assert_eq!(answer.body["message"], "buy one");
        }
        for request in [plain("/ws?access_token=secret"), plain("/ws")] {
            request.send(&server).await.expect(426, "upgrade_required");
        }
        assert_eq!(server.server().connections(), 0);
    });
}

/// Whoever does not listen to the end is not waited for.
#[test]
fn who_is_turned_away_and_stays_is_cut() {
    run(async {
        let builder = builder()
            .authenticate(async |_, _| Err::<Claims, _>(Refusal::new("no_ticket", "buy one")));
        let server = TestServer::start(builder, 1).await.unwrap();
        let mut peer = Peer::open_to_anything(&server, Format::Json, "", &[]).await;
        let end = peer.silent_farewell().await;
        assert_eq!(end.code(), Some(4501));
        let waited = end.ended_at - end.closed_at;
        assert!(waited <= Duration::from_secs(1), "{waited:?}");
        assert_eq!(server.server().connections(), 0);
    });
}

#[test]
fn while_one_client_is_asked_about_others_come_in() {
    run(async {
        let (builder, answers) = asking(Config::default());
        let server = TestServer::start(builder, 1).await.unwrap();
        let act = async {
            assert_eq!(Request::new("/ws").send(&server).await.status, 101);
            answers.add_permits(1);
        };
        assert_eq!(answer_after(&server, act).await.status, 101);
    });
}

#[test]
fn who_is_asked_about_takes_a_place_until_the_answer() {
    run(async {
        let mut config = Config::default();
        config.limits.connections = 1;
        let (builder, answers) = asking(config);
        let server = TestServer::start(builder, 1).await.unwrap();
        let act = async {
            assert_eq!(server.server().connections(), 1);
            Request::new("/ws").send(&server).await.expect(503, "full");
            answers.close();
        };
        assert_eq!(answer_after(&server, act).await.status, 101, "to be told");
        soon(async {
            while server.server().connections() > 0 {
                quiet().await;
            }
        })
        .await;
        assert_eq!(server.server().sessions(), 0);
        assert_eq!(Request::new("/ws").send(&server).await.status, 101);
    });
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for_for_ever() {
    run(async {
        let mut config = Config::default();
        config.authentication = Duration::from_secs(3);
        let (builder, _answers) = asking(config);
        let server = TestServer::start(builder, 1).await.unwrap();
        let begun = tokio::time::Instant::now();
        let answer = slow().send(&server).await;
        answer.expect(503, "authentication_timeout");
        assert_eq!(answer.header("retry-after"), Some("5"));
        assert!(begun.elapsed() >= Duration::from_secs(3));
        assert_eq!(server.server().connections(), 0);
    });
}

#[test]
fn nobody_is_let_in_once_the_server_goes_away() {
    run(async {
        let (builder, answers) = asking(Config::default());
        let server = TestServer::start(builder, 1).await.unwrap();
        let act = async {
            tokio::join!(server.server().drain(), async {
                quiet().await;
                answers.add_permits(1);
            });
        };
        let answer = answer_after(&server, act).await;
        answer.expect(503, "draining");
        assert_eq!(server.server().connections(), 0);
    });
}

#[test]
fn who_goes_away_while_it_is_asked_about_takes_no_place() {
    run(async {
        let (builder, _answers) = asking(Config::default());
        let server = TestServer::start(builder, 1).await.unwrap();
        tokio::select! {
            answer = async { slow().send(&server).await } => panic!("{answer:?}"),
            () = quiet() => assert_eq!(server.server().connections(), 1),
        }
        soon(async {
            while server.server().connections() > 0 {
                quiet().await;
            }
        })
        .await;
    });
}
