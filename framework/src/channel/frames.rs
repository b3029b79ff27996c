//! The events that a channel sends: its publications, the answer to a subscription, and pages of its history.

use std::time::Duration;

use super::delta::patch_between;
use super::input::{ReadHistory, Subscribe};
use super::log::{ChannelLog, Recovery, Start};
use super::registry::ActiveChannel;
use crate::ids::ChannelName;
use crate::wire::action::Since;
use crate::wire::codec::{CodecError, Format};
use crate::wire::event::{self, HistoryPage, Publication, Subscribed};
use crate::wire::frame::{Encoded, Formats, FrameWriter};

/// The subscribers that a publication is sent to, by what they receive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Readers {
    /// Each publication, whole.
    Whole,
    /// Each publication, as a patch where there is one.
    Delta,
    /// The newest publication: one replaces an older one that was not delivered yet.
    Newest,
}

/// The event of a publication, for each kind of readers that the channel may have.
pub(super) fn frames<H: Clone + PartialEq, L, C>(
    channel: &mut ActiveChannel<H, L, C>,
    name: &ChannelName,
    publication: &Publication,
) -> Result<[Option<(Readers, Encoded)>; 2], CodecError> {
    let (whole, delta) = (channel.subscribers.whole(), channel.subscribers.delta());
    if channel.kind.latest {
        let frame = Encoded::new(whole.formats(), |w| event::latest(w, name, publication))?;
        return Ok([Some((Readers::Newest, frame)), None]);
    }
    let entire = |formats| Encoded::new(formats, |w| event::publication(w, name, publication));
    // If an event cannot be encoded, subscribers lack the publication, and the next one goes whole.
    let base = channel.base.take();
    if delta.is_empty() {
        return Ok([Some((Readers::Whole, entire(whole.formats())?)), None]);
    }
    let patch = base
        .filter(|base| base.offset + 1 == publication.offset)
        .and_then(|base| patch_between(&base.data, &publication.data));
    let offset = publication.offset;
    let (for_whole, for_delta) = match patch {
        Some(patch) => {
            let write = |w: &mut _| event::publication_patch(w, name, offset, &patch);
            (
                entire(whole.formats())?,
                Encoded::new(delta.formats(), write)?,
            )
        }
        None => {
            let frame = entire(whole.formats().or(delta.formats()))?;
            (frame.clone(), frame)
        }
    };
    channel.base = Some(publication.clone());
    Ok([
        Some((Readers::Whole, for_whole)),
        Some((Readers::Delta, for_delta)),
    ])
}

/// The newest publication of a channel, if subscribers receive only that.
pub(super) fn newest<H, L: ChannelLog, C>(
    channel: &mut ActiveChannel<H, L, C>,
    name: &ChannelName,
    format: Format,
    now: Duration,
) -> Option<Encoded> {
    if !channel.kind.latest {
        return None;
    }
    let newest = channel.log.recover(&Start::newest(), now, usize::MAX);
    let publication = newest.publications.first()?;
    // It was encoded before, so this does not fail.
    only(format, |w| event::latest(w, name, publication)).ok()
}

/// With what a subscription starts where subscribers receive only the newest publication: with that, if the subscriber does not
/// have it. A newcomer may ask for more of the history.
fn recover_newest(
    log: &mut impl ChannelLog,
    start: &Start,
    now: Duration,
    budget: usize,
) -> Recovery {
    let (epoch, newest) = log.newest();
    let is_known = |since: &&Since| since.epoch == epoch && since.offset <= newest;
    let known = start.since.as_ref().filter(is_known);
    let is_asked = start.last.is_some() || start.from.is_some();
    let Some(known) = known.map(|since| since.offset) else {
        let newcomer = Start {
            since: None,
            ..if is_asked {
                start.clone()
            } else {
                Start::newest()
            }
        };
        return log.recover(&newcomer, now, budget);
    };
    let mut recovery = log.recover(&Start::newest(), now, budget);
    recovery.publications.retain(|newest| newest.offset > known);
    recovery.recovered = known == newest || !recovery.publications.is_empty();
    recovery
}

/// A new subscriber's answer, with so much of the history that the event is not longer than it may be.
pub(super) fn subscribed<H: Clone + PartialEq, L: ChannelLog, C>(
    known: &mut ActiveChannel<H, L, C>,
    subscribe: &Subscribe<H>,
    now: Duration,
) -> Result<Encoded, CodecError> {
    let log = &mut known.log;
    let is_delta = known.kind.delta && subscribe.delta;
    let base = match &known.base {
        Some(base) if is_delta => Some(base.clone()),
        None if is_delta && known.subscribers.delta().is_empty() => {
            let mut newest = log.recover(&Start::newest(), now, usize::MAX);
            newest.publications.pop()
        }
        // No patches, or another subscriber with patches lacks the newest publication: the next one goes whole.
        _ => None,
    };
    let mut with_base = true;
    let Subscribe {
        from,
        channel,
        budget,
        grant,
        ..
    } = subscribe;
    let data = grant.as_ref().and_then(|grant| grant.data.as_ref());
    let until = grant.as_ref().and_then(|grant| grant.until);
    let mut left = budget.saturating_sub(data.map_or(0, |data| data.bytes().len()));
    loop {
        let recovery = match known.kind.latest {
            true => recover_newest(log, &subscribe.start, now, left),
            false => log.recover(&subscribe.start, now, left),
        };
        let (epoch, offset) = log.newest();
        let last = recovery.publications.last();
        let has_newest = last.is_some_and(|last| last.offset == offset);
        let beside = base.as_ref().filter(|_| with_base && !has_newest);
        let subscribed = Subscribed {
            channel,
            epoch,
            offset,
            recovered: recovery.recovered,
            publications: &recovery.publications,
            is_delta,
            base: beside,
            data,
            left: until.map(|until| until.saturating_sub(now)),
        };
        let frame = only(from.format, |w| subscribed.write(w, from.id))?;
        let is_least = recovery.publications.is_empty() && beside.is_none();
        if frame.websocket(from.format).len() <= *budget || is_least {
            if is_delta {
                // If the subscriber does not have it, the next publication goes whole to all.
                let has_it = has_newest || beside.is_some();
                known.base = base.filter(|_| has_it);
            }
            return Ok(frame);
        }
        if recovery.publications.is_empty() {
            with_base = false;
        }
        // The publications are longer in the subscriber's format than in the one in which they are kept.
        left /= 2;
    }
}

/// The answer to `history`, with so many publications that the event is not longer than it may be, but at least one.
pub(super) fn history_page<H>(
    log: &mut impl ChannelLog,
    read: &ReadHistory<H>,
    now: Duration,
) -> Result<Encoded, CodecError> {
    let ReadHistory {
        from, page, budget, ..
    } = read;
    let mut left = *budget;
    loop {
        let turned = log.page(page, now, left);
        let (epoch, offset) = log.newest();
        let page = HistoryPage {
            epoch,
            offset,
            publications: &turned.publications,
            more: turned.more,
        };
        let frame = only(from.format, |w| page.write(w, from.id))?;
        if frame.websocket(from.format).len() <= *budget || turned.publications.len() <= 1 {
            return Ok(frame);
        }
        left /= 2;
    }
}

/// Encodes an event for one client.
pub(super) fn only(
    format: Format,
    write: impl Fn(&mut FrameWriter) -> Result<(), CodecError>,
) -> Result<Encoded, CodecError> {
    Encoded::new(Formats::only(format), write)
}
