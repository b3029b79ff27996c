//! The positions of an event stream: where a client that only listens has stopped in each of its channels.
//!
//! They are the `id` of its events, which a browser sends back as `Last-Event-ID` when it opens the stream again. The id has one
//! entry for each channel of the stream's address, in the address's order: `epoch.offset`, or nothing if no position is known.

use std::borrow::Cow;
use std::fmt::{self, Write};

use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};

use super::action::Since;

/// The positions in the channels of one stream.
#[derive(Debug)]
pub(crate) struct Positions(Vec<(String, Option<Since>)>);

impl Positions {
    /// The channels of a stream, and the id of the last event that its client has received. Entries that cannot be read count as
    /// unknown.
    pub(crate) fn new(channels: Vec<String>, last_event_id: &str) -> Self {
        let mut entries = last_event_id.split(',');
        let position = |channel| (channel, entries.next().and_then(parse));
        Self(channels.into_iter().map(position).collect())
    }

    /// The channels, each with the position that is known.
    pub(crate) fn channels(&self) -> impl Iterator<Item = (&str, Option<&Since>)> {
        let entries = self.0.iter();
        entries.map(|(channel, since)| (channel.as_str(), since.as_ref()))
    }

    /// Notes an event that is sent to the client, in JSON. True if a position has changed.
    pub(crate) fn note(&mut self, event: &[u8]) -> bool {
        let mut head = Head::default();
        // The visitor stops when it has seen enough, which is an error to the decoder.
        let _stopped = serde_json::Deserializer::from_slice(event).deserialize_map(&mut head);
        let (Some(channel), Some(offset)) = (&head.channel, head.offset) else {
            return false;
        };
        let known = self.0.iter_mut().find(|(known, _)| known == channel);
        let Some((_, position)) = known else {
            return false;
        };
        match (head.epoch, position) {
            (Some(epoch), position) => *position = Some(Since { epoch, offset }),
            (None, Some(position)) => position.offset = offset,
            // An offset means nothing without its epoch.
            (None, None) => return false,
        }
        true
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (_, since)) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_char(',')?;
            }
            if let Some(Since { epoch, offset }) = since
                && is_plain(epoch)
            {
                write!(f, "{epoch}.{offset}")?;
            }
        }
        Ok(())
    }
}

fn parse(entry: &str) -> Option<Since> {
    let (epoch, offset) = entry.trim().rsplit_once('.')?;
    Some(Since {
        epoch: Some(epoch).filter(|epoch| is_plain(epoch))?.to_owned(),
        offset: offset.parse().ok()?,
    })
}

/// Whether an epoch can be part of an id.
fn is_plain(epoch: &str) -> bool {
    !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The first fields of an event, if it is one that has a position. Events have these fields before their data, so that the data
/// is not read.
#[derive(Debug, Default)]
struct Head {
    channel: Option<String>,
    epoch: Option<String>,
    offset: Option<u64>,
}

impl<'de> Visitor<'de> for &mut Head {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let enough = || A::Error::custom("enough was read");
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "event" => {
                    let event = map.next_value::<Cow<'de, str>>()?;
                    if !matches!(&*event, "publication" | "latest" | "subscribed") {
                        return Err(enough());
                    }
                }
                "channel" => self.channel = Some(map.next_value()?),
                "epoch" => self.epoch = Some(map.next_value()?),
                // It is the last of the fields that matter.
                "offset" => {
                    self.offset = Some(map.next_value()?);
                    return Err(enough());
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::{CodecError, Format, RawData};
    use super::super::event::{self, Publication, Subscribed};
    use super::super::frame::{Encoded, Formats, FrameWriter};
    use super::*;
    use crate::error::Refusal;
    use crate::ids::ChannelName;

    fn positions(channels: &[&str], last_event_id: &str) -> Positions {
        let channels = channels.iter().map(|channel| (*channel).to_owned());
        Positions::new(channels.collect(), last_event_id)
    }

    fn json(write: impl Fn(&mut FrameWriter) -> Result<(), CodecError>) -> Vec<u8> {
        let event = Encoded::new(Formats::only(Format::Json), write).unwrap();
        super::super::framing::body(event.websocket(Format::Json)).to_vec()
    }

    fn subscribed(channel: &str, epoch: &str, offset: u64) -> Vec<u8> {
        let channel = ChannelName::from(channel);
        let item = Publication {
            offset: 1,
            data: RawData::of(Format::Json, &"old").unwrap(),
        };
        let subscribed = Subscribed {
            channel: &channel,
            epoch,
            offset,
            recovered: false,
            publications: &[item],
            is_delta: false,
            base: None,
            data: None,
            left: None,
        };
        json(|w| subscribed.write(w, Some(1)))
    }

    fn publication(channel: &str, offset: u64) -> Vec<u8> {
        let channel = ChannelName::from(channel);
        let data = RawData::of(Format::Json, &serde_json::json!({"offset": 99})).unwrap();
        let item = Publication { offset, data };
        json(|w| event::publication(w, &channel, &item))
    }

    #[test]
    fn the_events_of_the_server_move_the_positions_and_their_id_leads_back_to_them() {
        let channels = ["scores/\"é\"", "b"];
        let mut moved = positions(&channels, "");
        assert_eq!(moved.to_string(), ",");
        assert!(moved.note(&subscribed(channels[0], "1e28", 3)));
        assert!(moved.note(&publication(channels[0], 4)));
        assert_eq!(moved.to_string(), "1e28.4,");
        assert!(moved.note(&subscribed("b", "a0", 0)));
        assert_eq!(moved.to_string(), "1e28.4,a0.0");
        let back = positions(&channels, &moved.to_string());
        let since = |epoch: &str, offset| Since {
            epoch: epoch.to_owned(),
            offset,
        };
        let expected = [since("1e28", 4), since("a0", 0)];
        assert!(
            back.channels()
                .map(|(_, since)| since.unwrap())
                .eq(&expected)
        );
    }

    #[test]
    fn other_events_and_other_channels_move_nothing() {
        let mut still = positions(&["a"], "e.1");
        let refusal = Refusal::new("unknown_channel", "no");
        for event in [
            publication("other", 7),
            json(|w| event::pong(w, None, 3, 5)),
            json(|w| event::published(w, 1, &ChannelName::from("a"), 7)),
            json(|w| event::error(w, Some(1), None, &refusal)),
            b"garbage".to_vec(),
        ] {
            assert!(!still.note(&event));
        }
        assert_eq!(still.to_string(), "e.1");
        // A publication before its channel's epoch is known.
        assert!(!positions(&["a"], "").note(&publication("a", 7)));
    }

    #[test]
    fn an_id_that_no_server_has_made_is_no_position() {
        for id in ["", "x", "e.", ".3", "e.-1", "e.1.5x", "é.3", "a b.3", ","] {
            let read = positions(&["a"], id);
            assert!(read.channels().all(|(_, since)| since.is_none()), "{id}");
        }
        // Surplus entries are ignored, missing ones unknown.
        assert_eq!(positions(&["a", "b"], "e.1").to_string(), "e.1,");
        assert_eq!(positions(&["a"], "e.1,f.2").to_string(), "e.1");
    }
}
