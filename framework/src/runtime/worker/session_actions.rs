//! Routes a session's actions to rooms, channels, the lobby and the server's own handlers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;

use crate::caller::Caller;
use crate::channel::core::not_subscribed;
use crate::channel::input::{Appearance, UnsubscribeReason};
use crate::channel::kind::{ChannelKind, PublishRule, SubscribeRule};
use crate::channel::log::{Page, PageAt, Start};
use crate::error::Refusal;
use crate::handler::{ReplyTo, unknown_type};
use crate::ids::{ChannelName, Place};
use crate::lobby::fields::Fields;
use crate::presence::config::Presence;
use crate::presence::who::Who;
use crate::presence::{data, no_presence};
use crate::room::core::{not_a_member, room_gone};
use crate::runtime::messages::{Asks, ChannelAction, JoinRequest, LobbyMessage, RoomMessage};
use crate::runtime::permit::Permit;
use crate::runtime::worker::session::SessionActor;
use crate::wire::action::{Action, JoinTarget};
use crate::wire::codec::RawData;
use crate::wire::event;
use crate::wire::frame::{Encoded, Formats};

impl SessionActor {
    pub(crate) fn act(
        &mut self,
        id: Option<u64>,
        action: Action,
        permit: Permit,
    ) -> Result<(), Refusal> {
        match action {
            Action::Join {
                target,
                options,
                data,
            } => {
                self.check_match(&target)?;
                self.check_room_limit()?;
                let wish = self.wish(&target, &options)?;
                self.joining += 1;
                let request = JoinRequest {
                    receiver: self.receiver(),
                    claims: self.visitor.claims.clone(),
                    target,
                    options,
                    data,
                    id,
                    wish,
                    accounts: self.accounts(),
                    refused_by: Vec::new(),
                    is_founder: false,
                    is_expected: false,
                    permit,
                };
                if let Some(request) = self.join_match(Box::new(request)) {
                    let hub = &self.hub;
                    hub.flusher
                        .to_lobby(&hub.shared, LobbyMessage::Join(request));
                }
                Ok(())
            }
            Action::Leave { room } => {
                let message = RoomMessage::Leave {
                    from: self.receiver(),
                    id,
                    permit,
                };
                self.send_to_room(room.as_str(), message)?;
                self.handle.router.note_leaving(room);
                Ok(())
            }
            Action::Send { room, name, data } => {
                let message = RoomMessage::Action {
                    from: self.receiver(),
                    id,
                    name,
                    data,
                    permit,
                };
                self.send_to_room(&room, message)
            }
            Action::Sync { room } => {
                let message = RoomMessage::Sync {
                    from: self.receiver(),
                    id,
                    permit,
                };
                self.send_to_room(room.as_str(), message)
            }
            Action::Presence {
                place: Place::Room(room),
                data,
            } => {
                let message = RoomMessage::Presence {
                    from: self.receiver(),
                    id,
                    data,
                    permit,
                };
                self.send_to_room(room.as_str(), message)
            }
            Action::Presence {
                place: Place::Channel(channel),
                data,
            } => {
                let settings = self.kind_of(&channel)?.presence;
                let settings = settings.ok_or_else(no_presence)?;
                let data = data::checked(&data, settings.data_bytes)?;
                if !self.handle.router.subscriptions.borrow().contains(&channel) {
                    return Err(not_subscribed());
                }
                let asks = Asks::Presence { data };
                self.enqueue_for_channel(&channel, ChannelAction { id, asks, permit });
                Ok(())
            }
            Action::Call { name, data } => self.call(id, &name, &data, permit),
            Action::Subscribe {
                channel,
                since,
                last,
                from,
                delta,
                presence,
                data,
            } => {
                let kind = self.kind_of(&channel)?.clone();
                let appearance = match self.appearance(kind.presence, presence, &data) {
                    Ok(appearance) => appearance,
                    Err(refusal) => {
                        let reason = UnsubscribeReason::Refused(refusal.clone());
                        let ended = self.end_subscription(&channel, id, permit, reason);
                        return ended.map_err(|_| refusal);
                    }
                };
                let most = self.hub.shared.config.limits.subscriptions;
                // A client that has the subscription already only gets the answer again.
                let mut subscriptions = self.handle.router.subscriptions.borrow_mut();
                let is_new = !subscriptions.contains(&channel);
                if is_new && subscriptions.len() >= most {
                    return Err(Refusal::new(
                        "too_many_subscriptions",
                        format!(
                            "a session may have {most} subscriptions: unsubscribe from a channel first"
                        ),
                    ));
                }
                self.subscribes += 1;
                subscriptions.insert(channel.clone(), self.subscribes, presence);
                drop(subscriptions);
                let attempt = self.subscribes;
                let data = match kind.subscribe {
                    SubscribeRule::Everybody => None,
                    SubscribeRule::Hook(_) => Some(data),
                };
                let start = Start {
                    since,
                    last,
                    from: from.map(|time| self.hub.shared.moment_of(time)),
                };
                let asks = Asks::Subscribe {
                    kind,
                    start,
                    delta,
                    attempt,
                    appearance,
                    data: data.map(|data| Box::new(data.detached())),
                    grant: None,
                    ticket: None,
                };
                self.enqueue_for_channel(&channel, ChannelAction { id, asks, permit });
                Ok(())
            }
            Action::History {
                channel,
                before,
                since,
                limit,
            } => {
                self.kind_of(&channel)?;
                let subscriptions = self.handle.router.subscriptions.borrow();
                if !subscriptions.contains(&channel) {
                    return Err(not_subscribed());
                }
                drop(subscriptions);
                // Nobody waits for an answer without a number.
                let Some(number) = id else {
                    return Ok(());
                };
                let page = Page {
                    at: match (since, before) {
                        (Some(since), _) => PageAt::Since(since),
                        (None, Some(offset)) => PageAt::Before(offset),
                        (None, None) => PageAt::End,
                    },
                    limit: page_size(limit),
                };
                let asks = Asks::History { page, id: number };
                self.enqueue_for_channel(&channel, ChannelAction { id, asks, permit });
                Ok(())
            }
            Action::Unsubscribe { channel } => {
                self.end_subscription(&channel, id, permit, UnsubscribeReason::Left)
            }
            Action::Publish { channel, data } => {
                let kind = self.kind_of(&channel)?;
                let (data, hook) = match &kind.publish {
                    PublishRule::Nobody => {
                        return Err(Refusal::new(
                            "publish_denied",
                            "clients may not publish to this channel",
                        ));
                    }
                    PublishRule::Everybody => ((kind.read)(&data)?, None),
                    // The hook reads it.
                    PublishRule::Hook(hook) => (data.detached(), Some(hook.clone())),
                };
                let asks = Asks::Publish {
                    by_pattern: !kind.is_exact,
                    data,
                    hook,
                };
                self.enqueue_for_channel(&channel, ChannelAction { id, asks, permit });
                Ok(())
            }
            Action::FollowRooms(wanted) => self.follow_rooms(id, *wanted, permit),
            Action::UnfollowRooms { listing } => self.unfollow_rooms(id, listing, permit),
            Action::Match { queue, data, party } => {
                self.enter_queue(id, &queue, &data, party, permit)
            }
            Action::CancelMatch { queue } => self.cancel_match(id, &queue, permit),
            Action::Refresh { token } => self.refresh(id, token, permit),
            Action::Ping { received } => {
                let count = received.unwrap_or(0);
                if !self
                    .handle
                    .send_queue
                    .with_outbox(|outbox| outbox.acknowledge(count))
                {
                    self.violation();
                    return Err(Refusal::new(
                        "bad_field",
                        "`received` counts more events than were sent on this session",
                    ));
                }
                let (received, time) = (self.handle.router.received(), self.hub.shared.time());
                self.send_uncounted(|w| event::pong(w, id, received, time));
                Ok(())
            }
        }
    }

    /// Whom others see, in a channel with presence.
    pub(crate) fn appearance(
        &self,
        settings: Option<Presence>,
        watches: bool,
        data: &RawData,
    ) -> Result<Option<Box<Appearance>>, Refusal> {
        match settings {
            Some(settings) => Ok(Some(Box::new(Appearance {
                who: Who::new(self.visitor.claims.subject_key(), self.id),
                data: data::checked(data, settings.data_bytes)?,
                watches,
            }))),
            None if watches => Err(no_presence()),
            None => Ok(None),
        }
    }

    /// Ends a subscription because of the client's action `id`, which the channel answers after the channel's waiting actions.
    fn end_subscription(
        &mut self,
        channel: &ChannelName,
        id: Option<u64>,
        permit: Permit,
        reason: UnsubscribeReason,
    ) -> Result<(), Refusal> {
        let subscriptions = &self.handle.router.subscriptions;
        if !subscriptions.borrow_mut().remove(channel) {
            return Err(not_subscribed());
        }
        let asks = Asks::Unsubscribe {
            attempt: self.subscribes,
            reason,
        };
        self.enqueue_for_channel(channel, ChannelAction { id, asks, permit });
        Ok(())
    }

    fn send_to_room(&mut self, id: &str, message: RoomMessage) -> Result<(), Refusal> {
        let mut rooms = self.handle.router.rooms.borrow_mut();
        let room = &rooms.get(id).ok_or_else(not_a_member)?.room;
        if !room.connected() {
            rooms.remove(id);
            return Err(room_gone());
        }
        self.hub.flusher.to_room(room, message);
        Ok(())
    }

    /// The values that the client asks for in the fields that the kind is matched on.
    fn wish(&self, target: &JoinTarget, options: &RawData) -> Result<Fields, Refusal> {
        let match_on = match target {
            JoinTarget::Kind(kind, _) => self.hub.shared.match_on.get(kind),
            JoinTarget::Room(_) => None,
        };
        Fields::wished(options, match_on.map_or(&[], Vec::as_slice))
    }

    pub(crate) fn check_room_limit(&self) -> Result<(), Refusal> {
        let most = self.hub.shared.config.limits.rooms;
        // The rooms that the client leaves process that before this join.
        let staying = self
            .handle
            .router
            .rooms
            .borrow()
            .len()
            .saturating_sub(self.handle.router.leaving());
        if staying + self.joining >= most {
            return Err(Refusal::new(
                "too_many_rooms",
                format!("a session may be in {most} rooms: leave one first"),
            ));
        }
        Ok(())
    }

    fn kind_of(&self, channel: &ChannelName) -> Result<&Arc<ChannelKind>, Refusal> {
        self.hub
            .shared
            .channels
            .find(channel.as_str())
            .ok_or_else(|| {
                Refusal::new(
                    "unknown_channel",
                    "this server offers no channel of this name",
                )
            })
    }

    /// Runs a handler of a call, beside the session.
    fn call(
        &mut self,
        id: Option<u64>,
        name: &str,
        data: &RawData,
        permit: Permit,
    ) -> Result<(), Refusal> {
        let shared = self.hub.shared.clone();
        let Some((&name, handler)) = shared.calls.get_key_value(name) else {
            let known = shared.calls.keys().copied();
            return Err(unknown_type(name, shared.config.hints.then_some(known)));
        };
        let permit = take_call(permit)?;
        let caller = Caller {
            session: self.id,
            claims: self.visitor.claims.clone(),
            address: self.visitor.address,
        };
        let to = ReplyTo {
            id,
            format: self.handle.send_queue.format(),
        };
        let begin = AssertUnwindSafe(|| handler(caller, shared.clone(), data, to));
        let answer = catch_unwind(begin).unwrap_or_else(|_| panicked(name))?;
        let (hub, session) = (self.hub.clone(), self.id);
        actix_rt::spawn(async move {
            let outcome = AssertUnwindSafe(answer).catch_unwind().await;
            let frame = match outcome.unwrap_or_else(|_| panicked(name)) {
                Ok(None) => return,
                Ok(Some(frame)) => Ok(frame),
                Err(refusal) => Encoded::new(Formats::only(to.format), |w| {
                    event::error(w, id, None, &refusal)
                }),
            };
            // The call must not count beside its reply when the hub checks how much the server holds.
            drop(permit);
            match frame {
                Ok(frame) => hub.send_to_own(session, frame),
                Err(error) => tracing::error!(call = name, %error, "an error cannot be encoded"),
            }
        });
        Ok(())
    }
}

/// Makes an action one of the calls that may wait for their reply.
pub(crate) fn take_call(permit: Permit) -> Result<Permit, Refusal> {
    permit.into_call().ok_or_else(|| {
        Refusal::new(
            "too_many_calls",
            "too many calls of this session wait for their reply: wait for some",
        )
    })
}

fn panicked<T>(call: &str) -> Result<T, Refusal> {
    tracing::error!(call, "a handler panicked");
    Err(Refusal::failed())
}

/// How many publications a page of a history has at most.
fn page_size(limit: Option<u64>) -> usize {
    const DEFAULT: usize = 100;
    const MOST: usize = 1000;
    limit.map_or(DEFAULT, |limit| {
        usize::try_from(limit).unwrap_or(MOST).clamp(1, MOST)
    })
}
