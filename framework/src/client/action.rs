//! Writing actions: what the client sends.

use serde::Serialize;

use crate::client::error::SendError;
use crate::ids::{ChannelName, RoomId};
use crate::wire::action::JoinMode;
use crate::wire::codec::{Format, RawData, encode_into};

/// One action, its absent fields left out.
#[derive(Debug, Serialize)]
pub(crate) struct Outgoing<'a, T: ?Sized> {
    pub(crate) action: Name,
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
    pub(crate) since: Option<Since<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) received: Option<u64>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) type_: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) options: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<&'a T>,
}

/// The actions of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Name {
    Join,
    Leave,
    Send,
    Sync,
    Call,
    Subscribe,
    Unsubscribe,
    Publish,
    Ping,
}

impl Name {
    /// Whether the action means nothing outside of the session for which it was made: that session's rooms and subscriptions
    /// are gone with it.
    pub(crate) fn is_bound_to_its_session(self) -> bool {
        matches!(
            self,
            Self::Leave | Self::Send | Self::Sync | Self::Unsubscribe
        )
    }
}

/// A position in a channel, borrowed.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Since<'a> {
    pub(crate) epoch: &'a str,
    pub(crate) offset: u64,
}

impl<T: Serialize + ?Sized> Outgoing<'_, T> {
    /// An action with nothing but its name.
    pub(crate) fn new(action: Name) -> Self {
        Self {
            action,
            id: None,
            room: None,
            kind: None,
            mode: None,
            channel: None,
            since: None,
            received: None,
            type_: None,
            options: None,
            data: None,
        }
    }

    /// The action's frame, without the WebSocket header.
    pub(crate) fn encode(&self, format: Format) -> Result<RawData, SendError> {
        let mut bytes = Vec::with_capacity(64);
        encode_into(format, self, &mut bytes).map_err(|error| SendError::Encode(error.0))?;
        Ok(RawData {
            format,
            bytes: bytes.into(),
        })
    }
}

/// The mode's name in the protocol; the default is left out.
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
    fn the_server_reads_what_is_written_here() {
        let (room, channel) = (RoomId::from("r1"), ChannelName::from("updates"));
        let options = json!({"bots": 3});
        for format in Format::ALL {
            let join = Outgoing {
                id: Some(7),
                kind: Some("arena"),
                mode: mode_name(JoinMode::Create),
                options: Some(&options),
                ..Outgoing::new(Name::Join)
            };
            let inbound = read(format, &join.encode(format).unwrap().bytes, 32);
            assert_eq!((inbound.id, inbound.counts), (Some(7), true));
            let Ok(Action::Join { target, options: o }) = inbound.action else {
                panic!("{inbound:?}")
            };
            let kind = JoinTarget::Kind("arena".to_owned(), JoinMode::Create);
            assert_eq!(target, kind);
            assert_eq!(o.decode::<Value>().unwrap(), options);

            let subscribe: Outgoing<'_, ()> = Outgoing {
                channel: Some(&channel),
                since: Some(Since {
                    epoch: "e",
                    offset: 5,
                }),
                ..Outgoing::new(Name::Subscribe)
            };
            let inbound = read(format, &subscribe.encode(format).unwrap().bytes, 32);
            assert!(matches!(
                inbound.action,
                Ok(Action::Subscribe { since: Some(s), .. }) if s.offset == 5 && s.epoch == "e"
            ));

            let send: Outgoing<'_, ()> = Outgoing {
                room: Some(&room),
                type_: Some("steer"),
                ..Outgoing::new(Name::Send)
            };
            let inbound = read(format, &send.encode(format).unwrap().bytes, 32);
            assert!(matches!(inbound.action, Ok(Action::Send { data, .. }) if data.is_null()));
        }
    }
}
