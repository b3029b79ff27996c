//! A subscriber that is cut off for five seconds, in a stream of 200 publications a second.

use std::time::Duration;

use courtside::Format;
use courtside::prelude::*;
use courtside::testing::{TestServer, run};
use courtside_tests::event_tools::Stream;
use courtside_tests::wire_tools::{Wire, calm, numbers, on_each_worker};
use serde_json::{Value, json};
use tokio::time::{interval, sleep};

const CUT: Duration = Duration::from_secs(5);

/// A server with a ticker that publishes its own offsets.
async fn ticking() -> TestServer {
    let channel = Channel::open().history(2000);
    let builder = Server::builder().config(calm()).channel("ticker", channel);
    let server = TestServer::start(builder, 2).await.unwrap();
    let publisher = server.server().clone();
    tokio::task::spawn_local(async move {
        let mut steps = interval(Duration::from_millis(5));
        for n in 1_u64.. {
            steps.tick().await;
            publisher.publish("ticker", &n).await.unwrap();
        }
    });
    server
}

/// The numbers of an event: of a publication, or of those that a `subscribed` brings.
fn numbers_of(event: &Value) -> Vec<u64> {
    let past = event["publications"].as_array().into_iter().flatten();
    let past = past.filter_map(|publication| publication["data"].as_u64());
    let now = (event["event"] == "publication")
        .then(|| event["data"].as_u64())
        .flatten();
    past.chain(now).collect()
}

async fn listen(stream: &mut Stream, seen: &mut Vec<u64>, count: usize) {
    let until = seen.len() + count;
    while seen.len() < until {
        seen.extend(numbers_of(&stream.next().await.unwrap()));
    }
}

#[test]
fn an_event_source_misses_nothing_by_its_last_event_id() {
    run(async {
        let server = ticking().await;
        let query = "channel=ticker";
        let mut seen = Vec::new();
        let mut stream = Stream::open_with(&server, 0, Format::Json, query, &[]).await;
        listen(&mut stream, &mut seen, 300).await;
        for worker in [1, 0] {
            let id = stream.last_id.clone();
            stream.reply.control.cut();
            sleep(CUT).await;
            let header = [("Last-Event-ID", &*id)];
            stream = Stream::open_with(&server, worker, Format::Json, query, &header).await;
            listen(&mut stream, &mut seen, 1300).await;
        }
        assert!(
            seen.iter()
                .copied()
                .eq(seen[0]..seen[0] + seen.len() as u64)
        );
    });
}

#[test]
fn a_client_that_falls_back_to_events_meanwhile_misses_nothing() {
    on_each_worker(|format, worker| async move {
        let server = ticking().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let subscribed = wire
            .ask(json!({"action": "subscribe", "channel": "ticker"}))
            .await;
        let mut seen = numbers_of(&subscribed);
        wire.idle(Duration::from_secs(1)).await;
        seen.extend(numbers(&wire.kept(), "publication"));
        let (token, received) = (wire.token(), wire.received);
        wire.control.cut();
        sleep(CUT).await;
        let query = format!("resume={token}&received={received}");
        let mut stream = Stream::open(&server, worker, format, &query).await;
        assert_eq!(stream.welcome["resumed"], true);
        listen(&mut stream, &mut seen, 1200).await;
        let (token, received) = (stream.token(), received + stream.received);
        stream.reply.control.cut();
        sleep(CUT).await;
        let mut back = wire.resume_with(&server, worker, &token, received).await;
        assert!(back.resumed(), "{}", back.welcome);
        back.idle(Duration::from_secs(1)).await;
        seen.extend(numbers(&back.kept(), "publication"));
        assert!(seen.len() > 2400, "{}", seen.len());
        assert!(
            seen.iter()
                .copied()
                .eq(seen[0]..seen[0] + seen.len() as u64)
        );
    });
}

#[test]
fn a_session_that_resumes_and_a_new_one_that_shows_its_position_miss_nothing() {
    on_each_worker(|format, worker| async move {
        let server = ticking().await;
        let mut wire = Wire::open(&server, 0, format).await;
        let subscribe = json!({"action": "subscribe", "channel": "ticker"});
        let subscribed = wire.ask(subscribe.clone()).await;
        let mut seen = numbers_of(&subscribed);
        wire.idle(Duration::from_secs(1)).await;
        seen.extend(numbers(&wire.kept(), "publication"));
        wire.control.cut();
        sleep(CUT).await;
        let mut back = wire.resume(&server, worker).await;
        assert!(back.resumed(), "{}", back.welcome);
        back.idle(Duration::from_secs(1)).await;
        seen.extend(numbers(&back.kept(), "publication"));
        back.control.cut();
        sleep(CUT).await;
        let mut new = Wire::open(&server, worker, format).await;
        let mut subscribe = subscribe;
        subscribe["since"] = json!({"epoch": subscribed["epoch"], "offset": seen.last()});
        let subscribed = new.ask(subscribe).await;
        assert_eq!(subscribed["recovered"], true, "{subscribed}");
        seen.extend(numbers_of(&subscribed));
        new.idle(Duration::from_secs(1)).await;
        seen.extend(numbers(&new.kept(), "publication"));
        assert!(seen.len() > 2400, "{}", seen.len());
        assert!(
            seen.iter()
                .copied()
                .eq(seen[0]..seen[0] + seen.len() as u64)
        );
    });
}
