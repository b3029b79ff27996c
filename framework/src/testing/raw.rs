//! A raw WebSocket client for tests of the protocol: it sends any bytes, valid or not, and shows each frame as it arrived.

use bytes::{Buf, Bytes, BytesMut};
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::connect::{Io, Path};
use crate::client::error::ConnectError;
use crate::client::handshake::{Request, ResponseHead, upgrade};
use crate::client::random::Random;
use crate::client::value::value;
use crate::close::CloseCode;
use crate::wire::codec::{Format, encode_into};

/// A frame's opcode (RFC 6455, 5.2).
pub mod opcode {
    /// A further fragment of a message.
    pub const CONTINUATION: u8 = 0;
    /// Text, in UTF-8.
    pub const TEXT: u8 = 1;
    /// Bytes.
    pub const BINARY: u8 = 2;
    /// Closes the connection.
    pub const CLOSE: u8 = 8;
    /// Requests a pong.
    pub const PING: u8 = 9;
    /// Answers a ping.
    pub const PONG: u8 = 10;
}

/// A frame as it was on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RawFrame {
    /// Whether it is the last frame of its message.
    pub fin: bool,
    /// The three reserved bits.
    pub reserved: u8,
    /// The kind of frame; see [`opcode`].
    pub opcode: u8,
    /// The payload, unmasked.
    pub payload: Bytes,
}

impl RawFrame {
    /// The payload as text. `None` if it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.payload).ok()
    }

    /// Decodes a text frame as JSON and a binary frame as MessagePack. `None` if that fails, and for other frames.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        let format = match self.opcode {
            opcode::TEXT => Format::Json,
            opcode::BINARY => Format::MsgPack,
            _ => return None,
        };
        value(format, &self.payload).ok()
    }

    /// The code of a close frame. `None` if it has none, and for other frames.
    #[must_use]
    pub fn close_code(&self) -> Option<CloseCode> {
        let code = self.payload.first_chunk().copied().map(u16::from_be_bytes);
        code.map(CloseCode).filter(|_| self.opcode == opcode::CLOSE)
    }
}

/// A connection on which the test decides about each byte.
///
/// It answers nothing by itself, neither pings nor a close.
/// Its methods return errors of the network and do not panic, because the server may close the connection at any time.
pub struct RawClient {
    io: Box<dyn Io>,
    input: BytesMut,
    head: ResponseHead,
}

impl std::fmt::Debug for RawClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawClient")
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

impl RawClient {
    /// Does the opening handshake on a stream. `path` includes the query; `headers` are added to the request.
    ///
    /// # Errors
    ///
    /// Returns the server's refusal, or what is wrong with its answer.
    pub async fn open(
        io: impl Io + 'static,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, ConnectError> {
        let mut io: Box<dyn Io> = Box::new(io);
        let headers = headers
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        let request = Request {
            path: Path::parse(path)?.with(&[]),
            authority: "localhost".to_owned(),
            headers: headers.collect(),
        };
        let accepted = upgrade(&mut io, &request, &mut Random::new(None)).await?;
        Ok(Self {
            io,
            input: accepted.rest,
            head: accepted.head,
        })
    }

    /// A header of the server's handshake.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// Sends bytes as they are, without a frame.
    ///
    /// # Errors
    ///
    /// Returns errors of the network.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.io.write_all(bytes).await?;
        self.io.flush().await
    }

    /// Sends one masked frame of any kind.
    ///
    /// # Errors
    ///
    /// Returns errors of the network.
    pub async fn send_frame(
        &mut self,
        fin: bool,
        opcode: u8,
        payload: &[u8],
    ) -> std::io::Result<()> {
        self.send_bytes(&frame(
            fin,
            0,
            opcode,
            Some([0x37, 0xfa, 0x21, 0x3d]),
            payload,
        ))
        .await
    }

    /// Sends a text message.
    ///
    /// # Errors
    ///
    /// Returns errors of the network.
    pub async fn send_text(&mut self, text: &str) -> std::io::Result<()> {
        self.send_frame(true, opcode::TEXT, text.as_bytes()).await
    }

    /// Sends a binary message.
    ///
    /// # Errors
    ///
    /// Returns errors of the network.
    pub async fn send_binary(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.send_frame(true, opcode::BINARY, bytes).await
    }

    /// Encodes a value and sends it as one message: text for JSON, binary for MessagePack.
    ///
    /// # Errors
    ///
    /// Returns errors of the network, and `InvalidInput` if the value cannot be encoded.
    pub async fn send<T: Serialize + ?Sized>(
        &mut self,
        format: Format,
        value: &T,
    ) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        encode_into(format, value, &mut bytes).map_err(|error| {
            std::io::Error::new(std::io::ErrorKind::InvalidInput, error.to_string())
        })?;
        let opcode = match format {
            Format::Json => opcode::TEXT,
            Format::MsgPack => opcode::BINARY,
        };
        self.send_frame(true, opcode, &bytes).await
    }

    /// Sends a close frame.
    ///
    /// # Errors
    ///
    /// Returns errors of the network.
    pub async fn send_close(&mut self, code: CloseCode, reason: &str) -> std::io::Result<()> {
        let mut payload = code.0.to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        self.send_frame(true, opcode::CLOSE, &payload).await
    }

    /// Waits for the next frame of any kind. `None` at the end of the stream.
    ///
    /// The future can be dropped at any time without losing bytes.
    ///
    /// # Errors
    ///
    /// Returns errors of the network, and `UnexpectedEof` if the stream ends within a frame.
    pub async fn next_frame(&mut self) -> std::io::Result<Option<RawFrame>> {
        loop {
            if let Some(frame) = parse(&mut self.input) {
                return Ok(Some(frame));
            }
            if self.io.read_buf(&mut self.input).await? == 0 {
                return match self.input.is_empty() {
                    true => Ok(None),
                    false => Err(std::io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    /// Waits for the next text or binary frame, skips pings and pongs, and decodes it. `None` at a close frame or at the end.
    ///
    /// # Errors
    ///
    /// See [`RawClient::next_frame`]. Returns `InvalidData` if the frame cannot be decoded.
    pub async fn next_json(&mut self) -> std::io::Result<Option<Value>> {
        while let Some(frame) = self.next_frame().await? {
            match frame.opcode {
                opcode::PING | opcode::PONG => {}
                opcode::CLOSE => return Ok(None),
                _ => {
                    return frame
                        .json()
                        .map(Some)
                        .ok_or(std::io::ErrorKind::InvalidData.into());
                }
            }
        }
        Ok(None)
    }

    /// Skips all frames up to the close frame and returns its code. `None` if there is no close frame or no code.
    ///
    /// # Errors
    ///
    /// See [`RawClient::next_frame`].
    pub async fn close_code(&mut self) -> std::io::Result<Option<CloseCode>> {
        while let Some(frame) = self.next_frame().await? {
            if frame.opcode == opcode::CLOSE {
                return Ok(frame.close_code());
            }
        }
        Ok(None)
    }
}

/// Encodes a frame, valid or not: any opcode, any reserved bits, masked or not.
#[must_use]
pub fn frame(
    fin: bool,
    reserved: u8,
    opcode: u8,
    mask: Option<[u8; 4]>,
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = vec![u8::from(fin) << 7 | (reserved & 7) << 4 | (opcode & 15)];
    let masked = u8::from(mask.is_some()) << 7;
    match payload.len() {
        length @ ..126 => frame.push(masked | length as u8),
        length => match u16::try_from(length) {
            Ok(short) => {
                frame.push(masked | 126);
                frame.extend_from_slice(&short.to_be_bytes());
            }
            Err(_) => {
                frame.push(masked | 127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        },
    }
    let mask = mask
        .inspect(|mask| frame.extend_from_slice(mask))
        .unwrap_or_default();
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

/// Takes a frame off the front. `None` if it has not arrived whole.
fn parse(input: &mut BytesMut) -> Option<RawFrame> {
    let (first, second) = (*input.first()?, *input.get(1)?);
    let (length, header) = match second & 127 {
        126 => (
            usize::from(u16::from_be_bytes(*input.get(2..)?.first_chunk()?)),
            4,
        ),
        127 => (
            usize::try_from(u64::from_be_bytes(*input.get(2..)?.first_chunk()?)).ok()?,
            10,
        ),
        short => (usize::from(short), 2),
    };
    let (mask, header) = match second & 128 {
        0 => ([0; 4], header),
        _ => (*input.get(header..)?.first_chunk()?, header + 4),
    };
    if input.len() < header.checked_add(length)? {
        return None;
    }
    input.advance(header);
    let mut payload = input.split_to(length);
    payload
        .iter_mut()
        .zip(mask.iter().cycle())
        .for_each(|(byte, mask)| *byte ^= mask);
    Some(RawFrame {
        fin: first & 128 != 0,
        reserved: first >> 4 & 7,
        opcode: first & 15,
        payload: payload.freeze(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_all_lengths_are_parsed_as_they_were_encoded() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload: Vec<u8> = (0..length).map(|n| n as u8).collect();
            for mask in [None, Some([1, 2, 3, 4])] {
                let bytes = frame(true, 5, opcode::BINARY, mask, &payload);
                let mut input = BytesMut::from(&bytes[..bytes.len() - 1]);
                if length > 0 {
                    assert_eq!(parse(&mut input), None, "a byte is missing");
                }
                input = BytesMut::from(&bytes[..]);
                let frame = parse(&mut input).unwrap();
                assert_eq!(
                    (frame.fin, frame.reserved, frame.opcode),
                    (true, 5, opcode::BINARY)
                );
                assert_eq!(frame.payload, payload);
                assert!(input.is_empty());
            }
        }
    }

    #[test]
    fn a_close_frame_has_its_code() {
        let mut input = BytesMut::from(&frame(true, 0, opcode::CLOSE, None, &[0x0f, 0xa0])[..]);
        let close = parse(&mut input).unwrap();
        assert_eq!(close.close_code(), Some(CloseCode::HEARTBEAT));
    }
}
