//! How a connection comes to its session: a new one, one that it asks for by its token, or none.

use std::rc::Rc;

use smallvec::smallvec;

use super::beginning::SessionSeed;
use super::hub::{FAREWELL, Hub};
use super::link::{Cut, Link, Manner};
use super::messages::{Denied, HubItem, HubMessage, Intent, Knock, SessionMessage};
use super::session::SessionActor;
use crate::address::ClientAddress;
use crate::claims::Claims;
use crate::close::CloseCode;
use crate::error::Refusal;
use crate::ids::SessionId;
use crate::session::registry::Owner;
use crate::session::resume::ResumeToken;
use crate::wire::codec::Format;
use crate::wire::event::{Reconnect, ResumeFailure};

/// What a connection asks for when it opens.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) format: Format,
    pub(crate) visitor: Visitor,
    pub(crate) resume: Option<Resume>,
}

/// How a connection asks for an earlier session.
#[derive(Debug)]
pub(crate) struct Resume {
    pub(crate) token: String,
    pub(crate) intent: Intent,
    /// The number of the client's attempt.
    pub(crate) attempt: Option<u64>,
}

/// Who opens a connection.
#[derive(Clone, Default, Debug)]
pub(crate) struct Visitor {
    pub(crate) claims: Claims,
    /// `None` where it is not known, or may be that of a proxy with everybody behind it.
    pub(crate) address: Option<ClientAddress>,
}

/// A client whose handshake is in order, and who is not let in: it is told so on the connection, where browsers hear it.
#[derive(Debug)]
pub(crate) struct TurnedAway {
    pub(crate) format: Format,
    pub(crate) address: Option<ClientAddress>,
    pub(crate) code: CloseCode,
    pub(crate) refusal: Refusal,
}

impl Hub {
    /// Takes in a connection and brings it to its session: a new one, one of this worker, or one that has to move here.
    pub(crate) fn open(self: &Rc<Self>, opening: Opening, cut: Option<Cut>) -> Rc<Link> {
        let link = self.new_link(opening.format, cut, opening.visitor.address);
        let id = link.id;
        let Some(resume) = opening.resume else {
            self.begin_session(&link, opening.visitor, None);
            return link;
        };
        match ResumeToken::parse(&resume.token) {
            None if resume.intent == Intent::End => self.send_away(&link, Denied::Ended),
            None => self.begin_session(&link, opening.visitor, Some(ResumeFailure::Unknown)),
            Some(token) => self.knock(Knock {
                link: id,
                token,
                intent: resume.intent,
                attempt: resume.attempt,
                visitor: opening.visitor,
            }),
        }
        link
    }

    /// Takes in a connection that gets no session, only a goodbye.
    pub(crate) fn turn_away(&self, turned_away: &TurnedAway, cut: Option<Cut>) -> Rc<Link> {
        let link = self.new_link(turned_away.format, cut, turned_away.address);
        let deadline = self.now() + FAREWELL;
        link.refuse(turned_away.code, &turned_away.refusal, deadline);
        link
    }

    fn new_link(
        &self,
        format: Format,
        cut: Option<Cut>,
        address: Option<ClientAddress>,
    ) -> Rc<Link> {
        let id = self.links_ever.get() + 1;
        self.links_ever.set(id);
        let link = Link::new(id, self.new_pipe(format), self.now(), cut, address);
        self.links.borrow_mut().insert(id, link.clone());
        link
    }

    /// Brings a resume to where its session lives.
    fn knock(self: &Rc<Self>, knock: Knock) {
        let session = knock.token.session;
        if let Some(local) = self.sessions.borrow().get(&session) {
            local.address.do_send(SessionMessage::Attach(knock));
            return;
        }
        let home = self.shared.home(session).filter(|_| {
            // A session that was never of this run cannot be elsewhere.
            knock.token.run == self.shared.run
        });
        match home.and_then(|worker| self.shared.hub(worker)) {
            // Also where that is this hub: then the session is on its way here.
            Some(hub) => {
                let to = self.address.clone();
                self.turn.to_hub(&hub, HubMessage::TakeOver { knock, to });
            }
            None => self.deny(&knock, self.absence(&knock)),
        }
    }

    /// What becomes of a connection for whose token there is no session.
    pub(crate) fn absence(&self, knock: &Knock) -> Denied {
        match knock.intent {
            Intent::End => Denied::Ended,
            _ if knock.token.run == self.shared.run => Denied::Anew(ResumeFailure::Expired),
            _ => Denied::Anew(ResumeFailure::Unknown),
        }
    }

    /// The token brought nothing back: the connection gets a new session, or is sent away.
    pub(crate) fn deny(self: &Rc<Self>, knock: &Knock, denied: Denied) {
        let Some(link) = self.link(knock.link) else {
            return;
        };
        match denied {
            Denied::Anew(reason) => {
                self.begin_session(&link, knock.visitor.clone(), Some(reason));
            }
            Denied::Stale | Denied::Ended => self.send_away(&link, denied),
        }
    }

    fn send_away(&self, link: &Link, denied: Denied) {
        let (code, reason) = match denied {
            Denied::Ended => (CloseCode::NORMAL, "the session has ended"),
            _ => (
                CloseCode::SUPERSEDED,
                "a later attempt has resumed the session",
            ),
        };
        link.end(code, reason, None, Manner::Now, self.closing_deadline());
    }

    fn begin_session(
        self: &Rc<Self>,
        link: &Rc<Link>,
        visitor: Visitor,
        reason: Option<ResumeFailure>,
    ) {
        let id = SessionId::random();
        let begun = self.shared.begin_session(id, self.address.worker, &visitor);
        for (spare, worker) in begun.gone {
            if let Some(hub) = self.shared.hub(worker) {
                let items = smallvec![HubItem::Displaced { session: spare }];
                let _permit = None;
                self.turn.to_hub(&hub, HubMessage::Batch { items, _permit });
            }
        }
        if let Some(full) = begun.full {
            self.refuse_session(link, &full);
            return;
        }
        let pipe = self.new_pipe(link.format());
        let seed = SessionSeed::new(id, visitor, &self.shared);
        SessionActor::start_new(self, seed, pipe, link, reason);
    }

    /// There are as many sessions as there may be.
    fn refuse_session(&self, link: &Link, full: &Owner) {
        let (whose, reason) = match full {
            Owner::Server => (None, "this server has as many sessions as it can"),
            Owner::Address(address) => (
                Some(address.to_string()),
                "this server has as many sessions from your address as it allows",
            ),
            Owner::Subject(subject) => (
                Some(subject.to_string()),
                "this server has as many sessions of yours as it allows",
            ),
        };
        if let Some(left_out) = self.shared.full_log.take(self.now()) {
            tracing::warn!(
                of = whose,
                left_out,
                "a session was refused, as there are too many; if they are of an address that is a proxy's, name it with `ServerBuilder::trust_proxy`"
            );
        }
        let later = Reconnect {
            after_ms: 5000,
            jitter_ms: 10_000,
        };
        let deadline = self.closing_deadline();
        link.end(
            CloseCode::TRY_LATER,
            reason,
            Some(later),
            Manner::Now,
            deadline,
        );
    }
}
