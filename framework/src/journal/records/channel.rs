//! What happens to a channel.

use std::time::Duration;

use smallvec::SmallVec;

use super::super::encoding::{encode_fields, encode_variants};
use super::parts::{ConsumedList, Data, Origin};
use crate::ids::SessionId;

/// What a channel has done in one turn of its shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ChannelRecord<'a> {
    pub(crate) channel: &'a str,
    pub(crate) consumed: ConsumedList<SessionId>,
    /// In order, because a subscriber receives what is published while it is there.
    pub(crate) steps: SmallVec<[ChannelStep<'a>; 1]>,
}

encode_fields!(ChannelRecord<'a> { channel, consumed, steps });

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ChannelStep<'a> {
    Publish(Published<'a>),
    Subscribe(Subscriber<'a>),
    Unsubscribe {
        session: SessionId,
    },
    /// A counted event for one session, such as an answer.
    Send {
        to: SessionId,
        frame: Data<'a>,
    },
    /// The channel was forgotten: nothing of it is left.
    End,
}

encode_variants!(ChannelStep<'a> {
    0 => Publish(published),
    1 => Subscribe(subscriber),
    2 => Unsubscribe { session },
    3 => Send { to, frame },
    4 => End,
});

/// A publication. Its event is made from this for all subscribers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Published<'a> {
    pub(crate) offset: u64,
    /// When, by the wall clock: since 1970.
    pub(crate) at: Duration,
    pub(crate) data: Data<'a>,
    pub(crate) origin: Origin<'a>,
}

encode_fields!(Published<'a> { offset, at, data, origin });

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Subscriber<'a> {
    pub(crate) session: SessionId,
    /// Whether it receives patches.
    pub(crate) delta: bool,
    /// When the subscription ends, by the wall clock: since 1970. `None`: not by itself.
    pub(crate) until: Option<Duration>,
    /// What it shows the others of itself.
    pub(crate) shown: Option<Data<'a>>,
}

encode_fields!(Subscriber<'a> { session, delta, until, shown });
