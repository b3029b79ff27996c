//! The rules against a small model of a server, over a network that swallows what it likes.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::client::server_frame;
use crate::config::Config;
use crate::session::outbox::{Delivery, Outbox, Resumed};
use crate::wire::action::{self, Action, Since};
use crate::wire::codec::CodecError;
use crate::wire::event::{self, Publication, ResumeFailure};
use crate::wire::frame::{Encoded, Formats, FrameWriter};
use crate::wire::framing;

#[derive(Clone, Copy, Debug)]
enum Step {
    Call,
    Publish,
    Message,
    Publication,
    ClientWrites,
    ServerReads,
    ServerWrites,
    ClientReads,
    Second,
    Cut,
    Reconnect,
    LoseSession,
}

/// Both ends and the network between them.
struct World {
    format: Format,
    now: Duration,
    rules: Rules,
    connected: bool,
    to_server: VecDeque<RawData>,
    to_client: VecDeque<Bytes>,
    // The server.
    session: u64,
    outbox: Outbox,
    processed: u64,
    subscribed: bool,
    offset: u64,
    messages: u64,
    done: Vec<u64>,
    // The client's application.
    made: u64,
    calls: BTreeMap<u64, u64>,
    answers: BTreeMap<u64, Vec<Result<Answer, CallError>>>,
    received: Vec<u64>,
    read: Vec<u64>,
    lost_actions: usize,
    sessions_lost: usize,
    /// The count at which the client will have caught up, until it says so.
    behind: Option<u64>,
}

impl World {
    fn new(format: Format) -> Self {
        let options = Options::default().format(format);
        let mut world = Self {
            format,
            now: Duration::ZERO,
            rules: Rules::new(&options),
            connected: false,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            session: 0,
            outbox: Outbox::new(Config::default().outbox, format),
            processed: 0,
            subscribed: false,
            offset: 0,
            messages: 0,
            done: Vec::new(),
            made: 0,
            calls: BTreeMap::new(),
            answers: BTreeMap::new(),
            received: Vec::new(),
            read: Vec::new(),
            lost_actions: 0,
            sessions_lost: 0,
            behind: None,
        };
        world.reconnect();
        let channel = ChannelName::from("c");
        let action: OutboundAction<'_, ()> = OutboundAction {
            channel: Some(&channel),
            ..OutboundAction::new(ActionName::Subscribe)
        };
        world.rules.act(action, true).unwrap();
        world.settle();
        world
    }

    fn push(
        &mut self,
        delivery: Delivery,
        write: impl Fn(&mut FrameWriter) -> Result<(), CodecError>,
    ) {
        let frame = Encoded::new(Formats::only(self.format), write).unwrap();
        let _pushed = self.outbox.push(&frame, &delivery);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Call | Step::Publish => self.make(matches!(step, Step::Call)),
            Step::Message => {
                let n = self.messages;
                self.messages += 1;
                self.push(Delivery::Sequenced, |w| {
                    event::message(w, "message", Some(&"r".into()), "t", Some(&n))
                });
            }
            Step::Publication => {
                self.offset += 1;
                if self.subscribed {
                    let publication = self.publication(self.offset);
                    self.push(Delivery::Sequenced, |w| {
                        event::publication(w, &"c".into(), &publication)
                    });
                }
            }
            Step::ClientWrites if self.connected => {
                self.to_server.extend(self.rules.next_to_write(self.now))
            }
            Step::ServerReads if self.connected => {
                if let Some(frame) = self.to_server.pop_front() {
                    self.process(&frame);
                }
            }
            Step::ServerWrites if self.connected => {
                let mut frame = BytesMut::new();
                if self.outbox.take(&mut frame, 1) {
                    self.to_client.push_back(frame.freeze());
                }
            }
            Step::ClientReads if self.connected => {
                if let Some(frame) = self.to_client.pop_front() {
                    self.deliver(&frame);
                }
            }
            Step::Second => self.now += Duration::from_secs(1),
            Step::Cut => self.cut(),
            Step::Reconnect => {
                self.cut();
                self.reconnect();
            }
            Step::LoseSession => {
                self.cut();
                self.session += 1;
            }
            _ => {}
        }
    }

    fn make(&mut self, asks: bool) {
        let (n, channel) = (self.made, ChannelName::from("out"));
        self.made += 1;
        let action = match asks {
            true => OutboundAction {
                type_: Some("ask"),
                data: Some(&n),
                ..OutboundAction::new(ActionName::Call)
            },
            false => OutboundAction {
                channel: Some(&channel),
                data: Some(&n),
                ..OutboundAction::new(ActionName::Publish)
            },
        };
        if let Some(id) = self.rules.act(action, asks).unwrap() {
            self.calls.insert(id, n);
        }
    }

    fn publication(&self, offset: u64) -> Publication {
        let data = RawData::of(self.format, &offset).unwrap();
        Publication { offset, data }
    }

    fn process(&mut self, frame: &RawData) {
        let inbound = action::read(frame, 32);
        self.processed += u64::from(inbound.counts);
        match inbound.action.unwrap() {
            Action::Call { data, .. } => {
                self.done.push(data.decode().unwrap());
                let id = inbound.id.unwrap();
                self.push(Delivery::Sequenced, |w| {
                    event::reply(w, id, &data.decode::<Value>().unwrap())
                });
            }
            Action::Publish { data, .. } => self.done.push(data.decode().unwrap()),
            Action::Subscribe { since, .. } => {
                self.subscribed = true;
                let since = since.map_or(0, |Since { offset, .. }| offset);
                let publications: Vec<Publication> = (since + 1..=self.offset)
                    .map(|offset| self.publication(offset))
                    .collect();
                let offset = self.offset;
                self.push(Delivery::Sequenced, |w| {
                    let subscribed = event::Subscribed {
                        channel: &"c".into(),
                        epoch: "e",
                        offset,
                        recovered: true,
                        publications: &publications,
                        is_delta: false,
                        base: None,
                        data: None,
                        left: None,
                    };
                    subscribed.write(w, inbound.id)
                });
            }
            Action::Ping { received } => {
                assert!(
                    self.outbox.acknowledge(received.unwrap()),
                    "the client counted too much"
                );
                let processed = self.processed;
                self.push(Delivery::Plain, |w| event::pong(w, None, processed, 0));
            }
            other => panic!("{other:?}"),
        }
    }

    fn deliver(&mut self, frame: &Bytes) {
        let body = Bytes::copy_from_slice(framing::body(frame));
        let frame = RawData::new(self.format, body).unwrap();
        let frame = server_frame::read(&frame).unwrap();
        for output in self.rules.receive(self.now, frame) {
            match output {
                Output::Emit(Event::CaughtUp { .. }) => {
                    let received = self.rules.resume().map(|(_, received)| received);
                    assert_eq!(received, self.behind.take(), "it has caught up too early");
                }
                Output::Emit(Event::Message { data, .. }) => {
                    self.received.push(data.as_u64().unwrap())
                }
                Output::Emit(Event::Publication { offset, data, .. }) => {
                    assert_eq!(data, Value::from(offset));
                    self.read.push(offset);
                }
                Output::Emit(Event::Lost { lost_actions, .. }) => {
                    self.lost_actions += lost_actions;
                    self.sessions_lost += 1;
                }
                Output::Emit(_) => {}
                Output::Complete(id, answer) => self.answers.entry(id).or_default().push(answer),
                Output::Renew => {}
                Output::Disconnect(_, why) => panic!("{why}"),
            }
        }
    }

    /// Whatever was under way is lost.
    fn cut(&mut self) {
        self.to_server.clear();
        self.to_client.clear();
        self.outbox.disconnect();
        if std::mem::take(&mut self.connected) {
            let disconnection = Disconnection {
                code: None,
                reason: String::new(),
            };
            assert!(matches!(
                self.rules.disconnected(self.now, disconnection, 0.5),
                AfterDisconnect::Reconnect(_)
            ));
        }
    }

    fn reconnect(&mut self) {
        let shown = self
            .rules
            .resume()
            .map(|(token, received)| (token.to_owned(), received));
        let resumed = match &shown {
            Some((token, received)) if *token == self.session.to_string() => {
                assert_eq!(
                    self.outbox.resume(*received),
                    Resumed::Yes,
                    "the counts do not fit"
                );
                true
            }
            _ => false,
        };
        if !resumed {
            self.session += 1;
            self.outbox = Outbox::new(Config::default().outbox, self.format);
            self.processed = 0;
            self.subscribed = false;
        }
        let token = self.session.to_string();
        let (received, format) = (self.processed, self.format);
        let sent = self.outbox.produced();
        self.behind = resumed.then_some(sent);
        let limits = event::ClientLimits::from(&Config::default().limits);
        let welcome = Encoded::new(Formats::only(format), |w| {
            let welcome = event::Welcome {
                session: SessionId::random(),
                resume: &token,
                resumed,
                reason: (shown.is_some() && !resumed).then_some(ResumeFailure::Unknown),
                received,
                sent,
                time: 0,
                // Often, so that acknowledgements and cuts meet.
                ping: Duration::from_secs(1),
                window: Duration::from_secs(30),
                limits: &limits,
                restored: None,
            };
            welcome.write(w)
        });
        self.to_client.push_back(welcome.unwrap().get(format));
        self.connected = true;
        self.rules.connected();
    }

    /// A network without faults until nothing moves any more.
    fn settle(&mut self) {
        for _ in 0..5000 {
            for step in [
                Step::ClientWrites,
                Step::ServerReads,
                Step::ServerWrites,
                Step::ClientReads,
            ] {
                self.step(step);
            }
            let under_way = self.to_server.len() + self.to_client.len();
            if under_way == 0 && self.outbox.is_empty() && self.rules.is_written() {
                return;
            }
        }
        panic!("it does not come to rest");
    }
}

fn is_increasing(numbers: &[u64]) -> bool {
    numbers.windows(2).all(|pair| pair[0] < pair[1])
}

fn steps(loses_sessions: bool) -> impl Strategy<Value = Vec<Step>> {
    let lose = if loses_sessions {
        Step::LoseSession
    } else {
        Step::Cut
    };
    let step = prop_oneof![
        4 => Just(Step::Call), 3 => Just(Step::Publish), 4 => Just(Step::Message), 3 => Just(Step::Publication),
        12 => Just(Step::ClientWrites), 10 => Just(Step::ServerReads),
        12 => Just(Step::ServerWrites), 10 => Just(Step::ClientReads),
        3 => Just(Step::Second), 1 => Just(Step::Cut), 4 => Just(Step::Reconnect), 1 => Just(lose),
    ];
    prop::collection::vec(step, 0..600)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// As long as the session lives, everything happens exactly once and in order, whatever the network swallows.
    #[test]
    fn everything_happens_once_and_in_order(steps in steps(false), binary: bool) {
        let mut world = World::new(Format::ALL[usize::from(binary)]);
        steps.into_iter().for_each(|step| world.step(step));
        world.step(Step::Reconnect);
        world.settle();
        prop_assert_eq!(world.sessions_lost, 0);
        prop_assert_eq!(world.behind, None, "it has never caught up");
        prop_assert_eq!(&world.done, &(0..world.made).collect::<Vec<_>>());
        prop_assert_eq!(&world.received, &(0..world.messages).collect::<Vec<_>>());
        prop_assert_eq!(&world.read, &(1..=world.offset).collect::<Vec<_>>());
        for (id, n) in &world.calls {
            let answer = Ok(Answer::Reply(Value::from(*n)));
            prop_assert_eq!(&world.answers[id], &vec![answer]);
        }
    }

    /// A lost session loses what it must and nothing more; nothing happens twice.
    #[test]
    fn a_lost_session_does_nothing_twice_and_says_what_it_lost(steps in steps(true), binary: bool) {
        let mut world = World::new(Format::ALL[usize::from(binary)]);
        steps.into_iter().for_each(|step| world.step(step));
        world.step(Step::Reconnect);
        world.settle();
        prop_assert!(is_increasing(&world.done), "{:?}", world.done);
        prop_assert!(is_increasing(&world.received), "{:?}", world.received);
        prop_assert_eq!(&world.read, &(1..=world.offset).collect::<Vec<_>>(), "channels recover");
        let mut failed = 0;
        for (id, n) in &world.calls {
            match &world.answers[id][..] {
                [Ok(answer)] => {
                    prop_assert_eq!(answer, &Answer::Reply(Value::from(*n)));
                    prop_assert!(world.done.contains(n));
                }
                [Err(CallError::SessionLost(_))] => failed += 1,
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert!(world.made as usize - world.done.len() <= failed + world.lost_actions);
    }
}
