//! A session ends with its client's credential, unless the client shows a fresh one in time.

use actix::{AsyncContext, Context, SpawnHandle};

use crate::close::CloseCode;
use crate::error::Refusal;
use crate::origin::ActionNumber;
use crate::room::config::LeaveReason;
use crate::runtime::authentication::{Unaccepted, expired};
use crate::runtime::messages::{HubItem, Refreshed};
use crate::runtime::permit::Permit;
use crate::runtime::sign_in::SignIn;
use crate::runtime::visitor::Visitor;
use crate::runtime::worker::session::SessionActor;
use crate::runtime::worker::session_actions::take_call;
use crate::session::expiry::{Due, Expiry};
use crate::wire::action::Token;
use crate::wire::event;
use crate::wire::frame::{Encoded, Formats};

/// The credential of a session's client, and the timer of what is due next.
pub(crate) struct ExpiryWatch {
    expiry: Expiry,
    timer: SpawnHandle,
}

impl SessionActor {
    /// Takes over what the application says of the client by the credential of a resume: until when it is good, and the claims for
    /// everything that begins later.
    pub(crate) fn identify(&mut self, visitor: &Visitor) {
        self.visitor.claims = visitor.claims.clone();
        self.visitor.expires = visitor.expires;
        self.credentials.resumed(self.handle.router.received());
    }

    /// Watches the time of the credential that the session has now. One that does not expire costs nothing.
    pub(crate) fn watch_expiry(&mut self, ctx: &mut Context<Self>) {
        self.forget_expiry(ctx);
        if let Some(at) = self.visitor.expires {
            let lead = self.hub.shared.config.expiry_warning;
            self.check_expiry(ctx, Expiry::new(self.hub.now(), at, lead));
        }
    }

    /// A session that ends, or moves on, has no timer here any more.
    pub(crate) fn forget_expiry(&mut self, ctx: &mut Context<Self>) {
        if let Some(watch) = self.expiry.take() {
            ctx.cancel_future(watch.timer);
        }
    }

    fn check_expiry(&mut self, ctx: &mut Context<Self>, mut expiry: Expiry) {
        loop {
            match expiry.check(self.hub.now(), self.connection.is_some()) {
                Due::Warning(left) => self.send_uncounted(|w| event::expiring(w, left)),
                Due::End => return self.expire(ctx),
                Due::Nothing(time) => {
                    let timer = ctx.run_later(time, |session, ctx| {
                        if let Some(watch) = session.expiry.take() {
                            session.check_expiry(ctx, watch.expiry);
                        }
                    });
                    self.expiry = Some(Box::new(ExpiryWatch { expiry, timer }));
                    return;
                }
            }
        }
    }

    fn expire(&mut self, ctx: &mut Context<Self>) {
        if let Some(connection) = self.connection.take() {
            let deadline = self.hub.closing_deadline();
            connection.refuse(CloseCode::UNAUTHORIZED, &expired(), deadline);
            self.hub.detach(&connection);
            self.handle.router.close();
        }
        self.end(ctx, LeaveReason::Expired);
    }

    /// The client shows a fresh credential. The application is asked beside the session, which goes on meanwhile.
    pub(crate) fn refresh(
        &self,
        id: Option<u64>,
        token: Token,
        permit: Permit,
    ) -> Result<(), Refusal> {
        let permit = take_call(permit)?;
        let (hub, shared, session) = (self.hub.clone(), self.hub.shared.clone(), self.id);
        let address = self.visitor.address;
        let action = permit.number().map_or(0, ActionNumber::get);
        actix_rt::spawn(async move {
            let sign_in = SignIn::of_refresh(token.0, address, shared.data.clone());
            let patience = shared.config.authentication;
            let asked = shared.authentication.ask(&sign_in, patience, || hub.now());
            let outcome = asked.await;
            let refreshed = Box::new(Refreshed {
                id,
                action,
                outcome,
            });
            hub.send_item(HubItem::Refreshed { session, refreshed });
            drop(permit);
        });
        Ok(())
    }

    /// The application has answered.
    pub(crate) fn refreshed(&mut self, ctx: &mut Context<Self>, refreshed: Refreshed) {
        let Refreshed {
            id,
            action,
            outcome,
        } = refreshed;
        let refusal = match outcome {
            Ok(accepted) if accepted.claims.subject() == self.visitor.claims.subject() => {
                let is_newest = self.credentials.accept(action);
                if is_newest {
                    self.visitor.claims = accepted.claims;
                    self.visitor.expires = accepted.expires;
                }
                self.refresh_answered(id);
                if is_newest && self.moving.is_none() {
                    self.watch_expiry(ctx);
                }
                return;
            }
            Ok(_) => Refusal::new(
                "identity",
                "this credential belongs to another subject than the session",
            ),
            Err(Unaccepted::Late(refusal)) => return self.error(id, &refusal),
            // This says nothing about the credential.
            Err(Unaccepted::Refused(refusal)) if refusal.is_unavailable() => {
                return self.error(id, &refusal);
            }
            Err(Unaccepted::Refused(refusal)) => refusal,
        };
        self.error(id, &refusal);
        // So nobody can guess credentials here at any speed.
        self.violation();
    }

    fn refresh_answered(&self, id: Option<u64>) {
        let Some(id) = id else {
            return;
        };
        let now = self.hub.now();
        let left = self.visitor.expires.map(|at| at.get().saturating_sub(now));
        let formats = Formats::only(self.handle.send_queue.format());
        match Encoded::new(formats, |w| event::refreshed(w, id, left)) {
            Ok(frame) => self.hub.send_to_own(self.id, frame),
            Err(error) => {
                tracing::error!(session = %self.id, %error, "an event cannot be encoded");
            }
        }
    }
}
