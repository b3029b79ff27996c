//! Audiences of messages, and how messages are delivered. Every audience takes every kind of delivery.
//!
//! A message to all, or to all but one, is one effect, and hubs fan it out. Only [`RoomContext::among`] makes one effect per
//! member. Those effects share one encoding.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::Room;
use super::context::{RoomContext, RoomEffect, SendTarget};
use super::members::Members;
use crate::handler::Message;
use crate::ids::{MemberId, SessionId};
use crate::session::outbox::{Delivery, ReplaceKey};
use crate::wire::codec::CodecError;
use crate::wire::event;
use crate::wire::frame::{Encoded, Formats, FrameWriter};

/// The receivers of a frame, by member.
#[derive(Debug)]
pub(super) enum Recipients {
    All,
    Except(MemberId),
    Only(MemberId),
    /// Each session once, with the formats that they have. They stay members for as long as the context is borrowed.
    Among(Vec<SessionId>, Formats),
}

impl Recipients {
    /// Those of `ids` that are in the room, each once.
    pub(super) fn among<I>(members: &Members, ids: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<MemberId>,
    {
        let mut ids: Vec<MemberId> = ids.into_iter().map(Into::into).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut formats = Formats::default();
        let mut sessions = Vec::with_capacity(ids.len());
        for member in ids.into_iter().filter_map(|id| members.get(id)) {
            formats.add(member.format);
            sessions.push(member.session);
        }
        Self::Among(sessions, formats)
    }
}

/// Some members of a room, and the ways to send messages to them.
///
/// [`RoomContext::all`], [`to`](RoomContext::to), [`except`](RoomContext::except) and [`among`](RoomContext::among) return an
/// audience. It can send any number of messages:
///
/// ```
/// # use courtside::prelude::*;
/// # #[derive(serde::Serialize, Message)] struct Cursor { x: f64 }
/// # #[derive(serde::Serialize, Message)] struct Goal;
/// # #[derive(serde::Serialize, Message)] struct Cheer;
/// # fn play<R: Room>(from: &Member, blues: &[MemberId], ctx: &mut RoomContext<R>) {
/// ctx.except(from).latest(format!("cursor {}", from.id()), &Cursor { x: 0.5 });
/// let mut team = ctx.among(blues);
/// team.send(&Goal);
/// team.signal(&Cheer);
/// # }
/// ```
#[must_use = "nothing is sent until `send`, `signal` or `latest` is called"]
pub struct Audience<'a, R: Room> {
    ctx: &'a mut RoomContext<R>,
    recipients: Recipients,
}

impl<R: Room> fmt::Debug for Audience<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Audience").field(&self.recipients).finish()
    }
}

impl<'a, R: Room> Audience<'a, R> {
    pub(super) fn new(ctx: &'a mut RoomContext<R>, recipients: Recipients) -> Self {
        Self { ctx, recipients }
    }

    /// Sends a message that must arrive. If a member's connection is lost, the message waits until the member is back. Messages
    /// arrive exactly once, in the order in which the room sent them.
    pub fn send<M: Message + Serialize>(&mut self, message: &M) {
        self.deliver(message, Delivery::Sequenced);
    }

    /// Sends a message that is useless when it is late. Members whose connection is lost, or that read too slowly, do not receive
    /// it.
    pub fn signal<M: Message + Serialize>(&mut self, message: &M) {
        self.deliver(message, Delivery::Droppable);
    }

    /// Sends a signal of which only the newest matters. It replaces an older signal with the same key that still waits to be sent.
    /// Members whose connection is lost do not receive it.
    ///
    /// A key names one thing in this room, for all audiences: a signal to one member also replaces an older one to all, for that
    /// member.
    pub fn latest<M: Message + Serialize>(&mut self, key: impl Into<String>, message: &M) {
        let replaces = ReplaceKey::Signal(self.ctx.id().clone(), key.into());
        self.deliver(message, Delivery::Latest(Arc::new(replaces)));
    }

    fn deliver<M: Message + Serialize>(&mut self, message: &M, delivery: Delivery) {
        let event = match delivery {
            Delivery::Sequenced => "message",
            _ => "signal",
        };
        let data = M::HAS_DATA.then_some(message);
        let room = self.ctx.id().clone();
        self.ctx.emit(&self.recipients, delivery, M::NAME, |w| {
            event::message(w, event, Some(&room), M::NAME, data)
        });
    }
}

impl<R: Room> RoomContext<R> {
    /// Encodes an event once, and notes the effects that send it. If it cannot be encoded, the log calls it `what`.
    pub(super) fn emit(
        &mut self,
        to: &Recipients,
        delivery: Delivery,
        what: &str,
        write: impl Fn(&mut FrameWriter) -> Result<(), CodecError>,
    ) {
        let formats = self.formats(to);
        if formats == Formats::default() {
            return;
        }
        let frame = match Encoded::new(formats, write) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::error!(room = %self.id(), message = what, %error, "a message cannot be encoded and was not sent");
                self.note_fault(format_args!("the message `{what}` cannot be sent: {error}"));
                return;
            }
        };
        let session_of = |member| self.members.get(member).map(|member| member.session);
        let to = match to {
            Recipients::All => SendTarget::All,
            Recipients::Except(member) => {
                session_of(*member).map_or(SendTarget::All, SendTarget::Except)
            }
            Recipients::Only(member) => match session_of(*member) {
                Some(session) => SendTarget::Only(session),
                None => return,
            },
            Recipients::Among(sessions, _) => {
                self.effects
                    .extend(sessions.iter().map(|session| RoomEffect::Send {
                        to: SendTarget::Only(*session),
                        frame: frame.clone(),
                        delivery: delivery.clone(),
                    }));
                return;
            }
        };
        self.effects.push(RoomEffect::Send {
            to,
            frame,
            delivery,
        });
    }

    fn formats(&self, to: &Recipients) -> Formats {
        match to {
            Recipients::All => self.members.formats(),
            Recipients::Except(member) => self.members.formats_without(*member),
            Recipients::Only(member) => {
                let member = self.members.get(*member);
                member.map_or_else(Formats::default, |member| Formats::only(member.format))
            }
            Recipients::Among(_, formats) => *formats,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::Cell;

    use serde::Serializer;

    use super::super::config::RoomConfig;
    use super::super::context::RoomSeed;
    use super::super::member::Member;
    use super::*;
    use crate::claims::Claims;
    use crate::handler::AppData;
    use crate::ids::RoomId;
    use crate::wire::codec::{Format, decode};

    thread_local! {
        static ENCODED: Cell<usize> = const { Cell::new(0) };
    }

    /// A message that counts how often it is encoded.
    #[derive(courtside_derive::Message)]
    struct Note {
        _text: (),
    }

    impl Serialize for Note {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            ENCODED.set(ENCODED.get() + 1);
            "hello".serialize(serializer)
        }
    }

    const NOTE: Note = Note { _text: () };

    struct Plain;

    #[courtside::room]
    impl Plain {}

    fn member(id: u32) -> MemberId {
        MemberId(id)
    }

    /// A room with one member for each format, numbered from 1, and their sessions.
    fn room_of(formats: &[Format]) -> (RoomContext<Plain>, Vec<SessionId>) {
        let seed = RoomSeed {
            id: RoomId::from("test"),
            kind: "plain".into(),
            time: 0,
            data: AppData::default(),
            hints: true,
            outside: None,
        };
        let mut ctx = RoomContext::new(seed, &RoomConfig::default());
        let mut sessions = Vec::new();
        for (id, format) in (1..).zip(formats) {
            let session = SessionId::random();
            sessions.push(session);
            ctx.members.insert(Member {
                id: member(id),
                session,
                format: *format,
                claims: Claims::default(),
                connected: true,
            });
        }
        ENCODED.set(0);
        (ctx, sessions)
    }

    /// What was sent: the receivers, the event, and the delivery.
    fn sent(ctx: &mut RoomContext<Plain>) -> Vec<(SendTarget, String, Delivery)> {
        let effects = std::mem::take(&mut ctx.effects).into_iter();
        let sends = effects.map(|effect| match effect {
            RoomEffect::Send {
                to,
                frame,
                delivery,
            } => {
                let event = frame.body(Format::Json);
                let event: serde_json::Value = decode(Format::Json, event).unwrap();
                assert_eq!(
                    (event["type"].as_str(), event["data"].as_str()),
                    (Some("note"), Some("hello"))
                );
                (to, event["event"].as_str().unwrap().to_owned(), delivery)
            }
            other => panic!("{other:?} is no message"),
        });
        sends.collect()
    }

    fn latest(key: &str) -> Delivery {
        let replaces = ReplaceKey::Signal(RoomId::from("test"), key.to_owned());
        Delivery::Latest(Arc::new(replaces))
    }

    /// Checks that messages to `audience` reach `targets` by each delivery.
    #[track_caller]
    fn reaches(
        ctx: &mut RoomContext<Plain>,
        targets: &[SendTarget],
        mut audience: impl FnMut(&mut RoomContext<Plain>) -> Audience<'_, Plain>,
    ) {
        audience(ctx).send(&NOTE);
        audience(ctx).signal(&NOTE);
        audience(ctx).latest("key", &NOTE);
        let deliveries = [
            ("message", Delivery::Sequenced),
            ("signal", Delivery::Droppable),
            ("signal", latest("key")),
        ];
        let expected = deliveries.into_iter().flat_map(|(event, delivery)| {
            let to_each = move |to: &SendTarget| (*to, event.to_owned(), delivery.clone());
            targets.iter().map(to_each)
        });
        assert_eq!(sent(ctx), expected.collect::<Vec<_>>());
    }

    const FOUR: [Format; 4] = [Format::Json, Format::MsgPack, Format::Json, Format::MsgPack];

    #[test]
    fn each_audience_takes_each_delivery() {
        let (mut ctx, sessions) = room_of(&FOUR);
        let [_, second, third, _] = sessions[..] else {
            panic!("four have joined");
        };
        reaches(&mut ctx, &[SendTarget::All], |ctx| ctx.all());
        reaches(&mut ctx, &[SendTarget::Only(second)], |ctx| {
            ctx.to(member(2))
        });
        reaches(&mut ctx, &[SendTarget::Except(second)], |ctx| {
            ctx.except(member(2))
        });
        let some = [SendTarget::Only(second), SendTarget::Only(third)];
        reaches(&mut ctx, &some, |ctx| ctx.among([member(2), member(3)]));
    }

    #[test]
    fn the_short_forms_are_sends_to_all_and_to_one() {
        let (mut ctx, sessions) = room_of(&FOUR);
        ctx.broadcast(&NOTE);
        ctx.send(member(3), &NOTE);
        let sent: Vec<_> = sent(&mut ctx);
        let message = |to| (to, "message".to_owned(), Delivery::Sequenced);
        assert_eq!(
            sent,
            [
                message(SendTarget::All),
                message(SendTarget::Only(sessions[2]))
            ]
        );
    }

    #[test]
    fn members_are_named_by_id_by_reference_or_by_member() {
        let (mut ctx, sessions) = room_of(&FOUR);
        let ids = [member(1), member(3)];
        let targets = [SendTarget::Only(sessions[0]), SendTarget::Only(sessions[2])];
        reaches(&mut ctx, &targets, |ctx| ctx.among(ids.iter()));
        let members: Vec<Member> = ctx.members().step_by(2).cloned().collect();
        reaches(&mut ctx, &targets, |ctx| ctx.among(&members));
        reaches(&mut ctx, &targets[..1], |ctx| ctx.to(&members[0]));
    }

    #[test]
    fn ids_that_are_not_in_the_room_are_ignored() {
        let (mut ctx, sessions) = room_of(&FOUR);
        let gone = member(7);
        reaches(&mut ctx, &[], |ctx| ctx.to(gone));
        reaches(&mut ctx, &[SendTarget::All], |ctx| ctx.except(gone));
        let fourth = [SendTarget::Only(sessions[3])];
        reaches(&mut ctx, &fourth, |ctx| {
            ctx.among([member(4), gone, member(4), gone])
        });
        reaches(&mut ctx, &[], |ctx| ctx.among([gone]));
        reaches(&mut ctx, &[], |ctx| ctx.among(Vec::<MemberId>::new()));
    }

    #[test]
    fn nothing_is_encoded_for_an_empty_audience() {
        let (mut ctx, _) = room_of(&[]);
        reaches(&mut ctx, &[], |ctx| ctx.all());
        reaches(&mut ctx, &[], |ctx| ctx.except(member(1)));
        let (mut alone, _) = room_of(&[Format::Json]);
        reaches(&mut alone, &[], |ctx| ctx.except(member(1)));
        reaches(&mut alone, &[], |ctx| ctx.among([member(2)]));
        assert_eq!(ENCODED.get(), 0);
    }

    #[test]
    fn a_message_is_encoded_once_for_each_format_of_its_audience() {
        let three = [Format::Json, Format::Json, Format::MsgPack];
        let (mut ctx, _) = room_of(&three);
        let mut times = |audience: fn(&mut RoomContext<Plain>) -> Audience<'_, Plain>| {
            ENCODED.set(0);
            audience(&mut ctx).signal(&NOTE);
            ENCODED.get()
        };
        assert_eq!(times(|ctx| ctx.all()), 2);
        assert_eq!(times(|ctx| ctx.to(member(3))), 1);
        assert_eq!(times(|ctx| ctx.except(member(1))), 2);
        assert_eq!(times(|ctx| ctx.except(member(3))), 1);
        assert_eq!(times(|ctx| ctx.among([member(1), member(2)])), 1);
        assert_eq!(times(|ctx| ctx.among([member(1), member(3)])), 2);
    }

    #[test]
    fn some_members_share_one_encoding() {
        let (mut ctx, _) = room_of(&[Format::Json; 4]);
        ctx.among((1..=4).map(member)).latest("key", &NOTE);
        let addresses = ctx.effects.iter().map(|effect| match effect {
            RoomEffect::Send { frame, .. } => frame.websocket(Format::Json).as_ptr(),
            other => panic!("{other:?} is no message"),
        });
        let addresses: Vec<_> = addresses.collect();
        assert_eq!(addresses, [addresses[0]; 4]);
    }

    #[test]
    fn an_audience_visits_no_other_members() {
        let (mut ctx, _) = room_of(&FOUR);
        ctx.all().signal(&NOTE);
        ctx.except(member(1)).latest("key", &NOTE);
        ctx.to(member(2)).signal(&NOTE);
        ctx.among([member(2), member(3)]).signal(&NOTE);
        assert_eq!(ctx.members.take_walked(), 0);
        assert_eq!(sent(&mut ctx).len(), 1 + 1 + 1 + 2);
    }

    #[test]
    fn an_audience_sends_as_often_as_it_is_asked_to() {
        let (mut ctx, sessions) = room_of(&FOUR);
        let mut pair = ctx.among([member(1), member(2)]);
        pair.send(&NOTE);
        pair.latest("key", &NOTE);
        let sent = sent(&mut ctx);
        let (first, second) = (SendTarget::Only(sessions[0]), SendTarget::Only(sessions[1]));
        let to: Vec<_> = sent.iter().map(|(to, ..)| *to).collect();
        assert_eq!(to, [first, second, first, second]);
    }
}
