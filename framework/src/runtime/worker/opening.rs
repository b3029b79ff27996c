//! How a connection gets its session: a new one, the one of its token, or none.

use std::rc::Rc;

use smallvec::smallvec;

use crate::address::ClientAddress;
use crate::close::CloseCode;
use crate::error::Refusal;
use crate::ids::SessionId;
use crate::observer::ServerEvent;
use crate::runtime::connection::handle::{ConnectionHandle, Cut};
use crate::runtime::connection::phase::CloseMode;
use crate::runtime::messages::{
    Denied, HubItem, HubMessage, Intent, ResumeRequest, SessionMessage,
};
use crate::runtime::visitor::Visitor;
use crate::runtime::worker::hub::{GOODBYE_TIME, Hub};
use crate::runtime::worker::session::SessionActor;
use crate::runtime::worker::session_seed::SessionSeed;
use crate::session::directory::Owner;
use crate::session::info::Transport;
use crate::session::resume::ResumeToken;
use crate::wire::codec::Format;
use crate::wire::event::{Reconnect, ResumeFailure};

/// What a connection asks for when it opens.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) transport: Transport,
    pub(crate) format: Format,
    pub(crate) visitor: Visitor,
    pub(crate) resume: Option<Resume>,
}

/// A connection's request for an earlier session.
#[derive(Debug)]
pub(crate) struct Resume {
    pub(crate) token: String,
    pub(crate) intent: Intent,
    /// The number of the client's attempt.
    pub(crate) attempt: Option<u64>,
}

/// A client whose handshake is valid and that is not admitted. The connection carries the reason, because browsers do not see
/// the HTTP answer.
#[derive(Debug)]
pub(crate) struct TurnedAway {
    pub(crate) format: Format,
    pub(crate) address: Option<ClientAddress>,
    pub(crate) code: CloseCode,
    pub(crate) refusal: Refusal,
}

impl Hub {
    /// Opens a connection and finds its session: a new one, one of this worker, or one that has to move here.
    pub(crate) fn open(
        self: &Rc<Self>,
        opening: Opening,
        cut: Option<Cut>,
    ) -> Rc<ConnectionHandle> {
        let (format, address) = (opening.format, opening.visitor.address);
        let connection = self.new_connection(opening.transport, format, cut, address);
        let id = connection.id;
        let Some(resume) = opening.resume else {
            self.begin_session(&connection, opening.visitor, None);
            return connection;
        };
        match ResumeToken::parse(&resume.token) {
            None if resume.intent == Intent::End => self.send_away(&connection, &Denied::Ended),
            None => self.begin_session(&connection, opening.visitor, Some(ResumeFailure::Unknown)),
            Some(token) => self.resume_request(ResumeRequest {
                connection: id,
                token,
                intent: resume.intent,
                attempt: resume.attempt,
                visitor: opening.visitor,
            }),
        }
        connection
    }

    /// Opens a connection that gets no session, only a goodbye.
    pub(crate) fn turn_away(
        &self,
        turned_away: &TurnedAway,
        cut: Option<Cut>,
    ) -> Rc<ConnectionHandle> {
        let (format, address) = (turned_away.format, turned_away.address);
        let connection = self.new_connection(Transport::Websocket, format, cut, address);
        let deadline = self.now() + GOODBYE_TIME;
        connection.refuse(turned_away.code, &turned_away.refusal, deadline);
        connection
    }

    fn new_connection(
        &self,
        transport: Transport,
        format: Format,
        cut: Option<Cut>,
        address: Option<ClientAddress>,
    ) -> Rc<ConnectionHandle> {
        let id = self.connections_ever.get() + 1;
        self.connections_ever.set(id);
        let (send_queue, now) = (self.new_send_queue(format), self.now());
        let connection = ConnectionHandle::new(id, transport, send_queue, now, cut, address);
        self.connections.borrow_mut().insert(id, connection.clone());
        self.shared
            .observers
            .tell(&ServerEvent::ConnectionOpened { address });
        connection
    }

    /// Sends a resume request to the worker of its session.
    fn resume_request(self: &Rc<Self>, resume_request: ResumeRequest) {
        let session = resume_request.token.session;
        if let Some(local) = self.sessions.borrow().get(&session) {
            local
                .address
                .do_send(SessionMessage::Attach(resume_request));
            return;
        }
        let home = self.shared.home(session).filter(|_| {
            // A session of an earlier run of the server is not on any worker.
            resume_request.token.run == self.shared.run
        });
        match home.and_then(|worker| self.shared.hub(worker)) {
            // This may be the hub itself, if the session is on its way here.
            Some(hub) => {
                let to = self.address.clone();
                self.flusher
                    .to_hub(&hub, HubMessage::TakeOver { resume_request, to });
            }
            None => self.deny(&resume_request, self.denial_of_missing(&resume_request)),
        }
    }

    /// The answer to a token without a session.
    pub(crate) fn denial_of_missing(&self, resume_request: &ResumeRequest) -> Denied {
        match resume_request.intent {
            Intent::End => Denied::Ended,
            _ if resume_request.token.run == self.shared.run => {
                match self.shared.farewell(&resume_request.token) {
                    Some(why) if why.code.comes_back() => Denied::Anew(ResumeFailure::Disconnected),
                    Some(why) => Denied::Disconnected(why),
                    None => Denied::Anew(ResumeFailure::Expired),
                }
            }
            _ => Denied::Anew(ResumeFailure::Unknown),
        }
    }

    /// Rejects a resume request: the connection gets a new session, or is closed.
    pub(crate) fn deny(self: &Rc<Self>, resume_request: &ResumeRequest, denied: Denied) {
        let Some(connection) = self.connection(resume_request.connection) else {
            return;
        };
        match denied {
            Denied::Anew(reason) => {
                self.begin_session(&connection, resume_request.visitor.clone(), Some(reason));
            }
            denied => self.send_away(&connection, &denied),
        }
    }

    fn send_away(&self, connection: &ConnectionHandle, denied: &Denied) {
        let (code, reason) = match denied {
            Denied::Ended => (CloseCode::NORMAL, "the session has ended"),
            Denied::Disconnected(why) => (why.code, why.reason.as_str()),
            _ => (
                CloseCode::SUPERSEDED,
                "a later attempt has resumed the session",
            ),
        };
        connection.end(code, reason, None, CloseMode::Now, self.closing_deadline());
    }

    fn begin_session(
        self: &Rc<Self>,
        connection: &Rc<ConnectionHandle>,
        visitor: Visitor,
        reason: Option<ResumeFailure>,
    ) {
        let id = SessionId::random();
        let begun = self.shared.begin_session(id, self.address.worker, &visitor);
        for (spare, worker) in begun.gone {
            if let Some(hub) = self.shared.hub(worker) {
                let items = smallvec![HubItem::Displaced { session: spare }];
                let _permit = None;
                self.flusher
                    .to_hub(&hub, HubMessage::Batch { items, _permit });
            }
        }
        if let Some(full) = begun.full {
            self.refuse_session(connection, &full);
            return;
        }
        let seed = SessionSeed::new(id, visitor, &self.shared);
        SessionActor::start_new(self, seed, connection, reason);
    }

    /// Closes a connection because there are too many sessions.
    fn refuse_session(&self, connection: &ConnectionHandle, full: &Owner) {
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
        connection.end(
            CloseCode::TRY_LATER,
            reason,
            Some(later),
            CloseMode::Now,
            deadline,
        );
    }
}
