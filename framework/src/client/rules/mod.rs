//! The rules of a client: what is sent, counted, acknowledged, sent again and given up. Plain data, handed the time and the
//! random numbers; no runtime.
//!
//! The driver asks [`Rules::next_to_write`] what to write, hands each frame to [`Rules::receive`], and applies the effects.

mod backoff;
mod queue;
mod receipt;
mod rooms;
mod subscriptions;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::client::action::{Name, Outgoing, Since};
use crate::client::error::{CallError, SendError};
use crate::client::event::{Answer, Event, Position, Subscribed};
use crate::client::heard::{Farewell, Heard, Published, Said, Welcome};
use crate::client::options::Options;
use crate::close::CloseCode;
use crate::error::Refusal;
use crate::ids::{ChannelName, MemberId, RoomId, SessionId};
use crate::wire::codec::{Format, RawData};
use crate::wire::event::{PROTOCOL, Reconnect, ResumeFailure};

use backoff::Backoff;
use queue::{Queued, ResendQueue};
use receipt::Receipt;
use rooms::Rooms;
use subscriptions::Subscriptions;

/// What the driver is to do after a frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Hand it to the application.
    Tell(Event),
    /// Complete the request of that id.
    Answer(u64, Result<Answer, CallError>),
    /// The server broke the protocol: end the connection with this code.
    Break(CloseCode, String),
}

/// What becomes of the client after a connection has ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    ComeBack(Duration),
    StayAway(Farewell),
}

/// Who waits for an answer.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Application,
    /// The rules themselves, after a lost session.
    Resubscribe(ChannelName),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Offline,
    /// Connected, but not welcomed yet: nothing is written.
    Greeting,
    Online,
}

#[derive(Debug)]
struct Session {
    id: SessionId,
    token: String,
}

/// The rules of one client across all its sessions.
#[derive(Debug)]
pub(crate) struct Rules {
    format: Format,
    phase: Phase,
    session: Option<Session>,
    queue: ResendQueue,
    receipt: Receipt,
    asked: BTreeMap<u64, Asked>,
    last_id: u64,
    rooms: Rooms,
    subscriptions: Subscriptions,
    backoff: Backoff,
    /// The server's goodbye on this connection.
    goodbye: Option<Goodbye>,
    /// The server's clock less the client's, in milliseconds.
    server_time: Option<(u64, Duration)>,
}

#[derive(Debug)]
struct Goodbye {
    farewell: Farewell,
    reconnect: Option<Reconnect>,
}

impl Rules {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            format: options.format,
            phase: Phase::Offline,
            session: None,
            queue: ResendQueue::new(options.queue_actions, options.queue_bytes),
            receipt: Receipt::new(options.ping_timeout),
            asked: BTreeMap::new(),
            last_id: 0,
            rooms: Rooms::default(),
            subscriptions: Subscriptions::default(),
            backoff: Backoff::new(options.backoff_base, options.backoff_cap),
            goodbye: None,
            server_time: None,
        }
    }

    /// The token to come back with, and how many sequenced events were received.
    pub(crate) fn resume(&self) -> Option<(&str, u64)> {
        let session = self.session.as_ref()?;
        Some((&session.token, self.receipt.received()))
    }

    pub(crate) fn session(&self) -> Option<SessionId> {
        self.session.as_ref().map(|session| session.id)
    }

    pub(crate) fn is_online(&self) -> bool {
        self.phase == Phase::Online
    }

    pub(crate) fn member(&self, room: &RoomId) -> Option<MemberId> {
        self.rooms.member(room)
    }

    pub(crate) fn position(&self, channel: &ChannelName) -> Option<&Position> {
        self.subscriptions.position(channel)
    }

    /// How many actions the server has not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.queue.len()
    }

    /// The server's clock in Unix milliseconds, as far as it is known.
    pub(crate) fn server_time(&self, now: Duration) -> Option<u64> {
        let (time, heard) = self.server_time?;
        let since = u64::try_from(now.saturating_sub(heard).as_millis()).unwrap_or(u64::MAX);
        Some(time.saturating_add(since))
    }

    /// Queues an action; with `asks`, returns the id of the answer.
    pub(crate) fn act<T: Serialize + ?Sized>(
        &mut self,
        mut action: Outgoing<'_, T>,
        asks: bool,
    ) -> Result<Option<u64>, SendError> {
        if let Some(room) = action.room
            && action.action.is_bound_to_its_session()
            && self.member(room).is_none()
        {
            return Err(SendError::NotInRoom);
        }
        action.id = asks.then_some(self.last_id + 1);
        self.queue.push(self.queued(&action)?)?;
        if let Some(id) = action.id {
            self.last_id = id;
            self.asked.insert(id, Asked::Application);
        }
        if let (Name::Unsubscribe, Some(channel)) = (action.action, action.channel) {
            self.subscriptions.leave(channel);
        }
        Ok(action.id)
    }

    fn queued<T: Serialize + ?Sized>(&self, action: &Outgoing<'_, T>) -> Result<Queued, SendError> {
        Ok(Queued {
            frame: action.encode(self.format)?,
            id: action.id,
            is_bound: action.action.is_bound_to_its_session(),
        })
    }

    /// A WebSocket is open.
    pub(crate) fn connected(&mut self) {
        self.phase = Phase::Greeting;
        self.goodbye = None;
        self.queue.rewind();
    }

    /// The next frame to write.
    pub(crate) fn next_to_write(&mut self, now: Duration) -> Option<RawData> {
        if self.phase != Phase::Online {
            return None;
        }
        if self.receipt.ping(now) {
            let ping: Outgoing<'_, ()> = Outgoing {
                received: Some(self.receipt.received()),
                ..Outgoing::new(Name::Ping)
            };
            return ping.encode(self.format).ok();
        }
        let frame = self.queue.next()?;
        self.receipt.wrote(frame.bytes.len());
        Some(frame)
    }

    /// Whether everything that was queued is written.
    pub(crate) fn is_written(&self) -> bool {
        self.phase != Phase::Online || self.queue.is_written()
    }

    /// When [`Rules::next_to_write`] and [`Rules::is_dead`] may have something new to say.
    pub(crate) fn deadline(&self) -> Duration {
        self.receipt.deadline()
    }

    /// Whether the server has been silent for too long.
    pub(crate) fn is_dead(&mut self, now: Duration) -> bool {
        self.receipt.is_dead(now)
    }

    /// Something arrived, or nothing is read on purpose.
    pub(crate) fn heard(&mut self) {
        self.receipt.heard();
    }

    /// The connection, or an attempt at one, has ended. `random` is from 0 up to 1.
    pub(crate) fn disconnected(&mut self, now: Duration, farewell: Farewell, random: f64) -> Next {
        self.phase = Phase::Offline;
        self.receipt.end();
        match self.goodbye.take() {
            Some(Goodbye {
                reconnect: Some(reconnect),
                ..
            }) => Next::ComeBack(Backoff::wished(reconnect, random)),
            Some(Goodbye { farewell, .. }) => Next::StayAway(farewell),
            None if farewell.code.is_none_or(CloseCode::comes_back) => {
                Next::ComeBack(self.backoff.pause(now, random))
            }
            None => Next::StayAway(farewell),
        }
    }

    /// The client ends: nobody will be answered any more.
    pub(crate) fn give_up(&mut self) {
        self.asked.clear();
        self.session = None;
    }

    /// A frame arrived.
    pub(crate) fn receive(&mut self, now: Duration, heard: Heard) -> Vec<Effect> {
        self.receipt.heard();
        if self.phase == Phase::Greeting {
            return match heard.said {
                Said::Welcome(welcome) => self.welcome(now, welcome),
                Said::Goodbye {
                    code,
                    reason,
                    reconnect,
                } => self.goodbye(code, reason, reconnect),
                said => violation(
                    "bad_event",
                    format!("an event came before the welcome: {said:?}"),
                ),
            };
        }
        if heard.is_sequenced {
            self.receipt.count(heard.bytes);
        }
        self.said(now, heard.said)
    }

    fn welcome(&mut self, now: Duration, welcome: Welcome) -> Vec<Effect> {
        if welcome.protocol != PROTOCOL {
            let what = format!(
                "it speaks version {} of the protocol, not {PROTOCOL}",
                welcome.protocol
            );
            return violation("bad_event", what);
        }
        let had_session = self.session.is_some();
        if welcome.resumed && (!had_session || self.queue.acknowledge(welcome.received).is_err()) {
            return self.miscount();
        }
        self.phase = Phase::Online;
        self.receipt
            .begin(now, Duration::from_millis(welcome.ping_ms));
        self.backoff.welcomed(now);
        self.server_time = Some((welcome.time, now));
        let id = welcome.session;
        self.session = Some(Session {
            id,
            token: welcome.resume,
        });
        let mut effects = Vec::new();
        let reason = (had_session && !welcome.resumed)
            .then_some(welcome.reason.unwrap_or(ResumeFailure::Unknown));
        let lost_actions = match reason {
            Some(reason) => self.renew(reason, &mut effects),
            None => 0,
        };
        let connected = Event::Connected {
            session: id,
            resumed: welcome.resumed,
            reason,
            lost_actions,
        };
        effects.insert(0, Effect::Tell(connected));
        effects
    }

    /// The session is lost, and a new one has begun. Returns how many actions are lost that nobody waits for.
    fn renew(&mut self, reason: ResumeFailure, effects: &mut Vec<Effect>) -> usize {
        self.receipt.renew();
        for room in self.rooms.renew() {
            let reason = "session_lost".to_owned();
            effects.push(Effect::Tell(Event::Left { room, reason }));
        }
        let lost = self.queue.renew();
        let mut waiting = self.queue.ids();
        for (id, asked) in std::mem::take(&mut self.asked) {
            if waiting.remove(&id) {
                self.asked.insert(id, asked);
            } else if asked == Asked::Application {
                effects.push(Effect::Answer(id, Err(CallError::SessionLost(reason))));
            }
        }
        // In front of what waits, so that an application's own unsubscribe or publish finds the subscription.
        for (channel, position) in self.subscriptions.renew().into_iter().rev() {
            self.last_id += 1;
            let subscribe: Outgoing<'_, ()> = Outgoing {
                id: Some(self.last_id),
                channel: Some(&channel),
                since: Some(Since {
                    epoch: &position.epoch,
                    offset: position.offset,
                }),
                ..Outgoing::new(Name::Subscribe)
            };
            if let Ok(queued) = self.queued(&subscribe) {
                self.queue.push_front(queued);
                self.asked.insert(self.last_id, Asked::Resubscribe(channel));
            }
        }
        lost.iter().filter(|action| action.id.is_none()).count()
    }

    /// The server's counts cannot be: what was done is unknown, so the session is of no use any more.
    fn miscount(&mut self) -> Vec<Effect> {
        // Its token would bring the same counts back. An empty one is unknown to every server.
        if let Some(session) = &mut self.session {
            session.token.clear();
        }
        violation(
            "miscount",
            "the server's count of actions cannot be right".to_owned(),
        )
    }

    fn goodbye(&mut self, code: u16, reason: String, reconnect: Option<Reconnect>) -> Vec<Effect> {
        let code = Some(CloseCode(code));
        let farewell = Farewell { code, reason };
        self.goodbye = Some(Goodbye {
            farewell,
            reconnect,
        });
        Vec::new()
    }

    fn said(&mut self, now: Duration, said: Said) -> Vec<Effect> {
        let tell = |event| vec![Effect::Tell(event)];
        match said {
            Said::Welcome(_) => violation("bad_event", "a second welcome came".to_owned()),
            Said::Pong { received, time } => {
                self.server_time = Some((time, now));
                match self.queue.acknowledge(received) {
                    Ok(()) => Vec::new(),
                    Err(_) => self.miscount(),
                }
            }
            Said::Joined {
                id, room, member, ..
            } => {
                self.rooms.joined(room.clone(), member);
                self.answer(id, Ok(Answer::Joined(room, member)))
                    .into_iter()
                    .collect()
            }
            Said::Left { id, room, reason } => {
                self.rooms.left(&room);
                match self.answer(id, Ok(Answer::Done)) {
                    Some(answer) => vec![answer],
                    None => tell(Event::Left { room, reason }),
                }
            }
            Said::Message { room, name, data } => tell(Event::Message { room, name, data }),
            Said::Signal { room, name, data } => tell(Event::Signal { room, name, data }),
            Said::State { room, tick, data } => {
                let data = self.rooms.state(&room, tick, data);
                tell(Event::State { room, tick, data })
            }
            Said::Patch {
                room,
                tick,
                base,
                data,
            } => match self.rooms.patch(&room, tick, base, data) {
                Some(data) => tell(Event::State { room, tick, data }),
                None => Vec::new(),
            },
            Said::Subscribed {
                id,
                channel,
                epoch,
                offset,
                recovered,
                publications,
            } => {
                let position = Position { epoch, offset };
                self.subscribed(id, channel, position, recovered, publications)
            }
            Said::Unsubscribed {
                id,
                channel,
                reason,
            } => {
                self.subscriptions.remove(&channel);
                match self.answer(id, Ok(Answer::Done)) {
                    Some(answer) => vec![answer],
                    None => tell(Event::Unsubscribed { channel, reason }),
                }
            }
            Said::Publication {
                channel,
                offset,
                data,
            } => match self.subscriptions.publication(&channel, offset) {
                true => tell(Event::Publication {
                    channel,
                    offset,
                    data,
                }),
                false => Vec::new(),
            },
            Said::Published { id, offset } => self
                .answer(Some(id), Ok(Answer::Published(offset)))
                .into_iter()
                .collect(),
            Said::Presence {
                channel,
                joined,
                left,
            } => tell(Event::Presence {
                channel,
                joined,
                left,
            }),
            Said::Reply { id, data } => self
                .answer(Some(id), Ok(Answer::Reply(data)))
                .into_iter()
                .collect(),
            Said::Error {
                id,
                room,
                code,
                message,
            } => self.refused(id, room, Refusal::new(code, message)),
            Said::Goodbye {
                code,
                reason,
                reconnect,
            } => self.goodbye(code, reason, reconnect),
            Said::Unknown => Vec::new(),
        }
    }

    fn answer(&mut self, id: Option<u64>, answer: Result<Answer, CallError>) -> Option<Effect> {
        let id = id?;
        let asked = self.asked.remove(&id)?;
        (asked == Asked::Application).then_some(Effect::Answer(id, answer))
    }

    fn subscribed(
        &mut self,
        id: Option<u64>,
        channel: ChannelName,
        position: Position,
        recovered: bool,
        publications: Vec<Published>,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        let again = id.and_then(|id| self.asked.get(&id));
        if let Some(Asked::Resubscribe(_)) = again {
            let channel = channel.clone();
            effects.push(Effect::Tell(Event::Resubscribed { channel, recovered }));
        }
        let subscribed = Subscribed {
            position: position.clone(),
            recovered,
        };
        effects.extend(self.answer(id, Ok(Answer::Subscribed(subscribed))));
        let mut seen = self.subscriptions.subscribed(&channel, &position.epoch);
        for Published { offset, data } in publications {
            if seen.is_none_or(|seen| offset > seen) {
                seen = Some(offset);
                let channel = channel.clone();
                effects.push(Effect::Tell(Event::Publication {
                    channel,
                    offset,
                    data,
                }));
            }
        }
        let offset = seen.unwrap_or(0).max(position.offset);
        self.subscriptions.confirm(channel, position.epoch, offset);
        effects
    }

    fn refused(&mut self, id: Option<u64>, room: Option<RoomId>, refusal: Refusal) -> Vec<Effect> {
        let effect = match id.and_then(|id| Some((id, self.asked.remove(&id)?))) {
            Some((id, Asked::Application)) => Effect::Answer(id, Err(CallError::Refused(refusal))),
            Some((_, Asked::Resubscribe(channel))) => {
                self.subscriptions.remove(&channel);
                let reason = refusal.code().to_owned();
                Effect::Tell(Event::Unsubscribed { channel, reason })
            }
            None => Effect::Tell(Event::Error { refusal, room }),
        };
        vec![effect]
    }
}

/// The server did what it must not: the application is told, and the connection ends.
pub(crate) fn violation(code: &'static str, what: String) -> Vec<Effect> {
    let refusal = Refusal::new(code, what.clone());
    let told = Effect::Tell(Event::Error {
        refusal,
        room: None,
    });
    vec![told, Effect::Break(CloseCode::PROTOCOL_ERROR, what)]
}
