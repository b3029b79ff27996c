//! What a new server of the model rebuilds from the journal: the rules by which sessions and rooms come back.

use std::collections::BTreeMap;

use super::super::super::encoding::{Decoder, Field};
use super::super::super::ranges::Ranges;
use super::super::super::record::Record;
use super::super::super::records::parts::Who;
use super::super::super::records::session::SessionChange;
use super::super::super::records::turn::{Audience, StateChange, Turn, TurnStep};
use super::super::super::settled::Settled;
use super::*;
use crate::ids::SessionId;

pub(super) fn session_id(name: usize) -> SessionId {
    SessionId::from_uuid(uuid::Uuid::from_u128(name as u128))
}

fn name_of(session: SessionId) -> usize {
    session.as_uuid().as_u128() as usize
}

/// The room's name and the number of the room are the same in the model.
fn room_of(room: &str) -> usize {
    room.parse().unwrap_or(C)
}

/// What happens to a session when a list is released to it, or read back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Happening {
    Settled(Ranges),
    Renumbered(u64),
    Event(String),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    pub(super) settled: Settled,
    /// The number of the last list that has reached it.
    pub(super) as_of: u64,
    /// How many events are not kept any more, and the ones after those.
    pub(super) forgotten: usize,
    pub(super) events: Vec<String>,
}

impl Session {
    pub(super) fn apply(&mut self, happening: &Happening) {
        match happening {
            Happening::Settled(numbers) => {
                numbers.iter().for_each(|range| self.settled.settle(range));
            }
            Happening::Renumbered(from) => {
                self.settled.settle_up_to(*from);
                self.forget(self.forgotten + self.events.len());
            }
            Happening::Event(event) => self.events.push(event.clone()),
        }
    }

    pub(super) fn forget(&mut self, up_to: usize) {
        let old = up_to.saturating_sub(self.forgotten).min(self.events.len());
        self.events.drain(..old);
        self.forgotten += old;
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    /// What it has applied, by session and action.
    pub(super) applied: Vec<(usize, u64)>,
    /// How many events it has sent.
    pub(super) sent: u64,
    /// It has begun, and has not ended.
    pub(super) exists: bool,
}

/// The state of a room of the model: numbers of variable length.
pub(super) fn encode_state(sent: u64, applied: &[(usize, u64)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    sent.put(&mut bytes);
    for (session, id) in applied {
        (*session as u64).put(&mut bytes);
        id.put(&mut bytes);
    }
    bytes
}

#[derive(Debug, Default)]
pub(super) struct Rebuilt {
    pub(super) sessions: BTreeMap<usize, Session>,
    /// What has happened to sessions that may have a snap later.
    early: BTreeMap<usize, Vec<(u64, Happening)>>,
    pub(super) rooms: [Room; ROOMS],
}

impl Rebuilt {
    /// All records have been seen; the last list has this number.
    pub(super) fn finish(&mut self, number: u64) {
        self.sessions
            .values_mut()
            .for_each(|session| session.as_of = number);
    }

    pub(super) fn see(&mut self, number: u64, record: &Record<'_>) {
        match record {
            Record::Turn(turn) => self.see_turn(number, turn),
            Record::Session(record) => {
                let name = name_of(record.session);
                match &record.change {
                    SessionChange::Begun { .. } => {
                        self.sessions.insert(name, Session::default());
                    }
                    SessionChange::Renumbered { from } => {
                        self.happen(number, name, Happening::Renumbered(*from));
                    }
                    _ => {}
                }
            }
            Record::Own(own) => {
                let settled = Happening::Settled(own.consumed.clone());
                self.happen(number, name_of(own.session), settled);
            }
            Record::RoomSnap(snap) => {
                for consumed in &snap.consumed {
                    let settled = Happening::Settled(consumed.numbers.clone());
                    self.happen(number, member(consumed.by), settled);
                }
                let room = &mut self.rooms[room_of(snap.room)];
                *room = Room {
                    exists: true,
                    ..Room::default()
                };
                room.add(snap.state);
            }
            Record::SessionSnap(snap) => {
                let name = name_of(snap.session);
                if self.sessions.contains_key(&name) {
                    // All of it is known, and what has happened since the snap was made, too.
                    let forgotten = usize::try_from(snap.forgotten).unwrap();
                    self.sessions.entry(name).or_default().forget(forgotten);
                    return;
                }
                let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                let mut session = Session {
                    settled: Settled::restored(snap.settled, snap.beyond.clone()),
                    as_of: snap.as_of,
                    forgotten: usize::try_from(snap.forgotten).unwrap(),
                    events: snap.outbox.iter().map(|event| text(event.bytes)).collect(),
                };
                let early = self.early.remove(&name).unwrap_or_default();
                let later = early.iter().filter(|(number, _)| *number > snap.as_of);
                later.for_each(|(_, happening)| session.apply(happening));
                self.sessions.insert(name, session);
            }
            _ => {}
        }
    }

    fn see_turn(&mut self, number: u64, turn: &Turn<'_>) {
        for consumed in &turn.consumed {
            let settled = Happening::Settled(consumed.numbers.clone());
            self.happen(number, member(consumed.by), settled);
        }
        let room = room_of(turn.room);
        match turn.state {
            StateChange::Patch(state) => self.rooms[room].add(state),
            StateChange::None | StateChange::Whole(_) => {}
        }
        if turn.rare.as_ref().is_some_and(|rare| rare.has_ended) {
            self.rooms[room].exists = false;
        }
        for step in &turn.steps {
            if let TurnStep::Send {
                to: Audience::All,
                frame,
            } = step
            {
                let event = String::from_utf8_lossy(frame.bytes).into_owned();
                for name in 0..CLIENTS {
                    self.happen(number, name, Happening::Event(event.clone()));
                }
            }
        }
    }

    fn happen(&mut self, number: u64, name: usize, happening: Happening) {
        match self.sessions.get_mut(&name) {
            Some(session) => session.apply(&happening),
            None => self
                .early
                .entry(name)
                .or_default()
                .push((number, happening)),
        }
    }
}

impl Room {
    /// A state's changes are what was applied since, and how many events there are now.
    fn add(&mut self, state: &[u8]) {
        let mut from = Decoder::new(state);
        self.sent = u64::get(&mut from).unwrap();
        while !from.is_empty() {
            let session = u64::get(&mut from).unwrap();
            let id = u64::get(&mut from).unwrap();
            self.applied.push((session as usize, id));
        }
    }
}

/// In the model, each session is the member with the next number.
fn member(who: Who) -> usize {
    match who {
        Who::Member(member) => member as usize - 1,
        Who::Session(session) => name_of(session),
    }
}
