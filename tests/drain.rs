//! A server that goes away in good order, and in time.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::time::Duration;

use courtside::client::ConnectError;
use courtside::prelude::*;
use courtside::testing::{Direction, TestServer};
use courtside::{CloseCode, Format, ServerBuilder};
use courtside_tests::scene::Scene;
use courtside_tests::wire_tools::{Desk, Log, Wire, both, calm, dial, names, quiet};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

/// The most that a drain may take: the configured bound, and the time to notice that it has passed.
const BOUND: Duration = Duration::from_secs(11);

#[derive(Deserialize, Message)]
#[message(reply = u64)]
struct Slow(u64);

async fn slow(call: Call<Slow>) -> Result<u64, Refusal> {
    let Slow(millis) = call.message;
    sleep(Duration::from_millis(millis)).await;
    Ok(millis)
}

fn builder() -> ServerBuilder {
    Server::builder()
        .config(calm())
        .room::<Desk>()
        .channel("news", Channel::open())
        .handle(slow)
}

/// A room with two members on two workers.
async fn scene(format: Format) -> Scene {
    Scene::of(builder(), 2, format).await
}

/// Drains the server. How long it took.
async fn drain(server: &TestServer) -> Duration {
    let began = Instant::now();
    server.server().drain().await;
    began.elapsed()
}

/// The last events of a client that was sent away in good order.
fn assert_farewell(heard: &[Value], room: &str) {
    assert_eq!(names(heard), ["message", "left", "goodbye"], "{heard:?}");
    assert_eq!(heard[0]["data"]["n"], 3000, "the room's last word");
    assert_eq!(
        heard[1],
        json!({"event": "left", "room": room, "reason": "shutdown"})
    );
    assert_eq!(
        (&heard[2]["code"], &heard[2]["reconnect"]),
        (&json!(4002), &json!({"after_ms": 500, "jitter_ms": 2000}))
    );
}

#[test]
fn rooms_end_members_are_told_and_everybody_is_asked_to_come_back() {
    both(async |format| {
        let Scene {
            server,
            mut a,
            mut b,
            room,
            log,
        } = scene(format).await;
        let mut guest = Wire::open(&server, 0, format).await;
        let (took, a, b, guest) = tokio::join!(drain(&server), a.end(), b.end(), guest.end());
        for (heard, code) in [&a, &b] {
            assert_farewell(heard, &room);
            assert_eq!(*code, Some(CloseCode::DRAIN));
        }
        assert_eq!(
            (names(&guest.0), guest.1),
            (vec!["goodbye"], Some(CloseCode::DRAIN))
        );
        assert_eq!(log.take(), ["disposed: shutdown"]);
        assert!(took < Duration::from_secs(2), "nobody held it up: {took:?}");
        quiet().await;
        assert_eq!(server.server().connections(), 0);
    });
}

#[test]
fn nobody_new_is_let_in_and_a_load_balancer_is_told_so() {
    both(async |format| {
        let Scene { server, a, .. } = scene(format).await;
        // One that does not read keeps the drain going.
        a.control.stall(Direction::ToClient);
        let visit = async {
            sleep(Duration::from_secs(1)).await;
            let path = format!("/ws?format={}&resume={}", format.name(), a.token());
            for path in ["/ws", &path] {
                match dial(&server, 1, path).await.0 {
                    Err(ConnectError::Refused {
                        status: 503,
                        refusal,
                        retry_after,
                    }) => {
                        assert_eq!(refusal.code(), "draining");
                        assert!(retry_after.is_some());
                    }
                    other => panic!("{other:?}"),
                }
            }
        };
        let (took, ()) = tokio::join!(drain(&server), visit);
        assert!(took > Duration::from_secs(1), "{took:?}");
    });
}

#[test]
fn what_waits_for_a_client_is_sent_before_it_is_sent_away() {
    both(async |format| {
        let Scene {
            server,
            mut a,
            b,
            room,
            ..
        } = scene(format).await;
        b.control.stall(Direction::ToClient);
        for n in 0..60 {
            a.order(&room, json!({"what": "bulk", "n": n})).await;
        }
        let mut b = b;
        let read = async {
            sleep(Duration::from_secs(2)).await;
            b.control.release(Direction::ToClient);
            b.end().await
        };
        let (_, _, (heard, code)) = tokio::join!(drain(&server), a.end(), read);
        assert_eq!(heard.len(), 63);
        assert_farewell(&heard[60..], &room);
        assert_eq!(code, Some(CloseCode::DRAIN));
    });
}

#[test]
fn a_client_that_never_reads_and_one_that_never_answers_hold_it_up_no_longer_than_agreed() {
    both(async |format| {
        let Scene {
            server,
            mut a,
            b,
            room,
            ..
        } = scene(format).await;
        b.control.stall(Direction::ToClient);
        for n in 0..60 {
            a.order(&room, json!({"what": "bulk", "n": n})).await;
        }
        // `a` reads nothing more either, and so never answers the close frame.
        let took = drain(&server).await;
        assert!(took <= BOUND, "{took:?}");
        sleep(Duration::from_secs(1)).await;
        assert_eq!(server.server().connections(), 0);
        assert!(b.control.is_cut());
    });
}

#[test]
fn rooms_with_much_under_way_hold_no_client_up() {
    both(async |format| {
        let logged = courtside_tests::logged::Logged::begin();
        let Scene {
            server,
            mut a,
            mut b,
            room,
            ..
        } = scene(format).await;
        for _ in 0..3 {
            a.order(&room, json!({"what": "endless_job"})).await;
        }
        a.order(&room, json!({"what": "every", "n": 10_000})).await;
        let call = a
            .begin(json!({"action": "call", "type": "slow", "data": 3_600_000}))
            .await;
        let farewells = async {
            let began = Instant::now();
            let ends = tokio::join!(a.end(), b.end());
            (ends, began.elapsed())
        };
        let (took, ((a, b), waited)) = tokio::join!(drain(&server), farewells);
        assert_farewell(&a.0, &room);
        assert_farewell(&b.0, &room);
        assert!(a.0.iter().all(|event| event["id"] != call));
        assert!(waited < Duration::from_secs(2), "{waited:?}");
        assert!(took <= BOUND, "{took:?}");
        let text = logged.text();
        assert!(text.contains(&room) && text.contains("jobs=3"), "{text}");
    });
}

#[test]
fn what_rooms_spawn_at_their_end_is_done_before_the_server_goes() {
    for how in ["async", "blocking"] {
        both(move |format| saves_at_the_end(format, how));
    }
}

async fn saves_at_the_end(format: Format, how: &'static str) {
    let Scene {
        server,
        mut a,
        mut b,
        room,
        log,
    } = scene(format).await;
    let order = json!({"what": "save_at_end", "key": how, "n": 200});
    a.order(&room, order).await;
    let (took, a, b) = tokio::join!(drain(&server), a.end(), b.end());
    assert_farewell(&a.0, &room);
    assert_farewell(&b.0, &room);
    assert_eq!(
        log.take(),
        ["disposed: shutdown", "saved", "saved again, with 0 there"]
    );
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(server.server().publish("news", &1).await, Ok(2));
}

#[test]
fn a_room_that_panics_at_its_end_holds_nothing_up() {
    both(async |format| {
        let Scene {
            server,
            mut a,
            mut b,
            room,
            ..
        } = scene(format).await;
        a.order(&room, json!({"what": "panic_in", "key": "disposed"}))
            .await;
        let (took, a, _) = tokio::join!(drain(&server), a.end(), b.end());
        assert_eq!(names(&a.0), ["left", "goodbye"], "{:?}", a.0);
        assert_eq!(a.0[0]["reason"], "crashed");
        assert!(took < Duration::from_secs(2), "{took:?}");
    });
}

#[test]
fn members_that_are_away_hold_nothing_up() {
    both(async |format| {
        let Scene {
            server,
            mut a,
            b,
            log,
            ..
        } = scene(format).await;
        b.control.cut();
        quiet().await;
        let (took, (heard, _)) = tokio::join!(drain(&server), a.end());
        assert_eq!(heard.last().unwrap()["event"], "goodbye");
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert_eq!(log.take(), ["dropped 2", "disposed: shutdown"]);
    });
}

#[test]
fn a_client_that_is_just_moving_is_sent_away_as_well() {
    for moment in 0..24 {
        both(move |format| async move {
            let Scene {
                server, a, mut b, ..
            } = scene(format).await;
            let moving = async {
                let (io, _control) = server.connect_to(1);
                let path = format!(
                    "/ws?format={}&resume={}&received={}",
                    format.name(),
                    a.token(),
                    a.received
                );
                let attempt = async move {
                    match courtside::testing::raw::RawClient::open(io, &path, &[]).await {
                        Ok(mut raw) => raw.close_code().await.ok().flatten(),
                        Err(_) => Some(CloseCode::TRY_LATER),
                    }
                };
                timeout(Duration::from_secs(60), attempt).await
            };
            let draining = async {
                courtside_tests::wire_tools::turns(moment).await;
                drain(&server).await
            };
            let (took, code, _) = tokio::join!(draining, moving, b.end());
            assert!(took <= BOUND, "{took:?}");
            let code = code.expect("it is left waiting");
            assert!(
                matches!(code, Some(CloseCode::DRAIN | CloseCode::TRY_LATER)),
                "{moment}: {code:?}"
            );
            sleep(Duration::from_secs(2)).await;
            assert_eq!(server.server().connections(), 0, "{moment}");
        });
    }
}

#[test]
fn a_server_with_nobody_there_goes_at_once_and_twice_if_asked() {
    both(async |_| {
        let server = TestServer::start(builder().data(Log::default()), 2)
            .await
            .unwrap();
        assert!(drain(&server).await < Duration::from_secs(1));
        assert!(drain(&server).await < Duration::from_secs(1));
        assert_eq!(
            server.server().publish("news", &1).await,
            Ok(1),
            "who publishes to the last is not hung up"
        );
    });
}
