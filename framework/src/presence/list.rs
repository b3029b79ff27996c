//! The list of one channel or room, with the events that show it.

use std::sync::Arc;
use std::time::Duration;

use super::config::Presence;
use super::core::PresenceCore;
use super::event::{Announcement, Present, missed};
use super::who::Who;
use crate::ids::{Place, SessionId};
use crate::session::outbox::{Delivery, PresenceUpdate};
use crate::wire::codec::{CodecError, Format, RawData};
use crate::wire::frame::{Encoded, Formats};

/// A [`PresenceCore`] that encodes what it announces: a change once for each format, and the whole list once for each format and
/// state of the list.
#[derive(Debug)]
pub(crate) struct PresenceList {
    place: Place,
    core: PresenceCore,
    /// The whole list as it is, in the formats in which somebody has asked for it.
    whole: Option<Encoded>,
}

impl PresenceList {
    pub(crate) fn new(place: Place, settings: Presence) -> Self {
        Self {
            place,
            core: PresenceCore::new(settings),
            whole: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.core.is_empty()
    }

    /// When [`flush`](Self::flush) has something to do.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.core.due()
    }

    pub(crate) fn everybody(&self) -> Vec<Present> {
        self.core.everybody()
    }

    pub(crate) fn enter(
        &mut self,
        now: Duration,
        session: SessionId,
        who: &Who,
        data: Option<RawData>,
    ) {
        self.whole = None;
        self.core.enter(now, session, who, data);
    }

    pub(crate) fn leave(&mut self, now: Duration, session: SessionId) {
        self.whole = None;
        self.core.leave(now, session);
    }

    pub(crate) fn change(
        &mut self,
        now: Duration,
        session: SessionId,
        data: Option<RawData>,
    ) -> bool {
        self.whole = None;
        self.core.change(now, session, data)
    }

    /// The whole list, for a client with this format.
    pub(crate) fn whole(&mut self, format: Format) -> Result<Encoded, CodecError> {
        if let Some(whole) = &self.whole {
            // The other format is made from it on demand, once.
            return Ok(whole.clone());
        }
        let whole = self.core.whole();
        let whole = Encoded::new(Formats::only(format), |w| whole.write(w, &self.place))?;
        Ok(self.whole.insert(whole).clone())
    }

    /// The event that ends the batch, if that is due and changes anything.
    pub(crate) fn flush(
        &mut self,
        now: Duration,
        formats: Formats,
    ) -> Option<Result<(Encoded, Delivery), CodecError>> {
        let announcement = self.core.flush(now)?;
        self.whole = None;
        Some(self.encode(&announcement, formats))
    }

    fn encode(
        &self,
        announcement: &Announcement,
        formats: Formats,
    ) -> Result<(Encoded, Delivery), CodecError> {
        let frame = Encoded::new(formats, |w| announcement.write(w, &self.place))?;
        let missed = Encoded::new(formats, |w| missed(w, &self.place, announcement.version()))?;
        let update = PresenceUpdate {
            place: self.place.clone(),
            missed,
        };
        Ok((frame, Delivery::Presence(Arc::new(update))))
    }
}
