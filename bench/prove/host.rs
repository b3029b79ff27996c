//! The processes of a run: the server, and the players.

use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cli::{Library, Way};
use crate::summary::Summary;

/// How long players may take to start and to end.
const PATIENCE: Duration = Duration::from_secs(240);

/// A server of its own process; killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(way: Way, bind: &str, more: &[String]) -> io::Result<Self> {
        let mut program = std::env::current_exe()?;
        program.set_file_name("courtside-bench-server");
        let mut command = Command::new(&program);
        command.args(["--bind", bind]).args(more);
        match way {
            Way::Lean => command.arg("--lean"),
            Way::Mounted => command.args(["--workers", "2"]),
        };
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| {
            let hint = "build it first: cargo build -p courtside-bench";
            io::Error::new(
                error.kind(),
                format!("{}: {error}; {hint}", program.display()),
            )
        })?;
        let mut line = String::new();
        if let Some(stdout) = &mut child.stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line.split(' ').nth(2).and_then(|word| word.parse().ok());
        let address =
            address.ok_or_else(|| io::Error::other(format!("the server said {line:?}")))?;
        Ok(Self { child, address })
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.child.id()).map_err(io::Error::other)?;
        kill(Pid::from_raw(pid), signal).map_err(io::Error::from)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// The clients of a run, in a process of their own.
#[derive(Debug)]
pub(crate) struct Players {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    clients: usize,
}

impl Players {
    /// Starts the clients, and waits until all have joined or subscribed.
    pub(crate) fn start(
        library: Library,
        server: SocketAddr,
        clients: usize,
        channels: usize,
    ) -> io::Result<Self> {
        let mut command = match library {
            Library::Rust => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("players");
                command
            }
            Library::Typescript => {
                let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("prove/players.mjs");
                let mut command = Command::new("node");
                // The warning of each attempt, which is not needed a thousand times.
                command.arg(script).stderr(Stdio::null());
                command
            }
        };
        command.arg(format!("--url=ws://{server}/ws"));
        command.arg(format!("--clients={clients}"));
        command.arg(format!("--channels={channels}"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let players = Self {
            child,
            stdin,
            lines: lines(stdout),
            clients,
        };
        match players.lines.recv_timeout(PATIENCE) {
            Ok(line) if line == "ready" => Ok(players),
            other => Err(io::Error::other(format!(
                "the clients ended or fell silent before they were connected ({other:?}). \
                 The TypeScript ones need Node 22, or an older Node and `npm --prefix bench/peers ci`; \
                 `node bench/prove/players.mjs --url=ws://{server}/ws --clients=1 --channels=0` shows their errors"
            ))),
        }
    }

    /// Ends the clients, and reads their summary.
    pub(crate) fn end(mut self) -> Summary {
        if let Some(mut stdin) = self.stdin.take() {
            let _gone = stdin.write_all(b"end\n");
        }
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => serde_json::from_str(&line)
                .unwrap_or_else(|error| Summary::dead(self.clients, format!("{line}: {error}"))),
            Err(error) => Summary::dead(self.clients, format!("the players: {error}")),
        }
    }
}

impl Drop for Players {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn lines(stdout: Option<ChildStdout>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let lines = stdout.map(|stdout| BufReader::new(stdout).lines());
        for line in lines.into_iter().flatten().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
