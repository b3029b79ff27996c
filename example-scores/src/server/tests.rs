//! The whole tournament, replayed to visitors of different habits: each ends with the scores of the file.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    time::{Duration, SystemTime},
};

use courtside::{
    Format,
    client::{CallError, Client, Event, Options, SubscribeOptions},
    testing::{CableControl, TestServer, run},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::*;
use crate::{
    feed::Feed,
    publisher,
    schedule::{Plan, Schedule},
    tournament::{Fixture, Tournament},
};

mod patches;

const PLAN: Plan = Plan {
    speed: 60.0,
    again_in: None,
};

fn tournament() -> Tournament {
    let feed = Feed::parse(include_str!("../../data/famous-finals.json")).unwrap();
    feed.tournament
}

/// A visitor that follows every match.
struct Visitor {
    client: Client,
    connections: Rc<RefCell<Vec<CableControl>>>,
    /// The newest state of each match, by its channel.
    states: HashMap<String, Value>,
    updates: Vec<Value>,
}

impl Visitor {
    async fn new(server: &TestServer, format: Format, delta: bool) -> Self {
        let connections = Rc::new(RefCell::new(Vec::new()));
        let plugged = connections.clone();
        let mut options = Options::default();
        options.format = format;
        let client = server
            .client_with(options, move |control| plugged.borrow_mut().push(control))
            .await
            .unwrap();
        let mut newest = SubscribeOptions::default().last(1);
        if delta {
            newest = newest.delta();
        }
        for fixture in tournament().fixtures {
            let channel = format!("{MATCH}{}", fixture.id);
            client
                .subscribe_with(channel, newest.clone())
                .await
                .unwrap();
        }
        client.subscribe(UPDATES).await.unwrap();
        Self {
            client,
            connections,
            states: HashMap::new(),
            updates: Vec::new(),
        }
    }

    fn take(&mut self, event: Event) {
        if let Event::Publication { channel, data, .. } = event {
            match channel.as_str() {
                UPDATES => self.updates.push(data),
                name => drop(self.states.insert(name.to_owned(), data)),
            }
        }
    }

    async fn next(&mut self) {
        let event = self.client.next().await.unwrap();
        self.take(event);
    }

    /// Receives whatever there is, until nothing more comes.
    async fn finish(&mut self) {
        while self
            .updates
            .last()
            .is_none_or(|update| update["type"] != "run_finished")
        {
            self.next().await;
        }
        sleep(Duration::from_secs(1)).await;
        while let Some(event) = self.client.try_next() {
            self.take(event);
        }
    }

    fn lose_connection(&self) {
        self.connections.borrow().last().unwrap().cut();
    }

    fn goals(&self) -> usize {
        let goals = self.updates.iter();
        goals.filter(|update| update["type"] == "goal").count()
    }
}

/// The score of a match as the file has it, and as a visitor has it.
fn official(fixture: &Fixture) -> Value {
    json!({
        "phase": "full_time",
        "score": fixture.result.last(),
        "penalties": fixture.result.penalties,
        "winner": fixture.winner(),
        "goals": fixture.goals.len(),
    })
}

fn received(state: &Value) -> Value {
    let entries = state["events"].as_object().unwrap().values();
    json!({
        "phase": state["phase"],
        "score": state["score"],
        "penalties": state["penalties"],
        "winner": state["winner"],
        "goals": entries.filter(|entry| entry["type"] == "goal").count(),
    })
}

#[actix_web::test]
async fn the_server_offers_every_channel_that_is_published_to() {
    let scoreboard = Scoreboard::default();
    let server = build(scoreboard.clone(), Passes::default(), None, None).unwrap();
    let feed = Feed::parse(include_str!("../../fixtures/excerpt-2022.json")).unwrap();
    let plan = Plan {
        speed: 1e9,
        again_in: None,
    };
    publisher::play(&server, &scoreboard, &feed.tournament, &plan)
        .await
        .unwrap();
    let board = scoreboard.snapshot();
    assert_eq!(board.matches.len(), feed.tournament.fixtures.len());
    assert!(board.finished.is_some());
}

#[test]
fn an_early_a_late_and_a_disconnected_visitor_end_with_the_scores_of_the_file() {
    for (format, delta) in [
        (Format::Json, false),
        (Format::Json, true),
        (Format::MsgPack, false),
        (Format::MsgPack, true),
    ] {
        println!("in {format:?}, {}", if delta { "patches" } else { "whole" });
        run(async move {
            let scoreboard = Scoreboard::default();
            let builder = builder(scoreboard.clone(), Passes::default(), None);
            let server = TestServer::start(builder, 2).await.unwrap();
            let mut early = Visitor::new(&server, format, delta).await;
            let mut unlucky = Visitor::new(&server, format, delta).await;
            let outlet = server.server().clone();
            let replay = actix_web::rt::spawn(async move {
                publisher::play(&outlet, &scoreboard, &tournament(), &PLAN).await
            });
            let total = Schedule::of(&tournament(), &PLAN).events.len();
            let mut late = None;
            while early.updates.len() < total {
                let before = early.updates.len();
                early.next().await;
                let passes = |part: usize| before < part && early.updates.len() >= part;
                if passes(total / 3) || passes(total * 2 / 3) {
                    unlucky.lose_connection();
                }
                if passes(total / 2) {
                    late = Some(Visitor::new(&server, format, delta).await);
                }
            }
            replay.await.unwrap().unwrap();
            let mut late = late.unwrap();
            for visitor in [&mut early, &mut late, &mut unlucky] {
                visitor.finish().await;
                for fixture in tournament().fixtures {
                    let state = &visitor.states[&format!("{MATCH}{}", fixture.id)];
                    assert_eq!(received(state), official(&fixture), "{}", fixture.id);
                }
            }
            assert_eq!(unlucky.connections.borrow().len(), 3, "it was cut twice");
            for visitor in [&early, &unlucky] {
                assert_eq!(visitor.updates.len(), total);
                assert_eq!(visitor.goals(), tournament().goals());
            }
        });
    }
}

/// What a client with this token is told when it subscribes to a premium channel.
async fn premium(server: &TestServer, token: Option<&str>, topic: &str) -> Option<String> {
    let mut options = Options::default();
    if let Some(token) = token {
        options = options.access_token(token);
    }
    let client = server.client(options).await.unwrap();
    match client.subscribe(format!("premium/{topic}")).await {
        Ok(_) => None,
        Err(CallError::Refused(refusal)) => Some(refusal.code().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

#[test]
fn the_premium_ticker_wants_a_pass() {
    run(async {
        let passes = Passes::default();
        let builder = builder(Scoreboard::default(), passes.clone(), None);
        let server = TestServer::start(builder, 2).await.unwrap();
        let pass = passes.issue(None, SystemTime::now()).unwrap();
        let refused = |code: &str| Some(code.to_owned());
        assert_eq!(premium(&server, None, "chances").await, refused("no_pass"));
        let token = Some(pass.token.as_str());
        assert_eq!(premium(&server, token, "chances").await, None);
        assert_eq!(
            premium(&server, token, "odds").await,
            refused("unknown_topic")
        );
        let guess = Options::default().access_token("guessed");
        assert!(server.client(guess).await.is_err());
    });
}

#[test]
fn a_session_lives_as_long_as_its_passes_are_renewed() {
    run(async {
        let passes = Passes::default();
        let builder = builder(Scoreboard::default(), passes.clone(), None);
        let server = TestServer::start(builder, 2).await.unwrap();
        let renewed = passes.clone();
        let renew = move || {
            let pass = renewed.issue(None, SystemTime::now());
            async move { Some(pass?.token) }
        };
        let holder = server.client(Options::default().access_token_with(renew));
        let holder = holder.await.unwrap();
        let session = holder.session();
        let pass = passes.issue(None, SystemTime::now()).unwrap();
        let other = server.client(Options::default().access_token(pass.token));
        let other = other.await.unwrap();
        sleep(Duration::from_secs(300)).await;
        assert!(holder.is_connected());
        assert_eq!(holder.session(), session);
        assert!(!other.is_connected(), "it has not renewed its pass");
    });
}
