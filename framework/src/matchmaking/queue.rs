//! A queue without its actor: sessions enter and leave, a rule makes matches, and a room begins when all players have joined.
//!
//! The room of a match does not exist before all of them have joined: their joins wait here. If one of them does not come, nobody
//! has seen half a match; the joins of the others are refused, and they search again, with the time that they have waited.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::made::{Made, Player};
use super::rule::{Match, MatchRule};
use super::ticket::{Entry, Ticket, TicketId, Tickets};
use super::unit::{Stage, Unit};
use crate::error::Refusal;
use crate::ids::{RoomId, SessionId};
use crate::time::after;
use crate::wire::party::{MOST_CODE, Party};

/// The bounds of a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How many sessions may be in it.
    pub(crate) capacity: usize,
    /// How long a ticket searches.
    pub(crate) timeout: Duration,
    /// How long the players of a match have to join.
    pub(crate) join_within: Duration,
}

/// Why a session's search ends without a match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoMatch {
    /// Nobody was found in time.
    Timeout,
    /// The session did not join its match in time.
    NotJoined,
    /// Its client does not want to play any more.
    Cancelled,
    /// The server shuts down.
    Draining,
}

impl NoMatch {
    /// The reason as clients receive it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::NotJoined => "not_joined",
            Self::Cancelled => "cancelled",
            Self::Draining => "draining",
        }
    }
}

/// What follows from what happens to a queue. `J` is a join that waits.
#[derive(Debug, PartialEq)]
pub(crate) enum QueueEffect<J> {
    /// A session is searching, or waits for its party.
    Queued {
        session: SessionId,
        waited: Duration,
        /// How many of its party are there, and how many they will be.
        party: Option<(usize, usize)>,
    },
    /// A session has a match, whose room it has to join.
    Matched { session: SessionId, room: RoomId },
    /// A session is not in the queue any more.
    NoMatch { session: SessionId, reason: NoMatch },
    /// All players of a match have joined. They are not in the queue any more.
    Begin { made: Made, joins: Vec<J> },
    /// A join that waited, or came too late.
    Refused { join: J, refusal: Refusal },
}

/// A session in the queue.
#[derive(Debug)]
struct Member<J> {
    ticket: TicketId,
    entry: Entry,
    subject: Option<Arc<str>>,
    is_connected: bool,
    /// Its join, if it has joined its match.
    join: Option<J>,
}

/// A match that some of its players have not joined.
#[derive(Debug)]
struct Pending {
    tickets: Vec<TicketId>,
    made_at: Duration,
    deadline: Duration,
    data: Value,
    /// How many have not joined.
    missing: usize,
}

/// What has a deadline.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Due {
    Ticket(TicketId),
    Match(RoomId),
}

pub(crate) struct QueueCore<J> {
    name: Arc<str>,
    bounds: Bounds,
    rule: Box<dyn MatchRule>,
    /// How many players a match has at most.
    most: usize,
    members: HashMap<SessionId, Member<J>>,
    units: HashMap<TicketId, Unit>,
    parties: HashMap<Arc<str>, TicketId>,
    tickets: Tickets,
    matches: HashMap<RoomId, Pending>,
    due: BTreeSet<(Duration, Due)>,
    tickets_ever: u64,
    effects: Vec<QueueEffect<J>>,
}

impl<J> QueueCore<J> {
    pub(crate) fn new(
        name: Arc<str>,
        bounds: Bounds,
        rule: Box<dyn MatchRule>,
        most: usize,
    ) -> Self {
        Self {
            name,
            bounds,
            rule,
            most,
            members: HashMap::new(),
            units: HashMap::new(),
            parties: HashMap::new(),
            tickets: Tickets::default(),
            matches: HashMap::new(),
            due: BTreeSet::new(),
            tickets_ever: 0,
            effects: Vec::new(),
        }
    }

    /// What has followed since the last time.
    pub(crate) fn take_effects(&mut self) -> Vec<QueueEffect<J>> {
        std::mem::take(&mut self.effects)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A session wants a match.
    pub(crate) fn enter(
        &mut self,
        now: Duration,
        session: SessionId,
        subject: Option<Arc<str>>,
        entry: Entry,
        party: Option<Party>,
    ) -> Result<(), Refusal> {
        if self.members.contains_key(&session) {
            return Err(Refusal::new(
                "already_queued",
                "this session is in this queue already: cancel first",
            ));
        }
        if self.members.len() >= self.bounds.capacity {
            return Err(Refusal::new(
                "queue_full",
                "this queue has as many players as it can: try again later",
            ));
        }
        let ticket = self.ticket_for(party)?;
        let member = Member {
            ticket,
            entry,
            subject,
            is_connected: true,
            join: None,
        };
        self.members.insert(session, member);
        if let Some(unit) = self.units.get_mut(&ticket) {
            unit.members.push(session);
            let deadline = after(now, self.bounds.timeout);
            self.set_deadline(ticket, deadline);
            self.tell_unit_from(now, ticket, Some(session));
            self.search(now, ticket);
        }
        Ok(())
    }

    /// The ticket that a session enters with: a new one, or its party's.
    fn ticket_for(&mut self, party: Option<Party>) -> Result<TicketId, Refusal> {
        let most = self.most;
        if let Some(party) = &party {
            let codes = 1..=MOST_CODE;
            if !codes.contains(&party.code.len()) || !(2..=most).contains(&party.size) {
                return Err(Refusal::new(
                    "bad_party",
                    format!(
                        "a party has a `code` of 1 to {MOST_CODE} bytes, and a `size` from 2 to {most}"
                    ),
                ));
            }
            if let Some(known) = self.parties.get(&*party.code)
                && let Some(unit) = self.units.get(known)
            {
                if unit.size != party.size {
                    return Err(Refusal::new(
                        "bad_party",
                        format!("the party of this `code` has the `size` {}", unit.size),
                    ));
                }
                if unit.is_complete() {
                    return Err(Refusal::new(
                        "party_full",
                        "all players of this party are there",
                    ));
                }
                return Ok(*known);
            }
        }
        self.tickets_ever += 1;
        let id = TicketId(self.tickets_ever);
        let (code, size) = party.map_or((None, 1), |party| {
            (Some(Arc::<str>::from(party.code)), party.size)
        });
        if let Some(code) = &code {
            self.parties.insert(code.clone(), id);
        }
        let unit = Unit {
            code,
            size,
            members: Vec::with_capacity(size),
            stage: Stage::Gathering,
            since: None,
            deadline: Duration::MAX,
        };
        self.units.insert(id, unit);
        Ok(id)
    }

    /// A session does not want a match any more, or has ended, which needs no `reason`. False if it is not in the queue.
    pub(crate) fn leave(
        &mut self,
        now: Duration,
        session: SessionId,
        reason: Option<NoMatch>,
    ) -> bool {
        let Some(member) = self.members.get(&session) else {
            return false;
        };
        let ticket = member.ticket;
        let stage = self.units.get(&ticket).map(|unit| unit.stage.clone());
        if let Some(Stage::Matched(room)) = stage {
            self.dissolve(now, &room, &[session], reason);
        } else {
            self.forget(session, reason);
            self.regroup(now, ticket);
        }
        true
    }

    /// The connection of a session is lost, or there again. Who is not connected is not matched.
    pub(crate) fn set_connected(&mut self, session: SessionId, is_connected: bool) {
        if let Some(member) = self.members.get_mut(&session) {
            member.is_connected = is_connected;
            let ticket = member.ticket;
            self.list(ticket);
        }
    }

    /// A session joins the room of its match. When all have, the room begins.
    pub(crate) fn join(&mut self, session: SessionId, room: &RoomId, join: J) {
        let member = self.members.get_mut(&session);
        let is_its_match = |member: &Member<J>| {
            let unit = self.units.get(&member.ticket);
            unit.is_some_and(|unit| unit.stage == Stage::Matched(room.clone()))
        };
        let Some(member) = member.filter(|member| is_its_match(member)) else {
            let refusal = dissolved();
            self.effects.push(QueueEffect::Refused { join, refusal });
            return;
        };
        if let Some(join) = member.join.replace(join) {
            // A client that has lost its state asks again, and ignores this answer.
            let refusal = Refusal::new("superseded", "this session has asked again to join");
            self.effects.push(QueueEffect::Refused { join, refusal });
            return;
        }
        if let Some(pending) = self.matches.get_mut(room) {
            pending.missing -= 1;
            if pending.missing == 0 {
                self.begin(room);
            }
        }
    }

    fn begin(&mut self, room: &RoomId) {
        let Some(pending) = self.matches.remove(room) else {
            return;
        };
        self.due
            .remove(&(pending.deadline, Due::Match(room.clone())));
        let (mut players, mut joins) = (Vec::new(), Vec::new());
        for ticket in pending.tickets {
            let Some(unit) = self.remove_unit(ticket) else {
                continue;
            };
            let waited = unit.waited(pending.made_at);
            for session in unit.members {
                let Some(member) = self.members.remove(&session) else {
                    continue;
                };
                joins.extend(member.join);
                players.push(Player {
                    session,
                    subject: member.subject,
                    ticket,
                    rank: member.entry.rank,
                    data: member.entry.data,
                    waited,
                });
            }
        }
        let made = Made {
            queue: self.name.clone(),
            room: room.clone(),
            missing: self.most.saturating_sub(players.len()),
            players,
            data: pending.data,
        };
        self.effects.push(QueueEffect::Begin { made, joins });
    }

    /// Ends the searches that have lasted too long, and the matches that were not joined in time.
    pub(crate) fn expire(&mut self, now: Duration) {
        while let Some((at, _)) = self.due.first()
            && *at <= now
            && let Some((_, due)) = self.due.pop_first()
        {
            match due {
                Due::Match(room) => {
                    let absent = self.absent(&room);
                    self.dissolve(now, &room, &absent, Some(NoMatch::NotJoined));
                }
                Due::Ticket(ticket) => {
                    let unit = self.units.get(&ticket);
                    let members = unit.map(|unit| unit.members.clone()).unwrap_or_default();
                    for session in members {
                        self.forget(session, Some(NoMatch::Timeout));
                    }
                }
            }
        }
    }

    /// The players who have not joined their match.
    fn absent(&self, room: &RoomId) -> Vec<SessionId> {
        let tickets = self.matches.get(room).map(|pending| &pending.tickets);
        let units = tickets
            .into_iter()
            .flatten()
            .filter_map(|id| self.units.get(id));
        let players = units.flat_map(|unit| &unit.members).copied();
        let is_absent = |session: &SessionId| {
            let member = self.members.get(session);
            member.is_some_and(|member| member.join.is_none())
        };
        players.filter(is_absent).collect()
    }

    /// What the rule proposes now. It is code of the application, which may panic.
    pub(crate) fn propose(&mut self, now: Duration) -> Vec<Match> {
        if self.tickets.is_empty() {
            return Vec::new();
        }
        self.rule.matches(now, &self.tickets)
    }

    /// Makes a match that the rule has proposed. False if it cannot be: a ticket is taken or unknown, or there are too many players.
    pub(crate) fn make(&mut self, now: Duration, proposed: Match, room: &RoomId) -> bool {
        let Match { tickets, data } = proposed;
        let distinct: HashSet<_> = tickets.iter().collect();
        let known = tickets.iter().filter_map(|id| self.tickets.get(*id));
        let players: Vec<usize> = known.map(|ticket| ticket.players().len()).collect();
        let number: usize = players.iter().sum();
        if players.is_empty()
            || players.len() < tickets.len()
            || distinct.len() < tickets.len()
            || number > self.most
        {
            return false;
        }
        let deadline = after(now, self.bounds.join_within);
        for ticket in &tickets {
            self.tickets.remove(*ticket);
            let Some(unit) = self.units.get_mut(ticket) else {
                continue;
            };
            self.due.remove(&(unit.deadline, Due::Ticket(*ticket)));
            unit.stage = Stage::Matched(room.clone());
            for session in &unit.members {
                let (session, room) = (*session, room.clone());
                self.effects.push(QueueEffect::Matched { session, room });
            }
        }
        self.due.insert((deadline, Due::Match(room.clone())));
        let pending = Pending {
            tickets,
            made_at: now,
            deadline,
            data,
            missing: number,
        };
        self.matches.insert(room.clone(), pending);
        true
    }

    /// A match does not come about because of some of its players, who leave the queue. The others search again.
    fn dissolve(
        &mut self,
        now: Duration,
        room: &RoomId,
        absent: &[SessionId],
        reason: Option<NoMatch>,
    ) {
        let Some(pending) = self.matches.remove(room) else {
            return;
        };
        self.due
            .remove(&(pending.deadline, Due::Match(room.clone())));
        let lost = now.saturating_sub(pending.made_at);
        for ticket in &pending.tickets {
            let Some(unit) = self.units.get_mut(ticket) else {
                continue;
            };
            unit.stage = Stage::Gathering;
            for session in &unit.members {
                let member = self.members.get_mut(session);
                if let Some(join) = member.and_then(|member| member.join.take()) {
                    let refusal = dissolved();
                    self.effects.push(QueueEffect::Refused { join, refusal });
                }
            }
            let deadline = after(unit.deadline, lost);
            self.set_deadline(*ticket, deadline);
        }
        for session in absent {
            self.forget(*session, reason);
        }
        for ticket in pending.tickets {
            self.regroup(now, ticket);
        }
    }

    /// Removes a session from the queue, and its unit if it was the last one of that.
    fn forget(&mut self, session: SessionId, reason: Option<NoMatch>) {
        let Some(member) = self.members.remove(&session) else {
            return;
        };
        if let Some(reason) = reason {
            self.effects.push(QueueEffect::NoMatch { session, reason });
        }
        self.tickets.remove(member.ticket);
        if let Some(unit) = self.units.get_mut(&member.ticket) {
            unit.members.retain(|known| *known != session);
            if unit.members.is_empty() {
                self.remove_unit(member.ticket);
            }
        }
    }

    fn remove_unit(&mut self, ticket: TicketId) -> Option<Unit> {
        let unit = self.units.remove(&ticket)?;
        self.due.remove(&(unit.deadline, Due::Ticket(ticket)));
        self.tickets.remove(ticket);
        if let Some(code) = &unit.code {
            self.parties.remove(code);
        }
        Some(unit)
    }

    /// A unit searches on, or waits for another player of its party. Its members are told.
    fn regroup(&mut self, now: Duration, ticket: TicketId) {
        let Some(unit) = self.units.get_mut(&ticket) else {
            return;
        };
        if !unit.is_complete() {
            unit.stage = Stage::Gathering;
            let deadline = after(now, self.bounds.timeout);
            self.set_deadline(ticket, deadline);
        }
        self.search(now, ticket);
        self.tell_unit_from(now, ticket, None);
    }

    fn set_deadline(&mut self, ticket: TicketId, deadline: Duration) {
        if let Some(unit) = self.units.get_mut(&ticket) {
            self.due.remove(&(unit.deadline, Due::Ticket(ticket)));
            unit.deadline = deadline;
            self.due.insert((deadline, Due::Ticket(ticket)));
        }
    }

    /// A complete unit searches, if it has no match.
    fn search(&mut self, now: Duration, ticket: TicketId) {
        if let Some(unit) = self.units.get_mut(&ticket)
            && unit.is_complete()
            && unit.stage == Stage::Gathering
        {
            unit.stage = Stage::Searching;
            unit.since.get_or_insert(now);
        }
        self.list(ticket);
    }

    /// Shows a unit to the rule if it searches and all of its members are connected.
    fn list(&mut self, ticket: TicketId) {
        let Some(unit) = self.units.get(&ticket) else {
            return;
        };
        let members = unit.members.iter().filter_map(|id| self.members.get(id));
        let may_be_matched =
            unit.stage == Stage::Searching && members.clone().all(|member| member.is_connected);
        match unit.since {
            Some(since) if may_be_matched => {
                let entries = members.map(|member| member.entry.clone());
                self.tickets.insert(Ticket::of(ticket.0, since, entries));
            }
            _ => {
                self.tickets.remove(ticket);
            }
        }
    }

    /// Tells the members of a unit where they stand, a session that has just come first.
    fn tell_unit_from(&mut self, now: Duration, ticket: TicketId, newcomer: Option<SessionId>) {
        let Some(unit) = self.units.get(&ticket) else {
            return;
        };
        let others = unit.members.iter().copied();
        let others = others.filter(|session| Some(*session) != newcomer);
        let (waited, party) = (unit.waited(now), unit.party());
        let told = newcomer.into_iter().chain(others);
        self.effects.extend(told.map(|session| QueueEffect::Queued {
            session,
            waited,
            party,
        }));
    }

    /// Ends everything, because the server shuts down.
    pub(crate) fn drain(&mut self) {
        for (session, member) in std::mem::take(&mut self.members) {
            if let Some(join) = member.join {
                let refusal = Refusal::new("draining", "this server is shutting down");
                self.effects.push(QueueEffect::Refused { join, refusal });
            }
            let reason = NoMatch::Draining;
            self.effects.push(QueueEffect::NoMatch { session, reason });
        }
        self.units.clear();
        self.parties.clear();
        self.tickets = Tickets::default();
        self.matches.clear();
        self.due.clear();
    }
}

/// The answer to a join whose match does not come about.
pub(crate) fn dissolved() -> Refusal {
    Refusal::new(
        "match_dissolved",
        "this match was dissolved: `queued` or `no_match` says what has become of the search",
    )
}

#[cfg(test)]
mod tests;
