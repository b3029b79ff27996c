//! The other end of the cable: a server that does what a test tells it to.

use std::future::Future;
use std::time::Duration;

use actix_codec::Framed;
use actix_http::ws;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::client::{Client, Connect, ConnectError, Options, Ticket};
use crate::testing::{Cable, CableControl, CableEnd};
use crate::wire::codec::{Format, RawData, decode};

/// Runs a test on a paused clock, on one thread.
pub(super) fn paused(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    // A test that hangs fails, in no time.
    let test = async { tokio::time::timeout(Duration::from_secs(24 * 3600), test).await };
    LocalSet::new()
        .block_on(&runtime, test)
        .expect("the test hangs");
}

/// Runs a test in each format.
pub(super) fn in_both<Test: Future<Output = ()>>(test: impl Fn(Format) -> Test) {
    for format in Format::ALL {
        paused(test(format));
    }
}

/// Hands the server's ends of a client's connections to the test.
pub(super) struct Network {
    dialed: mpsc::UnboundedSender<(CableEnd, CableControl)>,
    accepted: mpsc::UnboundedReceiver<(CableEnd, CableControl)>,
}

impl Network {
    pub(super) fn new() -> Self {
        let (dialed, accepted) = mpsc::unbounded_channel();
        Self { dialed, accepted }
    }

    pub(super) fn connect(
        &self,
        options: Options,
    ) -> impl Future<Output = Result<Client, ConnectError>> + use<> {
        Client::connect_with(self.dialer(), "/ws", options)
    }

    pub(super) fn restore(
        &self,
        ticket: Ticket,
        options: Options,
    ) -> impl Future<Output = Result<Client, ConnectError>> + use<> {
        Client::restore_with(self.dialer(), "/ws", ticket, options)
    }

    fn dialer(&self) -> impl Connect + use<> {
        let dialed = self.dialed.clone();
        move || {
            let (client, server, control) = Cable::pair(1 << 10);
            let sent = dialed.send((server, control));
            async move {
                sent.map(|()| client)
                    .map_err(|_| std::io::ErrorKind::ConnectionRefused.into())
            }
        }
    }

    /// Puts a connection in as if a client had opened it.
    pub(super) fn dial(&self, end: CableEnd, control: CableControl) {
        self.dialed.send((end, control)).unwrap();
    }

    /// The next connection, before its handshake.
    pub(super) async fn accept(&mut self) -> (CableEnd, CableControl) {
        self.accepted.recv().await.unwrap()
    }

    /// The next connection, its handshake done.
    pub(super) async fn peer(&mut self, format: Format) -> Peer {
        let (mut end, cable) = self.accept().await;
        let request = request(&mut end).await;
        let (_, key) = request.split_once("Sec-WebSocket-Key: ").unwrap();
        let accept = ws::hash_key(key.split("\r\n").next().unwrap().as_bytes());
        let accept = std::str::from_utf8(&accept).unwrap();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        end.write_all(answer.as_bytes()).await.unwrap();
        Peer {
            format,
            request,
            cable,
            frames: Framed::new(end, ws::Codec::new()),
        }
    }

    /// A client and its server, after the first welcome.
    pub(super) async fn open(&mut self, options: Options) -> (Client, Peer) {
        let format = options.format;
        let connecting = self.connect(options);
        let welcoming = async {
            let mut peer = self.peer(format).await;
            peer.welcome(json!({})).await;
            peer
        };
        let (client, peer) = tokio::join!(connecting, welcoming);
        let client = client.unwrap();
        assert!(matches!(
            client.next().await,
            Some(crate::client::Event::Connected { resumed: false, .. })
        ));
        (client, peer)
    }
}

pub(super) async fn request(end: &mut CableEnd) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        assert!(end.read_buf(&mut request).await.unwrap() > 0);
    }
    String::from_utf8(request).unwrap()
}

/// Answers the handshake with something else than a WebSocket.
pub(super) async fn refuse(mut end: CableEnd, answer: &str) {
    request(&mut end).await;
    end.write_all(answer.as_bytes()).await.unwrap();
}

/// One connection, seen from the server.
pub(super) struct Peer {
    pub(super) format: Format,
    pub(super) request: String,
    pub(super) cable: CableControl,
    pub(super) frames: Framed<CableEnd, ws::Codec>,
}

impl Peer {
    pub(super) async fn welcome(&mut self, fields: Value) {
        let mut welcome = json!({
            "event": "welcome", "protocol": 1, "session": "00000000-0000-4000-8000-000000000001", "resume": "token",
            "resumed": false, "received": 0, "time": 1_000, "ping_ms": 10_000, "window_ms": 30_000
        });
        for (key, value) in fields.as_object().unwrap() {
            welcome[key] = value.clone();
        }
        self.send(welcome).await;
    }

    pub(super) async fn send(&mut self, event: Value) {
        let frame = RawData::of(self.format, &event).unwrap();
        let message = match frame {
            RawData::Json(text) => ws::Message::Text(text),
            RawData::MsgPack(bytes) => ws::Message::Binary(bytes),
        };
        self.frames.send(message).await.unwrap();
    }

    /// The next frame of any kind; `None` at the end.
    pub(super) async fn frame(&mut self) -> Option<ws::Frame> {
        self.frames.next().await?.ok()
    }

    /// The next action, whatever it is.
    pub(super) async fn next_action(&mut self) -> Value {
        match self.frame().await.unwrap() {
            ws::Frame::Text(bytes) if self.format == Format::Json => {
                decode(Format::Json, &bytes).unwrap()
            }
            ws::Frame::Binary(bytes) if self.format == Format::MsgPack => {
                decode(Format::MsgPack, &bytes).unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    /// The next action; pings are answered in between.
    pub(super) async fn action(&mut self) -> Value {
        loop {
            let action = self.next_action().await;
            if action["action"] != "ping" {
                return action;
            }
        }
    }

    /// Closes as a server does: with a code, and waits for the client's own close.
    pub(super) async fn close(&mut self, code: u16) {
        let reason = ws::CloseReason {
            code: code.into(),
            description: Some("because".to_owned()),
        };
        self.frames
            .send(ws::Message::Close(Some(reason)))
            .await
            .unwrap();
        while let Some(frame) = self.frame().await {
            if matches!(frame, ws::Frame::Close(_)) {
                return;
            }
        }
    }
}
