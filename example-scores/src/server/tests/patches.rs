//! What patches save on the states of the tournament's matches, as the example publishes them.

use courtside::{
    Format,
    testing::{TestServer, raw::RawClient, run},
};
use serde_json::{Value, json};

use super::*;

const AT_ONCE: Plan = Plan {
    speed: 1e9,
    again_in: None,
};

/// A subscriber of all matches that only counts what it receives of them.
struct Counter {
    raw: RawClient,
    bytes: usize,
    patches: usize,
}

impl Counter {
    async fn new(server: &TestServer, format: Format, delta: bool) -> Self {
        let path = format!("/ws?format={}", format.name());
        let (io, _) = server.connect_to(0);
        let mut raw = RawClient::open(io, &path, &[]).await.unwrap();
        for fixture in tournament().fixtures {
            let channel = format!("{MATCH}{}", fixture.id);
            let subscribe = json!({"action": "subscribe", "channel": channel, "delta": delta});
            raw.send(format, &subscribe).await.unwrap();
        }
        Self {
            raw,
            bytes: 0,
            patches: 0,
        }
    }

    /// Receives so many publications.
    async fn count(&mut self, publications: usize) {
        let mut left = publications;
        while left > 0 {
            let frame = self.raw.next_frame().await.unwrap().unwrap();
            let Some(event) = frame.json().filter(|e: &Value| e["event"] == "publication") else {
                continue;
            };
            self.bytes += frame.payload.len();
            self.patches += usize::from(event.get("patch").is_some());
            left -= 1;
        }
    }
}

/// A state is short at first and grows by an entry each time, and the first one of each match goes whole: a tenth of them.
#[test]
fn patches_of_the_examples_own_states_cost_a_quarter_of_the_whole_ones() {
    run(async {
        let scoreboard = Scoreboard::default();
        let builder = builder(scoreboard.clone(), Passes::default(), None);
        let server = TestServer::start(builder, 1).await.unwrap();
        let mut counters = Vec::new();
        for (format, delta) in [
            (Format::Json, false),
            (Format::Json, true),
            (Format::MsgPack, false),
            (Format::MsgPack, true),
        ] {
            counters.push(Counter::new(&server, format, delta).await);
        }
        let schedule = Schedule::of(&tournament(), &AT_ONCE);
        let states = schedule.events.iter();
        let states = states.filter(|(_, event)| event.match_id().is_some());
        let states = states.count();
        let outlet = server.server().clone();
        actix_web::rt::spawn(async move {
            publisher::play(&outlet, &scoreboard, &tournament(), &AT_ONCE).await
        });
        for counter in &mut counters {
            counter.count(states).await;
        }
        let whole = counters[0].bytes;
        println!("{states} states, {whole} bytes in JSON");
        let patches = states - tournament().fixtures.len();
        for (counter, (is_delta, most)) in
            (counters.iter()).zip([(false, 100), (true, 28), (false, 85), (true, 23)])
        {
            let percent = counter.bytes * 100 / whole;
            println!("{percent} %, {} patches", counter.patches);
            assert_eq!(counter.patches, if is_delta { patches } else { 0 });
            assert!(percent <= most, "{percent} %, not {most} %");
        }
    });
}
