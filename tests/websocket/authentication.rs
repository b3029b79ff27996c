//! Who is let in, and what holds while that is being found out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use courtside::prelude::*;
use courtside::testing::{TestServer, run};
use courtside::{Config, Format, ServerBuilder};
use courtside_tests::raw_tools::{Answer, Peer, Request, soon};
use courtside_tests::wire_tools::quiet;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Semaphore;

use super::builder;

/// A server that has to ask somebody about a client with the credential `slow`, who answers when the semaphore allows.
fn asking(config: Config) -> (ServerBuilder, Arc<Semaphore>) {
    let answers = Arc::new(Semaphore::new(0));
    let asked = answers.clone();
    let builder = builder().config(config).authenticate(async move |sign_in| {
        if sign_in.token() == Some("slow") {
            let answer = asked.acquire().await;
            answer
                .map_err(|_| Refusal::new("gone", "nobody answers"))?
                .forget();
        }
        Ok(Identity::new(()))
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
        let builder = builder().authenticate(async |sign_in| match sign_in.token() {
            Some("secret") => Ok(Identity::new("ada".to_owned())),
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
        let builder = builder().authenticate(async |sign_in| match sign_in.token() {
            Some("secret") => Ok(Identity::new("ada".to_owned())),
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
            .authenticate(async |_| Err::<Identity<()>, _>(Refusal::new("no_ticket", "buy one")));
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
fn a_check_that_cannot_be_made_now_is_an_answer_after_which_the_client_comes_back() {
    run(async {
        let builder = builder().authenticate(async |_| {
            Err::<Identity<()>, _>(Refusal::unavailable("the users' database does not answer"))
        });
        let server = TestServer::start(builder, 1).await.unwrap();
        let answer = Request::new("/ws").send(&server).await;
        answer.expect(503, "unavailable");
        assert_eq!(answer.header("retry-after"), Some("5"));
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

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct User {
    name: String,
    city: Option<String>,
}

/// A list of users, by their cookies and tokens.
struct Users(HashMap<&'static str, &'static str>);

#[derive(Deserialize, Message)]
#[message(reply = User)]
struct Myself;

#[derive(Default)]
struct Hall;

#[courtside::room]
impl Hall {
    #[on]
    fn myself(&mut self, from: &Member, _: Myself) -> User {
        assert_eq!(from.subject(), Some(from.claims::<User>().name.as_str()));
        copy(from.claims())
    }
}

fn copy(user: &User) -> User {
    let (name, city) = (user.name.clone(), user.city.clone());
    User { name, city }
}

/// A server that takes a user by a token, a cookie, a header or the query.
fn hall() -> ServerBuilder {
    Server::builder()
        .room::<Hall>()
        .data(Users(HashMap::from([("a1", "ann"), ("b 2", "bob")])))
        .handle(async |call: Call<Myself>| {
            assert_eq!(
                call.caller.subject(),
                Some(&*call.caller.claims::<User>().name)
            );
            Ok(copy(call.caller.claims()))
        })
        .authenticate(async |sign_in| {
            let key = sign_in.token().map(str::to_owned);
            let key = key.or_else(|| sign_in.cookie("login"));
            let key = key.or_else(|| sign_in.header("X-Key").map(str::to_owned));
            let key = key.or_else(|| sign_in.query("key"));
            let users = sign_in.data::<Users>();
            let name = key.and_then(|key| users.0.get(&*key).copied());
            let name = name.ok_or_else(|| Refusal::new("nobody", "who are you?"))?;
            let city = sign_in.query("city");
            let name = name.to_owned();
            Ok(Identity::new(User {
                name: name.clone(),
                city,
            })
            .subject(name))
        })
}

#[test]
fn a_client_is_known_by_its_token_a_cookie_a_header_or_the_query() {
    run(async {
        let server = TestServer::start(hall(), 1).await.unwrap();
        for format in Format::ALL {
            for (query, header, name, city) in [
                ("access_token=a1", None, "ann", None),
                (
                    "access_token=a1",
                    Some(("Authorization", "Bearer b 2")),
                    "bob",
                    None,
                ),
                (
                    "",
                    Some(("Cookie", "theme=dark; login=b%202; login=x")),
                    "bob",
                    None,
                ),
                ("city=Bern", Some(("x-key", "a1")), "ann", Some("Bern")),
                (
                    "key=b%202&city=Bad+Ragaz&city=x",
                    None,
                    "bob",
                    Some("Bad Ragaz"),
                ),
            ] {
                let query = format!("&{query}");
                let headers: Vec<_> = header.into_iter().collect();
                let mut peer = Peer::open_as(&server, format, &query, &headers).await;
                let expected = json!({"name": name, "city": city});
                let called = peer.ask(json!({"action": "call", "type": "myself"})).await;
                assert_eq!(called["data"], expected, "{query} {header:?}");
                let room = peer.join("hall").await;
                let sent = json!({"action": "send", "room": room, "type": "myself"});
                assert_eq!(peer.ask(sent).await["data"], expected, "{query} {header:?}");
            }
            let query = format!("?format={}", format.name());
            for header in [
                ("Cookie", "login=b 2x"),
                ("Cookie", "a1"),
                ("X-Key", "\u{e4}"),
            ] {
                let mut peer = Peer::open_to_anything(&server, format, &query, &[header]).await;
                peer.farewell().await.expect(4501, "nobody");
            }
        }
    });
}

/// A panic is the application's fault: the client receives an error, and the server continues.
#[test]
fn a_panic_while_a_client_is_asked_about_refuses_it() {
    run(async {
        let builder = builder().authenticate(async |sign_in| {
            let _missing = sign_in.data::<Users>();
            Ok(Identity::new(()))
        });
        let server = TestServer::start(builder, 1).await.unwrap();
        for format in Format::ALL {
            let query = format!("?format={}", format.name());
            let mut peer = Peer::open_to_anything(&server, format, &query, &[]).await;
            let end = peer.farewell().await;
            end.expect(4501, "a panic");
            assert_eq!(end.goodbye().unwrap()["error"], "internal");
        }
        assert_eq!(server.server().connections(), 0);
    });
}

/// Claims of another type than the application asks for are its fault, too.
#[test]
fn claims_of_another_type_fail_the_call_and_not_the_client() {
    run(async {
        let builder = hall().authenticate(async |_| Ok(Identity::new("ann".to_owned())));
        let server = TestServer::start(builder, 1).await.unwrap();
        for format in Format::ALL {
            let mut peer = Peer::open(&server, format).await;
            let called = peer.ask(json!({"action": "call", "type": "myself"})).await;
            assert_eq!(called["code"], "internal", "{called}");
            peer.expect_alive().await;
        }
    });
}

#[test]
fn a_credential_that_has_expired_already_is_refused() {
    run(async {
        let builder = builder().authenticate(async |sign_in| {
            let identity = Identity::new(());
            Ok(match sign_in.token() {
                Some("old") => identity.expires_at(SystemTime::now() - Duration::from_secs(1)),
                _ => identity.expires_in(Duration::ZERO),
            })
        });
        let server = TestServer::start(builder, 1).await.unwrap();
        for format in Format::ALL {
            for token in ["old", "now"] {
                let query = format!("?format={}&access_token={token}", format.name());
                let mut peer = Peer::open_to_anything(&server, format, &query, &[]).await;
                let end = peer.farewell().await;
                end.expect(4501, token);
                assert_eq!(end.goodbye().unwrap()["error"], "expired");
            }
        }
        assert_eq!(server.server().sessions(), 0);
    });
}
