//! A blocking WebSocket, for clients that connect one by one or misbehave.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, SockRef, Socket, Type};

use crate::ws;

/// How long to wait for an answer: longer than any takes. Other events do not extend it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How many bytes are read at once.
const READ: usize = 64 << 10;

/// One connection to a Courtside server, in JSON.
#[derive(Debug)]
pub(crate) struct Dialed {
    stream: TcpStream,
    input: Vec<u8>,
    /// When the answer that is awaited must have arrived.
    deadline: Instant,
}

impl Dialed {
    /// Opens a connection from an address of this machine, and reads its welcome.
    pub(crate) fn open(to: SocketAddr, from: Option<IpAddr>, path: &str) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        if let Some(from) = from {
            socket.bind(&SocketAddr::new(from, 0).into())?;
        }
        socket.connect_timeout(&to.into(), PATIENCE)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let mut dialed = Self {
            stream: socket.into(),
            input: Vec::new(),
            deadline: Instant::now() + PATIENCE,
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {to}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        dialed.stream.write_all(request.as_bytes())?;
        dialed.answered()?;
        match dialed.next()? {
            welcome if welcome["event"] == "welcome" => Ok(dialed),
            other => Err(io::Error::other(other.to_string())),
        }
    }

    /// The answer to the handshake.
    fn answered(&mut self) -> io::Result<()> {
        const END: &[u8] = b"\r\n\r\n";
        loop {
            if let Some(end) = self.input.windows(END.len()).position(|bytes| bytes == END) {
                let head: Vec<u8> = self.input.drain(..end + END.len()).collect();
                let head = String::from_utf8_lossy(&head);
                return match head.split_ascii_whitespace().nth(1) {
                    Some("101") => Ok(()),
                    status => Err(io::Error::other(status.unwrap_or("no HTTP").to_owned())),
                };
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> io::Result<()> {
        if Instant::now() > self.deadline {
            let secs = PATIENCE.as_secs();
            let why = format!("the server has not answered within {secs} s");
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        let before = self.input.len();
        self.input.resize(before + READ, 0);
        let read = self.stream.read(&mut self.input[before..]);
        self.input.truncate(before + *read.as_ref().unwrap_or(&0));
        match read? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Sends some actions, in one write.
    pub(crate) fn send(&mut self, actions: &[Value]) -> io::Result<()> {
        let mut out = Vec::new();
        for action in actions {
            ws::push_text(&mut out, &action.to_string());
        }
        self.stream.write_all(&out)
    }

    /// The next event.
    pub(crate) fn event(&mut self) -> io::Result<Value> {
        self.deadline = Instant::now() + PATIENCE;
        self.next()
    }

    fn next(&mut self) -> io::Result<Value> {
        loop {
            let found = ws::frame(&self.input).map_err(|why| io::Error::other(why.text()))?;
            let Some(frame) = found else {
                self.read()?;
                continue;
            };
            let payload: Vec<u8> = self.input[frame.start..frame.end].to_vec();
            self.input.drain(..frame.end);
            match frame.opcode {
                ws::PING => {
                    let mut out = Vec::new();
                    ws::push(&mut out, ws::PONG, &payload);
                    self.stream.write_all(&out)?;
                }
                ws::PONG => {}
                ws::CLOSE => return Err(io::ErrorKind::ConnectionReset.into()),
                _ => return Ok(serde_json::from_slice(&payload)?),
            }
        }
    }

    /// The answer to the action with this id.
    pub(crate) fn answer(&mut self, id: u64) -> io::Result<Value> {
        self.deadline = Instant::now() + PATIENCE;
        loop {
            let event = self.next()?;
            if event["id"] == id {
                return Ok(event);
            }
        }
    }

    /// Sends an action and waits for the answer.
    pub(crate) fn ask(&mut self, action: Value) -> io::Result<Value> {
        let id = action["id"].as_u64().unwrap_or_default();
        self.send(&[action])?;
        self.answer(id)
    }

    /// Ends the session.
    pub(crate) fn end(mut self) {
        let mut out = Vec::new();
        ws::push(&mut out, ws::CLOSE, &1000_u16.to_be_bytes());
        // If the connection is already lost, there is nothing to do; otherwise wait until the server has answered.
        self.deadline = Instant::now() + PATIENCE;
        if self.stream.write_all(&out).is_ok() {
            while self.next().is_ok() {}
        }
    }

    /// Drops the connection: the session stays.
    pub(crate) fn reset(self) {
        // An error means that it is already lost.
        let _broken = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}
