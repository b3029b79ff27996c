//! What the rules make of each event.

use std::time::Duration;

use crate::client::action::{Name, Outgoing, Since};
use crate::client::error::{CallError, SendError};
use crate::client::event::{Answer, Event, Position, Subscribed};
use crate::client::heard::{Farewell, Heard, Patch, Published, RestoredRoom, Said, Welcome};
use crate::client::rules::attempts::Attempts;
use crate::client::rules::queue::Queued;
use crate::client::rules::rooms::Patched;
use crate::client::rules::{Asked, Effect, Goodbye, Missed, Phase, Rules, Session, violation};
use crate::close::CloseCode;
use crate::error::Refusal;
use crate::ids::{ChannelName, RoomId};
use crate::wire::event::{PROTOCOL, Reconnect, ResumeFailure};

/// How long the client waits before it subscribes again to what the server found too fast, and by how much more at random.
const TOO_FAST: Duration = Duration::from_secs(1);

impl Rules {
    /// A frame arrived.
    pub(crate) fn receive(&mut self, now: Duration, heard: Heard) -> Vec<Effect> {
        self.receipt.heard();
        if self.phase == Phase::Greeting {
            return match heard.said {
                Said::Welcome(welcome) => self.welcome(now, welcome),
                Said::Goodbye {
                    code,
                    reason,
                    error,
                    reconnect,
                } => self.goodbye(code, reason, error, reconnect),
                said => violation(
                    "bad_event",
                    CloseCode::PROTOCOL_ERROR,
                    format!("an event came before the welcome: {said:?}"),
                ),
            };
        }
        if heard.is_sequenced {
            self.receipt.count(heard.bytes);
        }
        let mut effects = self.said(now, heard.said);
        if heard.is_sequenced {
            effects.extend(self.caught_up(1));
        }
        effects
    }

    /// So many of the events that were missed have come: says so once it was the last.
    fn caught_up(&mut self, came: u64) -> Option<Effect> {
        let missed = self.missed.as_mut()?;
        missed.left = missed.left.saturating_sub(came);
        let missed = self.missed.take_if(|missed| missed.left == 0)?.all;
        Some(Effect::Tell(Event::CaughtUp { missed }))
    }

    fn welcome(&mut self, now: Duration, welcome: Welcome) -> Vec<Effect> {
        if welcome.protocol != PROTOCOL {
            let what = format!(
                "it speaks version {} of the protocol, not {PROTOCOL}",
                welcome.protocol
            );
            return violation("bad_event", CloseCode::PROTOCOL_ERROR, what);
        }
        let had_session = self.session.is_some();
        let missed = match (welcome.resumed, welcome.sent) {
            (true, Some(sent)) => match sent.checked_sub(self.receipt.received()) {
                Some(missed) => Some(missed),
                None => return self.miscount(),
            },
            _ => None,
        };
        let is_restored = std::mem::take(&mut self.is_restoring) && welcome.resumed;
        if is_restored {
            self.queue.start_at(welcome.received);
        }
        if welcome.resumed && (!had_session || self.queue.acknowledge(welcome.received).is_err()) {
            return self.miscount();
        }
        self.phase = Phase::Online;
        self.receipt
            .begin(now, Duration::from_millis(welcome.ping_ms));
        let window = welcome.window_ms.map(Duration::from_millis);
        self.backoff.welcomed(now, window.unwrap_or_default());
        self.server_time = Some((welcome.time, now));
        self.limits = welcome.limits;
        self.was_unauthorized = false;
        self.attempts.answered();
        let id = welcome.session;
        self.session = Some(Session {
            id: Some(id),
            token: welcome.resume,
        });
        let reason = (had_session && !welcome.resumed)
            .then_some(welcome.reason.unwrap_or(ResumeFailure::Unknown));
        let mut effects = vec![Effect::Tell(Event::Connected {
            session: id,
            resumed: welcome.resumed,
            reason,
        })];
        if let Some(reason) = reason {
            self.renew(reason, &mut effects);
        }
        if is_restored {
            effects.push(self.restore(welcome.rooms, welcome.subscriptions));
        }
        self.missed = missed.map(|all| Missed { all, left: all });
        effects.extend(self.caught_up(0));
        effects
    }

    /// What the session of another client takes part in.
    fn restore(&mut self, rooms: Vec<RestoredRoom>, subscriptions: Vec<ChannelName>) -> Effect {
        let rooms = rooms.into_iter().map(|RestoredRoom { room, member }| {
            self.rooms.joined(room.clone(), member);
            room
        });
        let rooms = rooms.collect();
        for channel in &subscriptions {
            // How far that client had read is not known; nothing that comes is older.
            self.subscriptions
                .confirm(channel.clone(), String::new(), 0);
        }
        Effect::Tell(Event::Restored {
            rooms,
            subscriptions,
        })
    }

    /// The session is lost, and a new one has begun.
    fn renew(&mut self, reason: ResumeFailure, effects: &mut Vec<Effect>) {
        self.attempts = Attempts::default();
        self.receipt.renew();
        let lost = self.queue.renew();
        let (mut rooms, joined) = self.rooms.renew();
        rooms.extend(joined.iter().cloned());
        effects.push(Effect::Tell(Event::Lost {
            reason,
            rooms,
            lost_actions: lost.iter().filter(|action| action.id.is_none()).count(),
        }));
        for room in joined {
            let reason = "session_lost".to_owned();
            effects.push(Effect::Tell(Event::Left { room, reason }));
        }
        self.refuse_too_long(effects);
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
            if let Some(queued) = self.resubscribe(channel, &position) {
                self.queue.push_front(queued);
            }
        }
    }

    /// Asks for those subscriptions again that the server found too fast, once it is time.
    pub(crate) fn resubscribe_due(&mut self, now: Duration) {
        for (channel, position) in self.subscriptions.take_due(now) {
            if let Some(queued) = self.resubscribe(channel, &position) {
                self.queue.push_owed(queued);
            }
        }
    }

    fn resubscribe(&mut self, channel: ChannelName, position: &Position) -> Option<Queued> {
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
        let queued = self.queued(&subscribe).ok()?;
        self.asked.insert(self.last_id, Asked::Resubscribe(channel));
        Some(queued)
    }

    /// What waits was made for another server's limits, perhaps.
    fn refuse_too_long(&mut self, effects: &mut Vec<Effect>) {
        let Some(limit) = self.limits.as_ref().and_then(|limits| limits.message_bytes) else {
            return;
        };
        for action in self.queue.take_too_long(limit) {
            let bytes = action.frame.bytes.len();
            let error = SendError::TooBig { bytes, limit };
            let asked = action.id.and_then(|id| self.asked.remove(&id));
            effects.extend(match (action.id, asked) {
                (Some(id), Some(Asked::Application)) => Some(Effect::Answer(id, Err(error.into()))),
                (Some(_), _) => None,
                (None, _) => Some(Effect::Tell(Event::Error {
                    refusal: Refusal::new("too_big", error.to_string()),
                    room: None,
                })),
            });
        }
    }

    /// The server's counts cannot be: what was done is unknown, so the session is of no use any more.
    fn miscount(&mut self) -> Vec<Effect> {
        // Its token would bring the same counts back. An empty one is unknown to every server.
        if let Some(session) = &mut self.session {
            session.token.clear();
        }
        let what = "the server's counts cannot be right".to_owned();
        // So the server need not keep it, either.
        violation("miscount", CloseCode::NORMAL, what)
    }

    fn goodbye(
        &mut self,
        code: u16,
        reason: String,
        error: Option<String>,
        reconnect: Option<Reconnect>,
    ) -> Vec<Effect> {
        let code = Some(CloseCode(code));
        let farewell = Farewell { code, reason };
        self.goodbye = Some(Goodbye {
            farewell,
            error,
            reconnect,
        });
        Vec::new()
    }

    fn said(&mut self, now: Duration, said: Said) -> Vec<Effect> {
        let tell = |event| vec![Effect::Tell(event)];
        match said {
            Said::Welcome(_) => violation(
                "bad_event",
                CloseCode::PROTOCOL_ERROR,
                "a second welcome came".to_owned(),
            ),
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
                if self.is_asked_by_nobody(id) {
                    self.leave_quietly(&room);
                }
                self.answer(id, Answer::Joined(room, member))
            }
            Said::Left { id, room, reason } => {
                self.rooms.left(&room, &reason);
                match self.was_asked(id) {
                    true => self.answer(id, Answer::Done),
                    false => tell(Event::Left { room, reason }),
                }
            }
            Said::Message { room, name, data } => tell(Event::Message { room, name, data }),
            Said::Signal { room, name, data } => tell(Event::Signal { room, name, data }),
            Said::State {
                room,
                tick,
                data,
                keys,
            } => {
                let data = self.rooms.state(&room, tick, data, keys);
                tell(Event::State { room, tick, data })
            }
            Said::Patch(patch) => match self.rooms.patch(&patch) {
                Patched::State(data) => {
                    let Patch { room, tick, .. } = patch;
                    tell(Event::State { room, tick, data })
                }
                Patched::Nothing => Vec::new(),
                Patched::Astray => {
                    self.ask_for_state(&patch.room);
                    Vec::new()
                }
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
                match self.was_asked(id) {
                    true => self.answer(id, Answer::Done),
                    false => tell(Event::Unsubscribed { channel, reason }),
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
            Said::Published { id, offset } => self.answer(Some(id), Answer::Published(offset)),
            Said::Presence {
                channel,
                joined,
                left,
            } => tell(Event::Presence {
                channel,
                joined,
                left,
            }),
            Said::Reply { id, data } => self.answer(Some(id), Answer::Reply(data)),
            Said::Error {
                id,
                room,
                code,
                message,
            } => self.refused(now, id, room, Refusal::new(code, message)),
            Said::Goodbye {
                code,
                reason,
                error,
                reconnect,
            } => self.goodbye(code, reason, error, reconnect),
            Said::Unknown => Vec::new(),
        }
    }

    /// Whether an event answers something that was asked.
    fn was_asked(&self, id: Option<u64>) -> bool {
        id.is_some_and(|id| self.asked.contains_key(&id))
    }

    fn is_asked_by_nobody(&self, id: Option<u64>) -> bool {
        id.is_some_and(|id| self.asked.get(&id) == Some(&Asked::Nobody))
    }

    fn answer(&mut self, id: Option<u64>, answer: Answer) -> Vec<Effect> {
        match id.and_then(|id| Some((id, self.asked.remove(&id)?))) {
            Some((id, Asked::Application)) => vec![Effect::Answer(id, Ok(answer))],
            _ => Vec::new(),
        }
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
        effects.extend(self.answer(id, Answer::Subscribed(subscribed)));
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

    fn refused(
        &mut self,
        now: Duration,
        id: Option<u64>,
        room: Option<RoomId>,
        refusal: Refusal,
    ) -> Vec<Effect> {
        let effect = match id.and_then(|id| Some((id, self.asked.remove(&id)?))) {
            Some((id, Asked::Application)) => Effect::Answer(id, Err(CallError::Refused(refusal))),
            Some((_, Asked::Resubscribe(channel))) => {
                // After a restart all clients come back at once, perhaps from one address.
                if refusal.code() == "too_fast" {
                    let jitter = TOO_FAST.mul_f64(self.random.fraction());
                    if self
                        .subscriptions
                        .put_off(&channel, now + TOO_FAST + jitter)
                    {
                        return Vec::new();
                    }
                }
                self.subscriptions.remove(&channel);
                let reason = refusal.code().to_owned();
                Effect::Tell(Event::Unsubscribed { channel, reason })
            }
            // The room is gone, or is about to be.
            Some((_, Asked::Sync | Asked::Nobody)) => return Vec::new(),
            None => Effect::Tell(Event::Error { refusal, room }),
        };
        vec![effect]
    }
}
