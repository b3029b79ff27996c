//! A client of the model.

use super::*;

pub(super) struct Client {
    name: usize,
    /// Actions that are not confirmed, in order.
    queue: VecDeque<Action>,
    /// The number of its newest action.
    number: u64,
    /// Identifies its newest action.
    id: u64,
    confirmed: u64,
    /// Whether it knows its counts; a page that was just loaded does not.
    pub(super) has_counts: bool,
    /// The events that it has counted, and how many there were before this page.
    counted: Vec<String>,
    counted_before: usize,
    /// The server it is connected to.
    pub(super) server: Option<usize>,
    /// What is on its way to the server.
    pub(super) up: VecDeque<Action>,
    /// What is on its way to the client.
    down: VecDeque<Down>,
    /// How many events were sent on this connection or counted before it.
    pub(super) sent_to: usize,
    /// Actions that a page has sent which is gone: they may have arrived or not.
    abandoned: Vec<u64>,
    /// All actions, with their rooms.
    meant: Vec<(u64, usize)>,
}

enum Down {
    Event(String),
    Confirmed(u64),
}

impl Client {
    pub(super) fn new(name: usize) -> Self {
        Self {
            name,
            queue: VecDeque::new(),
            number: 0,
            id: 0,
            confirmed: 0,
            has_counts: true,
            counted: Vec::new(),
            counted_before: 0,
            server: None,
            up: VecDeque::new(),
            down: VecDeque::new(),
            sent_to: 0,
            abandoned: Vec::new(),
            meant: Vec::new(),
        }
    }

    pub(super) fn act(&mut self, room: usize) {
        if !self.has_counts {
            return;
        }
        self.number += 1;
        self.id += 1;
        let (number, id) = (self.number, self.id);
        let action = Action { number, id, room };
        self.meant.push((id, room));
        self.queue.push_back(action);
        if self.server.is_some() {
            self.up.push_back(action);
        }
    }

    pub(super) fn cut(&mut self) {
        self.server = None;
        self.up.clear();
        self.down.clear();
    }

    /// The page is loaded anew: it forgets everything but its session.
    pub(super) fn reload(&mut self) {
        self.cut();
        self.has_counts = false;
        self.abandoned
            .extend(self.queue.drain(..).map(|action| action.id));
    }

    /// How many events it has counted in its whole life.
    pub(super) fn heard(&self) -> usize {
        self.counted_before + self.counted.len()
    }

    pub(super) fn counted_from(&self, from: usize) -> Option<&[String]> {
        self.counted.get(from.checked_sub(self.counted_before)?..)
    }

    pub(super) fn counted_before(&self) -> usize {
        self.counted_before
    }

    fn confirm(&mut self, received: u64) -> Check {
        check!(
            received >= self.confirmed,
            "the count of client {} went back",
            self.name
        );
        check!(
            received <= self.number,
            "client {} has not sent that much",
            self.name
        );
        while self
            .queue
            .front()
            .is_some_and(|action| action.number <= received)
        {
            self.queue.pop_front();
        }
        self.confirmed = received;
        Ok(())
    }

    pub(super) fn confirm_later(&mut self, received: u64) {
        self.down.push_back(Down::Confirmed(received));
    }

    pub(super) fn resumed(&mut self, server: usize, received: u64) -> Check {
        self.cut();
        self.confirm(received)?;
        let first = self
            .queue
            .front()
            .map_or(self.number, |action| action.number - 1);
        check!(
            first == received,
            "the queue does not begin behind the count"
        );
        self.server = Some(server);
        self.sent_to = self.heard();
        self.up = self.queue.clone();
        Ok(())
    }

    /// A page without counts has got them.
    pub(super) fn renumbered(&mut self, server: usize, received: u64, events: usize) {
        self.cut();
        self.server = Some(server);
        self.has_counts = true;
        (self.number, self.confirmed) = (received, received);
        self.counted.clear();
        self.counted_before = events;
        self.sent_to = events;
    }

    pub(super) fn sent(&mut self, events: Vec<String>) {
        self.sent_to += events.len();
        self.down.extend(events.into_iter().map(Down::Event));
    }

    pub(super) fn hear(&mut self) -> Check {
        self.hear_next().map(|_| ())
    }

    /// Returns false if there is nothing to hear.
    pub(super) fn hear_next(&mut self) -> Result<bool, String> {
        match self.down.pop_front() {
            Some(Down::Event(event)) => self.counted.push(event),
            Some(Down::Confirmed(received)) => self.confirm(received)?,
            None => return Ok(false),
        }
        Ok(true)
    }

    /// The events of a room that this page has counted are consecutive, and the last one is the room's last.
    fn check_events(&self, room: usize, sent: u64) -> Check {
        let number = |event: &String| {
            let (from, number) = event.split_once(':')?;
            (from == room.to_string()).then(|| number.parse::<u64>().ok())?
        };
        let numbers: Vec<_> = self.counted.iter().filter_map(number).collect();
        let expected = sent - numbers.len().min(sent as usize) as u64 + 1..=sent;
        check!(
            numbers.iter().copied().eq(expected),
            "client {} has got events {numbers:?} of room {room}, which has sent {sent}",
            self.name
        );
        Ok(())
    }

    /// In the end, all is confirmed, and everything was counted and applied.
    pub(super) fn check(&self, server: &Server) -> Check {
        let (name, number) = (self.name, self.number);
        let settled = server.acknowledged(name);
        check!(
            settled == number,
            "{settled} of {number} actions of client {name} are settled"
        );
        check!(self.queue.is_empty(), "client {name} waits");
        let kept = server.events_from(name, self.heard())?;
        check!(kept.is_empty(), "client {name} has not got all events");
        for room in 0..C {
            self.check_events(room, server.sent_by(room))?;
            let applied = server.applied_of(room, name);
            let meant = self
                .meant
                .iter()
                .filter(|(_, to)| *to == room)
                .map(|(id, _)| *id);
            let may_miss = |id: &u64| self.abandoned.contains(id) && !applied.contains(id);
            let expected: Vec<_> = meant.filter(|id| !may_miss(id)).collect();
            check!(
                applied == expected,
                "room {room} has applied {applied:?} of client {name}, and not {expected:?}"
            );
        }
        Ok(())
    }
}
