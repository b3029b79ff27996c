//! A server in a process of its own, over real sockets: memory, signals, panics, stalled readers.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::time::Duration;

use courtside::client::{Client, Event, JoinedRoom, Options};
use courtside::testing::raw::{RawClient, RawFrame, opcode};
use courtside::{CloseCode, Format, JoinMode};
use courtside_tests::raw_tools::{MASK, data_frame, opcode_of};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep, timeout};

#[path = "process/child.rs"]
mod child;
#[path = "process/exit.rs"]
mod exit;
#[path = "process/flood.rs"]
mod flood;
#[path = "process/log.rs"]
mod log;
#[path = "process/others.rs"]
mod others;

use child::{Census, PATIENCE, Served, Setting, Stream};

const SECOND: Duration = Duration::from_secs(1);
const MEGABYTE: u64 = 1 << 20;

/// A connection of which the test holds each frame, and a second hand on its socket, to write while it reads.
async fn raw(
    served: &Served,
    format: Format,
    receive_buffer: Option<u32>,
) -> (RawClient, TcpStream) {
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes).unwrap();
    }
    let stream = socket
        .connect(served.address.parse().unwrap())
        .await
        .unwrap();
    let stream = stream.into_std().unwrap();
    let second = TcpStream::from_std(stream.try_clone().unwrap()).unwrap();
    let stream = TcpStream::from_std(stream).unwrap();
    let path = format!("/ws?format={}", format.name());
    let mut raw = RawClient::open(stream, &path, &[]).await.unwrap();
    assert_eq!(event(&mut raw).await["event"], "welcome");
    (raw, second)
}

/// The next frame; pings are answered.
async fn next(raw: &mut RawClient) -> RawFrame {
    loop {
        let frame = timeout(PATIENCE, raw.next_frame())
            .await
            .expect("a frame in time");
        let frame = frame.unwrap().expect("a frame before the end");
        if frame.opcode != opcode::PING {
            return frame;
        }
        raw.send_frame(true, opcode::PONG, &frame.payload)
            .await
            .unwrap();
    }
}

async fn event(raw: &mut RawClient) -> Value {
    let frame = next(raw).await;
    frame
        .json()
        .unwrap_or_else(|| panic!("{frame:?} is no event"))
}

async fn client(served: &Served, format: Format) -> Client {
    let url = format!("ws://{}/ws", served.address);
    Client::connect(&url, Options::default().format(format))
        .await
        .unwrap()
}

#[actix_web::test]
async fn a_frame_of_a_gibibyte_costs_no_memory() {
    for format in Format::ALL {
        let served = Served::start(Setting::default()).await;
        let (mut reader, mut writer) = raw(&served, format, None).await;
        let before = served.resident();
        let mut header = vec![0x80 | opcode_of(format), 0x80 | 127];
        header.extend((1_u64 << 30).to_be_bytes());
        header.extend(MASK.unwrap());
        writer.write_all(&header).await.unwrap();
        let flood = spawn_local(async move {
            let megabyte = vec![0x55; MEGABYTE as usize];
            let mut sent = 0;
            // The server may hang up before it has all of it.
            while sent < 300 && writer.write_all(&megabyte).await.is_ok() {
                sent += 1;
            }
            sent
        });
        let goodbye = event(&mut reader).await;
        assert_eq!(
            (&goodbye["event"], &goodbye["code"]),
            (&json!("goodbye"), &json!(1009))
        );
        assert_eq!(
            next(&mut reader).await.close_code(),
            Some(CloseCode::TOO_BIG)
        );
        let mut most = served.resident();
        while !flood.is_finished() {
            most = most.max(served.resident());
            sleep(Duration::from_millis(5)).await;
        }
        let sent = flood.await.unwrap();
        most = most.max(served.resident());
        let grown = most.saturating_sub(before);
        println!(
            "{format:?}: {sent} MB were sent, memory grew by {} kB",
            grown >> 10
        );
        assert!(grown < 8 * MEGABYTE, "{grown} bytes for {sent} MB");
    }
}

/// Subscribes, and counts publications until `end`; each must come once and in order.
async fn read_all(mut raw: RawClient, format: Format) -> u64 {
    let (mut last, mut count) = (None, 0);
    loop {
        let event = event(&mut raw).await;
        if event["event"] != "publication" {
            assert_eq!(event["event"], "subscribed", "{format:?}: {event}");
            continue;
        }
        let offset = event["offset"].as_u64().unwrap();
        assert!(
            last.is_none_or(|last| last + 1 == offset),
            "{offset} after {last:?}"
        );
        last = Some(offset);
        if event["data"] == "end" {
            return count;
        }
        count += 1;
    }
}

#[actix_web::test]
async fn stalled_readers_are_cut_and_cost_the_others_nothing() {
    let served = Served::start(Setting {
        interval: 2 * SECOND,
        // Twice what the stalled ones need, for the others, whose readers share a thread with all of this.
        timeout: 4 * SECOND,
        ..Setting::default()
    })
    .await;
    let subscribe = |format| {
        data_frame(
            format,
            &json!({"action": "subscribe", "channel": "updates"}),
        )
    };
    let mut busy: Vec<JoinHandle<u64>> = Vec::new();
    for format in Format::ALL.into_iter().cycle().take(100) {
        let (mut raw, _) = raw(&served, format, None).await;
        raw.send_bytes(&subscribe(format)).await.unwrap();
        busy.push(spawn_local(read_all(raw, format)));
    }
    let mut stalled = Vec::new();
    for format in Format::ALL.into_iter().cycle().take(10) {
        let (mut raw, _) = raw(&served, format, Some(4096)).await;
        raw.send_bytes(&subscribe(format)).await.unwrap();
        assert_eq!(event(&mut raw).await["event"], "subscribed");
        stalled.push(raw);
    }
    let control = client(&served, Format::Json).await;
    let stream = Stream {
        count: 150,
        bytes: 4096,
        every_ms: 50,
    };
    let began = Instant::now();
    let () = control.call_raw("stream", &stream).await.unwrap();
    let (mut least, mut most) = (u64::MAX, 0);
    let mut gone = None;
    while !busy.iter().all(JoinHandle::is_finished) {
        let (connections, ..): Census = control.call_raw("census", &()).await.unwrap();
        if gone.is_none() && connections <= 101 {
            gone = Some(began.elapsed());
        }
        if began.elapsed() > SECOND {
            let resident = served.resident();
            (least, most) = (least.min(resident), most.max(resident));
        }
        assert!(began.elapsed() < 2 * PATIENCE, "the others do not get on");
        sleep(Duration::from_millis(50)).await;
    }
    for reader in busy {
        assert_eq!(reader.await.unwrap(), stream.count);
    }
    let gone = gone.expect("the stalled readers are still there");
    println!(
        "gone after {gone:?}, memory between {} and {} kB",
        least >> 10,
        most >> 10
    );
    // The heartbeat is 6 s in all; the rest is for a machine that has other things to do.
    assert!(gone < PATIENCE, "{gone:?}");
    assert!(most - least < 20 * MEGABYTE, "{least} to {most}");
    // Their windows end, too, and so do those of the others.
    let settled = async {
        while control.call_raw::<_, Census>("census", &()).await.unwrap() != (1, 1, 0) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, settled)
        .await
        .expect("sessions are left over");
}

#[actix_web::test]
async fn sigterm_says_goodbye_and_ends_well() {
    let mut served = Served::start(Setting::default()).await;
    let mut raws = Vec::new();
    for format in Format::ALL {
        let (mut raw, _) = raw(&served, format, None).await;
        let join = json!({"action": "join", "kind": "fragile"});
        raw.send_bytes(&data_frame(format, &join)).await.unwrap();
        assert_eq!(event(&mut raw).await["event"], "joined");
        raws.push(raw);
    }
    let began = Instant::now();
    served.signal("TERM");
    for raw in &mut raws {
        let left = event(raw).await;
        assert_eq!(
            (&left["event"], &left["reason"]),
            (&json!("left"), &json!("shutdown"))
        );
        let goodbye = event(raw).await;
        assert_eq!(
            (&goodbye["event"], &goodbye["code"]),
            (&json!("goodbye"), &json!(4002))
        );
        assert!(
            goodbye["reconnect"]["after_ms"].is_u64() && goodbye["reconnect"]["jitter_ms"].is_u64()
        );
        let close = next(raw).await;
        assert_eq!(close.close_code(), Some(CloseCode::DRAIN));
        raw.send_close(CloseCode::DRAIN, "").await.unwrap();
    }
    let status = served.ended().await;
    assert_eq!(status.code(), Some(0));
    for saved in ["saved on another thread", "saved beside this one"] {
        served.logged(saved).await;
    }
    assert!(
        began.elapsed() < 4 * SECOND,
        "everybody was polite: {:?}",
        began.elapsed()
    );
}

#[actix_web::test]
async fn a_peer_that_ignores_the_goodbye_does_not_keep_the_process() {
    let mut served = Served::start(Setting {
        drain: 2 * SECOND,
        ..Setting::default()
    })
    .await;
    let (_silent, _) = raw(&served, Format::Json, None).await;
    let began = Instant::now();
    served.signal("TERM");
    assert_eq!(served.ended().await.code(), Some(0));
    let took = began.elapsed();
    assert!(took > SECOND && took < 5 * SECOND, "{took:?}");
}

#[actix_web::test]
async fn a_room_that_stands_still_does_not_keep_the_process_and_is_named() {
    let mut served = Served::start(Setting {
        drain: 2 * SECOND,
        ..Setting::default()
    })
    .await;
    let (mut raw, _) = raw(&served, Format::Json, None).await;
    let join = json!({"action": "join", "kind": "fragile"});
    raw.send_bytes(&data_frame(Format::Json, &join))
        .await
        .unwrap();
    let room = event(&mut raw).await["room"].as_str().unwrap().to_owned();
    let hold = json!({"action": "send", "room": room, "type": "hold", "data": 60_000});
    raw.send_bytes(&data_frame(Format::Json, &hold))
        .await
        .unwrap();
    // Behind it on the same connection: when this is answered, the room has it.
    let ping = json!({"action": "ping", "id": 1});
    raw.send_bytes(&data_frame(Format::Json, &ping))
        .await
        .unwrap();
    while event(&mut raw).await["event"] != "pong" {}
    served.signal("TERM");
    assert_eq!(served.ended().await.code(), Some(0));
    let line = served.logged("has not ended in time").await;
    assert!(line.contains(&room), "{line}");
}

async fn create(client: &Client) -> JoinedRoom {
    client
        .join_with("fragile", JoinMode::Create, &())
        .await
        .unwrap()
}

/// Waits for the news that the client has left a room.
async fn left(client: &Client) -> (String, String) {
    let listening = async {
        loop {
            match client.next().await.expect("the client lives") {
                Event::Left { room, reason, .. } => return (room.to_string(), reason),
                Event::Connected { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    };
    timeout(PATIENCE, listening).await.expect("nobody was told")
}

#[actix_web::test]
async fn a_panic_ends_one_room_and_no_other() {
    for format in Format::ALL {
        let served = Served::start(Setting::default()).await;
        let (first, second) = (client(&served, format).await, client(&served, format).await);
        let doomed = create(&first).await;
        second.join_room(doomed.id(), &()).await.unwrap();
        // There is one thread for rooms, so this one lives on the same.
        let other = create(&second).await;
        assert_eq!(
            other
                .call_raw::<_, u64>("note", &json!({"n": 0}))
                .await
                .unwrap(),
            1
        );
        let refusal = doomed.call_raw::<_, ()>("boom", &()).await.unwrap_err();
        assert!(refusal.to_string().contains("internal"), "{refusal}");
        for member in [&first, &second] {
            let gone = left(member).await;
            assert_eq!(gone, (doomed.id().to_string(), "crashed".to_owned()));
        }
        assert_eq!(
            other
                .call_raw::<_, u64>("note", &json!({"n": 1}))
                .await
                .unwrap(),
            2
        );
        let again = create(&first).await;
        assert_eq!(
            again
                .call_raw::<_, u64>("note", &json!({"n": 0}))
                .await
                .unwrap(),
            1
        );
        let (_, _, crashed): Census = first.call_raw("census", &()).await.unwrap();
        assert_eq!(crashed, 1);
        let line = served.logged("a hook panicked").await;
        assert!(line.contains(&doomed.id().to_string()), "{line}");
        assert!(line.contains("boom, as was asked for"), "{line}");
        let listed: Value = first.call_raw("rooms.list", &()).await.unwrap();
        let ids: Vec<_> = listed["rooms"]
            .as_array()
            .unwrap()
            .iter()
            .map(|room| &room["room"])
            .collect();
        assert!(!ids.contains(&&json!(doomed.id().to_string())), "{listed}");
    }
}
