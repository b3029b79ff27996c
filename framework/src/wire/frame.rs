//! Ready-framed bytes: an event, encoded once per format, with its WebSocket header in front.
//!
//! A server's frames are not masked (RFC 6455, 5.1), so header and payload are the same bytes for each receiver.

use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Serialize;

use super::codec::{CodecError, Format, check_depth, encode_into, null, transcode_into};
use crate::memory::Ledger;

/// The longest WebSocket header of a frame that is not masked.
const HEADER: usize = 10;

/// The formats that somebody needs.
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

    pub(crate) fn add(&mut self, format: Format) {
        match format {
            Format::Json => self.json = true,
            Format::MsgPack => self.msgpack = true,
        }
    }

    pub(crate) fn contains(self, format: Format) -> bool {
        match format {
            Format::Json => self.json,
            Format::MsgPack => self.msgpack,
        }
    }
}

/// One event's frame in each format that was asked for; a clone is a reference.
///
/// A format that nobody had when it was made is made from the other on demand, once.
#[derive(Clone, Debug)]
pub(crate) struct Encoded(Arc<Event>);

#[derive(Debug, Default)]
struct Event {
    formats: [OnceLock<Box<[u8]>>; 2],
    /// Where it counts, from the time when it was first sent.
    ledger: OnceLock<Arc<Ledger>>,
}

impl Event {
    /// The memory that it takes.
    fn size(&self) -> usize {
        let bytes = self.formats.iter().filter_map(OnceLock::get);
        Encoded::OVERHEAD + bytes.map(|frame| frame.len()).sum::<usize>()
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
    /// What an event takes besides its bytes, about: where those are, who refers to it, and the allocator's share.
    pub(crate) const OVERHEAD: usize = 128;

    /// Runs `write` once per format.
    pub(crate) fn new(
        formats: Formats,
        write: impl Fn(&mut FrameWriter) -> Result<(), CodecError>,
    ) -> Result<Self, CodecError> {
        let encoded = Self(Arc::default());
        for format in Format::ALL {
            if formats.contains(format) {
                let mut writer = FrameWriter::new(format);
                write(&mut writer)?;
                let _first = encoded.0.formats[format as usize].set(writer.finish());
            }
        }
        Ok(encoded)
    }

    /// An event of which one frame is there already.
    #[cfg(test)]
    pub(crate) fn of_bytes(format: Format, frame: Bytes) -> Self {
        let encoded = Self(Arc::default());
        let _first = encoded.0.formats[format as usize].set((&*frame).into());
        encoded
    }

    /// Counts it, once, as long as anybody refers to it.
    pub(crate) fn count(&self, ledger: &Arc<Ledger>) {
        if self.0.ledger.get().is_none() && self.0.ledger.set(ledger.clone()).is_ok() {
            ledger.add_event(self.0.size());
        }
    }

    /// A copy of the frame in `format`.
    pub(crate) fn get(&self, format: Format) -> Bytes {
        Bytes::copy_from_slice(self.bytes(format))
    }

    /// The frame in `format`; empty only if the event cannot be expressed in it at all.
    pub(crate) fn bytes(&self, format: Format) -> &[u8] {
        self.0.formats[format as usize].get_or_init(|| {
            let frame = Format::ALL
                .into_iter()
                .find_map(|from| Some((from, self.0.formats[from as usize].get()?)))
                .and_then(|(from, frame)| transcode_frame(from, format, frame))
                .unwrap_or_default();
            if let Some(ledger) = self.0.ledger.get() {
                ledger.add_event(frame.len());
            }
            frame
        })
    }
}

fn transcode_frame(from: Format, to: Format, frame: &[u8]) -> Option<Box<[u8]>> {
    let mut out = vec![0; HEADER];
    transcode_into(from, to, payload(frame), &mut out)
        .inspect_err(
            |error| tracing::error!(%error, "an event could not be put into {}", to.name()),
        )
        .ok()?;
    Some(with_header(opcode(to), &mut out).into())
}

/// The payload of a frame that this module made.
pub(crate) fn payload(frame: &[u8]) -> &[u8] {
    let header = match frame.get(1) {
        Some(127) => 10,
        Some(126) => 4,
        _ => 2,
    };
    frame.get(header..).unwrap_or_default()
}

const fn opcode(format: Format) -> u8 {
    match format {
        Format::Json => 0x1,
        Format::MsgPack => 0x2,
    }
}

/// A control frame: ping (9), pong (10) or close (8). Longer payloads than the 125 bytes that are allowed are cut.
pub(crate) fn control(opcode: u8, payload: &[u8]) -> Bytes {
    let payload = &payload[..payload.len().min(125)];
    let mut frame = Vec::with_capacity(2 + payload.len());
    frame.push(0x80 | opcode);
    frame.push(payload.len() as u8);
    frame.extend_from_slice(payload);
    frame.into()
}

/// A close frame; the reason is cut to the 123 bytes that are allowed, at a character's border.
pub(crate) fn close(code: u16, reason: &str) -> Bytes {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut payload = Vec::with_capacity(2 + end);
    payload.extend_from_slice(&code.to_be_bytes());
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    control(0x8, &payload)
}

/// Puts the header in front of a payload that begins at `HEADER` bytes into `buffer`, without moving the payload.
fn with_header(opcode: u8, buffer: &mut [u8]) -> &[u8] {
    let length = buffer.len() - HEADER;
    let start = if length < 126 {
        buffer[HEADER - 1] = length as u8;
        HEADER - 2
    } else if let Ok(short) = u16::try_from(length) {
        buffer[HEADER - 3] = 126;
        buffer[HEADER - 2..HEADER].copy_from_slice(&short.to_be_bytes());
        HEADER - 4
    } else {
        buffer[HEADER - 9] = 127;
        buffer[HEADER - 8..HEADER].copy_from_slice(&(length as u64).to_be_bytes());
        HEADER - 10
    };
    buffer[start] = 0x80 | opcode;
    &buffer[start..]
}

thread_local! {
    /// Where events are written before their length is known: then a frame has memory of just its size, asked for once.
    static DRAFT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends memory to write to, empty but used before.
pub(super) fn draft<T>(act: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut draft = DRAFT.take();
    draft.clear();
    let done = act(&mut draft);
    keep(draft);
    done
}

fn keep(draft: Vec<u8>) {
    // One great frame must not hold its size for ever.
    if draft.capacity() <= 64 << 10 {
        DRAFT.set(draft);
    }
}

/// Writes an event field by field.
///
/// An event has at most 15 fields, so that what opens it is one byte in both formats, filled in at the end.
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
        buffer.resize(HEADER, 0);
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

    /// The field `data` with a value of the application's, which may be anything: clients could not read what is too deep.
    pub(crate) fn data<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
    ) -> Result<&mut Self, CodecError> {
        self.key("data");
        self.value(value)?;
        Ok(self)
    }

    /// As [`Self::data`], but no field if the value is null.
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

    /// Appends a value; returns its encoding.
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<&[u8], CodecError> {
        let start = self.buffer.len();
        encode_into(self.format, value, &mut self.buffer)?;
        let encoded = &self.buffer[start..];
        check_depth(self.format, encoded)?;
        Ok(encoded)
    }

    /// A field whose value is encoded already, in whatever format.
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

    /// A field that is a list, each item of which `write` appends to the bytes that it is handed.
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
                // A `Vec` takes everything.
                let _marker = rmp::encode::write_array_len(&mut self.buffer, length);
                for item in items {
                    write(item, Format::MsgPack, &mut self.buffer)?;
                }
            }
        }
        Ok(self)
    }

    fn finish(mut self) -> Box<[u8]> {
        match self.format {
            Format::Json => {
                self.buffer[HEADER] = b'{';
                self.buffer.push(b'}');
            }
            Format::MsgPack => self.buffer[HEADER] = 0x80 | self.fields,
        }
        let frame = with_header(opcode(self.format), &mut self.buffer).into();
        keep(self.buffer);
        frame
    }
}

/// Appends a string of any length to `out` in MessagePack.
pub(crate) fn msgpack_str(out: &mut Vec<u8>, text: &str) {
    // A `Vec` takes everything.
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
    fn headers_of_all_three_lengths_are_right() {
        for (filler, header) in [(1, 2), (300, 4), (70_000, 10)] {
            let frame = encoded(Formats::only(Format::Json), filler).get(Format::Json);
            let payload = payload(&frame);
            assert_eq!(frame.len() - payload.len(), header);
            assert_eq!(frame[0], 0x81);
            let value: Value = decode(Format::Json, payload).unwrap();
            assert_eq!(value["data"].as_str().unwrap().len(), filler);
        }
    }

    #[test]
    fn a_format_that_nobody_had_is_made_from_the_other() {
        for (made, asked) in [
            (Format::Json, Format::MsgPack),
            (Format::MsgPack, Format::Json),
        ] {
            let frame = encoded(Formats::only(made), 3).get(asked);
            let value: Value = decode(asked, payload(&frame)).unwrap();
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
        let json = frame.bytes(Format::Json).len();
        assert_eq!(ledger.total(), Encoded::OVERHEAD + json);
        let both = json + others[7].bytes(Format::MsgPack).len();
        assert_eq!(ledger.total(), Encoded::OVERHEAD + both);
        drop(frame);
        assert_eq!(ledger.total(), Encoded::OVERHEAD + both);
        drop(others);
        assert_eq!(ledger.total(), 0);
    }

    #[test]
    fn a_close_reason_is_cut_to_what_a_control_frame_may_hold() {
        let frame = close(4000, &"é".repeat(100));
        assert_eq!(frame.len(), 2 + 2 + 122);
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
    }
}
