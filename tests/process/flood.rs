//! A client that sends faster than its room can take it.

use std::time::Duration;

use courtside::Format;
use courtside::testing::raw::{frame, opcode};
use courtside_tests::raw_tools::{MASK, data_frame};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, timeout};

use super::child::{Census, PATIENCE, Served, Setting};
use super::{MEGABYTE, SECOND, client, create, event, next, raw};

/// The action that blocks a room for 4 s, and so many notes of so many bytes for it.
fn flood(format: Format, room: &str, notes: u64, bytes: usize) -> Vec<u8> {
    let send = |name: &str, data: Value| {
        let send = json!({"action": "send", "room": room, "type": name, "data": data});
        data_frame(format, &send)
    };
    let pad = "x".repeat(bytes);
    let mut flood = send("hold", json!(4000));
    for n in 0..notes {
        flood.extend(send("note", json!({"n": n, "pad": pad})));
    }
    flood
}

#[actix_web::test]
async fn who_floods_a_room_that_stands_still_is_held_back_and_not_cut() {
    for (format, notes, bytes) in [
        (Format::Json, 20_000, 1_000),
        (Format::MsgPack, 20_000, 1_000),
        // The number of those that wait is not all that counts.
        (Format::Json, 340, 60_000),
    ] {
        let served = Served::start(Setting {
            interval: SECOND,
            timeout: SECOND,
            ..Setting::default()
        })
        .await;
        let watcher = client(&served, format).await;
        let room = create(&watcher).await.id().to_string();
        // It takes its time to make, in which both would miss a ping.
        let target = room.clone();
        let flood = tokio::task::spawn_blocking(move || flood(format, &target, notes, bytes));
        let flood = flood.await.unwrap();
        let (mut flooder, mut writer) = raw(&served, format, None).await;
        let join = json!({"action": "join", "room": room});
        flooder
            .send_bytes(&data_frame(format, &join))
            .await
            .unwrap();
        assert_eq!(event(&mut flooder).await["event"], "joined");
        let before = served.resident();
        let began = Instant::now();
        let flooding = spawn_local(async move {
            writer.write_all(&flood).await.unwrap();
            writer
        });
        let mut most = 0;
        while began.elapsed() < 3 * SECOND {
            most = most.max(served.resident());
            let asked = Instant::now();
            let (connections, ..): Census = watcher.call_raw("census", &()).await.unwrap();
            assert_eq!(connections, 2, "silence that the server caused is no fault");
            assert!(asked.elapsed() < SECOND, "others are served meanwhile");
            sleep(Duration::from_millis(50)).await;
        }
        assert!(
            !flooding.is_finished(),
            "20 MB were taken while nobody processed them"
        );
        let grown = most.saturating_sub(before);
        assert!(grown < 8 * MEGABYTE, "{grown} bytes");
        let mut writer = timeout(PATIENCE, flooding)
            .await
            .expect("it goes on")
            .unwrap();
        let last =
            json!({"action": "send", "id": 1, "room": room, "type": "note", "data": {"n": notes}});
        writer.write_all(&data_frame(format, &last)).await.unwrap();
        let mut reply = event(&mut flooder).await;
        while reply["event"] == "pong" {
            // While it was held back, it received signs that the server is alive.
            reply = event(&mut flooder).await;
        }
        assert_eq!(
            (&reply["event"], &reply["data"]),
            (&json!("reply"), &json!(notes + 1)),
            "{reply}"
        );
        let bye = frame(true, 0, opcode::CLOSE, MASK, b"");
        writer.write_all(&bye).await.unwrap();
        assert_eq!(next(&mut flooder).await.opcode, opcode::CLOSE);
    }
}
