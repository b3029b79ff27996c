//! WebSocket frames (RFC 6455, 5.2), as far as a client needs them: read in place, written masked.

pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;

/// Any key will do: masking protects old proxies from pages, and here are neither.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Where a whole frame stands at the front of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Why the bytes of a server cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Servers must not mask.
    Masked,
    /// This generator knows no fragments and no extensions.
    Fragmented,
}

impl Unreadable {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Masked => "the server masked a frame, which RFC 6455 forbids",
            Self::Fragmented => {
                "the server sent a fragment or a compressed frame, which this generator does not read: turn compression off"
            }
        }
    }
}

/// The first frame of `bytes`; `None` if it is not there as a whole.
#[inline]
pub(crate) fn frame(bytes: &[u8]) -> Result<Option<Frame>, Unreadable> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    if first & 0xf0 != 0x80 || first & 0x0f == 0 {
        return Err(Unreadable::Fragmented);
    }
    let (start, length): (usize, usize) = match second {
        128.. => return Err(Unreadable::Masked),
        126 => match rest {
            [a, b, ..] => (4, usize::from(u16::from_be_bytes([*a, *b]))),
            _ => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(length) => (10, u64::from_be_bytes(*length) as usize),
            None => return Ok(None),
        },
        short => (2, usize::from(*short)),
    };
    let end = start.saturating_add(length);
    Ok((end <= bytes.len()).then_some(Frame {
        opcode: first & 0x0f,
        start,
        end,
    }))
}

/// Appends a masked frame to `out`.
pub(crate) fn push(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match payload.len() {
        short @ 0..126 => out.push(0x80 | short as u8),
        medium @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    let start = out.len();
    out.extend_from_slice(payload);
    for chunk in out[start..].chunks_mut(4) {
        for (byte, key) in chunk.iter_mut().zip(MASK) {
            *byte ^= key;
        }
    }
}

/// Appends a text message to `out`.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    push(out, TEXT, text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server would send: the same without a mask.
    fn unmasked(length: usize) -> Vec<u8> {
        let mut masked = Vec::new();
        push(&mut masked, BINARY, &vec![7; length]);
        let header = masked.len() - length - 4;
        let mut bytes = masked[..header].to_vec();
        bytes[1] &= 0x7f;
        bytes.extend(
            masked[header + 4..]
                .iter()
                .zip(MASK.iter().cycle())
                .map(|(b, k)| b ^ k),
        );
        bytes
    }

    #[test]
    fn frames_of_all_lengths_are_read_whole_or_not_at_all() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let mut bytes = unmasked(length);
            assert_eq!(frame(&bytes[..bytes.len() - 1]), Ok(None));
            bytes.push(0x81);
            let found = frame(&bytes).unwrap().unwrap();
            assert_eq!((found.opcode, found.end), (BINARY, bytes.len() - 1));
            assert_eq!(found.end - found.start, length);
            assert!(bytes[found.start..found.end].iter().all(|b| *b == 7));
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert_eq!(frame(&[0x81, 0x80, 0, 0, 0, 0]), Err(Unreadable::Masked));
        assert_eq!(frame(&[0x01, 0x00]), Err(Unreadable::Fragmented));
        assert_eq!(frame(&[0xc1, 0x00]), Err(Unreadable::Fragmented));
    }
}
