//! A session ends with its client's credential, unless the client shows a fresh one in time.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use courtside::client::{CallError, Client, Event, Options, SendError};
use courtside::prelude::*;
use courtside::testing::TestServer;
use courtside::{CloseCode, Format, ServerBuilder};
use courtside_tests::scene::Scene;
use courtside_tests::wire_tools::{Desk, Log, Wire, both, calm, on_each_worker, quiet, turns};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

#[derive(Deserialize, Message)]
#[message(reply = String)]
struct WhoAmI;

async fn who_am_i(call: Call<WhoAmI>) -> Result<String, Refusal> {
    Ok(call.caller.claims::<String>().clone())
}

/// A server whose tokens say whose they are and how many seconds they are good for, such as `ann:60`; without seconds, for ever.
/// `slow` answers when the semaphore allows, with a token of Ann's.
fn builder(change: impl Fn(&mut Config)) -> (ServerBuilder, Arc<Semaphore>) {
    let (answers, mut config) = (Arc::new(Semaphore::new(0)), calm());
    config.window = Duration::from_secs(3600);
    config.outbox.age = Duration::MAX;
    change(&mut config);
    let asked = answers.clone();
    let builder = Server::builder()
        .config(config)
        .room::<Desk>()
        .handle(who_am_i)
        .authenticate(async move |sign_in| {
            let mut token = sign_in.token().unwrap_or("guest");
            if token == "wrong" {
                return Err(Refusal::new("no_ticket", "buy one"));
            }
            if token == "down" {
                return Err(Refusal::unavailable("the keys cannot be fetched"));
            }
            if token == "slow" {
                let answer = asked.acquire().await;
                answer.map_err(Refusal::internal)?.forget();
                token = "ann:500";
            }
            let (name, secs) = token.split_once(':').unwrap_or((token, ""));
            let identity = Identity::new(token.to_owned()).subject(name);
            Ok(match secs.parse() {
                Ok(secs) => identity.expires_in(Duration::from_secs(secs)),
                Err(_) => identity,
            })
        });
    (builder, answers)
}

struct Stage {
    server: TestServer,
    answers: Arc<Semaphore>,
    log: Log,
    began: Instant,
    format: Format,
}

impl Stage {
    async fn with(format: Format, change: impl Fn(&mut Config)) -> Self {
        let (builder, answers) = builder(change);
        let log = Log::default();
        let server = TestServer::start(builder.data(log.clone()), 2)
            .await
            .unwrap();
        Self {
            server,
            answers,
            log,
            began: Instant::now(),
            format,
        }
    }

    async fn new(format: Format) -> Self {
        Self::with(format, |_| {}).await
    }

    async fn open(&self, worker: usize, token: &str) -> Wire {
        let path = format!("/ws?format={}&access_token={token}", self.format.name());
        Wire::open_at(&self.server, worker, self.format, &path).await
    }

    async fn resume(&self, wire: &Wire, worker: usize, token: &str) -> Wire {
        let way = wire.way_back(&wire.token(), wire.received);
        let way = format!("{way}&access_token={token}");
        let mut back = Wire::open_at(&self.server, worker, self.format, &way).await;
        back.take_over(wire, wire.received);
        back
    }

    /// The time since the beginning, to a second.
    fn secs(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    async fn until(&self, secs: u64) {
        sleep_until(self.began + Duration::from_secs(secs)).await;
        quiet().await;
    }
}

async fn refresh(wire: &mut Wire, token: &str) -> Value {
    wire.ask(json!({"action": "refresh", "token": token})).await
}

async fn ping(wire: &mut Wire) {
    let received = wire.received;
    let pong = wire.ask(json!({"action": "ping", "received": received}));
    assert_eq!(pong.await["event"], "pong");
}

/// The connection ends with its client's credential.
async fn assert_expires(stage: &Stage, wire: &mut Wire, at: u64) {
    let (events, code) = wire.end().await;
    assert_eq!(stage.secs(), at);
    assert_eq!(code, Some(CloseCode(4501)));
    assert_eq!(
        events.last(),
        Some(&json!({
            "event": "goodbye", "code": 4501, "reason": "the credential has expired", "error": "expired"
        }))
    );
}

#[test]
fn a_client_that_is_warned_and_refreshes_lives_on() {
    both(async |format| {
        let stage = Stage::new(format).await;
        let mut wire = stage.open(0, "ann:100").await;
        wire.join(json!({})).await;
        let warning = wire.event("expiring").await;
        assert_eq!(stage.secs(), 70);
        let left = warning["in_ms"].as_u64().unwrap();
        assert!((29_900..=30_000).contains(&left), "{warning}");
        let reply = refresh(&mut wire, "ann:1000").await;
        assert_eq!(reply["event"], "reply", "{reply}");
        assert_eq!(reply["data"], json!({"expires_ms": 1_000_000}));
        stage.until(500).await;
        ping(&mut wire).await;
        // The warning is not counted: the two sides agree.
        wire.control.cut();
        let mut back = stage.resume(&wire, 1, "ann:200").await;
        assert!(back.resumed(), "{}", back.welcome);
        // Only one warning for each credential.
        assert_eq!(back.event("expiring").await["event"], "expiring");
        assert_eq!(stage.secs(), 670);
        assert_expires(&stage, &mut back, 700).await;
    });
}

#[test]
fn a_client_that_does_not_refresh_is_told_goodbye_and_its_rooms_hear_of_it() {
    both(async |format| {
        let stage = Stage::new(format).await;
        let mut wire = stage.open(0, "ann:100").await;
        let (room, member) = wire.join(json!({})).await;
        let mut other = stage.open(1, "bob").await;
        other.join(json!({})).await;
        assert_expires(&stage, &mut wire, 100).await;
        quiet().await;
        assert!(stage.log.take().contains(&format!("left {member} expired")));
        assert_eq!(stage.server.server().sessions(), 1);
        // Nothing is left to come back to.
        let back = stage.resume(&wire, 0, "ann:100").await;
        assert_eq!(back.welcome["reason"], "expired");
        assert_eq!(
            other.order(&room, json!({"what": "echo"})).await["event"],
            "reply"
        );
        stage.until(3000).await;
        let events = other.all().await;
        assert!(events.iter().all(|event| event["event"] != "expiring"));
    });
}

#[test]
fn a_refused_refresh_leaves_the_session_as_it_is() {
    both(async |format| {
        let stage = Stage::new(format).await;
        let mut wire = stage.open(0, "ann:100").await;
        for (token, code) in [
            (json!("wrong"), "no_ticket"),
            (json!("bob:1000"), "identity"),
            (json!("ann:0"), "expired"),
            (json!(""), "bad_field"),
            (json!(7), "bad_field"),
            (Value::Null, "bad_field"),
        ] {
            let error = wire.ask(json!({"action": "refresh", "token": token})).await;
            assert_eq!(
                (&error["event"], &error["code"]),
                (&json!("error"), &json!(code))
            );
        }
        let asked = stage.secs();
        assert_eq!(
            refresh(&mut wire, "slow").await["code"],
            "authentication_timeout"
        );
        assert_eq!(stage.secs(), asked + 10);
        let name = wire
            .ask(json!({"action": "call", "type": "who_am_i"}))
            .await;
        assert_eq!(name["data"], "ann:100");
        assert_expires(&stage, &mut wire, 100).await;
    });
}

#[test]
fn a_credential_that_does_not_expire_can_be_refreshed_too() {
    both(async |format| {
        let stage = Stage::new(format).await;
        let mut wire = stage.open(0, "ann").await;
        // It does not expire, so the reply has no time.
        let reply = refresh(&mut wire, "ann").await;
        assert_eq!(
            (&reply["event"], &reply["data"]),
            (&json!("reply"), &json!({}))
        );
        let plain = Server::builder().config(calm()).room::<Desk>();
        let plain = TestServer::start(plain, 1).await.unwrap();
        let mut wire = Wire::open(&plain, 0, format).await;
        assert_eq!(refresh(&mut wire, "anything").await["event"], "reply");
    });
}

#[test]
fn who_guesses_credentials_is_sent_away() {
    both(async |format| {
        let stage = Stage::new(format).await;
        let mut wire = stage.open(0, "ann:100").await;
        for _ in 0..21 {
            wire.send(json!({"action": "refresh", "token": "wrong"}))
                .await;
        }
        let (events, code) = wire.end().await;
        assert_eq!(code, Some(CloseCode(4502)), "{events:?}");
    });
}

#[test]
fn credentials_that_cannot_be_checked_are_no_guesses() {
    both(async |format| {
        let stage = Stage::new(format).await;
        let mut wire = stage.open(0, "ann:100").await;
        for _ in 0..50 {
            assert_eq!(refresh(&mut wire, "down").await["code"], "unavailable");
        }
        assert_eq!(stage.secs(), 0);
        assert_eq!(refresh(&mut wire, "ann:200").await["event"], "reply");
        assert_expires(&stage, &mut wire, 200).await;
    });
}

#[test]
fn refreshes_wait_beside_the_session_and_only_so_many() {
    both(async |format| {
        let stage = Stage::with(format, |config| config.limits.calls = 2).await;
        let mut wire = stage.open(0, "ann:100").await;
        let room = wire.join(json!({})).await.0;
        let slow = json!({"action": "refresh", "token": "slow"});
        let first = wire.begin(slow.clone()).await;
        wire.send(slow.clone()).await;
        assert_eq!(wire.ask(slow).await["code"], "too_many_calls");
        assert_eq!(
            wire.order(&room, json!({"what": "echo"})).await["event"],
            "reply"
        );
        stage.answers.add_permits(2);
        assert_eq!(
            wire.answer(first).await["data"],
            json!({"expires_ms": 500_000})
        );
        // The second had no `id`: it has an effect and no answer.
        let events = wire.all().await;
        let of_room = |event: &Value| event["room"] == room.as_str();
        assert!(events.iter().all(of_room), "{events:?}");
    });
}

#[test]
fn a_disconnected_session_ends_with_its_credential_or_its_window_whichever_is_first() {
    for (window, end) in [(3600, 100), (100, 100), (30, 50)] {
        both(move |format| async move {
            let change = |config: &mut Config| config.window = Duration::from_secs(window);
            let stage = Stage::with(format, change).await;
            let mut wire = stage.open(0, "ann:100").await;
            let (_, member) = wire.join(json!({})).await;
            stage.until(20).await;
            wire.control.cut();
            stage.until(end - 1).await;
            assert_eq!(stage.server.server().sessions(), 1);
            assert!(!stage.log.take().iter().any(|line| line.starts_with("left")));
            // The window began a little later, when the connection was found to be lost.
            stage.until(end + 1).await;
            assert_eq!(stage.server.server().sessions(), 0, "window {window}");
            let gone: Vec<_> = stage.log.take();
            assert_eq!(gone, [format!("left {member} expired")]);
            let back = stage.resume(&wire, 1, "ann:100").await;
            assert_eq!(back.welcome["reason"], "expired");
        });
    }
}

#[test]
fn a_resume_takes_over_the_expiry_and_the_claims_of_its_credential() {
    on_each_worker(|format, worker| async move {
        for (fresh, end) in [("ann:200", 250), ("ann:20", 70)] {
            let stage = Stage::new(format).await;
            let mut wire = stage.open(0, "ann:100").await;
            let (_, member) = wire.join(json!({})).await;
            stage.until(50).await;
            wire.control.cut();
            let mut back = stage.resume(&wire, worker, fresh).await;
            assert!(back.resumed(), "{}", back.welcome);
            let name = back
                .ask(json!({"action": "call", "type": "who_am_i"}))
                .await;
            assert_eq!(name["data"], fresh);
            assert_eq!(back.event("expiring").await["event"], "expiring");
            assert_expires(&stage, &mut back, end).await;
            quiet().await;
            assert!(stage.log.take().contains(&format!("left {member} expired")));
            assert_eq!(stage.server.server().sessions(), 0);
        }
    });
}

#[test]
fn a_session_that_comes_back_with_a_credential_for_ever_does_not_end() {
    on_each_worker(|format, worker| async move {
        let stage = Stage::new(format).await;
        let wire = stage.open(0, "ann:100").await;
        let mut back = stage.resume(&wire, worker, "ann").await;
        stage.until(3000).await;
        ping(&mut back).await;
        assert!(back.kept().is_empty());
    });
}

#[test]
fn the_credential_that_was_shown_last_holds_whichever_is_accepted_last() {
    both(async |format| {
        let stage = Stage::new(format).await;
        let mut wire = stage.open(0, "ann:100").await;
        let slow = json!({"action": "refresh", "token": "slow"});
        let first = wire.begin(slow).await;
        let second = refresh(&mut wire, "ann:200").await;
        assert_eq!(second["data"], json!({"expires_ms": 200_000}));
        stage.until(5).await;
        stage.answers.add_permits(1);
        let first = wire.answer(first).await;
        let left = first["data"]["expires_ms"].as_u64();
        assert!(matches!(left, Some(194_000..=195_000)), "{first}");
        let name = json!({"action": "call", "type": "who_am_i"});
        assert_eq!(wire.ask(name).await["data"], "ann:200");
        assert_expires(&stage, &mut wire, 200).await;
    });
}

/// The answer finds the session wherever it is by then.
#[test]
fn a_refresh_is_answered_on_the_worker_to_which_the_session_has_moved() {
    for patience in [0, 1, 2, 3, 5, 8, 1000] {
        on_each_worker(move |format, worker| async move {
            let stage = Stage::new(format).await;
            let mut wire = stage.open(0, "ann:100").await;
            wire.join(json!({})).await;
            let id = wire
                .begin(json!({"action": "refresh", "token": "slow"}))
                .await;
            quiet().await;
            wire.control.cut();
            let resumes = stage.resume(&wire, worker, "ann:50");
            let answers = async {
                turns(patience).await;
                stage.answers.add_permits(1);
            };
            let (mut back, ()) = tokio::join!(resumes, answers);
            assert!(back.resumed(), "{}", back.welcome);
            back.resend().await;
            // The client has shown a credential with the resume since, unless the answer came before.
            let left = back.answer(id).await["data"]["expires_ms"].as_u64();
            assert!(matches!(left, Some(49_000..=50_000 | 500_000)), "{left:?}");
            let reply = refresh(&mut back, "ann:200").await;
            assert_eq!(reply["data"], json!({"expires_ms": 200_000}));
            assert_expires(&stage, &mut back, 200).await;
        });
    }
}

#[test]
fn a_blocked_reader_is_cut_off_at_the_end_of_its_credential_too() {
    both(async |format| {
        let (builder, _answers) = builder(|_| {});
        let Scene { server, .. } = Scene::of(builder, 2, format).await;
        let path = format!("/ws?format={}&access_token=ann:10", format.name());
        let wire = Wire::open_at(&server, 0, format, &path).await;
        let before = server.server().sessions();
        wire.control.stall(courtside::testing::Direction::ToClient);
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!(server.server().sessions(), before - 1);
    });
}

/// A client whose function returns these tokens in turn, and the last one from then on.
async fn client(stage: &Stage, tokens: &'static [&'static str]) -> (Client, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let options = Options::default()
        .format(stage.format)
        .access_token_with(move || {
            let n = count.fetch_add(1, Ordering::Relaxed);
            let token = tokens.get(n).or(tokens.last()).copied();
            std::future::ready(token.map(str::to_owned))
        });
    let client = stage.server.client(options).await.unwrap();
    assert!(matches!(client.next().await, Some(Event::Connected { .. })));
    (client, asked)
}

#[test]
fn the_rust_client_refreshes_its_credential_by_itself() {
    both(async |format| {
        let stage = Stage::new(format).await;
        let (client, asked) = client(&stage, &["ann:100", "ann:200"]).await;
        let session = client.session();
        for (secs, most) in [(99, 2), (250, 3), (420, 4)] {
            stage.until(secs).await;
            assert_eq!(asked.load(Ordering::Relaxed), most);
            let name: String = client.call_raw("who_am_i", &()).await.unwrap();
            assert_eq!(name, "ann:200");
        }
        assert_eq!(client.session(), session);
        // A warning is not counted: the session is resumed without a gap.
        client.cut();
        let Some(Event::Disconnected { .. }) = client.next().await else {
            panic!()
        };
        let next = client.next().await;
        assert!(
            matches!(next, Some(Event::Connected { resumed: true, .. })),
            "{next:?}"
        );
    });
}

#[test]
fn the_rust_client_reports_a_refused_refresh_and_begins_anew_after_the_end() {
    both(async |format| {
        let stage = Stage::new(format).await;
        let (client, asked) = client(&stage, &["ann:100", "wrong", "ann:200"]).await;
        for (at, code) in [(70, "no_ticket"), (100, "expired")] {
            let next = client.next().await;
            let Some(Event::Unauthorized { refusal }) = next else {
                panic!("{next:?}")
            };
            assert_eq!((refusal.code(), stage.secs()), (code, at));
        }
        let next = client.next().await;
        assert!(
            matches!(next, Some(Event::Connected { resumed: false, .. })),
            "{next:?}"
        );
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn the_rust_client_tries_again_if_its_credential_cannot_be_checked() {
    both(async |format| {
        let stage = Stage::new(format).await;
        // The answer to `slow` comes too late.
        let tokens = &["ann:100", "down", "slow", "ann:200"];
        let (client, asked) = client(&stage, tokens).await;
        let session = client.session();
        for (at, code) in [(70, "unavailable"), (95, "authentication_timeout")] {
            let next = client.next().await;
            let Some(Event::Error { refusal, .. }) = next else {
                panic!("{next:?}")
            };
            assert_eq!((refusal.code(), stage.secs()), (code, at));
        }
        stage.until(110).await;
        let name: String = client.call_raw("who_am_i", &()).await.unwrap();
        assert_eq!((name.as_str(), client.session()), ("ann:200", session));
        assert_eq!(asked.load(Ordering::Relaxed), 4);
    });
}

#[test]
fn the_rust_client_refreshes_its_credential_when_it_is_told_to() {
    both(async |format| {
        let stage = Stage::new(format).await;
        let (client, asked) = client(&stage, &["ann:100", "ann", "wrong"]).await;
        client.refresh().await.unwrap();
        let name: String = client.call_raw("who_am_i", &()).await.unwrap();
        assert_eq!(name, "ann");
        let refused = client.refresh().await.unwrap_err();
        assert_eq!(refused.refusal().unwrap().code(), "no_ticket");
        assert_eq!(asked.load(Ordering::Relaxed), 3);
        stage.until(500).await;
        let name: String = client.call_raw("who_am_i", &()).await.unwrap();
        assert_eq!(name, "ann", "the session goes on as before");
        assert!(client.try_next().is_none());
        for options in [
            Options::default(),
            Options::default().access_token("ann:100"),
            Options::default().access_token_with(async || None),
        ] {
            let client = stage.server.client(options.format(format)).await.unwrap();
            let error = CallError::NotSent(SendError::NoCredential);
            assert_eq!(client.refresh().await, Err(error));
        }
    });
}
