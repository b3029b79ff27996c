//! The server of these tests: a process of its own, which is this test's own program started once more, with a journal.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use courtside::prelude::*;
use courtside::{Journal, ListenOptions};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const DIRECTORY: &str = "COURTSIDE_TEST_JOURNAL";
const PORT: &str = "COURTSIDE_TEST_JOURNAL_PORT";

/// Publishes, and answers with the offset.
#[derive(Serialize, Deserialize, Message)]
#[message(reply = u64)]
pub(crate) struct Plain(pub(crate) String);

/// The same with the text as the key.
#[derive(Serialize, Deserialize, Message)]
#[message(reply = u64)]
pub(crate) struct Once(pub(crate) String);

async fn plain(call: Call<Plain>) -> Result<u64, Refusal> {
    let Plain(text) = &call.message;
    Ok(call.server().publish("news", text).await?)
}

async fn once(call: Call<Once>) -> Result<u64, Refusal> {
    let Once(text) = &call.message;
    Ok(call.server().publish_once(text, "news", text).await?)
}

/// Without the settings that the other tests give it, there is nothing to do.
#[test]
fn serve() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let mut config = Config::default();
    config.room_threads = 2;
    actix_web::rt::System::new().block_on(async {
        let news = Channel::open()
            .publish_open()
            .history(usize::MAX)
            .history_bytes(usize::MAX);
        let server = Server::builder()
            .config(config)
            // Small, so that it is compacted all the time.
            .journal(Journal::dir(directory).bytes(16 << 20))
            .channel("news", news)
            .handle(plain)
            .handle(once)
            .build()
            .unwrap();
        let port = std::env::var(PORT).expect("the settings of a child");
        let options = ListenOptions::default().reuse_port(true);
        let listener = courtside::listen_with(&format!("127.0.0.1:{port}"), options).unwrap();
        eprintln!("listening on {}", listener.local_addr().unwrap());
        server.at("/ws").serve(listener).await.unwrap();
    });
}

/// A running child. It is killed with the test, and its journal is deleted.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) address: String,
    directory: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let _gone = std::fs::remove_dir_all(&self.directory);
    }
}

impl Process {
    pub(crate) async fn start() -> Self {
        let unique = format!(
            "courtside-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        );
        let directory = std::env::temp_dir().join(unique.replace(['(', ')'], "-"));
        let (child, address) = spawn(&directory, "0").await;
        Self {
            child,
            address,
            directory,
        }
    }

    /// Kills the process, and starts another one with the same journal, on the same port.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        let port = self.address.rsplit(':').next().unwrap().to_owned();
        (self.child, self.address) = spawn(&self.directory, &port).await;
    }

    /// By SIGKILL.
    fn kill(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }
}

async fn spawn(directory: &Path, port: &str) -> (Child, String) {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program)
        .args(["--exact", "child::serve", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(PORT, port)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (found, address) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut found = Some(found);
        for line in stderr.lines().map_while(Result::ok) {
            match line.strip_prefix("listening on ") {
                Some(address) => {
                    let _gone = found.take().map(|found| found.send(address.to_owned()));
                }
                None => eprintln!("the server: {line}"),
            }
        }
    });
    let address = timeout(PATIENCE, address).await.unwrap();
    let address = address.expect("the server ended before it listened");
    (child, address)
}
