//! Ten thousand schedules by seed: clients subscribe, move, are cut and come back, while others publish. Each client must receive
//! each publication once and in order, whole or as a patch, except where it is told of a gap; of a channel that delivers only the
//! newest publication, it must end with that one.

mod stream;

use std::collections::{HashMap, VecDeque};

use self::stream::{Event, Stream, publication};
use super::tests::Shard;
use super::*;
use crate::channel::follow::{self, FollowBounds, FollowPattern, FollowQueue, Followed};
use crate::channel::frames::Readers;
use crate::channel::log::Start;
use crate::wire::action::Since;
use crate::wire::codec::Format;
use crate::wire::codec::decode;

const SCHEDULES: u64 = 10_000;
const STEPS: usize = 60;
/// The last two offer patches. Subscribers of the clock receive the newest publication.
const CHANNELS: [&str; 6] = ["news", "by/1", "bare/1", "clock", "delta", "delta/bare"];
const HOMES: u64 = 3;
const CLIENTS: usize = 4;

/// A sequence of numbers that looks random (SplitMix64).
struct Numbers(u64);

impl Numbers {
    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

struct Client {
    requester: Requester<u8>,
    attempt: u64,
    /// Its new home, and how many channels have not answered yet.
    moves_to: Option<(u8, usize)>,
    streams: HashMap<ChannelName, Stream>,
}

impl Client {
    fn new(numbers: &mut Numbers) -> Self {
        let mut client = Self {
            requester: super::tests::client(0),
            attempt: 0,
            moves_to: None,
            streams: HashMap::new(),
        };
        client.renew(numbers);
        client
    }

    /// Begins a new session.
    fn renew(&mut self, numbers: &mut Numbers) {
        self.requester = Requester {
            format: numbers.one_of(&Format::ALL),
            ..super::tests::client(numbers.below(HOMES) as u8)
        };
        (self.attempt, self.moves_to) = (0, None);
        for stream in self.streams.values_mut() {
            stream.is_active = false;
            stream.asked.clear();
        }
    }

    fn session(&self) -> SessionId {
        self.requester.origin.session
    }

    fn take(&mut self, frame: &Encoded) {
        let format = self.requester.format;
        let event: Event = decode(format, frame.body(format)).unwrap();
        let stream = self.streams.entry(event.channel.clone()).or_default();
        stream.take(event);
    }
}

/// What is on its way to a worker.
enum Item {
    Effect(ChannelEffect<u8>),
    /// A session that has moved there.
    Arrival(SessionId),
}

/// A worker: what is on its way to it, its receivers and whether they receive patches, and what it holds for sessions that are on their way.
#[derive(Default)]
struct Home {
    queue: VecDeque<Item>,
    receivers: HashMap<(ChannelName, SessionId), bool>,
    held: HashMap<SessionId, Vec<Encoded>>,
}

/// The epoch and the offset up to which a follower has received each channel, or was told of a gap.
type Reached = HashMap<ChannelName, (Arc<str>, u64)>;

struct World {
    numbers: Numbers,
    /// The number of the last publication.
    published: u64,
    shard: Shard,
    homes: Vec<Home>,
    clients: Vec<Client>,
    /// What was answered to the publications with each key, and when.
    keys: HashMap<(&'static str, u64), (u64, u64)>,
    /// One follower that reads at once, and one whose queue is short.
    followers: [(FollowQueue, Reached); 2],
}

impl World {
    fn new(seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        let mut shard = Shard::new();
        let followers = [1000, 12].map(|number| {
            let (queue, sink) = follow::queue(FollowBounds {
                number,
                bytes: usize::MAX,
            });
            let pattern = Arc::new(FollowPattern::new("{*any}").unwrap());
            let input = ChannelInput::Follow(pattern, sink);
            shard.core.step(Duration::ZERO, input, &mut Vec::new());
            (queue, Reached::new())
        });
        Self {
            clients: (0..CLIENTS).map(|_| Client::new(&mut numbers)).collect(),
            homes: (0..HOMES).map(|_| Home::default()).collect(),
            numbers,
            published: 0,
            shard,
            keys: HashMap::new(),
            followers,
        }
    }

    /// Returns the offset, if the input was a publication of the application.
    fn step(&mut self, input: ChannelInput<u8>) -> Option<u64> {
        let (mut effects, mut published) = (Vec::new(), None);
        let now = Duration::from_secs(self.shard.now);
        self.shard.core.step(now, input, &mut effects);
        for effect in effects {
            let home = match &effect {
                ChannelEffect::Publish { home, .. }
                | ChannelEffect::Subscribed { home, .. }
                | ChannelEffect::SubscribeRefused { home, .. }
                | ChannelEffect::Unsubscribed { home, .. }
                | ChannelEffect::Adopt { home, .. }
                | ChannelEffect::Newest { home, .. }
                | ChannelEffect::Rehomed { home, .. } => *home,
                ChannelEffect::Published { offset } => {
                    published = Some(*offset);
                    continue;
                }
                ChannelEffect::Followed { to, publication } => {
                    to.push(publication.clone());
                    continue;
                }
                _ => continue,
            };
            let queue = &mut self.homes[usize::from(home)].queue;
            queue.push_back(Item::Effect(effect));
        }
        published
    }

    fn act(&mut self) {
        let who = self.numbers.below(CLIENTS as u64) as usize;
        let channel = self.numbers.one_of(&CHANNELS);
        match self.numbers.below(20) {
            0..=3 => self.subscribe(who, channel),
            4 => self.unsubscribe(who, channel),
            5..=7 => self.publish(channel),
            8 => self.relocate(who),
            9 => self.cut(who),
            10 => {
                self.shard.now += self.numbers.one_of(&[1, 5, 31, 70]);
                self.step(ChannelInput::Clock);
            }
            11 => self.follow(1),
            _ => {
                let home = self.numbers.below(HOMES) as usize;
                self.arrive(home);
            }
        }
        self.follow(0);
    }

    fn subscribe(&mut self, who: usize, channel: &'static str) {
        let continues = self.numbers.below(3) > 0;
        let delta = channel.starts_with("delta") && self.numbers.below(2) > 0;
        let client = &mut self.clients[who];
        if client.moves_to.is_some() {
            return;
        }
        client.attempt += 1;
        let (from, attempt) = (client.requester.clone(), client.attempt);
        let stream = client.streams.entry(channel.into()).or_default();
        let since = stream.position.clone().filter(|_| continues);
        stream.asked.push_back(since.clone());
        let since = since.map(|(epoch, offset)| Since { epoch, offset });
        let start = Start {
            since,
            ..Start::default()
        };
        let subscribe = Subscribe {
            delta,
            ..self.shard.wish(&from, channel, start, 10_000, attempt)
        };
        self.step(ChannelInput::Subscribe(subscribe));
    }

    fn unsubscribe(&mut self, who: usize, channel: &'static str) {
        let client = &self.clients[who];
        let is_known = client.streams.contains_key(channel);
        if client.moves_to.is_some() || !is_known {
            return;
        }
        let input = ChannelInput::Unsubscribe {
            from: client.requester.clone(),
            channel: channel.into(),
            attempt: client.attempt,
            reason: match self.numbers.one_of(&[false, true]) {
                false => UnsubscribeReason::Left,
                true => UnsubscribeReason::Removed,
            },
        };
        self.step(input);
    }

    fn publish(&mut self, channel: &'static str) {
        let key = Some(self.numbers.below(6)).filter(|key| *key < 2);
        self.published += 1;
        let input = ChannelInput::Publish {
            from: Publisher::Application,
            channel: channel.into(),
            data: RawData::of(Format::Json, &publication(self.published)).unwrap(),
            key: key.map(|key| PublishKey::new(&key.to_string()).unwrap()),
            accounts: None,
        };
        let offset = self.step(input);
        if let Some((key, offset)) = key.zip(offset) {
            // Two keys are remembered, for 40 s.
            let now = self.shard.now;
            let known = self.keys.entry((channel, key)).or_insert((offset, now));
            match now - known.1 <= 40 {
                true => assert_eq!(offset, known.0, "it was published twice"),
                false => *known = (offset, now),
            }
        }
    }

    /// A session moves to another home.
    fn relocate(&mut self, who: usize) {
        let to = self.numbers.below(HOMES) as u8;
        let client = &mut self.clients[who];
        let from = client.requester.home;
        if to == from || client.moves_to.is_some() || client.streams.is_empty() {
            return;
        }
        let channels: Vec<_> = client.streams.keys().cloned().collect();
        client.moves_to = Some((to, channels.len()));
        let session = client.session();
        for channel in channels {
            self.step(ChannelInput::Rehome {
                session,
                channel,
                from,
                to,
            });
        }
    }

    /// A session is lost. Its client begins another one.
    fn cut(&mut self, who: usize) {
        let client = &mut self.clients[who];
        let (session, attempt) = (client.session(), client.attempt);
        let channels: Vec<_> = client.streams.keys().cloned().collect();
        client.renew(&mut self.numbers);
        for channel in channels {
            self.step(ChannelInput::SessionGone {
                session,
                channel,
                attempt,
            });
        }
    }

    /// The next thing that is on its way to a home arrives there.
    fn arrive(&mut self, at: usize) {
        let effect = match self.homes[at].queue.pop_front() {
            Some(Item::Effect(effect)) => effect,
            Some(Item::Arrival(session)) => return self.moved(at, session),
            None => return,
        };
        let home = &mut self.homes[at];
        match effect {
            ChannelEffect::Publish {
                channel,
                frame,
                readers,
                ..
            } => {
                let receives = |is_delta: bool| match readers {
                    Readers::Whole => !is_delta,
                    Readers::Delta => is_delta,
                    Readers::Newest => true,
                };
                let receivers = home.receivers.iter();
                let receivers = receivers
                    .filter(|((known, _), is_delta)| *known == channel && receives(**is_delta));
                let sessions: Vec<_> = receivers.map(|((_, session), _)| *session).collect();
                for session in sessions {
                    self.give(at, session, frame.clone());
                }
            }
            ChannelEffect::Subscribed {
                session,
                channel,
                frame,
                is_delta,
                ..
            } => {
                home.receivers.insert((channel, session), is_delta);
                self.give(at, session, frame);
            }
            ChannelEffect::Newest { session, frame, .. } => self.give(at, session, frame),
            ChannelEffect::SubscribeRefused {
                session,
                channel,
                frame,
                ..
            }
            | ChannelEffect::Unsubscribed {
                session,
                channel,
                frame,
                ..
            } => {
                home.receivers.remove(&(channel, session));
                if let Some(frame) = frame {
                    self.give(at, session, frame);
                }
            }
            ChannelEffect::Adopt {
                session,
                channel,
                is_delta,
                ..
            } => {
                home.receivers.insert((channel, session), is_delta);
                home.held.entry(session).or_default();
            }
            ChannelEffect::Rehomed {
                session, channel, ..
            } => {
                home.receivers.remove(&(channel, session));
                self.rehomed(session);
            }
            _ => {}
        }
    }

    fn rehomed(&mut self, session: SessionId) {
        let client = self.clients.iter_mut().find(|c| c.session() == session);
        let Some(client) = client else {
            return;
        };
        let (to, left) = client.moves_to.as_mut().unwrap();
        *left -= 1;
        if *left > 0 {
            return;
        }
        let home = &mut self.homes[usize::from(*to)];
        home.queue.push_back(Item::Arrival(session));
    }

    fn moved(&mut self, at: usize, session: SessionId) {
        let held = self.homes[at].held.remove(&session);
        let client = self.clients.iter_mut().find(|c| c.session() == session);
        let Some(client) = client else {
            return;
        };
        client.requester.home = at as u8;
        client.moves_to = None;
        for frame in held.unwrap_or_default() {
            client.take(&frame);
        }
    }

    fn give(&mut self, at: usize, session: SessionId, frame: Encoded) {
        let client = self.clients.iter_mut().find(|c| c.session() == session);
        match client {
            Some(client) if usize::from(client.requester.home) == at => client.take(&frame),
            Some(_) => {
                let held = self.homes[at].held.get_mut(&session);
                held.expect("a frame for a session that is not expected")
                    .push(frame);
            }
            None => {}
        }
    }

    /// A follower reads what waits for it.
    fn follow(&mut self, which: usize) {
        let (queue, known) = &mut self.followers[which];
        let mut pass = |channel: &ChannelName, epoch: &Arc<str>, first: u64, last: u64| {
            let known = known.entry(channel.clone());
            let known = known.or_insert_with(|| (epoch.clone(), 0));
            if known.0 != *epoch {
                *known = (epoch.clone(), 0);
            }
            assert_eq!(first, known.1 + 1, "{channel}");
            known.1 = last;
        };
        while let Some(followed) = queue.try_next() {
            match followed {
                Followed::Publication(publication) => {
                    let (epoch, offset) = (&publication.epoch, publication.offset);
                    pass(&publication.channel, epoch, offset, offset);
                }
                Followed::Gap(gap) => {
                    assert!(which == 1 && gap.missed > 0 && gap.is_complete);
                    for missed in &gap.channels {
                        pass(&missed.channel, &missed.epoch, missed.first, missed.last);
                    }
                }
            }
        }
    }

    /// Everything arrives, and then one more publication in each channel.
    fn end(&mut self) {
        for round in 0..2 {
            while let Some(at) = self.homes.iter().position(|home| !home.queue.is_empty()) {
                self.arrive(at);
            }
            for channel in CHANNELS.iter().filter(|_| round == 0) {
                self.published += 1;
                let publisher = Publisher::Room("last".into());
                let input = ChannelInput::Publish {
                    from: publisher,
                    channel: (*channel).into(),
                    data: RawData::of(Format::Json, &publication(self.published)).unwrap(),
                    key: None,
                    accounts: None,
                };
                self.step(input);
            }
        }
        self.follow(0);
        let (_, newest) = &self.followers[0];
        for client in &self.clients {
            assert!(client.moves_to.is_none());
            for (channel, stream) in client.streams.iter().filter(|(_, s)| s.is_active) {
                let (epoch, offset) = stream.position.as_ref().unwrap();
                let (of, at) = &newest[channel];
                assert_eq!((&**of, at), (epoch.as_str(), offset), "{channel}");
            }
        }
    }
}

#[test]
fn each_publication_reaches_each_subscriber_once_and_in_order_or_as_a_gap() {
    let mut uncommon = 0;
    for seed in 0..SCHEDULES {
        let schedule = || {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.act();
            }
            world.end();
            let streams = world.clients.iter().flat_map(|c| c.streams.values());
            streams.map(|stream| stream.uncommon).sum::<u64>()
        };
        match std::panic::catch_unwind(schedule) {
            Ok(seen) => uncommon += seen,
            Err(panic) => {
                eprintln!("the schedule of seed {seed} failed");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(uncommon > SCHEDULES, "{uncommon} patches and newest ones");
}
