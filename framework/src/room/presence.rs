//! How the members of a room see each other, if its kind has presence.

use super::Room;
use super::audience::Recipients;
use super::context::{RoomEffect, SendTarget};
use super::core::{RoomCore, not_a_member};
use super::member::Member;
use crate::error::Refusal;
use crate::ids::{Place, SessionId};
use crate::presence::list::PresenceList;
use crate::presence::who::Who;
use crate::presence::{data, no_presence};
use crate::session::outbox::Delivery;
use crate::wire::codec::{CodecError, RawData};
use crate::wire::event;
use crate::wire::frame::Encoded;

impl<R: Room> RoomCore<R> {
    /// What a client that joins shows of itself. In a room without presence its data is ignored.
    pub(super) fn own_data(&self, data: &RawData) -> Result<Option<RawData>, Refusal> {
        match &self.config.presence {
            Some(presence) => data::checked(data, presence.data_bytes),
            None => Ok(None),
        }
    }

    /// A member is present, and receives the list.
    pub(super) fn appear(&mut self, member: &Member, data: Option<RawData>) {
        let Some(settings) = self.config.presence else {
            return;
        };
        let place = || Place::Room(self.ctx.id().clone());
        let list = self
            .presence
            .get_or_insert_with(|| Box::new(PresenceList::new(place(), settings)));
        let who = Who::new(member.claims.subject_key(), member.session);
        list.enter(self.ctx.now, member.session, &who, data);
        self.send_presence(member);
    }

    /// Sends a member the list.
    pub(super) fn send_presence(&mut self, member: &Member) {
        if let Some(list) = &mut self.presence {
            let whole = list.whole(member.format);
            self.show(
                SendTarget::Only(member.session),
                whole.map(|frame| (frame, Delivery::Plain)),
            );
        }
    }

    pub(super) fn disappear(&mut self, session: SessionId) {
        if let Some(list) = &mut self.presence {
            list.leave(self.ctx.now, session);
        }
    }

    /// Tells the members what has changed, if that is due.
    pub(super) fn flush_presence(&mut self) {
        let formats = self.ctx.members.formats();
        let list = self.presence.as_mut();
        if let Some(change) = list.and_then(|list| list.flush(self.ctx.now, formats)) {
            self.show(SendTarget::All, change);
        }
    }

    fn show(&mut self, to: SendTarget, event: Result<(Encoded, Delivery), CodecError>) {
        match event {
            Ok((frame, delivery)) => self.ctx.effects.push(RoomEffect::Send {
                to,
                frame,
                delivery,
            }),
            Err(error) => {
                tracing::error!(room = %self.ctx.id(), %error, "who is present cannot be encoded");
            }
        }
    }

    /// A member changes its own data or, without data, asks for the list.
    pub(super) fn receive_presence(
        &mut self,
        session: SessionId,
        id: Option<u64>,
        raw: &RawData,
    ) -> Result<(), Refusal> {
        let member = self.ctx.members.of_session(session).cloned();
        let member = member.ok_or_else(not_a_member)?;
        let Some(list) = &mut self.presence else {
            return Err(no_presence());
        };
        let most = self
            .config
            .presence
            .map_or(0, |presence| presence.data_bytes);
        match data::checked(raw, most)? {
            None => self.send_presence(&member),
            data => drop(list.change(self.ctx.now, session, data)),
        }
        if let Some(id) = id {
            let to = Recipients::Only(member.id());
            self.ctx.emit(&to, Delivery::Sequenced, "presence", |w| {
                event::reply(w, id, &())
            });
        }
        Ok(())
    }
}
