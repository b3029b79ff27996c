//! How a session moves to another worker, when its client comes back there.
//!
//! The new hub asks the old one ([`HubMessage::TakeOver`]). The old one's session asks each room and channel to re-home it, and
//! each answers behind the last frame that it sent to the old hub. When all have answered, the session is packed
//! ([`Baggage`]) and sent. The frames that reach the new hub before it wait in a pipe of their own, which the session's
//! outbox is put in front of when it arrives. So nothing is lost and nothing overtakes.

use std::collections::HashMap;
use std::rc::Rc;

use super::hub::{Hub, HubAddress};
use super::messages::{Baggage, HubMessage, Knock, SessionMessage};
use super::pipe::{LinkId, Pipe};
use super::session::SessionActor;
use crate::ids::SessionId;
use crate::room::client::Claims;
use crate::session::outbox::{Outbox, Pushed};
use crate::wire::codec::Format;
use crate::wire::event::ResumeFailure;

/// What a hub knows of those who are on their way.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// Connections that wait for a session, with what is known of their client in case none comes.
    links: HashMap<LinkId, Claims>,
    /// Where frames wait for sessions that are still on another worker.
    pipes: HashMap<SessionId, Rc<Pipe>>,
}

impl Arrivals {
    pub(crate) fn expect_link(&mut self, link: LinkId, claims: Claims) {
        self.links.insert(link, claims);
    }

    pub(crate) fn claims_of(&mut self, link: LinkId) -> Option<Claims> {
        self.links.remove(&link)
    }

    pub(crate) fn forget_link(&mut self, link: LinkId) {
        self.links.remove(&link);
    }

    pub(crate) fn pipe_of(&self, session: SessionId) -> Option<Rc<Pipe>> {
        self.pipes.get(&session).cloned()
    }
}

impl Hub {
    /// The old hub: a connection elsewhere wants a session that lives here, or did.
    pub(super) fn take_over(self: &Rc<Self>, knock: Knock, to: HubAddress) {
        let session = knock.token.session;
        if let Some(local) = self.sessions.borrow().get(&session) {
            local
                .address
                .do_send(SessionMessage::TakeOver { knock, to });
            return;
        }
        // It may have moved on since the asking hub looked.
        match self.shared.home(session) {
            Some(worker) if worker == self.address.worker => {
                // On its way here: ask again behind it.
                let hub = self.address.clone();
                hub.send(HubMessage::TakeOver { knock, to });
            }
            Some(worker) => match self.shared.hub(worker) {
                Some(hub) => hub.send(HubMessage::TakeOver { knock, to }),
                None => self.refuse_over(&to, knock),
            },
            None => self.refuse_over(&to, knock),
        }
    }

    fn refuse_over(&self, to: &HubAddress, knock: Knock) {
        let reason = self.absence(&knock.token);
        to.send(HubMessage::TakeOverRefused { knock, reason });
    }

    /// The new hub: the old one has no session for this connection.
    pub(super) fn refused(self: &Rc<Self>, knock: &Knock, reason: ResumeFailure) {
        self.refuse(knock, reason);
    }

    /// The new hub: a room or channel sends here from now on; the session is not here yet.
    ///
    /// It comes for certain: the old hub sends it when the last of its rooms and channels has done this.
    pub(super) fn hold_frames_for(&self, session: SessionId, format: Format) {
        let mut arrivals = self.arrivals.borrow_mut();
        arrivals
            .pipes
            .entry(session)
            .or_insert_with(|| self.new_pipe(format));
    }

    /// The new hub: the session is here.
    pub(super) fn arrive(self: &Rc<Self>, mut baggage: Baggage) {
        let held = self.arrivals.borrow_mut().pipes.remove(&baggage.id);
        let bounds = self.shared.config.outbox;
        let pipe = held.unwrap_or_else(|| Pipe::new(baggage.format, Outbox::new(bounds)));
        let mut outbox = std::mem::replace(&mut baggage.outbox, Outbox::new(bounds));
        let appended = pipe.with_outbox(|held| outbox.append(held));
        let overflowed = appended == Pushed::Overflow || outbox.has_overflowed();
        pipe.with_outbox(|held| *held = outbox);
        SessionActor::start_arrived(self, baggage, pipe, overflowed);
    }
}
