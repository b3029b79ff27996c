//! The query of an event stream: that of a handshake, and for a client that only listens its channels and what it wants of them.

use actix_web::web;
use serde::Serialize;
use serde_json::value::RawValue;

use super::admission::{Query, flag};
use crate::config::Limits;
use crate::wire::action::Since;
use crate::wire::codec::Format;
use crate::wire::positions::Positions;

/// What a request for a stream asks for.
pub(super) struct StreamQuery {
    pub(super) handshake: Query,
    /// For a client that only listens: its channels, with the positions that are known.
    pub(super) positions: Option<Positions>,
    /// What such a client wants of each channel.
    pub(super) terms: Terms,
}

/// What a `subscribe` says besides its channel and `since`.
#[derive(Debug, Default, Serialize)]
pub(super) struct Terms {
    last: Option<u64>,
    from: Option<u64>,
    delta: bool,
    presence: bool,
    data: Option<Box<RawValue>>,
}

/// A `subscribe`, as a client of a session would send it.
#[derive(Serialize)]
struct Subscribe<'a> {
    action: &'static str,
    /// The number of the channel in the address.
    id: usize,
    channel: &'a str,
    since: Option<&'a Since>,
    #[serde(flatten)]
    terms: &'a Terms,
}

impl StreamQuery {
    /// Reads the query. `last_event_id` is that of the header, which takes precedence. The error says what is wrong.
    pub(super) fn read(
        query: &str,
        last_event_id: Option<&str>,
        limits: &Limits,
    ) -> Result<Self, String> {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(query);
        let pairs = pairs.map_err(|_| "the query cannot be read")?.into_inner();
        let (channels, parameters): (Vec<_>, Vec<_>) =
            pairs.into_iter().partition(|(name, _)| name == "channel");
        let channels: Vec<_> = channels.into_iter().map(|(_, channel)| channel).collect();
        let (mut handshake, mut wishes) = (Query::default(), Wishes::default());
        for (name, value) in parameters {
            // Without a channel, these parameters are the application's.
            let wish = (!channels.is_empty()).then(|| wishes.field_mut(&name));
            let field = wish.flatten().or_else(|| handshake.field_mut(&name));
            if field.is_some_and(|field| field.replace(value).is_some()) {
                return Err(format!("`{name}` is there twice"));
            }
        }
        if channels.is_empty() {
            return Ok(Self {
                handshake,
                positions: None,
                terms: Terms::default(),
            });
        }
        check(&channels, &handshake, limits.subscriptions)?;
        // A browser sends the header when it opens the stream again; the address is still the first one then.
        let last_event_id = last_event_id.or(wishes.last_event_id.as_deref());
        let positions = Positions::new(channels, last_event_id.unwrap_or_default());
        Ok(Self {
            handshake,
            positions: Some(positions),
            terms: wishes.terms(limits.message_bytes)?,
        })
    }
}

/// Whether a stream with these channels makes sense.
fn check(channels: &[String], handshake: &Query, most_channels: usize) -> Result<(), String> {
    if channels.len() > most_channels {
        return Err(format!("a stream may have {most_channels} channels"));
    }
    let mut sorted: Vec<_> = channels.iter().collect();
    sorted.sort_unstable();
    if sorted.windows(2).any(|two| two[0] == two[1]) {
        return Err("each `channel` may be there once".to_owned());
    }
    if handshake.resume.is_some() || handshake.end.is_some() {
        return Err("a stream with `channel` is a new session and resumes none".to_owned());
    }
    if handshake.format()? != Format::Json {
        return Err("a stream with `channel` is in JSON".to_owned());
    }
    Ok(())
}

/// The parameters of a client that only listens, as they stand in the query.
#[derive(Default)]
struct Wishes {
    last_event_id: Option<String>,
    last: Option<String>,
    from: Option<String>,
    delta: Option<String>,
    presence: Option<String>,
    data: Option<String>,
}

impl Wishes {
    fn field_mut(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "last_event_id" => &mut self.last_event_id,
            "last" => &mut self.last,
            "from" => &mut self.from,
            "delta" => &mut self.delta,
            "presence" => &mut self.presence,
            "data" => &mut self.data,
            _ => return None,
        })
    }

    fn terms(self, most_bytes: usize) -> Result<Terms, String> {
        let count = |value: Option<String>| value.map(|value| value.parse()).transpose();
        let data = self.data.map(RawValue::from_string).transpose();
        let data = data.map_err(|_| "`data` is a value in JSON")?;
        if data
            .as_ref()
            .is_some_and(|data| data.get().len() > most_bytes)
        {
            return Err(format!("`data` may have {most_bytes} bytes"));
        }
        Ok(Terms {
            last: count(self.last).map_err(|_| "`last` is a count")?,
            from: count(self.from).map_err(|_| "`from` is a Unix time in milliseconds")?,
            delta: flag(self.delta.as_deref()).ok_or("`delta` is `true` or `false`")?,
            presence: flag(self.presence.as_deref()).ok_or("`presence` is `true` or `false`")?,
            data,
        })
    }
}

impl Terms {
    /// The action that a client of these channels would send for each, one after the other.
    pub(super) fn subscriptions(
        self,
        positions: &Positions,
    ) -> impl Iterator<Item = serde_json::Result<String>> + use<> {
        let channels = positions.channels();
        let channels = channels.map(|(channel, since)| (channel.to_owned(), since.cloned()));
        let channels: Vec<_> = channels.collect();
        let action = move |(n, (channel, since)): (usize, (String, Option<Since>))| {
            let subscribe = Subscribe {
                action: "subscribe",
                id: n + 1,
                channel: &channel,
                since: since.as_ref(),
                terms: &self,
            };
            serde_json::to_string(&subscribe)
        };
        channels.into_iter().enumerate().map(action)
    }
}
