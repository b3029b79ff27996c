//! A channel with a thousand members that come, go, are cut and come back, on a paused clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use courtside::testing::TestServer;
use courtside::{CloseCode, Format, Presence};
use courtside_tests::Random;
use courtside_tests::presence_tools::{Follower, Shown, enter, open_as, resume_as};
use courtside_tests::wire_tools::{Wire, both};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::builder;

const MEMBERS: usize = 1000;
const ROUNDS: u64 = 20;
/// How many of the members watch.
const WATCHERS: usize = 8;
/// Members whose connection is cut, but whose session never ends.
const STEADY: usize = 100;
const SECOND: Duration = Duration::from_secs(1);

/// What has become of a member.
enum Life {
    Here(Wire),
    /// Its connection was cut in that round.
    Cut(Wire, u64),
    Gone,
}

struct Crowd {
    server: TestServer,
    format: Format,
    random: Random,
    lives: Vec<Life>,
}

/// Some members share a subject, and some have none. A steady member has one of its own.
fn subject(n: usize) -> String {
    match n {
        ..STEADY => format!("steady {n}").replace(' ', "-"),
        _ if n.is_multiple_of(5) => "guest".to_owned(),
        _ => format!("subject-{}", n % 300),
    }
}

impl Crowd {
    async fn open(&mut self, n: usize, watches: bool) {
        let worker = self.random.below(2) as usize;
        let mut wire = open_as(&self.server, worker, self.format, &subject(n)).await;
        let subscribed = enter(&mut wire, "hall", watches, Value::Null).await;
        assert_eq!(subscribed["event"], "subscribed", "{subscribed}");
        self.lives[n] = Life::Here(wire);
    }

    /// Something happens to a member that is no watcher.
    async fn change(&mut self, n: usize, round: u64) {
        let chance = self.random.below(10);
        match std::mem::replace(&mut self.lives[n], Life::Gone) {
            Life::Here(wire) if n < STEADY || chance < 5 => {
                wire.control.cut();
                self.lives[n] = Life::Cut(wire, round);
            }
            Life::Here(mut wire) if chance < 8 => {
                wire.raw.send_close(CloseCode(1000), "").await.unwrap();
            }
            Life::Here(mut wire) => {
                let channel = json!({"action": "unsubscribe", "channel": "hall"});
                wire.ask(channel).await;
            }
            Life::Cut(wire, _) if n < STEADY || chance < 7 => self.resume(n, wire).await,
            // Its window will end, or has ended already.
            Life::Cut(wire, since) => self.lives[n] = Life::Cut(wire, since),
            Life::Gone => self.open(n, false).await,
        }
    }

    async fn resume(&mut self, n: usize, wire: Wire) {
        let worker = self.random.below(2) as usize;
        let back = resume_as(&wire, &self.server, worker, &subject(n)).await;
        if back.resumed() {
            self.lives[n] = Life::Here(back);
        } else {
            assert!(n >= STEADY, "a steady member was lost: {}", back.welcome);
            drop(back);
            self.open(n, false).await;
        }
    }

    /// Who is there, as the test knows: by id, with the number of sessions.
    fn expected(&self) -> BTreeMap<String, u64> {
        let mut expected = BTreeMap::new();
        for (n, life) in self.lives.iter().enumerate() {
            if let Life::Here(wire) = life {
                let id = match subject(n).as_str() {
                    "guest" => wire.welcome["session"].as_str().unwrap().to_owned(),
                    subject => subject.to_owned(),
                };
                *expected.entry(id).or_default() += 1;
            }
        }
        expected
    }

    /// What has come for the watchers. Each reads all that it gets, asks if it has missed something, and is cut now and then.
    async fn watch(&mut self, followers: &mut [Follower], is_last: bool) {
        for (n, follower) in followers.iter_mut().enumerate() {
            let n = n + MEMBERS;
            let Life::Here(mut wire) = std::mem::replace(&mut self.lives[n], Life::Gone) else {
                panic!("a watcher stays");
            };
            wire.all()
                .await
                .iter()
                .for_each(|event| follower.hear(event));
            assert!(!follower.has_missed, "nothing was dropped");
            if !is_last && self.random.below(4) == 0 {
                wire.control.cut();
                wire = resume_as(&wire, &self.server, n % 2, &subject(n)).await;
                assert!(wire.resumed(), "{}", wire.welcome);
                follower.reconnected();
            }
            self.lives[n] = Life::Here(wire);
        }
    }
}

fn sessions(shown: &Shown) -> BTreeMap<String, u64> {
    let entry = |(id, (_, sessions)): (&String, &(Value, u64))| (id.clone(), *sessions);
    shown.iter().map(entry).collect()
}

/// Once it is quiet, everybody who watches agrees with who is there, and nobody was reported as gone who was only cut.
async fn agree(format: Format, seed: u64) {
    let presence = Presence::default().members(MEMBERS + WATCHERS);
    let server = TestServer::start(builder(presence), 2).await.unwrap();
    let mut crowd = Crowd {
        server,
        format,
        random: Random::new(seed),
        lives: (0..MEMBERS + WATCHERS).map(|_| Life::Gone).collect(),
    };
    for n in 0..MEMBERS {
        crowd.open(n, false).await;
    }
    let mut followers: Vec<_> = (0..WATCHERS).map(|_| Follower::default()).collect();
    for n in MEMBERS..MEMBERS + WATCHERS {
        crowd.open(n, true).await;
    }
    for round in 0..ROUNDS {
        for _ in 0..60 {
            let n = crowd.random.below(MEMBERS as u64) as usize;
            crowd.change(n, round).await;
        }
        crowd.watch(&mut followers, false).await;
        // Steady members are back before their window ends.
        for n in 0..STEADY {
            if matches!(&crowd.lives[n], Life::Cut(_, since) if since + 12 < round) {
                crowd.change(n, round).await;
            }
        }
        sleep(SECOND + Duration::from_millis(crowd.random.below(1000))).await;
    }
    for n in 0..STEADY {
        if matches!(crowd.lives[n], Life::Cut(..)) {
            crowd.change(n, ROUNDS).await;
        }
    }
    // The windows of all who were cut and did not come back end.
    for _ in 0..4 {
        sleep(10 * SECOND).await;
        crowd.watch(&mut followers, true).await;
    }
    let expected = crowd.expected();
    assert!(expected.len() > 400, "{} are left", expected.len());
    let list = crowd.server.server().presence("hall").await.unwrap();
    let list: BTreeMap<_, _> = list
        .iter()
        .map(|member| (member.id().to_owned(), member.sessions() as u64))
        .collect();
    assert_eq!(list, expected);
    let mut left = BTreeSet::new();
    for follower in &followers {
        assert_eq!(sessions(follower.members.as_ref().unwrap()), expected);
        left.extend(follower.left.iter().cloned());
    }
    assert!(left.len() > 20, "only {} were seen to leave", left.len());
    let steady: Vec<_> = left.iter().filter(|id| id.starts_with("steady")).collect();
    assert_eq!(steady, [] as [&String; 0], "cut, but never gone");
}

#[test]
fn a_thousand_members_under_churn_are_shown_as_they_are() {
    let seeds = match std::env::var("COURTSIDE_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => vec![1, 2],
    };
    for seed in seeds {
        // Shown only if the test fails.
        println!("COURTSIDE_SEED={seed}");
        both(move |format| agree(format, seed));
    }
}
