//! Who is present: what the server sends, and the list that follows from it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::client::event::Event;
use crate::ids::{ChannelName, RoomId};

/// Somebody who is present.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[non_exhaustive]
pub struct PresentMember {
    /// The subject or, without one, the id of the session.
    pub id: String,
    /// The data that it shows; null if it shows none.
    #[serde(default)]
    pub data: Value,
    /// The number of its sessions.
    pub sessions: usize,
}

/// Who is present in a room or a channel: everybody, a change, or only the number. See `docs/protocol.md`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[non_exhaustive]
pub struct PresenceUpdate {
    /// The channel, if it is one.
    pub channel: Option<ChannelName>,
    /// The room, if it is one.
    pub room: Option<RoomId>,
    /// The version that a change starts from. `None`: this is no change, and replaces what was known.
    pub base: Option<u64>,
    /// The version of the list.
    pub version: u64,
    /// How many are present.
    pub count: Option<usize>,
    /// Everybody. `None` in a change, and if there are too many.
    pub members: Option<Vec<PresentMember>>,
    /// In a change: who is new.
    #[serde(default)]
    pub joined: Vec<PresentMember>,
    /// In a change: whose data or number of sessions may have changed.
    #[serde(default)]
    pub changed: Vec<PresentMember>,
    /// In a change: the ids of those who left.
    #[serde(default)]
    pub left: Vec<String>,
}

/// What an event has done to a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Followed {
    /// The list, or the number, may be another one.
    Changed,
    /// The event has not changed it.
    Unchanged,
    /// The client has missed a change. Ask for the list: [`Client::ask_presence`](crate::client::Client::ask_presence) or
    /// [`JoinedRoom::ask_presence`](crate::client::JoinedRoom::ask_presence).
    Missed,
}

/// Keeps the list of who is present in one channel or room, from the events of a client.
///
/// Pass it every event of [`Client::next`](crate::client::Client::next). It belongs to one subscription or membership: after an
/// unsubscribe or leave, begin another.
///
/// ```no_run
/// # use courtside::client::{Client, Followed, PresenceFollower};
/// # async fn follow(client: Client) -> Result<(), courtside::client::CallError> {
/// client.watch("match/1", &serde_json::json!({ "name": "Ann" })).await?;
/// let mut watching = PresenceFollower::of_channel("match/1");
/// while let Some(event) = client.next().await {
///     match watching.see(&event) {
///         Followed::Changed => println!("{} are watching", watching.count()),
///         Followed::Unchanged => {}
///         // In a task of its own, so that events are read meanwhile.
///         Followed::Missed => drop(tokio::task::spawn_local({
///             let client = client.clone();
///             async move { client.ask_presence("match/1").await }
///         })),
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct PresenceFollower {
    channel: Option<ChannelName>,
    room: Option<RoomId>,
    /// `None` until the first whole list of this connection, which the server sends by itself.
    version: Option<u64>,
    count: usize,
    members: Option<BTreeMap<String, PresentMember>>,
}

impl PresenceFollower {
    /// For a channel that the client [watches](crate::client::Client::watch).
    #[must_use]
    pub fn of_channel(channel: impl Into<ChannelName>) -> Self {
        Self::new(Some(channel.into()), None)
    }

    /// For a room with presence that the client is in.
    #[must_use]
    pub fn of_room(room: RoomId) -> Self {
        Self::new(None, Some(room))
    }

    fn new(channel: Option<ChannelName>, room: Option<RoomId>) -> Self {
        Self {
            channel,
            room,
            version: None,
            count: 0,
            members: Some(BTreeMap::new()),
        }
    }

    /// How many are present.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Who is present, by id. `None` if there are too many, so that only the number is known.
    #[must_use]
    pub fn members(&self) -> Option<&BTreeMap<String, PresentMember>> {
        self.members.as_ref()
    }

    /// Takes an event of the client. Events about other things change nothing.
    pub fn see(&mut self, event: &Event) -> Followed {
        match event {
            // The list is kept until the server has sent it again.
            Event::Connected { .. } => {
                self.version = None;
                Followed::Unchanged
            }
            Event::Presence(update)
                if update.channel == self.channel && update.room == self.room =>
            {
                self.update(update)
            }
            _ => Followed::Unchanged,
        }
    }

    fn update(&mut self, update: &PresenceUpdate) -> Followed {
        let Some(base) = update.base else {
            // One that a later one has overtaken is obsolete.
            if self.version.is_some_and(|known| known > update.version) {
                return Followed::Unchanged;
            }
            self.version = Some(update.version);
            self.members = update.members.as_deref().map(by_id);
            let listed = self.members.as_ref().map(BTreeMap::len);
            self.count = update.count.or(listed).unwrap_or_default();
            return Followed::Changed;
        };
        match (self.version, &mut self.members) {
            (Some(known), Some(members)) if known == base && update.version > base => {
                members.extend(by_id(&update.joined));
                members.extend(by_id(&update.changed));
                for id in &update.left {
                    members.remove(id);
                }
                self.count = members.len();
                self.version = Some(update.version);
                Followed::Changed
            }
            (Some(known), _) if known < update.version => Followed::Missed,
            // The whole list is on its way, or this is in it.
            _ => Followed::Unchanged,
        }
    }
}

fn by_id(members: &[PresentMember]) -> BTreeMap<String, PresentMember> {
    let entry = |member: &PresentMember| (member.id.clone(), member.clone());
    members.iter().map(entry).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(fields: Value) -> Event {
        let mut update: Value = json!({"channel": "c"});
        update
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        Event::Presence(serde_json::from_value(update).unwrap())
    }

    fn ids(follower: &PresenceFollower) -> Vec<&str> {
        follower
            .members()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect()
    }

    #[test]
    fn a_follower_keeps_the_list_and_notices_what_it_has_missed() {
        let mut follower = PresenceFollower::of_channel("c");
        let change = |base: u64, joined: &str| {
            event(
                json!({"base": base, "version": base + 1, "count": 9, "joined": [{"id": joined, "sessions": 1}]}),
            )
        };
        let whole = |version: u64| {
            event(
                json!({"version": version, "count": 1, "members": [{"id": "ann", "sessions": 1}]}),
            )
        };
        // Before the first list there is nothing to miss.
        assert_eq!(follower.see(&change(3, "x")), Followed::Unchanged);
        assert_eq!(follower.see(&whole(4)), Followed::Changed);
        assert_eq!(follower.see(&change(4, "bob")), Followed::Changed);
        assert_eq!((ids(&follower), follower.count()), (vec!["ann", "bob"], 2));
        assert_eq!(follower.see(&change(3, "late")), Followed::Unchanged);
        assert_eq!(follower.see(&change(6, "x")), Followed::Missed);
        let note = |version: u64| event(json!({"base": version, "version": version}));
        assert_eq!(follower.see(&note(5)), Followed::Unchanged);
        assert_eq!(follower.see(&note(6)), Followed::Missed);
        // A note that comes while the client asks, and a list that is older than the note.
        assert_eq!(follower.see(&note(9)), Followed::Missed);
        assert_eq!(follower.see(&whole(6)), Followed::Changed);
        assert_eq!(follower.see(&note(7)), Followed::Missed);
        assert_eq!(
            follower.see(&whole(4)),
            Followed::Unchanged,
            "it is obsolete"
        );
        assert_eq!(follower.see(&whole(7)), Followed::Changed);
        assert_eq!(ids(&follower), ["ann"]);
        let left = event(json!({"base": 7, "version": 8, "count": 0, "left": ["ann", "nobody"]}));
        assert_eq!(follower.see(&left), Followed::Changed);
        assert_eq!(follower.count(), 0);
        assert_eq!(
            follower.see(&event(json!({"version": 9, "count": 500}))),
            Followed::Changed
        );
        assert_eq!((follower.count(), follower.members()), (500, None));
        let elsewhere = PresenceUpdate {
            channel: Some("other".into()),
            ..serde_json::from_value(json!({"version": 99, "count": 1})).unwrap()
        };
        assert_eq!(
            follower.see(&Event::Presence(elsewhere)),
            Followed::Unchanged
        );
        assert_eq!(follower.count(), 500);
    }
}
