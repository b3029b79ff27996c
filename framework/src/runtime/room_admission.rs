//! The check of a room's applicants: it runs on the room's thread, between the lobby's seat and the room's `joined`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use futures_util::FutureExt;
use tokio::time::timeout;

use crate::error::Refusal;
use crate::room::Room;
use crate::room::applicant::{Admit, Applicant};
use crate::room::core::{options_of, room_gone};
use crate::room::input::{Declined, JoinOptions};
use crate::runtime::messages::JoinRequest;
use crate::runtime::room::{RoomActor, Stage};

/// The check of a room's applicants.
pub(crate) struct RoomAdmission<R: Room> {
    pub(crate) admit: Admit<R::Options>,
    pub(crate) deadline: Duration,
    /// How many are being checked. Each has a seat, so there are no more than seats.
    pub(crate) applicants: usize,
}

impl<R: Room> RoomActor<R> {
    /// Checks an applicant beside the room. Its request keeps its permit meanwhile, and the lobby its seat.
    pub(crate) fn check_applicant(&mut self, ctx: &mut Context<Self>, request: Box<JoinRequest>) {
        let options = match options_of::<R>(&request.options) {
            Ok(options) => options,
            Err(refusal) => return self.decline(request, Declined::Refused(refusal)),
        };
        let session = request.receiver.session;
        let begun = match &mut self.stage {
            Stage::Alive(core) => core.check_begins(session, request.is_matched()),
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
            core.check_ends(now);
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
