//! WebSocket framing (RFC 6455): the header in front of an encoded event, and control frames.
//!
//! This is the only place of the wire that knows the transport. An event's encoding is its frame's body, so that another
//! transport (a line of an event stream, the answer to an HTTP request) can send the same bytes without the header.

use bytes::Bytes;

use super::codec::Format;

/// The longest header of a frame that is not masked. Servers do not mask (RFC 6455, 5.1).
pub(super) const LONGEST_HEADER: usize = 10;

/// An encoded event with its header in front: one piece of memory, as a connection writes it.
#[derive(Debug, Default)]
pub(crate) struct EventFrame(Box<[u8]>);

impl EventFrame {
    /// Puts a header in front of the body, which begins at [`LONGEST_HEADER`] in `draft`. Within the draft the body is not moved.
    pub(super) fn new(format: Format, draft: &mut [u8]) -> Self {
        let length = draft.len() - LONGEST_HEADER;
        let header = &mut draft[..LONGEST_HEADER];
        let start = if length <= SHORT {
            header[9] = length as u8;
            8
        } else if let Ok(length) = u16::try_from(length) {
            header[7] = 126;
            header[8..].copy_from_slice(&length.to_be_bytes());
            6
        } else {
            header[1] = 127;
            header[2..].copy_from_slice(&(length as u64).to_be_bytes());
            0
        };
        header[start] = FINAL | opcode(format);
        Self(draft[start..].into())
    }

    /// A frame of any bytes.
    #[cfg(test)]
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// Header and body.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The encoded event alone.
    pub(crate) fn body(&self) -> &[u8] {
        body(&self.0)
    }
}

/// The body of a frame that this module made.
pub(crate) fn body(frame: &[u8]) -> &[u8] {
    frame.get(header_length(frame.len())..).unwrap_or_default()
}

/// The kind of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Text,
    Binary,
    Close,
    /// A ping or a pong.
    Control,
}

/// Takes the first of some frames that this module made: its kind and its body. `None` if there is no whole frame.
pub(crate) fn take_frame<'a>(frames: &mut &'a [u8]) -> Option<(Kind, &'a [u8])> {
    let (first, short) = (*frames.first()?, *frames.get(1)?);
    let (header, length) = match short {
        126 => (
            4,
            u64::from(u16::from_be_bytes(*frames.get(2..)?.first_chunk()?)),
        ),
        127 => (
            LONGEST_HEADER,
            u64::from_be_bytes(*frames.get(2..)?.first_chunk()?),
        ),
        short => (2, u64::from(short)),
    };
    let end = header.checked_add(usize::try_from(length).ok()?)?;
    let (frame, rest) = frames.split_at_checked(end)?;
    *frames = rest;
    let kind = match first & 0xF {
        0x1 => Kind::Text,
        0x2 => Kind::Binary,
        0x8 => Kind::Close,
        _ => Kind::Control,
    };
    Some((kind, &frame[header..]))
}

/// How long the header of a frame is, by the length of the frame. It need not be stored, because no two headers of different
/// lengths lead to frames of one length.
const fn header_length(frame: usize) -> usize {
    if frame <= SHORT + 2 {
        2
    } else if frame <= u16::MAX as usize + 4 {
        4
    } else {
        LONGEST_HEADER
    }
}

/// The longest body whose length fits into the second byte of its header.
const SHORT: usize = 125;

/// The bit that says that a frame is not continued by another.
const FINAL: u8 = 0x80;

const fn opcode(format: Format) -> u8 {
    match format {
        Format::Json => 0x1,
        Format::MsgPack => 0x2,
    }
}

/// A control frame: close (8), ping (9) or pong (10). A payload of more than the 125 bytes that are allowed is cut.
pub(crate) fn control(opcode: u8, payload: &[u8]) -> Bytes {
    let payload = &payload[..payload.len().min(SHORT)];
    let mut frame = Vec::with_capacity(2 + payload.len());
    frame.push(FINAL | opcode);
    frame.push(payload.len() as u8);
    frame.extend_from_slice(payload);
    frame.into()
}

/// A close frame. A reason of more than the 123 bytes that are allowed is cut between two characters.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_one_of_three_lengths() {
        for (length, header) in [
            (0, 2),
            (125, 2),
            (126, 4),
            (65_535, 4),
            (65_536, 10),
            (70_000, 10),
        ] {
            for (format, first) in [(Format::Json, 0x81), (Format::MsgPack, 0x82)] {
                let mut draft = vec![0; LONGEST_HEADER];
                draft.resize(LONGEST_HEADER + length, b'x');
                let frame = EventFrame::new(format, &mut draft);
                let bytes = frame.bytes();
                assert_eq!((bytes[0], bytes.len()), (first, header + length));
                let announced = match header {
                    2 => usize::from(bytes[1]),
                    _ => bytes[2..header]
                        .iter()
                        .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
                };
                assert_eq!(announced, length);
                assert_eq!(frame.body(), &draft[LONGEST_HEADER..]);
            }
        }
    }

    #[test]
    fn a_body_is_a_part_of_its_frame_and_no_copy() {
        let mut draft = vec![0; LONGEST_HEADER];
        draft.extend_from_slice(b"{}");
        let frame = EventFrame::new(Format::Json, &mut draft);
        assert_eq!(frame.body(), b"{}");
        assert_eq!(frame.body().as_ptr(), frame.bytes()[2..].as_ptr());
    }

    #[test]
    fn frames_in_one_piece_come_apart_again() {
        let mut expected = Vec::new();
        let mut piece = Vec::new();
        for length in [0, 125, 126, 65_535, 65_536] {
            for (format, kind) in [(Format::Json, Kind::Text), (Format::MsgPack, Kind::Binary)] {
                let mut draft = vec![0; LONGEST_HEADER];
                draft.resize(LONGEST_HEADER + length, b'x');
                piece.extend_from_slice(EventFrame::new(format, &mut draft).bytes());
                expected.push((kind, length));
            }
        }
        piece.extend_from_slice(&control(0x9, b"ping"));
        piece.extend_from_slice(&close(1000, "done"));
        expected.extend([(Kind::Control, 4), (Kind::Close, 6)]);
        let mut rest = &piece[..];
        let frames = std::iter::from_fn(|| take_frame(&mut rest));
        let found: Vec<_> = frames.map(|(kind, body)| (kind, body.len())).collect();
        assert_eq!(found, expected);
        assert!(rest.is_empty());
        assert_eq!(take_frame(&mut &piece[..1]), None);
    }

    #[test]
    fn a_close_reason_is_cut_to_what_a_control_frame_may_hold() {
        let frame = close(4000, &"é".repeat(100));
        assert_eq!(frame.len(), 2 + 2 + 122);
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
    }
}
