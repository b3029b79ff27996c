//! Many WebSockets on one thread: an epoll loop that reads all of them into one buffer and parses frames in place.
//!
//! A connection is a socket and two mostly empty vectors; a readable socket costs one `read`. The generator must cost less
//! than the server; otherwise it measures itself.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;

use crate::ws::{self, Frame};

/// The maximum size of one read, and of a message.
const BUFFER: usize = 256 << 10;

/// After how many reads the kernel is polled again for readable sockets.
///
/// A message's time is taken when its socket is found readable, not when it is read: the generator reads a thousand sockets one
/// after the other, and this must not make the last of them look slow. So it has to poll often; a poll costs about as much as a
/// read.
const READS_BETWEEN_LOOKS: usize = 32;

/// Receives the events of connections.
pub(crate) trait Crowd {
    /// The handshake is done. Bytes appended to `out` are sent on this connection.
    fn opened(&mut self, n: usize, out: &mut Vec<u8>);
    /// A whole message, text or binary; `came` is when its socket was found readable.
    fn message(&mut self, n: usize, payload: &[u8], came: Instant, out: &mut Vec<u8>);
    /// The connection is lost, but not because of [`Swarm::cut`].
    fn closed(&mut self, n: usize, why: Loss);
}

/// Why a connection was lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Loss {
    /// The server closed it with this code.
    Closed(u16),
    /// The stream ended or broke.
    Broken(String),
    /// The server did not upgrade; the first line of its response.
    Refused(String),
}

impl Loss {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Closed(code) => format!("the server closed it with code {code}"),
            Self::Broken(why) => format!("the connection broke: {why}"),
            Self::Refused(line) => format!(
                "the server did not upgrade it to a WebSocket but answered {line:?}; is `--path` right?"
            ),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Upgrading,
    Open,
}

#[derive(Debug)]
struct Link {
    socket: TcpStream,
    stage: Stage,
    /// The beginning of a frame whose rest has not arrived.
    tail: Vec<u8>,
    /// Bytes that the socket has not accepted.
    out: Vec<u8>,
    is_muted: bool,
    /// When the socket was found readable for the first and for the last time since it was read; `None` if it was not.
    readable: Option<(Instant, Instant)>,
}

/// The connections, numbered by the caller.
pub(crate) struct Swarm {
    poll: Poll,
    events: Events,
    /// The connections that were found readable and are not read yet, in that order.
    readable: VecDeque<usize>,
    links: Vec<Option<Link>>,
    buffer: Vec<u8>,
    server: SocketAddr,
    /// How many reads returned data.
    pub(crate) reads: u64,
}

impl Swarm {
    pub(crate) fn new(server: SocketAddr, size: usize) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            readable: VecDeque::new(),
            links: (0..size).map(|_| None).collect(),
            buffer: vec![0; BUFFER],
            server,
            reads: 0,
        })
    }

    /// Opens connection `n`, in place of the one that had its number.
    pub(crate) fn open(&mut self, n: usize, path: &str) -> io::Result<()> {
        let mut socket = TcpStream::connect(self.server)?;
        // Both at once, edge-triggered: nothing is ever registered again.
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut socket, Token(n), interest)?;
        let handshake = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            self.server
        );
        let mut out = handshake.into_bytes();
        // On loopback, the connection is mostly established already. If the request waited for the next turn, the server would
        // have thousands of silent connections when thousands are opened at once.
        match socket.write(&out) {
            Ok(written) => drop(out.drain(..written)),
            Err(error) if is_not_now(&error) => {}
            Err(error) => return Err(error),
        }
        self.links[n] = Some(Link {
            socket,
            stage: Stage::Upgrading,
            tail: Vec::new(),
            out,
            is_muted: false,
            readable: None,
        });
        Ok(())
    }

    /// Drops a connection at once and without a close, as a lost network would.
    pub(crate) fn cut(&mut self, n: usize) {
        if let Some(link) = self.links[n].take() {
            let socket = SockRef::from(&link.socket);
            // Errors mean that it is already lost.
            let _broken = socket.set_linger(Some(Duration::ZERO));
            let _broken = socket.shutdown(Shutdown::Both);
        }
    }

    /// From now on nothing is read from connection `n`.
    pub(crate) fn mute(&mut self, n: usize) {
        if let Some(link) = &mut self.links[n] {
            link.is_muted = true;
            // A small window, so that it affects the server soon.
            let _kept = SockRef::from(&link.socket).set_recv_buffer_size(4096);
        }
    }

    /// Reads from connection `n` again.
    pub(crate) fn unmute(&mut self, n: usize, crowd: &mut impl Crowd) {
        if let Some(link) = &mut self.links[n] {
            link.is_muted = false;
            self.read(n, crowd);
            // Read what has arrived before. An end after that was announced while nothing was read.
            self.read(n, crowd);
        }
    }

    /// Sends encoded frames.
    pub(crate) fn send(&mut self, n: usize, frames: &[u8], crowd: &mut impl Crowd) {
        if let Some(link) = &mut self.links[n] {
            let must_flush = link.out.is_empty();
            link.out.extend_from_slice(frames);
            if must_flush {
                self.flush(n, crowd);
            }
        }
    }

    /// Polls for readable sockets, for at most `timeout`, and reads some of them. `None` does not wait.
    pub(crate) fn turn(
        &mut self,
        timeout: Option<Duration>,
        crowd: &mut impl Crowd,
    ) -> io::Result<()> {
        let must_read = !self.readable.is_empty();
        let timeout = timeout.filter(|_| !must_read).unwrap_or(Duration::ZERO);
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Ok(()) => self.look(crowd),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        for _ in 0..READS_BETWEEN_LOOKS {
            let Some(n) = self.readable.pop_front() else {
                break;
            };
            self.read(n, crowd);
        }
        Ok(())
    }

    /// Records which sockets are readable, and continues writing to those that are writable.
    fn look(&mut self, crowd: &mut impl Crowd) {
        let now = Instant::now();
        // Taken out, because handling an event borrows the rest.
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let n = event.token().0;
            if event.is_writable() && self.links[n].as_ref().is_some_and(|l| !l.out.is_empty()) {
                self.flush(n, crowd);
            }
            if (event.is_readable() || event.is_read_closed() || event.is_error())
                && let Some(link) = &mut self.links[n]
            {
                match &mut link.readable {
                    Some((_, last)) => *last = now,
                    None => {
                        link.readable = Some((now, now));
                        self.readable.push_back(n);
                    }
                }
            }
        }
        self.events = events;
    }

    fn flush(&mut self, n: usize, crowd: &mut impl Crowd) {
        let Some(link) = &mut self.links[n] else {
            return;
        };
        let mut written = 0;
        while written < link.out.len() {
            match link.socket.write(&link.out[written..]) {
                Ok(more) => written += more,
                Err(error) if is_not_now(&error) => break,
                Err(error) => return self.lose(n, Loss::Broken(error.to_string()), crowd),
            }
        }
        link.out.drain(..written);
    }

    fn lose(&mut self, n: usize, why: Loss, crowd: &mut impl Crowd) {
        if self.links[n].take().is_some() {
            crowd.closed(n, why);
        }
    }

    fn read(&mut self, n: usize, crowd: &mut impl Crowd) {
        let mut came = None;
        loop {
            let Some(link) = &mut self.links[n] else {
                return;
            };
            let came = *came.get_or_insert_with(|| {
                let now = || (Instant::now(), Instant::now());
                link.readable.take().unwrap_or_else(now)
            });
            if link.is_muted {
                return;
            }
            let carried = link.tail.len();
            self.buffer[..carried].copy_from_slice(&link.tail);
            let room = &mut self.buffer[carried..];
            let room_length = room.len();
            let got = match link.socket.read(room) {
                Ok(0) if room_length == 0 => {
                    let why = format!("a message is longer than {BUFFER} bytes");
                    return self.lose(n, Loss::Broken(why), crowd);
                }
                Ok(0) => return self.lose(n, Loss::Broken("it ended".to_owned()), crowd),
                Ok(got) => got,
                Err(error) if is_not_now(&error) => return,
                Err(error) => return self.lose(n, Loss::Broken(error.to_string()), crowd),
            };
            let end = carried + got;
            self.reads += 1;
            match digest(link, n, &self.buffer[..end], came, crowd) {
                Ok(consumed) => {
                    link.tail.clear();
                    link.tail.extend_from_slice(&self.buffer[consumed..end]);
                }
                Err(why) => return self.lose(n, why, crowd),
            }
            if !link.out.is_empty() {
                self.flush(n, crowd);
            }
            // A stream that returned less than requested is drained (epoll(7)), so do not read again.
            if got < room_length {
                return;
            }
        }
    }
}

/// Handles the whole frames of `bytes`; returns how many bytes they took.
fn digest(
    link: &mut Link,
    n: usize,
    bytes: &[u8],
    (first, last): (Instant, Instant),
    crowd: &mut impl Crowd,
) -> Result<usize, Loss> {
    let mut consumed = 0;
    // The kernel does not report when each of several frames arrived: the first when the socket became readable, the others
    // between then and the last time that it became readable.
    let mut came = first;
    if link.stage == Stage::Upgrading {
        let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(0);
        };
        if !bytes.starts_with(b"HTTP/1.1 101") {
            let line = bytes
                .split(|byte| *byte == b'\r')
                .next()
                .unwrap_or_default();
            return Err(Loss::Refused(String::from_utf8_lossy(line).into_owned()));
        }
        consumed = head + 4;
        link.stage = Stage::Open;
        crowd.opened(n, &mut link.out);
    }
    loop {
        let rest = &bytes[consumed..];
        let Frame { opcode, start, end } = match ws::frame(rest) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(consumed),
            Err(why) => return Err(Loss::Broken(why.text().to_owned())),
        };
        let payload = &rest[start..end];
        consumed += end;
        match opcode {
            ws::TEXT | ws::BINARY => {
                crowd.message(n, payload, came, &mut link.out);
                came = last;
            }
            ws::PING => ws::push(&mut link.out, ws::PONG, payload),
            ws::CLOSE => {
                let code = payload
                    .first_chunk::<2>()
                    .map(|code| u16::from_be_bytes(*code));
                return Err(Loss::Closed(code.unwrap_or(1005)));
            }
            _ => {}
        }
    }
}

fn is_not_now(error: &io::Error) -> bool {
    // Not connected yet: the writable event will come.
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::NotConnected | ErrorKind::Interrupted
    )
}
