//! The server of these tests: a process of its own, which is this test's own program started once more.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::middleware::{DefaultHeaders, Logger};
use actix_web::{App, HttpServer};
use courtside::ListenOptions;
use courtside::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

use super::others;

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const INTERVAL: &str = "COURTSIDE_TEST_INTERVAL_MS";
const TIMEOUT: &str = "COURTSIDE_TEST_TIMEOUT_MS";
const DRAIN: &str = "COURTSIDE_TEST_DRAIN_MS";
const WAY: &str = "COURTSIDE_TEST_WAY";
const PORT: &str = "COURTSIDE_TEST_PORT";
const LINGERS: &str = "COURTSIDE_TEST_LINGERS";

/// How the child serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// `Site::serve`.
    Lean,
    /// `SiteApp::serve_until`, with middleware; ends at SIGTERM, to which the application listens.
    Until,
    /// In an `HttpServer` by `SiteApp::http_server`, with middleware, and by `Server::serve`.
    Served,
    /// In an `HttpServer` that handles signals by itself.
    Mounted,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [Self::Lean, Self::Until, Self::Served, Self::Mounted];
}

/// How the child's server differs from the defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Of the heartbeat.
    pub(crate) interval: Duration,
    /// Of the heartbeat.
    pub(crate) timeout: Duration,
    pub(crate) drain: Duration,
    pub(crate) way: Way,
    /// Shared with others that share it; zero for any.
    pub(crate) port: u16,
    /// The process lives on when it has served, and blocks its main thread.
    pub(crate) lingers: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            drain: Duration::from_secs(10),
            way: Way::Lean,
            port: 0,
            lingers: false,
        }
    }
}

#[derive(Deserialize, Message)]
struct Boom;

#[derive(Deserialize, Message)]
struct Hold(u64);

#[derive(Deserialize, Message)]
#[message(reply = u64)]
struct Note {
    n: u64,
}

/// A room that can be made to panic or to block its thread. It expects its notes in order, and answers how many there were.
#[derive(Default)]
struct Fragile(u64);

#[courtside::room]
impl Fragile {
    #[on]
    fn boom(&mut self, _: Boom) {
        panic!("boom, as was asked for")
    }

    #[on]
    fn hold(&mut self, hold: Hold) {
        std::thread::sleep(Duration::from_millis(hold.0));
    }

    #[on]
    fn note(&mut self, note: Note) -> Result<u64, Refusal> {
        if note.n != self.0 {
            return Err(Refusal::new(
                "disorder",
                format!("{} instead of {}", note.n, self.0),
            ));
        }
        self.0 += 1;
        Ok(self.0)
    }

    /// What it saves when the process ends takes a moment, beside the thread and on another.
    fn disposed(&mut self, reason: DisposeReason, ctx: &mut RoomContext<Self>) {
        let moment = Duration::from_millis(200);
        if reason == DisposeReason::Shutdown {
            let blocking = actix_web::web::block(move || std::thread::sleep(moment));
            ctx.spawn(blocking, |_, _, _| eprintln!("saved on another thread"))
                .unwrap();
            ctx.spawn(sleep(moment), |_, (), _| eprintln!("saved beside this one"))
                .unwrap();
        }
    }
}

/// How many connections, sessions and crashed rooms there are.
pub(crate) type Census = (usize, usize, u64);

#[derive(Deserialize, Message)]
#[message(name = "census", reply = Census)]
struct TakeCensus;

async fn census(call: Call<TakeCensus>) -> Result<Census, Refusal> {
    let server = call.server();
    Ok((
        server.connections(),
        server.sessions(),
        server.stats().rooms_crashed,
    ))
}

/// What is to be published on `updates`; then comes `end`.
#[derive(Serialize, Deserialize, Message, Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub(crate) count: u64,
    pub(crate) bytes: usize,
    pub(crate) every_ms: u64,
}

async fn stream(call: Call<Stream>) -> Result<(), Refusal> {
    let (server, stream) = (call.server(), call.message);
    actix_web::rt::spawn(async move {
        let pad = "x".repeat(stream.bytes);
        for _ in 0..stream.count {
            server.publish("updates", &pad).await.unwrap();
            sleep(Duration::from_millis(stream.every_ms)).await;
        }
        server.publish("updates", "end").await.unwrap();
    });
    Ok(())
}

/// The server that the other tests start: a process of this test's own program, which runs only this.
/// Without the settings that they give it, there is nothing to do.
#[test]
fn serve() {
    if std::env::var_os(INTERVAL).is_none() {
        return;
    }
    let millis = |name| {
        let text = std::env::var(name).expect("the settings of a child");
        Duration::from_millis(text.parse().unwrap())
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let mut config = Config::default();
    config.heartbeat.interval = millis(INTERVAL);
    config.heartbeat.timeout = millis(TIMEOUT);
    config.drain.timeout = millis(DRAIN);
    config.window = Duration::from_secs(2);
    config.room_threads = 1;
    actix_web::rt::System::new().block_on(async {
        let server = Server::builder()
            .config(config)
            .room::<Fragile>()
            .channel("updates", Channel::open().history(0))
            .handle(census)
            .handle(stream)
            .authenticate(async |sign_in| match sign_in.token() {
                Some("guess") => Err(Refusal::new("no_ticket", "buy one")),
                _ => Ok(Identity::new(())),
            })
            .build()
            .unwrap();
        let port = std::env::var(PORT).expect("the settings of a child");
        let options = ListenOptions::default().reuse_port(true);
        let listener = courtside::listen_with(&format!("127.0.0.1:{port}"), options).unwrap();
        eprintln!("listening on {}", listener.local_addr().unwrap());
        let way = std::env::var(WAY).expect("the settings of a child");
        let site = server.at("/ws").client_at("/courtside.js");
        let site = site.configure(others::routes);
        let is = |other: Way| way == format!("{other:?}");
        if is(Way::Lean) {
            site.serve(listener).await.unwrap();
        } else if is(Way::Mounted) {
            let http = HttpServer::new(move || App::new().configure(site.routes()))
                .on_connect(courtside::watch_socket)
                .client_disconnect_timeout(Duration::ZERO)
                .workers(2);
            http.listen(listener).unwrap().run().await.unwrap();
        } else {
            let app = site.app(|routes| {
                App::new()
                    .wrap(Logger::default())
                    .wrap(DefaultHeaders::new().add(("x-wrapped", "yes")))
                    .configure(routes)
            });
            if is(Way::Until) {
                let mut terminate = signal(SignalKind::terminate()).unwrap();
                let shutdown = async { terminate.recv().await.unwrap() };
                app.serve_until(listener, shutdown).await.unwrap();
            } else {
                let http = app.http_server().workers(2);
                let http = http.listen(listener).unwrap().run();
                server.serve(http).await.unwrap();
            }
        }
    });
    if std::env::var_os(LINGERS).is_some() {
        eprintln!("it has served");
        std::thread::sleep(PATIENCE);
    }
}

/// One child at a time: these tests run on the real clock and would slow each other down.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A running child. It is killed with the test.
#[derive(Debug)]
pub(crate) struct Served {
    _turn: Option<tokio::sync::MutexGuard<'static, ()>>,
    child: Child,
    pub(crate) address: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Served {
    /// Starts a child, and waits until it listens.
    pub(crate) async fn start(setting: Setting) -> Self {
        let turn = TURN.lock().await;
        Self::spawn(setting, Some(turn)).await
    }

    /// Starts a second child, on the same port.
    pub(crate) async fn beside(&self, setting: Setting) -> Self {
        let port = self.address.rsplit(':').next().unwrap().parse().unwrap();
        Self::spawn(Setting { port, ..setting }, None).await
    }

    async fn spawn(setting: Setting, turn: Option<tokio::sync::MutexGuard<'static, ()>>) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(program);
        if setting.lingers {
            command.env(LINGERS, "yes");
        }
        let mut child = command
            .args(["--exact", "child::serve", "--nocapture"])
            .env(INTERVAL, setting.interval.as_millis().to_string())
            .env(TIMEOUT, setting.timeout.as_millis().to_string())
            .env(DRAIN, setting.drain.as_millis().to_string())
            .env(WAY, format!("{:?}", setting.way))
            .env(PORT, setting.port.to_string())
            .env("RUST_BACKTRACE", "0")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::<Mutex<Vec<String>>>::default();
        let writer = log.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                writer.lock().unwrap().push(line);
            }
        });
        let mut served = Self {
            _turn: turn,
            child,
            address: String::new(),
            log,
        };
        let line = served.logged("listening on ").await;
        served.address = line.split("listening on ").nth(1).unwrap().to_owned();
        served
    }

    /// Waits for a line of the log.
    pub(crate) async fn logged(&self, part: &str) -> String {
        let search = async {
            loop {
                let found = self
                    .log
                    .lock()
                    .unwrap()
                    .iter()
                    .find(|line| line.contains(part))
                    .cloned();
                if let Some(line) = found {
                    return line;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        let found = timeout(PATIENCE, search).await;
        found.unwrap_or_else(|_| panic!("no `{part}` in {:#?}", self.log.lock().unwrap()))
    }

    /// How many lines of the log have this in them, so far.
    pub(crate) fn lines(&self, part: &str) -> usize {
        let log = self.log.lock().unwrap();
        log.iter().filter(|line| line.contains(part)).count()
    }

    /// Sends a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    /// Waits for the end of the process.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ending = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, ending).await.expect("it did not end")
    }

    /// What the process holds in memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }
}
