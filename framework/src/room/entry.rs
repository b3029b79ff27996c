//! How a session becomes a member of a room: whether there is a place for it, its check, and the `joined` hook, which may refuse.

use std::time::Duration;

use super::Room;
use super::context::{Listing, RoomEffect};
use super::core::{RoomCore, room_gone};
use super::input::{Declined, Entrant, Seat};
use super::member::Member;
use crate::claims::Claims;
use crate::error::Refusal;
use crate::ids::{MemberId, SessionId};
use crate::presence::who::Who;
use crate::wire::event;
use crate::wire::frame::{Encoded, Formats};

/// What a refused join restores.
struct Before {
    effects: usize,
    jobs: usize,
    listing: Listing,
    wants_end: bool,
    empty_since: Option<Duration>,
}

impl<R: Room> RoomCore<R> {
    /// A session becomes a member. The answer repeats the `id` of its action.
    pub(super) fn join(
        &mut self,
        entrant: Entrant,
        options: R::Options,
        id: Option<u64>,
    ) -> Result<(), Declined> {
        self.enter(entrant, options, id)?;
        self.is_answered = true;
        self.finish_hook();
        Ok(())
    }

    /// Whether the room takes a session now. Those that are being checked have their seats.
    fn check_place(&self, session: SessionId, claims: &Claims, seat: Seat) -> Result<(), Declined> {
        if self.is_over {
            return Err(Declined::NoPlace(room_gone()));
        }
        self.check_kept_out(session, claims)
            .map_err(Declined::NoPlace)?;
        // One session is checked once at a time, so that it does not take the seats of others.
        if self.member_of(session).is_some() || self.applicants.contains(&session) {
            return Err(Declined::Refused(Refusal::new(
                "already_member",
                "this session is in this room already",
            )));
        }
        // The lobby may not know yet that the room has become private.
        let is_hidden = seat == Seat::Found && self.ctx.listing.is_private;
        let is_shut = seat != Seat::Expected && self.ctx.listing.is_locked;
        if is_shut || is_hidden {
            return Err(Declined::NoPlace(Refusal::new(
                "room_locked",
                "this room takes no new members now",
            )));
        }
        let seats = if seat == Seat::Found {
            self.config.matched_up_to()
        } else {
            self.config.capacity
        };
        if self.ctx.members.len() + self.applicants.len() >= seats {
            return Err(Declined::NoPlace(Refusal::new(
                "room_full",
                "all seats of this room are taken",
            )));
        }
        Ok(())
    }

    fn check_kept_out(&self, session: SessionId, claims: &Claims) -> Result<(), Refusal> {
        let Some(kept_out) = &self.kept_out else {
            return Ok(());
        };
        let who = Who::new(claims.subject_key(), session);
        kept_out.check(self.ctx.now, &who)?;
        // The application may name a session, whosever it is.
        kept_out.check(self.ctx.now, &Who::Session(session))
    }

    /// Keeps a user out for a time, and removes its members.
    pub(super) fn keep_out(
        &mut self,
        who: &Who,
        time: Duration,
        why: &str,
    ) -> Result<(), Declined> {
        if self.is_over {
            return Err(Declined::NoPlace(room_gone()));
        }
        self.keep_out_now(who, time, why);
        self.is_answered = true;
        self.finish_hook();
        Ok(())
    }

    /// As [`keep_out`](Self::keep_out), when a hook has finished that wants it.
    pub(super) fn keep_out_now(&mut self, who: &Who, time: Duration, why: &str) {
        let mut kept_out = self.kept_out.take().unwrap_or_default();
        kept_out.set(self.ctx.now, who.clone(), time, why.to_owned());
        self.kept_out = Some(kept_out).filter(|kept_out| !kept_out.is_empty());
        let members: Vec<Member> = self.ctx.members().filter(|m| m.is(who)).cloned().collect();
        for member in members {
            self.expel(&member, why);
        }
    }

    fn enter(
        &mut self,
        entrant: Entrant,
        options: R::Options,
        id: Option<u64>,
    ) -> Result<(), Declined> {
        let session = entrant.origin.session;
        self.is_new = false;
        self.check_place(session, &entrant.claims, entrant.seat)?;
        let data = self.own_data(&entrant.data).map_err(Declined::Refused)?;
        self.members_ever += 1;
        let member_id = MemberId(self.members_ever);
        let member = Member {
            id: member_id,
            session,
            format: entrant.format,
            claims: entrant.claims,
            connected: true,
        };
        let (room, kind) = (self.ctx.id().clone(), self.ctx.kind().to_owned());
        let frame = Encoded::new(Formats::only(member.format), |w| {
            event::joined(w, id, &room, &kind, member_id)
        })
        .map_err(|_| Declined::Refused(Refusal::failed()))?;
        let before = self.before();
        self.ctx.effects.push(RoomEffect::Enter {
            session,
            member: member_id,
            frame,
        });
        self.ctx.members.insert(member.clone());
        self.syncing.enter(&member);
        self.empty_since = None;
        if let Err(refusal) = self.room.joined(&member, options, &mut self.ctx) {
            self.remove(&member);
            self.take_back(before);
            return Err(Declined::by_room(refusal));
        }
        self.ctx.timers.keep();
        // The member receives the state before what the hook has sent, which refers to it.
        let sent = self.ctx.effects.split_off(before.effects + 1);
        self.send_state(member_id);
        self.appear(&member, data);
        self.ctx.effects.extend(sent);
        Ok(())
    }

    /// Notes what a refused join restores.
    fn before(&mut self) -> Before {
        self.ctx.timers.begin_undo();
        Before {
            effects: self.ctx.effects.len(),
            jobs: self.ctx.jobs,
            listing: self.ctx.listing.clone(),
            wants_end: self.ctx.wants_end,
            empty_since: self.empty_since,
        }
    }

    /// Undoes a join that was refused, except for what the hook has changed in the room's own fields.
    fn take_back(&mut self, before: Before) {
        self.ctx.effects.truncate(before.effects);
        self.ctx.timers.undo();
        self.ctx.kicked.clear();
        self.ctx.jobs = before.jobs;
        self.ctx.listing = before.listing;
        self.ctx.wants_end = before.wants_end;
        self.empty_since = before.empty_since;
        self.may_have_state.set(true);
    }

    /// A session is to be checked, if the room takes it now. It has a seat from now on.
    pub(crate) fn check_begins(
        &mut self,
        session: SessionId,
        claims: &Claims,
        seat: Seat,
    ) -> Result<(), Declined> {
        self.check_place(session, claims, seat)?;
        self.applicants.push(session);
        Ok(())
    }

    /// The check is over; the session joins, or does not. A room that is empty counts so from now on.
    pub(crate) fn check_ends(&mut self, now: Duration, session: SessionId) {
        self.applicants.retain(|applicant| *applicant != session);
        self.ctx.now = self.ctx.now.max(now);
        if self.empty_since.is_some() {
            self.empty_since = Some(self.ctx.now);
        }
    }
}
