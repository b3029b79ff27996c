//! Channels that survive their server: a process with a journal, which is killed under load and started again.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use courtside::client::{Client, Event, Options};
use courtside::{BuildError, Channel, Format, Journal, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{sleep, timeout};

#[path = "durable/child.rs"]
mod child;

use child::{Once, PATIENCE, Plain, Process};

/// How often the process is killed.
const KILLS: u64 = 6;

/// What was acknowledged: the offset of each publication, by what was published.
type Acknowledged = BTreeMap<String, u64>;

/// A client that reconnects soon.
async fn connect(process: &Process, format: Format) -> Client {
    let mut options = Options::default();
    options.format = format;
    options.backoff_base = Duration::from_millis(20);
    options.backoff_cap = Duration::from_millis(100);
    let url = format!("ws://{}/ws", process.address);
    Client::connect(&url, options).await.unwrap()
}

/// How a publisher publishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    /// `ServerHandle::publish`.
    Application,
    /// `ServerHandle::publish_once`, again and again until it is acknowledged.
    Once,
    /// The client's own `publish`.
    Client,
}

/// Publishes as fast as it is acknowledged, until `until` is reached; over the ends of the server's process.
async fn publish(
    client: Client,
    by: By,
    name: &'static str,
    until: Rc<tokio::sync::Notify>,
) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    let publishing = async {
        for n in 0.. {
            let text = format!("{name} {n}");
            let offset = match by {
                By::Application => client.call(&Plain(text.clone())).await.ok(),
                By::Client => client.publish("news", &text).await.ok(),
                By::Once => loop {
                    match client.call(&Once(text.clone())).await {
                        Ok(offset) => break Some(offset),
                        Err(_) => sleep(Duration::from_millis(5)).await,
                    }
                },
            };
            match offset {
                Some(offset) => {
                    let known = acknowledged.insert(text, offset);
                    assert_eq!(known, None);
                }
                None => sleep(Duration::from_millis(5)).await,
            }
        }
    };
    tokio::select! {
        () = publishing => {}
        () = until.notified() => {}
    }
    acknowledged
}

/// Receives all publications, in order and without a gap, until one says `end`.
async fn receive(client: Client) -> Vec<String> {
    client.subscribe("news").await.unwrap();
    let mut received = Vec::new();
    loop {
        match client.next().await.expect("the client has ended") {
            Event::Publication { offset, data, .. } => {
                let data = data.as_str().unwrap().to_owned();
                received.push(data.clone());
                assert_eq!(offset, received.len() as u64, "{data}");
                if data == "end" {
                    return received;
                }
            }
            Event::Resubscribed { recovered, .. } => assert!(recovered, "a gap"),
            _ => {}
        }
    }
}

/// Publishers of all kinds and subscribers in both formats, while the process is killed and started again.
#[tokio::test]
async fn nothing_acknowledged_is_lost_or_repeated_when_the_process_is_killed() {
    LocalSet::new()
        .run_until(async {
            let mut process = Process::start().await;
            let receivers: Vec<JoinHandle<_>> = {
                let mut receivers = Vec::new();
                for format in Format::ALL {
                    let client = connect(&process, format).await;
                    receivers.push(spawn_local(receive(client)));
                }
                receivers
            };
            let until = Rc::new(tokio::sync::Notify::new());
            let mut publishers = Vec::new();
            let kinds = [
                (By::Application, "application", Format::Json),
                (By::Once, "once", Format::MsgPack),
                (By::Once, "once more", Format::Json),
                (By::Client, "client", Format::Json),
                (By::Client, "another client", Format::MsgPack),
            ];
            for (by, name, format) in kinds {
                let client = connect(&process, format).await;
                publishers.push(spawn_local(publish(client, by, name, until.clone())));
            }
            for kill in 0..KILLS {
                sleep(Duration::from_millis(300 + kill * 130)).await;
                process.restart().await;
            }
            sleep(Duration::from_millis(300)).await;
            let mut acknowledged = Acknowledged::new();
            for _ in &publishers {
                until.notify_one();
            }
            for publisher in publishers {
                let of_one = timeout(PATIENCE, publisher).await.unwrap().unwrap();
                assert!(of_one.len() > 10, "{}", of_one.len());
                acknowledged.extend(of_one);
            }
            let client = connect(&process, Format::Json).await;
            let end = client.publish("news", "end").await.unwrap();
            for receiver in receivers {
                let received = timeout(PATIENCE, receiver).await.unwrap().unwrap();
                assert_eq!(received.len() as u64, end);
                for (text, offset) in &acknowledged {
                    assert_eq!(&received[*offset as usize - 1], text);
                }
                let once = received.iter().filter(|text| text.starts_with("once"));
                let mut once: Vec<_> = once.collect();
                let all = once.len();
                once.sort_unstable();
                once.dedup();
                assert_eq!(once.len(), all, "published twice");
            }
        })
        .await;
}

/// Reads an event stream until it has `wanted` in it. Returns what was read, and the last id in it.
async fn read_stream(process: &Process, last: Option<&str>, wanted: &str) -> (String, String) {
    let mut stream = TcpStream::connect(&process.address).await.unwrap();
    let last = last.map_or_else(String::new, |last| format!("Last-Event-ID: {last}\r\n"));
    let head = format!("GET /ws/events?channel=news HTTP/1.1\r\nHost: localhost\r\n{last}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&text).contains(wanted) {
            assert!(
                stream.read_buf(&mut text).await.unwrap() > 0,
                "it has ended"
            );
        }
        // The rest of the event.
        sleep(Duration::from_millis(50)).await;
        let _nothing = stream.try_read_buf(&mut text);
    };
    timeout(PATIENCE, reading).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    let id = text.lines().rev().find_map(|line| line.strip_prefix("id:"));
    let id = id.expect("an id").trim().to_owned();
    (text, id)
}

#[tokio::test]
async fn an_event_stream_goes_on_over_a_restart_by_its_last_event_id() {
    LocalSet::new()
        .run_until(async {
            let mut process = Process::start().await;
            let client = connect(&process, Format::Json).await;
            client.publish("news", "before").await.unwrap();
            let (_, id) = read_stream(&process, None, "before").await;
            client.publish("news", "missed").await.unwrap();
            process.restart().await;
            let (text, _) = read_stream(&process, Some(&id), "missed").await;
            assert!(!text.contains("before"), "{text}");
        })
        .await;
}

#[tokio::test]
async fn a_second_server_on_the_same_directory_is_refused_and_says_why() {
    LocalSet::new()
        .run_until(async {
            let process = Process::start().await;
            let directory = process.directory().to_owned();
            let error = std::thread::spawn(move || {
                actix_web::rt::System::new().block_on(async {
                    let builder = Server::builder().channel("news", Channel::open());
                    builder.journal(Journal::dir(directory)).build().err()
                })
            });
            let error = error.join().unwrap();
            assert!(matches!(error, Some(BuildError::Journal { .. })));
            let text = error.unwrap().to_string();
            assert!(
                text.contains("another process has locked the journal"),
                "{text}"
            );
        })
        .await;
}
