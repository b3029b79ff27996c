//! Encodes actions: what the client sends.

use serde::Serialize;

use crate::client::error::SendError;
use crate::ids::{ChannelName, RoomId};
use crate::lobby::listing::filter::RoomFilter;
use crate::wire::action::JoinMode;
use crate::wire::codec::{Format, RawData, encode_into};

/// An action that is to be encoded. Fields without a value are left out.
#[derive(Debug, Serialize)]
pub(crate) struct OutboundAction<'a, T: ?Sized> {
    pub(crate) action: ActionName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) room: Option<&'a RoomId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) channel: Option<&'a ChannelName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<SinceField<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delta: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) presence: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) received: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) filter: Option<&'a RoomFilter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<&'a RoomId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listing: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) queue: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) party: Option<PartyField<'a>>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) type_: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) options: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<&'a T>,
}

/// The names of the protocol's actions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActionName {
    Join,
    Leave,
    Send,
    Sync,
    Call,
    Subscribe,
    History,
    Unsubscribe,
    Publish,
    Refresh,
    Presence,
    #[serde(rename = "rooms.follow")]
    FollowRooms,
    #[serde(rename = "rooms.unfollow")]
    UnfollowRooms,
    Match,
    #[serde(rename = "match.cancel")]
    CancelMatch,
    Ping,
}

impl ActionName {
    /// Whether the action makes sense only in the session that it was made for, because it refers to a room or a subscription of
    /// that session.
    pub(crate) fn is_session_bound(self) -> bool {
        matches!(
            self,
            Self::Leave
                | Self::Send
                | Self::Sync
                | Self::Unsubscribe
                | Self::Refresh
                | Self::Presence
                | Self::UnfollowRooms
                | Self::CancelMatch
        )
    }
}

/// A position in a channel, borrowed.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct SinceField<'a> {
    pub(crate) epoch: &'a str,
    pub(crate) offset: u64,
}

/// A party, borrowed.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct PartyField<'a> {
    pub(crate) code: &'a str,
    pub(crate) size: usize,
}

impl<T: Serialize + ?Sized> OutboundAction<'_, T> {
    /// An action that has only its name.
    pub(crate) fn new(action: ActionName) -> Self {
        Self {
            action,
            id: None,
            room: None,
            kind: None,
            mode: None,
            channel: None,
            since: None,
            last: None,
            from: None,
            delta: None,
            before: None,
            limit: None,
            presence: None,
            received: None,
            token: None,
            filter: None,
            after: None,
            listing: None,
            queue: None,
            party: None,
            type_: None,
            options: None,
            data: None,
        }
    }

    /// The action's frame, without the WebSocket header.
    pub(crate) fn encode(&self, format: Format) -> Result<RawData, SendError> {
        let mut bytes = Vec::with_capacity(64);
        encode_into(format, self, &mut bytes)
            .and_then(|()| RawData::new(format, bytes.into()))
            .map_err(|error| SendError::Encode(error.0))
    }
}

/// The mode's name in the protocol. `None` for the default, which is left out.
pub(crate) fn mode_name(mode: JoinMode) -> Option<&'static str> {
    match mode {
        JoinMode::Any => None,
        JoinMode::Create => Some("create"),
        JoinMode::Existing => Some("existing"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::wire::action::{Action, JoinTarget, read};

    #[test]
    fn the_server_can_read_what_the_client_encodes() {
        let (room, channel) = (RoomId::from("r1"), ChannelName::from("updates"));
        let options = json!({"bots": 3});
        for format in Format::ALL {
            let join = OutboundAction {
                id: Some(7),
                kind: Some("arena"),
                mode: mode_name(JoinMode::Create),
                options: Some(&options),
                ..OutboundAction::new(ActionName::Join)
            };
            let inbound = read(&join.encode(format).unwrap(), 32);
            assert_eq!((inbound.id, inbound.counts), (Some(7), true));
            let Ok(Action::Join {
                target, options: o, ..
            }) = inbound.action
            else {
                panic!("{inbound:?}")
            };
            let kind = JoinTarget::Kind("arena".to_owned(), JoinMode::Create);
            assert_eq!(target, kind);
            assert_eq!(o.decode::<Value>().unwrap(), options);

            let subscribe: OutboundAction<'_, ()> = OutboundAction {
                channel: Some(&channel),
                since: Some(SinceField {
                    epoch: "e",
                    offset: 5,
                }),
                ..OutboundAction::new(ActionName::Subscribe)
            };
            let inbound = read(&subscribe.encode(format).unwrap(), 32);
            assert!(matches!(
                inbound.action,
                Ok(Action::Subscribe { since: Some(s), .. }) if s.offset == 5 && s.epoch == "e"
            ));

            let filter = RoomFilter::default().field("map", "moon").locked(false);
            let follow: OutboundAction<'_, ()> = OutboundAction {
                kind: Some("arena"),
                filter: Some(&filter),
                after: Some(&room),
                limit: Some(20),
                ..OutboundAction::new(ActionName::FollowRooms)
            };
            let inbound = read(&follow.encode(format).unwrap(), 32);
            let Ok(Action::FollowRooms(wanted)) = inbound.action else {
                panic!("{inbound:?}")
            };
            assert_eq!((wanted.kind.as_str(), wanted.limit), ("arena", Some(20)));
            assert_eq!(wanted.after.as_ref(), Some(&room));
            let read_filter: RoomFilter = wanted.filter.unwrap().decode().unwrap();
            assert_eq!(read_filter, filter);

            let send: OutboundAction<'_, ()> = OutboundAction {
                room: Some(&room),
                type_: Some("steer"),
                ..OutboundAction::new(ActionName::Send)
            };
            let inbound = read(&send.encode(format).unwrap(), 32);
            assert!(matches!(inbound.action, Ok(Action::Send { data, .. }) if data.is_null()));
        }
    }
}
