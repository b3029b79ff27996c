//! How often the server allocates for a message: `cargo bench -p courtside-bench`.
//!
//! A real server in this process, on its own threads, over real sockets; the load is a thread whose allocations are not
//! counted. The counts do not depend on how busy the machine is, so a change by one is visible.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "it is a program for a terminal, and what fails may end it"
)]

#[path = "../server/talking.rs"]
mod talking;
#[allow(dead_code, reason = "the load generator uses all of it")]
#[path = "../load/ws.rs"]
mod ws;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::App;
use courtside::{Channel, Config, Server};

use talking::Bench;

/// Echoes, one after the other.
const ECHOES: u64 = 20_000;

/// Receivers of a fan-out.
const RECEIVERS: usize = 1000;

/// Publications sent together, so that frames wait together.
const TOGETHER: u64 = 16;

/// After how many bytes a client acknowledges, as the protocol recommends.
const ACKNOWLEDGE_AFTER: usize = 64 << 10;

/// The system's allocator, with a count of the allocations of all threads but the load's.
struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_LOAD: Cell<bool> = const { Cell::new(false) };
}

fn count(bytes: usize) {
    // A thread that is ending has no variables left; it is not one of the load's.
    if !IS_LOAD.try_with(Cell::get).unwrap_or(false) {
        CALLS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

// SAFETY: each method hands its arguments to the system's allocator unchanged and returns what that returns, so the contract
// is kept where that one keeps it. Counting neither allocates (the variable is `const` and has no destructor) nor unwinds.
#[allow(
    unsafe_code,
    reason = "an allocator can be written in no other way, and nothing but one sees every allocation"
)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.saturating_sub(layout.size()));
        // SAFETY: the caller keeps the contract of `realloc`, and each block here is the system's.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and each block here is the system's.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The allocations since some moment.
#[derive(Clone, Copy)]
struct Counted {
    calls: u64,
    bytes: u64,
}

impl Counted {
    fn so_far() -> Self {
        Self {
            calls: CALLS.load(Ordering::Relaxed),
            bytes: BYTES.load(Ordering::Relaxed),
        }
    }

    /// Prints the server's allocations during `act`, for each of `count` items.
    fn print(what: &str, each: &str, count: u64, act: impl FnOnce()) {
        let before = Self::so_far();
        act();
        let now = Self::so_far();
        let of_each = |now: u64, before: u64| (now - before) as f64 / count as f64;
        println!(
            "{what:<52} {:>9.3} allocations, {:>8.1} bytes {each}",
            of_each(now.calls, before.calls),
            of_each(now.bytes, before.bytes),
        );
    }
}

/// A blocking client, because its thread has nothing else to do.
struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
    /// The part of the buffer that was read from the socket and not yet processed.
    unread: std::ops::Range<usize>,
    received: u64,
    unacknowledged: usize,
}

impl Client {
    fn connect(server: SocketAddr) -> Self {
        let socket = TcpStream::connect(server).unwrap();
        socket.set_nodelay(true).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut client = Self {
            socket,
            buffer: vec![0; 16 << 10],
            unread: 0..0,
            received: 0,
            unacknowledged: 0,
        };
        let handshake = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        client.socket.write_all(handshake.as_bytes()).unwrap();
        let end = loop {
            client.fill();
            let bytes = &client.buffer[client.unread.clone()];
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        client.unread.start += end;
        client.until("welcome");
        client.received = 0;
        client
    }

    fn fill(&mut self) {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        let got = self.socket.read(&mut self.buffer[self.unread.end..]);
        let got = got.expect("the server says nothing any more");
        assert!(got > 0, "the server has closed the connection");
        self.unread.end += got;
    }

    fn send(&mut self, frames: &[u8]) {
        self.socket.write_all(frames).unwrap();
    }

    fn say(&mut self, text: &str) {
        let mut frame = Vec::new();
        ws::push_text(&mut frame, text);
        self.send(&frame);
    }

    /// The next event of any kind; skips WebSocket pings.
    fn next(&mut self) -> &[u8] {
        loop {
            match ws::frame(&self.buffer[self.unread.clone()]).unwrap() {
                Some(frame) => {
                    let start = self.unread.start;
                    self.unread.start += frame.end;
                    if frame.opcode == ws::TEXT {
                        self.received += 1;
                        self.unacknowledged += frame.end;
                        return &self.buffer[start + frame.start..start + frame.end];
                    }
                }
                None => self.fill(),
            }
        }
    }

    /// Waits for the event of this name, and returns it.
    fn until(&mut self, event: &str) -> String {
        let expected = format!("{{\"event\":\"{event}\"");
        loop {
            let message = String::from_utf8_lossy(self.next()).into_owned();
            assert!(!message.starts_with("{\"event\":\"error\""), "{message}");
            if message.starts_with(&expected) {
                return message;
            }
        }
    }

    fn acknowledge(&mut self) {
        if self.unacknowledged >= ACKNOWLEDGE_AFTER {
            self.unacknowledged = 0;
            let received = self.received;
            self.say(&format!("{{\"action\":\"ping\",\"received\":{received}}}"));
            self.until("pong");
            // Pongs are not counted.
            self.received = received;
        }
    }
}

fn server() -> Server {
    let mut config = Config::default();
    // The load sends at full speed.
    config.limits.rate = None;
    Server::builder()
        .config(config)
        .room::<Bench>()
        .channel("bench", Channel::open().publish_open())
        .handle(talking::echo)
        .build()
        .unwrap()
}

/// Starts a server that lives as long as the process.
fn start(is_lean: bool) -> SocketAddr {
    let listener = courtside::listen("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = server();
            if is_lean {
                return server.at("/ws").serve(listener).await;
            }
            server
                .at("/ws")
                .app(|routes| App::new().configure(routes))
                .http_server()
                .workers(1)
                .listen(listener)?
                .run()
                .await
        })
    });
    address
}

fn echo(way: &str, what: &str, server: SocketAddr, is_room: bool) {
    let mut client = Client::connect(server);
    let text = "x".repeat(100);
    let request = if is_room {
        client.say("{\"action\":\"join\",\"kind\":\"bench\",\"mode\":\"create\"}");
        let joined = client.until("joined");
        let joined: serde_json::Value = serde_json::from_str(&joined).unwrap();
        let room = joined["room"].as_str().unwrap();
        format!(
            "{{\"action\":\"send\",\"id\":7,\"room\":\"{room}\",\"type\":\"echo\",\"data\":{{\"text\":\"{text}\"}}}}"
        )
    } else {
        format!(
            "{{\"action\":\"call\",\"id\":7,\"type\":\"echo\",\"data\":{{\"text\":\"{text}\"}}}}"
        )
    };
    let mut frame = Vec::new();
    ws::push_text(&mut frame, &request);
    let mut echoes = |count: u64| {
        for _ in 0..count {
            client.send(&frame);
            let reply = client.next();
            assert!(reply.starts_with(b"{\"event\":\"reply\""));
            client.acknowledge();
        }
    };
    echoes(2000);
    Counted::print(
        &format!("{way}: echo through a {what}"),
        "per message",
        ECHOES,
        || echoes(ECHOES),
    );
}

fn fan_out(way: &str, server: SocketAddr) {
    let mut clients: Vec<_> = (0..RECEIVERS)
        .map(|_| {
            let mut client = Client::connect(server);
            client.say("{\"action\":\"subscribe\",\"channel\":\"bench\"}");
            client.until("subscribed");
            client
        })
        .collect();
    let text = "x".repeat(100);
    let mut frame = Vec::new();
    ws::push_text(
        &mut frame,
        &format!("{{\"action\":\"publish\",\"channel\":\"bench\",\"data\":\"{text}\"}}"),
    );
    let mut rounds = |count: u64, together: u64| {
        let frames = frame.repeat(together as usize);
        for _ in 0..count {
            clients[0].send(&frames);
            for client in &mut clients {
                for _ in 0..together {
                    let publication = client.next();
                    assert!(publication.starts_with(b"{\"event\":\"publication\""));
                }
                client.acknowledge();
            }
        }
    };
    for together in [1, TOGETHER] {
        // Long enough for each client to acknowledge.
        let count = 640 / together;
        rounds(count / 2, together);
        Counted::print(
            &format!("{way}: fan-out to {RECEIVERS}, {together} at a time"),
            "per delivery",
            count * together * RECEIVERS as u64,
            || rounds(count, together),
        );
    }
}

fn main() {
    // `cargo test --benches` builds and starts it, too; there is nothing to test.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    IS_LOAD.set(true);
    for (way, is_lean) in [("lean", true), ("mounted", false)] {
        let server = start(is_lean);
        // When a client is accepted, all threads are running.
        drop(Client::connect(server));
        std::thread::sleep(Duration::from_millis(500));
        Counted::print(&format!("{way}: at rest"), "per second", 1, || {
            std::thread::sleep(Duration::from_secs(1));
        });
        echo(way, "room", server, true);
        echo(way, "call", server, false);
        fan_out(way, server);
    }
}
