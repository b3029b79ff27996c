//! An event, encoded once per format, and the writer that encodes it.
//!
//! The encoding has its WebSocket header in front. Servers do not mask their frames, so that header and body are the same bytes
//! for every receiver, and a connection writes them as they are. [`Encoded::body`] is the encoding without the header.

use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Serialize;

use super::codec::{CodecError, Format, check_depth, encode_into, null, transcode_into};
use super::framing::{EventFrame, LONGEST_HEADER};
use crate::memory::Ledger;

/// A set of formats: those that the receivers of an event have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Formats {
    pub(crate) json: bool,
    pub(crate) msgpack: bool,
}

impl Formats {
    pub(crate) fn only(format: Format) -> Self {
        Self {
            json: format == Format::Json,
            msgpack: format == Format::MsgPack,
        }
    }

    /// The formats of both.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            json: self.json || other.json,
            msgpack: self.msgpack || other.msgpack,
        }
    }

    pub(crate) fn add(&mut self, format: Format) {
        match format {
            Format::Json => self.json = true,
            Format::MsgPack => self.msgpack = true,
        }
    }

    /// The format in which an event is encoded first.
    fn first(self) -> Option<Format> {
        Format::ALL
            .into_iter()
            .find(|format| self.contains(*format))
    }

    pub(crate) fn contains(self, format: Format) -> bool {
        match format {
            Format::Json => self.json,
            Format::MsgPack => self.msgpack,
        }
    }
}

/// One event in each format that a receiver has. A clone is a reference.
///
/// If nobody had a format when the event was encoded, it is made from the other format on demand, once.
#[derive(Clone, Debug)]
pub(crate) struct Encoded(Arc<Event>);

#[derive(Debug, Default)]
struct Event {
    /// The frame that was encoded first, and its format. An event that nobody receives has an empty one.
    frame: EventFrame,
    format: Format,
    /// The frame in the other format, if that is needed.
    other: OnceLock<EventFrame>,
    /// The ledger that counts its memory, from the time when it was first sent.
    ledger: OnceLock<Arc<Ledger>>,
}

impl Event {
    /// How much memory the event takes.
    fn size(&self) -> usize {
        let other = self.other.get().map_or(0, |frame| frame.bytes().len());
        Encoded::OVERHEAD + self.frame.bytes().len() + other
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if let Some(ledger) = self.ledger.get() {
            ledger.drop_event(self.size());
        }
    }
}

impl Encoded {
    /// About how much memory an event takes besides its bytes: the pointers to them, the reference counts, and the allocator's
    /// share.
    pub(crate) const OVERHEAD: usize = 128;

    /// Runs `write` once per format.
    pub(crate) fn new(
        formats: Formats,
        write: impl Fn(&mut FrameWriter) -> Result<(), CodecError>,
    ) -> Result<Self, CodecError> {
        let encode = |format| {
            let mut writer = FrameWriter::new(format);
            write(&mut writer)?;
            Ok(writer.finish())
        };
        let mut event = Event::default();
        if let Some(first) = formats.first() {
            event.frame = encode(first)?;
            event.format = first;
            if formats.contains(first.other()) {
                event.other = OnceLock::from(encode(first.other())?);
            }
        }
        Ok(Self(Arc::new(event)))
    }

    /// An event whose frame is `bytes`, whatever they are.
    #[cfg(test)]
    pub(crate) fn of_bytes(format: Format, bytes: Bytes) -> Self {
        let mut event = Event::default();
        event.frame = EventFrame::of_bytes(&bytes);
        event.format = format;
        Self(Arc::new(event))
    }

    /// About how much memory it takes.
    pub(crate) fn size(&self) -> usize {
        self.0.size()
    }

    /// Counts its memory in `ledger`, once, as long as anybody refers to it.
    pub(crate) fn count(&self, ledger: &Arc<Ledger>) {
        if self.0.ledger.get().is_none() && self.0.ledger.set(ledger.clone()).is_ok() {
            ledger.add_event(self.0.size());
        }
    }

    /// A copy of the WebSocket frame.
    pub(crate) fn get(&self, format: Format) -> Bytes {
        Bytes::copy_from_slice(self.websocket(format))
    }

    /// The WebSocket frame: header and body. Empty only if the event cannot be expressed in `format` at all.
    pub(crate) fn websocket(&self, format: Format) -> &[u8] {
        self.frame(format).bytes()
    }

    /// The encoded event alone, for a transport that is no WebSocket. Empty where the frame is.
    #[cfg_attr(
        not(any(test, feature = "testing")),
        expect(dead_code, reason = "so far only WebSockets carry events")
    )]
    pub(crate) fn body(&self, format: Format) -> &[u8] {
        self.frame(format).body()
    }

    fn frame(&self, format: Format) -> &EventFrame {
        let event = &*self.0;
        if format == event.format {
            return &event.frame;
        }
        event.other.get_or_init(|| {
            let body = Some(event.frame.body()).filter(|body| !body.is_empty());
            let frame = body
                .and_then(|body| transcode(event.format, format, body))
                .unwrap_or_default();
            if let Some(ledger) = event.ledger.get() {
                ledger.add_event(frame.bytes().len());
            }
            frame
        })
    }
}

fn transcode(from: Format, to: Format, body: &[u8]) -> Option<EventFrame> {
    let mut draft = vec![0; LONGEST_HEADER];
    transcode_into(from, to, body, &mut draft)
        .inspect_err(
            |error| tracing::error!(%error, "an event could not be put into {}", to.name()),
        )
        .ok()?;
    Some(EventFrame::new(to, &mut draft))
}

thread_local! {
    /// Events are encoded here, because their length is not known before. The frame is then allocated once, with just its length.
    static DRAFT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends a buffer, empty, whose memory is used again and again.
pub(super) fn draft<T>(act: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut draft = DRAFT.take();
    draft.clear();
    let done = act(&mut draft);
    keep(draft);
    done
}

fn keep(draft: Vec<u8>) {
    // After one long event the memory is given back.
    if draft.capacity() <= 64 << 10 {
        DRAFT.set(draft);
    }
}

/// Encodes an event field by field.
///
/// An event has at most 15 fields, so that its encoding begins with a single byte in both formats. In MessagePack this byte holds
/// the number of fields, so it is set at the end.
#[derive(Debug)]
pub(crate) struct FrameWriter {
    format: Format,
    buffer: Vec<u8>,
    fields: u8,
}

impl FrameWriter {
    pub(crate) fn new(format: Format) -> Self {
        let mut buffer = DRAFT.take();
        buffer.clear();
        buffer.resize(LONGEST_HEADER, 0);
        buffer.push(0);
        Self {
            format,
            buffer,
            fields: 0,
        }
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    fn key(&mut self, name: &str) {
        self.fields += 1;
        match self.format {
            Format::Json => {
                if self.fields > 1 {
                    self.buffer.push(b',');
                }
                self.buffer.push(b'"');
                self.buffer.extend_from_slice(name.as_bytes());
                self.buffer.extend_from_slice(b"\":");
            }
            Format::MsgPack => msgpack_str(&mut self.buffer, name),
        }
    }

    /// The field `event`: the event's name, which needs no escapes.
    pub(crate) fn event(&mut self, name: &'static str) -> &mut Self {
        self.key("event");
        match self.format {
            Format::Json => {
                self.buffer.push(b'"');
                self.buffer.extend_from_slice(name.as_bytes());
                self.buffer.push(b'"');
            }
            Format::MsgPack => msgpack_str(&mut self.buffer, name),
        }
        self
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) -> Result<&mut Self, CodecError> {
        self.field(name, value)
    }

    pub(crate) fn field<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Result<&mut Self, CodecError> {
        self.key(name);
        encode_into(self.format, value, &mut self.buffer)?;
        Ok(self)
    }

    /// The field `data` with a value of the application's. A value that is nested too deep for clients to read is an error.
    pub(crate) fn data<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
    ) -> Result<&mut Self, CodecError> {
        self.key("data");
        self.value(value)?;
        Ok(self)
    }

    /// As [`Self::data`], but writes no field if the value is null.
    pub(crate) fn data_unless_null<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
    ) -> Result<&mut Self, CodecError> {
        let (before, null) = (self.buffer.len(), null(self.format));
        self.key("data");
        if self.value(value)? == null {
            self.buffer.truncate(before);
            self.fields -= 1;
        }
        Ok(self)
    }

    /// Appends a value and returns its encoding.
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<&[u8], CodecError> {
        let start = self.buffer.len();
        encode_into(self.format, value, &mut self.buffer)?;
        let encoded = &self.buffer[start..];
        check_depth(self.format, encoded)?;
        Ok(encoded)
    }

    /// A field whose value is encoded already, in either format.
    pub(crate) fn raw(
        &mut self,
        name: &str,
        format: Format,
        bytes: &[u8],
    ) -> Result<&mut Self, CodecError> {
        self.key(name);
        transcode_into(format, self.format, bytes, &mut self.buffer)?;
        Ok(self)
    }

    /// A field that is an object of at most 15 fields, which `write` appends.
    pub(crate) fn object(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Self) -> Result<(), CodecError>,
    ) -> Result<&mut Self, CodecError> {
        self.key(name);
        let (start, outer) = (self.buffer.len(), std::mem::take(&mut self.fields));
        self.buffer.push(0);
        write(self)?;
        match self.format {
            Format::Json => {
                self.buffer[start] = b'{';
                self.buffer.push(b'}');
            }
            Format::MsgPack => self.buffer[start] = 0x80 | self.fields,
        }
        self.fields = outer;
        Ok(self)
    }

    /// A field that is a list. `write` appends one item to the buffer.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: &[T],
        write: impl Fn(&T, Format, &mut Vec<u8>) -> Result<(), CodecError>,
    ) -> Result<&mut Self, CodecError> {
        self.key(name);
        match self.format {
            Format::Json => {
                self.buffer.push(b'[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        self.buffer.push(b',');
                    }
                    write(item, Format::Json, &mut self.buffer)?;
                }
                self.buffer.push(b']');
            }
            Format::MsgPack => {
                let length = u32::try_from(items.len())
                    .map_err(|_| CodecError("a list is too long".to_owned()))?;
                // Writing to a `Vec` never fails.
                let _marker = rmp::encode::write_array_len(&mut self.buffer, length);
                for item in items {
                    write(item, Format::MsgPack, &mut self.buffer)?;
                }
            }
        }
        Ok(self)
    }

    fn finish(mut self) -> EventFrame {
        match self.format {
            Format::Json => {
                self.buffer[LONGEST_HEADER] = b'{';
                self.buffer.push(b'}');
            }
            Format::MsgPack => self.buffer[LONGEST_HEADER] = 0x80 | self.fields,
        }
        let frame = EventFrame::new(self.format, &mut self.buffer);
        keep(self.buffer);
        frame
    }
}

/// Appends a string of any length to `out` in MessagePack.
pub(crate) fn msgpack_str(out: &mut Vec<u8>, text: &str) {
    // Writing to a `Vec` never fails.
    let _written = rmp::encode::write_str(out, text);
}

#[cfg(test)]
mod tests {
    use super::super::codec::decode;
    use super::*;
    use serde_json::{Value, json};

    fn encoded(formats: Formats, filler: usize) -> Encoded {
        Encoded::new(formats, |writer| {
            writer
                .text("event", "message")?
                .field("data", &"x".repeat(filler))?;
            Ok(())
        })
        .unwrap()
    }

    #[test]
    fn the_body_is_the_event_and_the_frame_has_a_header_in_front_of_it() {
        for filler in [1, 300, 70_000] {
            for format in Format::ALL {
                let event = encoded(Formats::only(format), filler);
                let value: Value = decode(format, event.body(format)).unwrap();
                assert_eq!(value["data"].as_str().unwrap().len(), filler);
                assert!(event.websocket(format).ends_with(event.body(format)));
            }
        }
    }

    #[test]
    fn frame_and_body_are_the_same_memory_for_every_receiver() {
        let event = encoded(Formats::only(Format::Json), 300);
        let (frame, body) = (event.websocket(Format::Json), event.body(Format::Json));
        assert_eq!(frame[4..].as_ptr(), body.as_ptr());
        assert_eq!(event.clone().body(Format::Json).as_ptr(), body.as_ptr());
    }

    #[test]
    fn a_missing_format_is_made_from_the_other() {
        for (made, asked) in [
            (Format::Json, Format::MsgPack),
            (Format::MsgPack, Format::Json),
        ] {
            let event = encoded(Formats::only(made), 3);
            let value: Value = decode(asked, event.body(asked)).unwrap();
            assert_eq!(value, json!({"event": "message", "data": "xxx"}));
        }
    }

    #[test]
    fn an_event_counts_once_and_as_long_as_anybody_refers_to_it() {
        let ledger = Arc::new(Ledger::new(0));
        let frame = encoded(Formats::only(Format::Json), 100);
        frame.count(&ledger);
        let others = vec![frame.clone(); 1000];
        others.iter().for_each(|frame| frame.count(&ledger));
        let json = frame.websocket(Format::Json).len();
        assert_eq!(ledger.total(), Encoded::OVERHEAD + json);
        let both = json + others[7].websocket(Format::MsgPack).len();
        assert_eq!(ledger.total(), Encoded::OVERHEAD + both);
        drop(frame);
        assert_eq!(ledger.total(), Encoded::OVERHEAD + both);
        drop(others);
        assert_eq!(ledger.total(), 0);
    }
}
