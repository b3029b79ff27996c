//! How a client becomes a member of a room: it has a seat from the lobby, is checked if its kind has a check, and then joins.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use futures_util::FutureExt;
use smallvec::smallvec;
use tokio::time::timeout;

use crate::error::Refusal;
use crate::room::Room;
use crate::room::applicant::{Admit, Applicant};
use crate::room::core::{options_of, room_gone};
use crate::room::input::{Declined, Entrant, JoinOptions, RoomInput};
use crate::runtime::flusher::Flusher;
use crate::runtime::messages::{HubItem, JoinRequest, LobbyMessage, Receiver};
use crate::runtime::room::{RoomActor, Stage};
use crate::wire::event;
use crate::wire::frame::{Encoded, Formats};

/// The check of a room's applicants.
pub(crate) struct RoomAdmission<R: Room> {
    pub(crate) admit: Admit<R::Options>,
    pub(crate) deadline: Duration,
    /// How many are being checked. Each has a seat, so there are no more than seats.
    pub(crate) applicants: usize,
}

impl<R: Room> RoomActor<R> {
    /// A client has a seat here: it is checked, if there is a check, and then becomes a member.
    pub(crate) fn join(&mut self, ctx: &mut Context<Self>, request: Box<JoinRequest>) {
        if self.admission.is_some() && self.refused.is_none() {
            self.check_applicant(ctx, request);
        } else {
            let options = JoinOptions::Encoded(request.options.clone());
            self.enter(ctx, request, options);
        }
    }

    /// A client becomes a member, unless it has given up or the room declines it.
    pub(crate) fn enter(
        &mut self,
        ctx: &mut Context<Self>,
        request: Box<JoinRequest>,
        options: JoinOptions<R>,
    ) {
        if request.is_given_up() {
            self.tell_lobby(LobbyMessage::Release(self.id.clone()));
            return;
        }
        let receiver = request.receiver.clone();
        let entrant = Entrant {
            origin: request.permit.origin(receiver.session),
            format: receiver.format,
            claims: request.claims.clone(),
            data: request.data.clone(),
            seat: request.seat(),
        };
        let is_new = self.receiver_hubs.get(receiver.session).is_none();
        if is_new {
            self.receiver_hubs
                .insert(receiver.session, receiver.hub.clone());
        }
        // A room that was created for a match refuses all of its players; otherwise the others may find another room.
        let refused = match request.is_expected {
            true => self.refused.clone(),
            false => self.refused.take(),
        };
        let joined = match refused {
            Some(refusal) => Err(Declined::Refused(refusal)),
            None => {
                let id = request.id;
                let input = RoomInput::Join {
                    entrant,
                    options,
                    id,
                };
                self.step(ctx, input)
            }
        };
        // A member was sent `joined`, and `left` if it is out again.
        let Err(declined) = joined else {
            return;
        };
        if is_new {
            self.receiver_hubs.remove(receiver.session);
        }
        self.decline(request, declined);
    }

    /// A client does not become a member: its seat is free, and it gets another one or is told why not.
    pub(crate) fn decline(&self, mut request: Box<JoinRequest>, declined: Declined) {
        self.tell_lobby(LobbyMessage::Release(self.id.clone()));
        // A session that is refused by the room created for it would be refused by the next one, too.
        if request.is_matched()
            && let Declined::NoPlace(refusal) = declined
        {
            request.refused_by.push(self.id.clone());
            self.tell_lobby(LobbyMessage::Retry(request, refusal));
        } else {
            refuse_join(&request.receiver, request.id, &declined.into_refusal());
        }
    }

    /// Checks an applicant beside the room. Its request keeps its permit meanwhile, and the lobby its seat.
    pub(crate) fn check_applicant(&mut self, ctx: &mut Context<Self>, request: Box<JoinRequest>) {
        let options = match options_of::<R>(&request.options) {
            Ok(options) => options,
            Err(refusal) => return self.decline(request, Declined::Refused(refusal)),
        };
        let session = request.receiver.session;
        let begun = match &mut self.stage {
            Stage::Alive(core) => core.check_begins(session, &request.claims, request.seat()),
            Stage::Over(refusal) => Err(Declined::by_room(refusal.clone())),
            Stage::Unborn { .. } => Err(Declined::by_room(room_gone())),
        };
        if let Err(declined) = begun {
            return self.decline(request, declined);
        }
        let Some(admission) = &mut self.admission else {
            return;
        };
        let applicant = Applicant {
            options,
            room: self.id.clone(),
            session,
            claims: request.claims.clone(),
            data: self.shared.data.clone(),
        };
        let (admit, deadline) = (admission.admit.clone(), admission.deadline);
        admission.applicants += 1;
        let check = async move {
            let begun = catch_unwind(AssertUnwindSafe(|| admit(applicant))).ok()?;
            timeout(deadline, AssertUnwindSafe(begun).catch_unwind())
                .await
                .map_or_else(|_late| Some(Err(late())), |checked| checked.ok().map(Ok))
        };
        let check = check.into_actor(self);
        ctx.spawn(check.map(|checked, actor, ctx| actor.checked(ctx, request, checked)));
    }

    /// The check of an applicant is over. `None`: it has panicked.
    #[allow(clippy::type_complexity)]
    fn checked(
        &mut self,
        ctx: &mut Context<Self>,
        request: Box<JoinRequest>,
        checked: Option<Result<(R::Options, Result<(), Refusal>), Refusal>>,
    ) {
        if let Some(admission) = &mut self.admission {
            admission.applicants -= 1;
        }
        let now = self.began.elapsed();
        if let Stage::Alive(core) = &mut self.stage {
            core.check_ends(now, request.receiver.session);
        }
        match checked {
            Some(Ok((options, Ok(())))) => {
                self.enter(ctx, request, JoinOptions::Decoded(options));
            }
            Some(Ok((_, Err(refusal))) | Err(refusal)) => {
                self.decline(request, Declined::by_room(refusal));
            }
            None => {
                tracing::error!(room = %self.id, kind = R::KIND, "the check of an applicant panicked");
                self.decline(request, Declined::Refused(Refusal::failed()));
            }
        }
        // An empty room may have to end now.
        if let Stage::Alive(core) = &self.stage {
            let next_due = core.next_due();
            self.set_timer(next_due, ctx);
        }
        self.stop_if_done(ctx);
    }
}

fn late() -> Refusal {
    Refusal::new(
        "admission_timeout",
        "the check took too long: try again later",
    )
}

/// Tells a session that it is refused by a room.
pub(crate) fn refuse_join(receiver: &Receiver, id: Option<u64>, refusal: &Refusal) {
    let frame = Encoded::new(Formats::only(receiver.format), |w| {
        event::error(w, id, None, refusal)
    });
    if let Ok(frame) = frame {
        let refused = HubItem::JoinRefused {
            session: receiver.session,
            frame,
        };
        let _behind = Flusher::of_this_thread().items_to_hub(&receiver.hub, smallvec![refused]);
    }
}
