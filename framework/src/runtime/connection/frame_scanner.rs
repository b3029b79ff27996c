//! Scans the headers of the frames that a client sends: finds the first broken rule, and the client's close frame.

use crate::close::CloseCode;

/// Reads frame headers as the bytes pass.
///
/// Until a frame breaks a rule, every header is checked. From then on the scanner follows the headers without checking them
/// and only looks for the client's close frame: a client that has received a close frame answers with its own, and sends
/// nothing after it.
#[derive(Debug, Default)]
pub(crate) struct FrameScanner {
    header: [u8; 14],
    header_len: u8,
    /// Payload bytes of the current frame that have not arrived yet.
    payload_left: u64,
    /// The close frame, once its header has arrived.
    close: Option<Box<Close>>,
    fault: Option<CloseCode>,
    /// Only the client's close frame is of interest.
    seeks_close: bool,
    has_closed: bool,
}

/// A close frame whose payload is arriving.
#[derive(Debug, Default)]
struct Close {
    mask: [u8; 4],
    /// The part of the payload that has arrived, up to the longest that is allowed.
    reason: Vec<u8>,
}

/// What was found in a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inspected {
    /// How many of its bytes the decoder may read: those before the frame that broke a rule, and none after a close frame.
    pub(crate) fit: usize,
    /// How many frames ended in them.
    pub(crate) frames: usize,
}

impl FrameScanner {
    /// The longest payload of a close frame.
    const REASON: usize = 125;

    /// The first broken rule, as the code to close with.
    pub(crate) fn fault(&self) -> Option<CloseCode> {
        self.fault
    }

    /// Whether the client has sent a whole close frame.
    pub(crate) fn has_closed(&self) -> bool {
        self.has_closed
    }

    /// From now on, only looks for a close frame.
    pub(crate) fn seek_close(&mut self) {
        self.seeks_close = true;
    }

    /// Scans the next bytes. A frame longer than `limit` breaks a rule.
    pub(crate) fn pass(&mut self, chunk: &[u8], limit: u64) -> Inspected {
        let mut position = 0;
        let mut inspected = Inspected { fit: 0, frames: 0 };
        // Where the current frame began, if it began in this chunk.
        let mut frame_start = 0;
        while position < chunk.len() && !self.has_closed {
            if let Some(length) = self.ordinary(&chunk[position..], limit) {
                position += length;
                frame_start = position;
                inspected.frames += 1;
                continue;
            }
            if self.payload_left > 0 {
                let rest = (chunk.len() - position) as u64;
                let skipped = self.payload_left.min(rest);
                if let Some(close) = &mut self.close {
                    let room = Self::REASON - close.reason.len();
                    let kept = &chunk[position..][..room.min(skipped as usize)];
                    close.reason.extend_from_slice(kept);
                }
                self.payload_left -= skipped;
                position += skipped as usize;
                if self.payload_left > 0 {
                    continue;
                }
            } else {
                let known = usize::from(self.header_len);
                let missing = self.known_header_size() - known;
                let taken = missing.min(chunk.len() - position);
                self.header[known..][..taken].copy_from_slice(&chunk[position..][..taken]);
                // The longest header has 14 bytes.
                self.header_len += taken as u8;
                position += taken;
                let Some(length) = self.read_header(limit) else {
                    continue;
                };
                self.begin_payload(length);
                if length > 0 {
                    continue;
                }
            }
            self.end_frame();
            if self.fault.is_none() {
                frame_start = position;
                inspected.frames += 1;
            }
        }
        inspected.fit = if self.fault.is_some() {
            frame_start
        } else {
            position
        };
        inspected
    }

    /// The length of the frame at the start of `rest`, if it is complete, is a message or a fragment, and breaks no rule. This is
    /// the fast path for nearly all frames.
    fn ordinary(&self, rest: &[u8], limit: u64) -> Option<usize> {
        if self.payload_left > 0 || self.header_len > 0 || self.seeks_close {
            return None;
        }
        let [first, second, ..] = *rest else {
            return None;
        };
        let is_masked = second & 0x80 != 0;
        if !matches!(first & 0x7f, 0..=2) || !is_masked {
            return None;
        }
        let (header, payload) = match (second & 0x7f, rest) {
            (126, [_, _, a, b, ..]) => (8, usize::from(u16::from_be_bytes([*a, *b]))),
            (126 | 127, _) => return None,
            (short, _) => (6, usize::from(short)),
        };
        let length = header + payload;
        (length <= rest.len() && payload as u64 <= limit).then_some(length)
    }

    fn header(&self) -> &[u8] {
        &self.header[..usize::from(self.header_len)]
    }

    fn begin_payload(&mut self, length: u64) {
        let header = self.header();
        if header[0] & 0x0f == 8 {
            let mut close = Close::default();
            if let (true, Some((_, mask))) = (header[1] & 0x80 != 0, header.split_last_chunk()) {
                close.mask = *mask;
            }
            self.close = Some(Box::new(close));
        }
        self.payload_left = length;
        self.header_len = 0;
    }

    fn end_frame(&mut self) {
        let Some(close) = self.close.take() else {
            return;
        };
        self.has_closed = true;
        let Close { mask, mut reason } = *close;
        for (byte, mask) in reason.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        // The decoder cannot distinguish this fault from others (RFC 6455, 8.1).
        if reason
            .get(2..)
            .is_some_and(|text| std::str::from_utf8(text).is_err())
        {
            self.record_fault(CloseCode::INVALID_TEXT);
        }
    }

    /// Records the first fault. After it, the scanner only looks for a close frame.
    fn record_fault(&mut self, code: CloseCode) {
        if !self.seeks_close {
            self.fault = Some(code);
            self.seeks_close = true;
        }
    }

    /// How many bytes the header has, as far as that is known: its first two bytes determine it.
    fn known_header_size(&self) -> usize {
        if self.header_len < 2 {
            return 2;
        }
        let mask = if self.header[1] & 0x80 != 0 { 4 } else { 0 };
        match self.header[1] & 0x7f {
            126 => 2 + 2 + mask,
            127 => 2 + 8 + mask,
            _ => 2 + mask,
        }
    }

    /// The payload's length, once the header is complete.
    fn read_header(&mut self, limit: u64) -> Option<u64> {
        if !self.seeks_close
            && let Some(code) = self.broken_rule(limit)
        {
            self.record_fault(code);
        }
        let known = self.header().len();
        let is_complete = known >= 2 && known == self.known_header_size();
        is_complete.then(|| self.length()).flatten()
    }

    /// The payload's length, if the header contains it already.
    fn length(&self) -> Option<u64> {
        let header = self.header();
        match (header.get(1)? & 0x7f, &header[2..]) {
            (126, [a, b, ..]) => Some(u64::from(u16::from_be_bytes([*a, *b]))),
            (127, [a, b, c, d, e, f, g, h, ..]) => {
                Some(u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]))
            }
            (126 | 127, _) => None,
            (short, _) => Some(u64::from(short)),
        }
    }

    /// The rules of RFC 6455, 5.2 and 5.5.
    fn broken_rule(&self, limit: u64) -> Option<CloseCode> {
        let header = self.header();
        let is_control = header[0] & 0x08 != 0;
        let is_known = matches!(header[0] & 0x0f, 0..=2 | 8..=10);
        if header[0] & 0x70 != 0 || !is_known || (is_control && header[0] & 0x80 == 0) {
            return Some(CloseCode::PROTOCOL_ERROR);
        }
        let second = header.get(1)?;
        let short = second & 0x7f;
        let is_close = header[0] & 0x0f == 8;
        let is_masked = second & 0x80 != 0;
        if !is_masked || (is_control && short > 125) || (is_close && short == 1) {
            return Some(CloseCode::PROTOCOL_ERROR);
        }
        (self.length()? > limit).then_some(CloseCode::TOO_BIG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [7, 8, 9, 10];

    /// A masked frame with a payload of less than 126 bytes.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let masked = payload.iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m);
        [first, 0x80 | payload.len() as u8]
            .into_iter()
            .chain(MASK)
            .chain(masked)
            .collect()
    }

    /// Scans in pieces of every size. Returns the fault, whether the client has closed, and how many bytes the decoder may
    /// read.
    fn read(bytes: &[u8]) -> (Option<CloseCode>, bool, usize) {
        let whole = read_in(bytes, bytes.len());
        for size in 1..bytes.len() {
            let pieces = read_in(bytes, size);
            assert_eq!(
                (pieces.0, pieces.1),
                (whole.0, whole.1),
                "in pieces of {size}"
            );
        }
        whole
    }

    fn read_in(bytes: &[u8], size: usize) -> (Option<CloseCode>, bool, usize) {
        let mut frames = FrameScanner::default();
        let fit = bytes
            .chunks(size)
            .map(|piece| frames.pass(piece, 1000).fit)
            .sum();
        (frames.fault(), frames.has_closed(), fit)
    }

    #[test]
    fn whole_frames_are_counted_and_passed_on() {
        let bytes = [frame(0x81, b"text"), frame(0x89, b""), frame(0x82, b"bin")].concat();
        let inspected = FrameScanner::default().pass(&bytes, 1000);
        assert_eq!((inspected.fit, inspected.frames), (bytes.len(), 3));
        assert_eq!(read(&bytes), (None, false, bytes.len()));
    }

    #[test]
    fn behind_a_fault_only_a_close_frame_is_looked_for() {
        let good = frame(0x81, b"text");
        let close = frame(0x88, &[3, 0xea]);
        let long = [&[0x81, 0x80 | 126, 0x0f, 0xff][..], &MASK, &[0x88; 4095]].concat();
        for (fault, code) in [
            (frame(0xc1, b"reserved"), CloseCode::PROTOCOL_ERROR),
            (frame(0x83, b"unknown"), CloseCode::PROTOCOL_ERROR),
            (frame(0x09, b"fragmented ping"), CloseCode::PROTOCOL_ERROR),
            (vec![0x81, 2, b'n', b'o'], CloseCode::PROTOCOL_ERROR),
            (long, CloseCode::TOO_BIG),
        ] {
            let open = [&good[..], &fault, &good].concat();
            assert_eq!(read(&open), (Some(code), false, good.len()), "{fault:?}");
            let closed = [&open[..], &close, &good].concat();
            assert_eq!(read(&closed), (Some(code), true, good.len()), "{fault:?}");
        }
        let unmasked = [&[0xc1, 0x80][..], &MASK, &[0x88, 0]].concat();
        assert!(read(&unmasked).1, "also if it is not masked");
    }

    #[test]
    fn a_close_frame_ends_it_and_its_reason_is_read_as_it_was_sent() {
        let good = frame(0x81, b"text");
        for reason in ["", "bye", "\u{fffd}", "é"] {
            let close = frame(0x88, &[&[3, 0xe8], reason.as_bytes()].concat());
            let bytes = [&good[..], &close, &frame(0xff, b"late")].concat();
            let fit = good.len() + close.len();
            assert_eq!(read(&bytes), (None, true, fit), "{reason}");
        }
        assert_eq!(read(&frame(0x88, b"")), (None, true, 6));
        for reason in [&b"\xff"[..], b"bye \xe2\x82"] {
            let close = frame(0x88, &[&[3, 0xe8], reason].concat());
            let found = read_in(&[&good[..], &close].concat(), 1000);
            assert_eq!(found, (Some(CloseCode::INVALID_TEXT), true, good.len()));
        }
    }

    #[test]
    fn a_close_frame_of_one_byte_breaks_a_rule() {
        let (fault, has_closed, fit) = read(&frame(0x88, &[3]));
        assert_eq!(
            (fault, has_closed, fit),
            (Some(CloseCode::PROTOCOL_ERROR), true, 0)
        );
    }
}
