//! A server of the model: sessions and rooms around the real gate and committer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use smallvec::smallvec;

use super::super::super::committer::{Committer, JournalOptions};
use super::super::super::compaction::CompactionBounds;
use super::super::super::gate::{JournalSync, Lane, Leaving, OutputGate, Submitted};
use super::super::super::ranges::Ranges;
use super::super::super::record::Record;
use super::super::super::record_list::{Owner, RecordList};
use super::super::super::records::parts::{Consumed, ConsumedList, Data, Who};
use super::super::super::records::session::{Identity, Own, SessionChange, SessionRecord};
use super::super::super::records::snap::{RoomSnap, SessionSnap};
use super::super::super::records::turn::{
    Audience, Listing, RareChanges, StateChange, Turn, TurnStep,
};
use super::super::super::recovery::Recovery;
use super::super::super::settled::Arrival;
use super::rebuilt::{Happening, Rebuilt, Room, Session, encode_state, session_id};
use super::*;
use crate::wire::codec::Format;

const ROOM_NAMES: [&str; ROOMS] = ["0", "1", "2"];

/// What a list does when it leaves: this happens to these sessions.
type Outward = Vec<(usize, Happening)>;

pub(super) struct Server {
    pub(super) name: usize,
    disk: MemoryStorage,
    mutant: Option<Mutant>,
    committer: Committer<MemoryStorage>,
    gate: Mutex<OutputGate<Outward>>,
    /// What has left the gate and not reached the sessions, by lane if each thread sends by itself.
    released: [VecDeque<Leaving<Outward>>; 2],
    sessions: Vec<Session>,
    rooms: [LiveRoom; ROOMS],
    /// Pages whose new numbers are on their way: not committed, or not told.
    renumbering: [Option<u64>; CLIENTS],
    rewrite: VecDeque<Owner>,
    has_ended: bool,
}

#[derive(Default)]
struct LiveRoom {
    room: Room,
    inbox: VecDeque<(usize, Action)>,
    /// What it has consumed since its last record, and from where on its state was not logged.
    consumed: Vec<(usize, u64)>,
    logged: usize,
}

fn frame(event: &str) -> Data<'_> {
    Data {
        format: Format::Json,
        bytes: event.as_bytes(),
    }
}

impl Server {
    pub(super) fn start(
        name: usize,
        disk: &MemoryStorage,
        mutant: Option<Mutant>,
    ) -> Result<Self, String> {
        let bounds = CompactionBounds {
            segment: 500,
            age: Duration::ZERO,
            bytes: 1 << 20,
        };
        let options = JournalOptions {
            bounds,
            ..JournalOptions::default()
        };
        let failed = |error| format!("the journal cannot be opened: {error}");
        let recovery = Recovery::begin(Arc::new(disk.clone()), options).map_err(failed)?;
        let mut rebuilt = Rebuilt::default();
        let mut last = 0;
        let see = |number, record: &Record<'_>| {
            last = number;
            rebuilt.see(number, record);
        };
        let opened = super::super::opened();
        let finished = recovery.finish(opened, Duration::ZERO, see);
        let (committer, _) = finished.map_err(failed)?;
        rebuilt.finish(last);
        let mut server = Self {
            name,
            disk: disk.clone(),
            mutant,
            committer,
            gate: Mutex::new(OutputGate::new(JournalSync::Never, usize::MAX)),
            released: Default::default(),
            sessions: Vec::new(),
            rooms: Default::default(),
            renumbering: [None; CLIENTS],
            rewrite: VecDeque::new(),
            has_ended: false,
        };
        let is_restart = !rebuilt.sessions.is_empty();
        for name in 0..CLIENTS {
            let known = rebuilt.sessions.remove(&name);
            if known.is_none() {
                check!(!is_restart, "session {name} is gone");
                server.begin(name);
            }
            server.sessions.push(known.unwrap_or_default());
        }
        // A room that is not durable is told of once.
        let must_end = rebuilt.rooms[C].exists;
        for (live, room) in server.rooms.iter_mut().zip(rebuilt.rooms) {
            live.logged = room.applied.len();
            live.room = room;
        }
        if must_end {
            server.end_room(C);
        }
        server.rooms[C].room.exists = !is_restart;
        // A server begins with its first records committed, so that clients find their sessions.
        if !is_restart {
            (A..ROOMS).for_each(|room| server.snap_room(room));
            server.commit()?;
            server.receive_released(0);
        }
        Ok(server)
    }

    fn begin(&mut self, name: usize) {
        let identity = Identity {
            subject: None,
            claims: None,
            expires: None,
        };
        let change = SessionChange::Begun {
            format: Format::Json,
            identity,
        };
        let session = session_id(name);
        self.submit(
            0,
            &Record::Session(SessionRecord { session, change }),
            Vec::new(),
        );
    }

    pub(super) fn is_dead(&self) -> bool {
        self.has_ended || self.disk.is_dead()
    }

    /// Whether nothing is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.gate.lock().unwrap().is_idle() && self.released.iter().all(VecDeque::is_empty)
    }

    fn lane_of(&self, room: usize) -> usize {
        match self.mutant {
            Some(Mutant::InlineWithTwoThreads) => room % 2,
            _ => 0,
        }
    }

    fn submit(&mut self, lane: usize, record: &Record<'_>, outward: Outward) {
        let mut records = RecordList::default();
        records.push(record);
        if self.mutant == Some(Mutant::NoGate) {
            outward
                .iter()
                .for_each(|(session, happening)| self.sessions[*session].apply(happening));
        }
        let gate = self.gate.get_mut().unwrap();
        match gate.submit(Lane(lane), records, outward, 1) {
            Submitted::Held | Submitted::Shut => {}
            Submitted::Passed(_) => unreachable!("there are records"),
        }
    }

    pub(super) fn commit(&mut self) -> Check {
        if self.is_dead() {
            return Ok(());
        }
        match self.committer.step(&self.gate, Duration::ZERO) {
            Ok(step) => {
                for list in step.released {
                    self.released[list.lane.0].push_back(list);
                }
                self.rewrite.extend(step.rewrite);
            }
            // Another process has taken the journal over.
            Err(_) => self.has_ended = true,
        }
        Ok(())
    }

    /// The next list that has left the gate reaches the sessions.
    pub(super) fn receive_released(&mut self, lane: usize) {
        let Some(list) = self.released[lane].pop_front() else {
            return;
        };
        for (name, happening) in &list.outward {
            if self.mutant != Some(Mutant::NoGate) {
                self.sessions[*name].apply(happening);
            }
            if let Happening::Renumbered(_) = happening {
                self.renumbering[*name] = None;
            }
        }
        for session in &mut self.sessions {
            session.as_of = list.number;
        }
    }

    pub(super) fn take(&mut self, name: usize, action: Action) -> Check {
        match self.sessions[name].settled.take(action.number) {
            Arrival::Repeat => return Ok(()),
            Arrival::Gap => return Err(format!("actions before {} are missing", action.number)),
            Arrival::New => {}
        }
        if action.room == C && !self.rooms[C].room.exists {
            let mut consumed = Ranges::default();
            consumed.insert(action.number);
            let outward = vec![(name, Happening::Settled(consumed.clone()))];
            let own = Own {
                session: session_id(name),
                consumed,
                frames: smallvec![],
            };
            self.submit(0, &Record::Own(own), outward);
            return Ok(());
        }
        self.rooms[action.room].inbox.push_back((name, action));
        Ok(())
    }

    pub(super) fn turn(&mut self, room: usize, random: &mut Random) {
        let live = &mut self.rooms[room];
        let mut answers = 0;
        for _ in 0..=random.below(3) {
            let Some((name, action)) = live.inbox.pop_front() else {
                break;
            };
            live.consumed.push((name, action.number));
            live.room.applied.push((name, action.id));
            answers += u64::from(room != 1 || random.is_one_in(3));
        }
        if answers > 0 {
            self.checkpoint(room, answers);
        }
    }

    fn consumed(&mut self, room: usize) -> (ConsumedList<Who>, Outward) {
        let consumed = std::mem::take(&mut self.rooms[room].consumed);
        let mut list = ConsumedList::new();
        let mut outward = Vec::new();
        for name in 0..CLIENTS {
            let mut numbers = Ranges::default();
            for (_, number) in consumed.iter().filter(|(by, _)| *by == name) {
                let first = match self.mutant {
                    Some(Mutant::ConsumesUpTo) => 1,
                    _ => *number,
                };
                numbers.insert_range(first..=*number);
            }
            if !numbers.is_empty() {
                outward.push((name, Happening::Settled(numbers.clone())));
                let by = Who::Member(name as u32 + 1);
                list.push(Consumed { by, numbers });
            }
        }
        (list, outward)
    }

    /// Commits what a room has done since its last record, with so many events.
    pub(super) fn checkpoint(&mut self, room: usize, answers: u64) {
        if self.rooms[room].consumed.is_empty() && answers == 0 {
            return;
        }
        let (consumed, mut outward) = self.consumed(room);
        let live = &mut self.rooms[room];
        let events: Vec<_> = (1..=answers)
            .map(|answer| format!("{room}:{}", live.room.sent + answer))
            .collect();
        live.room.sent += answers;
        for event in &events {
            let sent = (0..CLIENTS).map(|name| (name, Happening::Event(event.clone())));
            outward.extend(sent);
        }
        let new = &live.room.applied[live.logged..];
        let state = encode_state(live.room.sent, new);
        live.logged = live.room.applied.len();
        let state = match room {
            C => StateChange::None,
            _ => StateChange::Patch(&state),
        };
        let turn = turn(room, consumed, state, &events);
        self.submit(self.lane_of(room), &Record::Turn(turn), outward);
    }

    /// A room that is not durable ends.
    fn end_room(&mut self, room: usize) {
        let event = format!("{room}:left");
        let outward = (0..CLIENTS).map(|name| (name, Happening::Event(event.clone())));
        let outward = outward.collect();
        let events = [event];
        let rare = RareChanges {
            has_ended: true,
            ..RareChanges::default()
        };
        let turn = Turn {
            rare: Some(Box::new(rare)),
            ..turn(room, ConsumedList::new(), StateChange::None, &events)
        };
        self.submit(0, &Record::Turn(turn), outward);
    }

    /// Writes a snap of whatever compaction has asked for.
    pub(super) fn rewrite(&mut self) {
        match self.rewrite.pop_front() {
            Some(Owner::Room(room)) => self.snap_room(room.as_str().parse().unwrap()),
            Some(Owner::Session(session)) => {
                self.snap_session(session.as_uuid().as_u128() as usize);
            }
            Some(Owner::Channel(_)) | None => {}
        }
    }

    fn snap_room(&mut self, room: usize) {
        let (mut consumed, outward) = self.consumed(room);
        if self.mutant == Some(Mutant::SnapsWithoutConsumed) {
            consumed.clear();
        }
        let live = &mut self.rooms[room];
        live.logged = live.room.applied.len();
        let state = encode_state(live.room.sent, &live.room.applied);
        let snap = RoomSnap {
            room: ROOM_NAMES[room],
            kind: "model",
            version: 1,
            options: frame("{}"),
            now: Duration::ZERO,
            tick: 0,
            consumed,
            state: &state,
            members: Vec::new(),
            newest_member: 2,
            reminders: Vec::new(),
            publications: 0,
            listing: Listing {
                is_locked: false,
                is_private: false,
                metadata: b"",
            },
            seats: Vec::new(),
            received: Vec::new(),
        };
        self.submit(
            self.lane_of(room),
            &Record::RoomSnap(Box::new(snap)),
            outward,
        );
    }

    fn snap_session(&mut self, name: usize) {
        let session = self.sessions[name].clone();
        let as_of = match self.mutant {
            Some(Mutant::SnapsWithoutPlace) => u64::MAX,
            _ => session.as_of,
        };
        let snap = SessionSnap {
            session: session_id(name),
            as_of,
            format: Format::Json,
            identity: Identity {
                subject: None,
                claims: None,
                expires: None,
            },
            generation: 1,
            attempt: 0,
            settled: session.settled.prefix(),
            beyond: session.settled.beyond().clone(),
            forgotten: session.forgotten as u64,
            outbox: session.events.iter().map(|event| frame(event)).collect(),
            has_overflowed: false,
            calls: Vec::new(),
            ticket: None,
        };
        self.submit(0, &Record::SessionSnap(Box::new(snap)), Vec::new());
    }

    /// What `pong` and `welcome` tell a client.
    pub(super) fn acknowledged(&self, name: usize) -> u64 {
        let settled = &self.sessions[name].settled;
        match self.mutant {
            Some(Mutant::AcknowledgesTaken) => settled.greatest(),
            _ => settled.prefix(),
        }
    }

    /// A client that has its counts comes back. Returns the count that it is told.
    pub(super) fn resume(&mut self, name: usize, client: &Client) -> Result<u64, String> {
        let session = &mut self.sessions[name];
        let has = session.forgotten + session.events.len();
        check!(
            client.heard() <= has,
            "client {name} has counted what was never committed"
        );
        check!(
            client.heard() >= session.forgotten,
            "client {name} has missed events"
        );
        let from = session.forgotten.max(client.counted_before());
        let counted = client.counted_from(from).unwrap_or_default();
        let sent = &session.events[from - session.forgotten..];
        check!(
            sent.starts_with(counted),
            "client {name} has counted in another order"
        );
        session.forget(client.heard());
        session.settled.attach();
        Ok(self.acknowledged(name))
    }

    /// A page without counts comes, perhaps again. Returns its counts once they are committed.
    pub(super) fn renumber(&mut self, name: usize) -> Option<(u64, usize)> {
        let session = &self.sessions[name];
        if self.renumbering[name].is_some() {
            return None;
        }
        let from = match self.mutant {
            Some(Mutant::RenumbersFromPrefix) => session.settled.prefix(),
            _ => session.settled.greatest(),
        };
        let events = session.forgotten + session.events.len();
        if session.is_renumbered_at(from) {
            self.sessions[name].forget(events);
            return Some((from, events));
        }
        let record = SessionRecord {
            session: session_id(name),
            change: SessionChange::Renumbered { from },
        };
        self.renumbering[name] = Some(from);
        let outward = vec![(name, Happening::Renumbered(from))];
        self.submit(0, &Record::Session(record), outward);
        let tells_early = self.mutant == Some(Mutant::TellsRenumberingEarly);
        tells_early.then(|| {
            let session = &mut self.sessions[name];
            session.apply(&Happening::Renumbered(from));
            (from, events)
        })
    }

    /// The events of a session after the first `from`.
    pub(super) fn events_from(&self, name: usize, from: usize) -> Result<Vec<String>, String> {
        let session = &self.sessions[name];
        let kept = from.checked_sub(session.forgotten);
        let events = kept.and_then(|kept| session.events.get(kept..));
        events
            .map(<[String]>::to_vec)
            .ok_or_else(|| format!("the events of client {name} from {from} on are not kept"))
    }

    pub(super) fn applied_of(&self, room: usize, name: usize) -> Vec<u64> {
        let applied = self.rooms[room].room.applied.iter();
        applied
            .filter(|(by, _)| *by == name)
            .map(|(_, id)| *id)
            .collect()
    }

    pub(super) fn sent_by(&self, room: usize) -> u64 {
        self.rooms[room].room.sent
    }

    pub(super) fn check(&self) -> Check {
        for (name, session) in self.sessions.iter().enumerate() {
            let beyond = session.settled.beyond();
            check!(beyond.is_empty(), "session {name} remembers {beyond:?}");
        }
        Ok(())
    }
}

impl Session {
    /// Whether all actions that were taken count as settled, and this is the last one: there is nothing to log.
    fn is_renumbered_at(&self, from: u64) -> bool {
        self.settled.prefix() == from && self.settled.greatest() == from
    }
}

fn turn<'a>(
    room: usize,
    consumed: ConsumedList<Who>,
    state: StateChange<'a>,
    events: &'a [String],
) -> Turn<'a> {
    let send = |event: &'a String| TurnStep::Send {
        to: Audience::All,
        frame: frame(event),
    };
    Turn {
        room: ROOM_NAMES[room],
        now: Duration::ZERO,
        tick: 0,
        consumed,
        state,
        steps: events.iter().map(send).collect(),
        rare: None,
    }
}
