//! Who is in an arena. All tabs in which one player is there are members of their own, and together one entry.

use std::collections::BTreeMap;
use std::sync::Arc;

use courtside::MemberId;

use crate::chat::Allowance;
use crate::ship::ShipId;

/// The members of an arena and the entries they belong to.
#[derive(Debug, Default)]
pub struct Roster {
    keys: BTreeMap<MemberId, Key>,
    entries: BTreeMap<Key, Entry>,
}

/// A player in the arena, or a guest.
#[derive(Debug)]
pub struct Entry {
    /// The name that others see.
    pub name: String,
    /// How much the player may still say, in all tabs together.
    pub allowance: Allowance,
    /// The player's ship; none while the player only watches.
    pub seat: Option<Seat>,
    members: Vec<MemberId>,
}

/// A player's ship, and the member that flies it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seat {
    /// Only this member's inputs count.
    pub member: MemberId,
    /// The ship.
    pub ship: ShipId,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Key {
    /// A player, by the subject.
    Player(Arc<str>),
    /// A member that has not signed in: nobody knows who that is, so each is an entry.
    Guest(MemberId),
}

impl Roster {
    /// Adds a member to the entry of its player, or with a new entry under this name. Returns the entry.
    pub fn add(&mut self, member: MemberId, subject: Option<&str>, name: String) -> &mut Entry {
        let key = subject.map_or(Key::Guest(member), |subject| Key::Player(subject.into()));
        self.keys.insert(member, key.clone());
        let entry = self.entries.entry(key).or_insert_with(|| Entry {
            name,
            allowance: Allowance::full(),
            seat: None,
            members: Vec::new(),
        });
        entry.members.push(member);
        entry
    }

    /// Removes a member, and the entry with its last member. Returns the other members of the entry.
    pub fn remove(&mut self, member: MemberId) -> Vec<MemberId> {
        let Some(key) = self.keys.remove(&member) else {
            return Vec::new();
        };
        let Some(entry) = self.entries.get_mut(&key) else {
            return Vec::new();
        };
        entry.members.retain(|&other| other != member);
        let others = entry.members.clone();
        if others.is_empty() {
            self.entries.remove(&key);
        }
        others
    }

    /// The entry of a member.
    pub fn entry(&self, member: MemberId) -> Option<&Entry> {
        self.entries.get(self.keys.get(&member)?)
    }

    /// The entry of a member.
    pub fn entry_mut(&mut self, member: MemberId) -> Option<&mut Entry> {
        self.entries.get_mut(self.keys.get(&member)?)
    }

    /// The ship that a member flies.
    pub fn ship_of(&self, member: MemberId) -> Option<ShipId> {
        self.entry(member)?.ship_of(member)
    }

    /// The ships of players, each with the subject of its player; guests have none.
    pub fn seats(&self) -> impl Iterator<Item = (Option<&str>, ShipId)> {
        self.entries.iter().filter_map(|(key, entry)| {
            let player = match key {
                Key::Player(subject) => Some(&**subject),
                Key::Guest(_) => None,
            };
            Some((player, entry.seat?.ship))
        })
    }

    /// How many players only watch, each counted once.
    pub fn watching(&self) -> usize {
        let entries = self.entries.values();
        entries.filter(|entry| entry.seat.is_none()).count()
    }
}

impl Entry {
    /// The ship that a member of this entry flies.
    pub fn ship_of(&self, member: MemberId) -> Option<ShipId> {
        let seat = self.seat.filter(|seat| seat.member == member)?;
        Some(seat.ship)
    }

    /// The player's ship, if another member of this entry flies it.
    pub fn seat_elsewhere(&self, member: MemberId) -> Option<Seat> {
        self.seat.filter(|seat| seat.member != member)
    }

    /// The members, in the order in which they came.
    pub fn members(&self) -> &[MemberId] {
        &self.members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> MemberId {
        serde_json::from_value(number.into()).expect("an id is a number")
    }

    #[test]
    fn members_of_one_player_are_one_entry_and_guests_are_one_each() {
        let mut roster = Roster::default();
        for (member, subject) in [(1, Some("ann")), (2, Some("ann")), (3, Some("ben"))] {
            roster.add(id(member), subject, "a name".to_owned());
        }
        roster.add(id(4), None, "Pilot 11".to_owned());
        roster.add(id(5), None, "Pilot 11".to_owned());
        assert_eq!(roster.watching(), 4);
        let ann = roster.entry_mut(id(1)).expect("she is there");
        assert_eq!(ann.members(), [id(1), id(2)]);
        let ship = ShipId(7);
        ann.seat = Some(Seat {
            member: id(2),
            ship,
        });
        assert_eq!(ann.ship_of(id(1)), None);
        assert!(ann.seat_elsewhere(id(1)).is_some() && ann.seat_elsewhere(id(2)).is_none());
        assert_eq!((roster.ship_of(id(2)), roster.watching()), (Some(ship), 3));
        assert_eq!(roster.remove(id(1)), [id(2)]);
        assert_eq!(roster.remove(id(2)), []);
        assert!(roster.entry(id(2)).is_none() && roster.entry(id(3)).is_some());
        assert_eq!(roster.remove(id(2)), [], "nobody leaves twice");
    }
}
