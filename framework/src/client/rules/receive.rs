//! How the rules handle each event.

use std::time::Duration;

use crate::client::action::OutboundAction;
use crate::client::error::{CallError, SendError};
use crate::client::event::{Answer, Event, Position, Subscribed};
use crate::client::rules::attempts::AttemptCounter;
use crate::client::rules::queue::Queued;
use crate::client::rules::rooms::Patched;
use crate::client::rules::subscriptions::Patches;
use crate::client::rules::{Goodbye, Missed, Output, Phase, Rules, Session, Waiter, violation};
use crate::client::server_frame::{
    Disconnection, Patch, Published, ReceivedEvent, RestoredRoom, ServerFrame, Welcome,
};
use crate::client::subscribing::{Wish, subscribe};
use crate::close::CloseCode;
use crate::error::Refusal;
use crate::ids::{ChannelName, RoomId};
use crate::wire::event::{PROTOCOL, Reconnect, ResumeFailure};

/// How long the client waits before it renews a subscription that the server refused with one of [`TRY_AGAIN`]. A random time of up
/// to the same length is added.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Refusals that pass: after a restart all clients reconnect at once, perhaps from one address, and all are checked again.
const TRY_AGAIN: [&str; 2] = ["too_fast", "authorization_timeout"];

/// The server could not read the action, so nothing has changed.
const MALFORMED: [&str; 2] = ["bad_field", "too_deep"];

impl Rules {
    /// A frame arrived.
    pub(crate) fn receive(&mut self, now: Duration, frame: ServerFrame) -> Vec<Output> {
        self.keepalive.server_is_alive();
        if self.phase == Phase::Greeting {
            return match frame.event {
                ReceivedEvent::Welcome(welcome) => self.welcome(now, welcome),
                ReceivedEvent::Goodbye {
                    code,
                    reason,
                    error,
                    reconnect,
                } => self.goodbye(code, reason, error, reconnect),
                event => violation(
                    "bad_event",
                    CloseCode::PROTOCOL_ERROR,
                    format!("an event arrived before the welcome: {event:?}"),
                ),
            };
        }
        if frame.is_sequenced {
            self.keepalive.count(frame.bytes);
        }
        let mut outputs = self.event(now, frame.event);
        if frame.is_sequenced {
            outputs.extend(self.caught_up(1));
        }
        outputs
    }

    /// `came` of the missed events have arrived. Returns [`Event::CaughtUp`] after the last one.
    fn caught_up(&mut self, came: u64) -> Option<Output> {
        let missed = self.missed.as_mut()?;
        missed.left = missed.left.saturating_sub(came);
        let missed = self.missed.take_if(|missed| missed.left == 0)?.all;
        Some(Output::Emit(Event::CaughtUp { missed }))
    }

    fn welcome(&mut self, now: Duration, welcome: Welcome) -> Vec<Output> {
        if welcome.protocol != PROTOCOL {
            let what = format!(
                "the server speaks version {} of the protocol, the client version {PROTOCOL}",
                welcome.protocol
            );
            return violation("bad_event", CloseCode::PROTOCOL_ERROR, what);
        }
        let had_session = self.session.is_some();
        let missed = match (welcome.resumed, welcome.sent) {
            (true, Some(sent)) => match sent.checked_sub(self.keepalive.received()) {
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
        self.keepalive
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
        let mut outputs = vec![Output::Emit(Event::Connected {
            session: id,
            resumed: welcome.resumed,
            reason,
        })];
        if let Some(reason) = reason {
            self.renew(reason, &mut outputs);
        }
        if is_restored {
            self.searches.restore(welcome.tickets);
            outputs.push(self.restore(welcome.rooms, welcome.subscriptions));
        }
        self.missed = missed.map(|all| Missed { all, left: all });
        outputs.extend(self.caught_up(0));
        outputs
    }

    /// The rooms and subscriptions of the session that was taken over.
    fn restore(&mut self, rooms: Vec<RestoredRoom>, subscriptions: Vec<ChannelName>) -> Output {
        let rooms = rooms.into_iter().map(|RestoredRoom { room, member }| {
            self.rooms.joined(room.clone(), member);
            room
        });
        let rooms = rooms.collect();
        for channel in &subscriptions {
            // It is unknown what the other client has received. The server sends only newer publications.
            let position = Position::default();
            self.subscriptions
                .confirm(channel.clone(), position, None, Patches::None);
        }
        Output::Emit(Event::Restored {
            rooms,
            subscriptions,
            queues: self.searches.queues(),
        })
    }

    /// The session is lost, and a new one has begun.
    fn renew(&mut self, reason: ResumeFailure, outputs: &mut Vec<Output>) {
        self.attempts = AttemptCounter::default();
        self.keepalive.renew();
        let lost = self.queue.renew();
        let (mut rooms, joined) = self.rooms.renew();
        rooms.extend(joined.iter().cloned());
        outputs.push(Output::Emit(Event::Lost {
            reason,
            rooms,
            lost_actions: lost.iter().filter(|action| action.id.is_none()).count(),
        }));
        for room in joined {
            let reason = "session_lost".to_owned();
            let message = None;
            outputs.push(Output::Emit(Event::Left {
                room,
                reason,
                message,
            }));
        }
        self.searches.clear();
        self.refuse_too_long(outputs);
        let mut waiting = self.queue.ids();
        for (id, waiter) in std::mem::take(&mut self.waiters) {
            if waiting.remove(&id) {
                self.waiters.insert(id, waiter);
            } else if matches!(waiter, Waiter::Application | Waiter::Search(_)) {
                outputs.push(Output::Complete(id, Err(CallError::SessionLost(reason))));
            }
        }
        self.wishes.retain(|id, _| self.waiters.contains_key(id));
        // In front of the waiting actions, so that an `unsubscribe` or `publish` among them finds the subscription.
        for (channel, position, wish) in self.subscriptions.renew().into_iter().rev() {
            if let Some(queued) = self.resubscribe(channel, &position, &wish) {
                self.queue.push_front(queued);
            }
        }
    }

    /// Asks again for the subscriptions that the server refused with one of [`TRY_AGAIN`], when they are due.
    pub(crate) fn resubscribe_due(&mut self, now: Duration) {
        for (channel, position, wish) in self.subscriptions.take_due(now) {
            if let Some(queued) = self.resubscribe(channel, &position, &wish) {
                self.queue.push_unbounded(queued);
            }
        }
    }

    fn resubscribe(
        &mut self,
        channel: ChannelName,
        position: &Position,
        wish: &Wish,
    ) -> Option<Queued> {
        self.last_id += 1;
        let subscribe = OutboundAction {
            id: Some(self.last_id),
            ..subscribe(&channel, Some(position), wish)
        };
        let queued = self.queued(&subscribe).ok()?;
        self.waiters
            .insert(self.last_id, Waiter::Resubscribe(channel));
        Some(queued)
    }

    /// Refuses waiting actions that are too long for the new server, whose limits may be other ones.
    fn refuse_too_long(&mut self, outputs: &mut Vec<Output>) {
        let Some(limit) = self.limits.as_ref().and_then(|limits| limits.message_bytes) else {
            return;
        };
        for action in self.queue.take_too_long(limit) {
            let bytes = action.frame.bytes().len();
            let error = SendError::TooBig { bytes, limit };
            let waiter = action.id.and_then(|id| self.waiters.remove(&id));
            outputs.extend(match (action.id, waiter) {
                (Some(id), Some(Waiter::Application | Waiter::Search(_))) => {
                    Some(Output::Complete(id, Err(error.into())))
                }
                (Some(_), _) => None,
                (None, _) => Some(Output::Emit(Event::Error {
                    refusal: Refusal::new("too_big", error.to_string()),
                    room: None,
                })),
            });
        }
    }

    /// The server's counts are impossible, so it is unknown which actions it has processed. The client gives the session up.
    fn miscount(&mut self) -> Vec<Output> {
        // With its token the same counts would come back. No server knows an empty token.
        if let Some(session) = &mut self.session {
            session.token.clear();
        }
        let what = "the server's counts of actions and events do not match the client's".to_owned();
        // A normal close, so that the server ends the session, too.
        violation("miscount", CloseCode::NORMAL, what)
    }

    fn goodbye(
        &mut self,
        code: u16,
        reason: String,
        error: Option<String>,
        reconnect: Option<Reconnect>,
    ) -> Vec<Output> {
        let code = Some(CloseCode(code));
        let disconnection = Disconnection { code, reason };
        self.goodbye = Some(Goodbye {
            disconnection,
            error,
            reconnect,
        });
        Vec::new()
    }

    fn event(&mut self, now: Duration, event: ReceivedEvent) -> Vec<Output> {
        let emit = |event| vec![Output::Emit(event)];
        match event {
            ReceivedEvent::Welcome(_) => violation(
                "bad_event",
                CloseCode::PROTOCOL_ERROR,
                "a second welcome arrived".to_owned(),
            ),
            ReceivedEvent::Pong { received, time } => {
                self.server_time = Some((time, now));
                match self.queue.acknowledge(received) {
                    Ok(()) => Vec::new(),
                    Err(_) => self.miscount(),
                }
            }
            ReceivedEvent::Joined {
                id, room, member, ..
            } => {
                self.rooms.joined(room.clone(), member);
                if let Some(outputs) = self.joined_match(id, &room, member) {
                    return outputs;
                }
                if self.is_abandoned(id) {
                    self.leave_silently(&room);
                }
                self.answer(id, Answer::Joined(room, member))
            }
            ReceivedEvent::Left {
                id,
                room,
                reason,
                message,
            } => {
                self.rooms.left(&room, &reason);
                match self.is_awaited(id) {
                    true => self.answer(id, Answer::Done),
                    false => emit(Event::Left {
                        room,
                        reason,
                        message,
                    }),
                }
            }
            ReceivedEvent::Message { room, name, data } => emit(match room {
                Some(room) => Event::Message { room, name, data },
                None => Event::UserMessage { name, data },
            }),
            ReceivedEvent::Signal { room, name, data } => emit(Event::Signal { room, name, data }),
            ReceivedEvent::State {
                room,
                tick,
                data,
                keys,
            } => {
                let data = self.rooms.state(&room, tick, data, keys);
                emit(Event::State { room, tick, data })
            }
            ReceivedEvent::Patch(patch) => match self.rooms.patch(&patch) {
                Patched::State(data) => {
                    let Patch { room, tick, .. } = patch;
                    emit(Event::State { room, tick, data })
                }
                Patched::Ignored => Vec::new(),
                Patched::OutOfSync => {
                    self.ask_for_state(&patch.room);
                    Vec::new()
                }
            },
            ReceivedEvent::Subscribed {
                id,
                channel,
                epoch,
                offset,
                recovered,
                publications,
                delta,
                base,
                data,
                expires_ms,
            } => {
                let position = Position { epoch, offset };
                let base = base.as_ref().or(publications.last());
                let base = base.filter(|base| base.offset == offset);
                let patches = match delta {
                    true => Patches::Of(base.map(|base| (offset, base.data.clone()))),
                    false => Patches::None,
                };
                let subscribed = Subscribed {
                    position,
                    recovered,
                    data,
                    expires_in: expires_ms.map(Duration::from_millis),
                };
                self.subscribed(id, channel, subscribed, publications, patches)
            }
            ReceivedEvent::Unsubscribed {
                id,
                channel,
                reason,
            } => {
                self.subscriptions.remove(&channel);
                match self.is_awaited(id) {
                    true => self.answer(id, Answer::Done),
                    false => emit(Event::Unsubscribed { channel, reason }),
                }
            }
            ReceivedEvent::Publication {
                channel,
                offset,
                data,
                patch,
            } => {
                let Some(data) = self.subscriptions.whole(&channel, offset, data, patch) else {
                    self.subscribe_again(&channel);
                    return Vec::new();
                };
                match self.subscriptions.publication(&channel, offset) {
                    true => emit(Event::Publication {
                        channel,
                        offset,
                        data,
                    }),
                    false => Vec::new(),
                }
            }
            ReceivedEvent::Latest {
                channel,
                offset,
                data,
            } => {
                // It is not ordered relative to the answers, so it may belong to a subscription that has ended.
                let is_subscribed = self.position(&channel).is_some();
                match is_subscribed && self.subscriptions.publication(&channel, offset) {
                    true => emit(Event::Publication {
                        channel,
                        offset,
                        data,
                    }),
                    false => Vec::new(),
                }
            }
            ReceivedEvent::Published { id, offset } => {
                self.answer(Some(id), Answer::Published(offset))
            }
            ReceivedEvent::Queued {
                id,
                queue,
                waited_ms,
                party,
            } => {
                let party = party.map(|party| (party.present, party.size));
                self.queued_for_match(id, queue, Duration::from_millis(waited_ms), party)
            }
            ReceivedEvent::Matched { queue, room } => self.matched(queue, room),
            ReceivedEvent::NoMatch { id, queue, reason } => self.no_match(id, queue, reason),
            ReceivedEvent::Presence(update) => emit(Event::Presence(update)),
            ReceivedEvent::Rooms(update) => emit(Event::Rooms(update)),
            ReceivedEvent::Reply { id, data } => self.answer(Some(id), Answer::Reply(data)),
            ReceivedEvent::Error {
                id,
                room,
                code,
                message,
            } => self.refused(now, id, room, Refusal::new(code, message)),
            ReceivedEvent::Goodbye {
                code,
                reason,
                error,
                reconnect,
            } => self.goodbye(code, reason, error, reconnect),
            ReceivedEvent::Expiring { in_ms } => {
                self.renewal.warned(now, Duration::from_millis(in_ms));
                vec![Output::Renew]
            }
            ReceivedEvent::Unknown => Vec::new(),
        }
    }

    /// Subscribes again, because the client lacks what a patch changes. The answer has whole publications.
    fn subscribe_again(&mut self, channel: &ChannelName) {
        let is_asked =
            |waiter: &Waiter| matches!(waiter, Waiter::Resubscribe(asked) if asked == channel);
        if self.waiters.values().any(is_asked) {
            return;
        }
        if let Some((position, wish)) = self.subscriptions.begin_again(channel)
            && let Some(queued) = self.resubscribe(channel.clone(), &position, &wish)
        {
            self.queue.push_unbounded(queued);
        }
    }

    /// Whether an event answers a request.
    pub(super) fn is_awaited(&self, id: Option<u64>) -> bool {
        id.is_some_and(|id| self.waiters.contains_key(&id))
    }

    pub(super) fn is_abandoned(&self, id: Option<u64>) -> bool {
        id.is_some_and(|id| self.waiters.get(&id) == Some(&Waiter::Abandoned))
    }

    pub(super) fn answer(&mut self, id: Option<u64>, answer: Answer) -> Vec<Output> {
        match id.and_then(|id| Some((id, self.waiters.remove(&id)?))) {
            Some((id, Waiter::Application)) => vec![Output::Complete(id, Ok(answer))],
            _ => Vec::new(),
        }
    }

    fn subscribed(
        &mut self,
        id: Option<u64>,
        channel: ChannelName,
        subscribed: Subscribed,
        publications: Vec<Published>,
        patches: Patches,
    ) -> Vec<Output> {
        let mut outputs = Vec::new();
        let wish = id.and_then(|id| self.wishes.remove(&id));
        let wish = wish.map(|(_, wish)| wish);
        let again = id.and_then(|id| self.waiters.get(&id));
        let position = subscribed.position.clone();
        if let Some(Waiter::Resubscribe(_)) = again {
            outputs.push(Output::Emit(Event::Resubscribed {
                channel: channel.clone(),
                recovered: subscribed.recovered,
                data: subscribed.data.clone(),
                expires_in: subscribed.expires_in,
            }));
        }
        if id.is_none() && self.position(&channel).is_none() {
            let channel = channel.clone();
            outputs.push(Output::Emit(Event::Subscribed { channel }));
        }
        outputs.extend(self.answer(id, Answer::Subscribed(subscribed)));
        let mut seen = self.subscriptions.subscribed(&channel, &position.epoch);
        for Published { offset, data } in publications {
            if seen.is_none_or(|seen| offset > seen) {
                seen = Some(offset);
                let channel = channel.clone();
                outputs.push(Output::Emit(Event::Publication {
                    channel,
                    offset,
                    data,
                }));
            }
        }
        let offset = seen.unwrap_or(0).max(position.offset);
        let position = Position { offset, ..position };
        self.subscriptions.confirm(channel, position, wish, patches);
        outputs
    }

    fn refused(
        &mut self,
        now: Duration,
        id: Option<u64>,
        room: Option<RoomId>,
        refusal: Refusal,
    ) -> Vec<Output> {
        let subscribe = id.and_then(|id| self.wishes.remove(&id));
        let ended = subscribe.and_then(|(channel, _)| {
            let ends = !MALFORMED.contains(&refusal.code());
            (ends && self.subscriptions.remove(&channel)).then_some(channel)
        });
        let output = match id.and_then(|id| Some((id, self.waiters.remove(&id)?))) {
            Some((id, Waiter::Application | Waiter::Search(_))) => {
                Output::Complete(id, Err(CallError::Refused(refusal)))
            }
            Some((_, Waiter::JoinMatch(queue))) => return self.match_refused(queue, refusal),
            Some((_, Waiter::Resubscribe(channel))) => {
                if TRY_AGAIN.contains(&refusal.code()) {
                    let jitter = TRY_AGAIN_AFTER.mul_f64(self.random.fraction());
                    let at = now + TRY_AGAIN_AFTER + jitter;
                    if self.subscriptions.put_off(&channel, at) {
                        return Vec::new();
                    }
                }
                self.subscriptions.remove(&channel);
                let reason = refusal.code().to_owned();
                Output::Emit(Event::Unsubscribed { channel, reason })
            }
            Some((_, Waiter::Refresh)) if says_nothing_of_the_credential(&refusal) => {
                self.renewal.failed(now);
                Output::Emit(Event::Error { refusal, room })
            }
            Some((_, Waiter::Refresh)) => Output::Emit(Event::Unauthorized { refusal }),
            // The room is gone, or the client is about to leave it. Nobody awaits the end of a subscription.
            Some((_, Waiter::Sync | Waiter::Abandoned)) => {
                let Some(channel) = ended else {
                    return Vec::new();
                };
                let reason = refusal.code().to_owned();
                Output::Emit(Event::Unsubscribed { channel, reason })
            }
            None => Output::Emit(Event::Error { refusal, room }),
        };
        vec![output]
    }
}

/// The server could not check the credential, which may be good.
fn says_nothing_of_the_credential(refusal: &Refusal) -> bool {
    refusal.is_unavailable() || refusal.code() == "authentication_timeout"
}
