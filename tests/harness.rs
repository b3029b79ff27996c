//! What a room sends reaches the members of a `RoomHarness` as it reaches those of a server, for each class of delivery.
#![allow(missing_docs, clippy::unwrap_used)] // All of it is tests.

use std::time::Duration;

use courtside::Format;
use courtside::prelude::*;
use courtside::testing::{RoomHarness, TestServer, run};
use courtside_tests::wire_tools::Wire;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Says something to others than the one who asks for it, or shows it.
#[derive(Serialize, Deserialize, Message, Clone, Debug)]
struct Tell {
    how: String,
    n: u64,
}

#[derive(Serialize, Deserialize, Message, Debug)]
struct Said(u64);

/// A room whose second member receives things in all the ways that there are, also by its own hooks.
#[derive(Default)]
struct Teller {
    shown: u64,
    /// All who have ever joined.
    known: Vec<MemberId>,
}

const SECOND: u32 = 2;

const WAYS: [&str; 14] = [
    "broadcast",
    "send",
    "signal to all",
    "latest to all",
    "signal to one",
    "latest to one",
    "send to others",
    "signal to others",
    "latest to others",
    "send to all but the second",
    "send to some",
    "signal to some",
    "latest to some",
    "state",
];

#[courtside::room]
impl Teller {
    #[on]
    fn tell(&mut self, Tell { how, n }: Tell, ctx: &mut RoomContext<Self>) {
        let mut members = ctx.member_ids().into_iter();
        let first = members.next();
        let second = members.find(|member| member.get() == SECOND);
        // Everybody twice, and the second also when it has left.
        let some = self.known.iter().chain(&self.known);
        let said = Said(n);
        match (how.as_str(), first, second) {
            ("broadcast", ..) => ctx.broadcast(&said),
            ("send", _, Some(second)) => ctx.send(second, &said),
            ("signal to all", ..) => ctx.all().signal(&said),
            ("latest to all", ..) => ctx.all().latest("key", &said),
            ("signal to one", _, Some(second)) => ctx.to(second).signal(&said),
            ("latest to one", _, Some(second)) => ctx.to(second).latest("key", &said),
            ("send to others", Some(first), _) => ctx.except(first).send(&said),
            ("signal to others", Some(first), _) => ctx.except(first).signal(&said),
            ("latest to others", Some(first), _) => ctx.except(first).latest("key", &said),
            ("send to all but the second", _, Some(second)) => ctx.except(second).send(&said),
            ("send to some", ..) => ctx.among(some).send(&said),
            ("signal to some", ..) => ctx.among(some).signal(&said),
            ("latest to some", ..) => ctx.among(some).latest("key", &said),
            ("state", ..) => self.shown = n,
            ("kick", _, Some(second)) => ctx.kick(second, "it was asked for"),
            ("dispose", ..) => ctx.dispose(),
            _ => {}
        }
    }

    fn state(&self) -> impl Serialize {
        self.shown
    }

    fn joined(&mut self, from: &Member, ctx: &mut RoomContext<Self>) {
        self.known.push(from.id());
        ctx.broadcast(&Said(1000));
        ctx.to(from).signal(&Said(1001));
    }

    fn dropped(&mut self, from: &Member, ctx: &mut RoomContext<Self>) {
        ctx.send(from, &Said(2000));
        ctx.all().signal(&Said(2001));
    }

    fn resumed(&mut self, from: &Member, ctx: &mut RoomContext<Self>) {
        ctx.send(from, &Said(3000));
        ctx.to(from).signal(&Said(3001));
        ctx.to(from).latest("key", &Said(3002));
    }

    fn left(&mut self, ctx: &mut RoomContext<Self>) {
        ctx.broadcast(&Said(4000));
    }

    fn disposed(&mut self, ctx: &mut RoomContext<Self>) {
        ctx.broadcast(&Said(5000));
        ctx.all().signal(&Said(5001));
        self.shown += 1;
    }
}

/// What happens. The first member asks for everything and is always there; the rest happens to the second.
#[derive(Clone, Debug)]
enum Step {
    Tell(&'static str),
    Lose,
    Resume,
    Leave,
    /// The window of a session whose connection is lost ends.
    Expire,
}

/// What both members have received after a step: the messages, the newest state, and why they are out.
type Seen = [(Vec<u64>, Option<Value>, Option<String>); 2];

const PAUSE: Duration = Duration::from_millis(200);
const WINDOW: Duration = Duration::from_secs(40);

fn in_harness(steps: &[Step]) -> Vec<Seen> {
    let mut room = RoomHarness::<Teller>::new(()).unwrap();
    let members = [room.join(()).unwrap(), room.join(()).unwrap()];
    let mut seen = Vec::new();
    for (n, step) in (0..).zip(steps) {
        match step {
            Step::Tell(how) => {
                let how = (*how).to_owned();
                room.send(members[0], Tell { how, n }).unwrap();
            }
            Step::Lose => room.lose(members[1]),
            Step::Resume => room.resume(members[1]),
            Step::Leave => room.leave(members[1]),
            Step::Expire => room.expire(members[1]),
        }
        room.advance(if matches!(step, Step::Expire) {
            WINDOW
        } else {
            PAUSE
        });
        seen.push(members.map(|member| {
            let said = room.sent_to::<Said>(member).into_iter();
            let said = said.map(|said| said.0).collect();
            (said, room.state_of(member), room.left(member))
        }));
    }
    seen
}

async fn on_server(steps: &[Step], format: Format) -> Vec<Seen> {
    let builder = Server::builder().room::<Teller>();
    let server = TestServer::start(builder, 1).await.unwrap();
    let mut wires = [
        Wire::open(&server, 0, format).await,
        Wire::open(&server, 0, format).await,
    ];
    let mut room = String::new();
    for wire in &mut wires {
        let joined = wire.ask(json!({"action": "join", "kind": "teller"})).await;
        room = joined["room"].as_str().unwrap().to_owned();
    }
    let mut seen = Vec::new();
    for (n, step) in (0..).zip(steps) {
        match step {
            Step::Tell(how) => {
                let tell = json!({"how": how, "n": n});
                let send = json!({"action": "send", "room": room, "type": "tell", "data": tell});
                wires[0].ask(send).await;
            }
            Step::Lose => wires[1].control.cut(),
            Step::Resume => {
                let back = wires[1].resume(&server, 0).await;
                assert!(back.resumed());
                wires[1] = back;
            }
            Step::Leave => {
                let leave = json!({"action": "leave", "room": room});
                wires[1].send(leave).await;
            }
            // The first stays meanwhile: it answers pings.
            Step::Expire => wires[0].idle(WINDOW).await,
        }
        sleep(PAUSE).await;
        let mut both = Vec::new();
        for wire in &mut wires {
            let events = wire.all().await;
            let of = |names: &'static [&str]| {
                let events = events.iter();
                events.filter(move |event| names.contains(&event["event"].as_str().unwrap()))
            };
            let said = of(&["message", "signal"]).map(|event| event["data"].as_u64().unwrap());
            let state = of(&["state", "patch"]).next_back();
            let left = of(&["left"]).next_back();
            both.push((
                said.collect(),
                state.map(|event| event["data"].clone()),
                left.map(|event| event["reason"].as_str().unwrap().to_owned()),
            ));
        }
        seen.push(both.try_into().unwrap());
    }
    seen
}

#[test]
fn the_harness_shows_what_clients_would_receive() {
    use Step::{Expire, Leave, Lose, Resume, Tell};
    for way in WAYS {
        let tell = || Tell(way);
        let scripts = [
            vec![tell(), Lose, tell(), tell(), Resume, tell(), Resume, tell()],
            vec![tell(), Lose, tell(), Tell("kick"), tell(), Resume, tell()],
            vec![tell(), Leave, tell(), Lose, tell(), Resume],
            vec![tell(), Lose, tell(), Expire, tell()],
            vec![tell(), Tell("kick"), tell()],
            vec![tell(), Lose, tell(), Tell("dispose"), Resume],
            vec![tell(), Tell("dispose")],
        ];
        for script in scripts {
            let expected = in_harness(&script);
            let is_said = expected[0].iter().any(|(said, ..)| said.contains(&0));
            assert!(
                is_said || way == "state",
                "nobody knows how to tell `{way}`"
            );
            for format in Format::ALL {
                let steps = script.clone();
                let seen = run(async move { on_server(&steps, format).await });
                for (n, (seen, expected)) in seen.iter().zip(&expected).enumerate() {
                    assert_eq!(seen, expected, "in {format:?}, step {n} of {script:?}");
                }
            }
        }
    }
}
