//! Publishing, histories, presence and subscriptions.

use courtside_tests::channel_tools::subscribe;
use courtside_tests::wire_tools::{both, numbers, quiet};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::site::{A_WHILE, Site};

#[test]
fn subscribers_of_both_formats_receive_what_is_published() {
    both(async |format| {
        let site = Site::usual().await;
        let mut wire = site.client(0, format, "ann").await;
        subscribe(&mut wire, "news", Value::Null).await;
        let data = json!({ "title": "One to nil", "big": u64::MAX, "list": [1.5, null, "é"] });
        assert_eq!(
            site.publish("news", data.clone()).await.done(),
            json!({ "offset": 1 })
        );
        assert_eq!(
            site.publish("news", Value::Null).await.done(),
            json!({ "offset": 2 })
        );
        assert_eq!(wire.event("publication").await["data"], data);
        assert_eq!(wire.event("publication").await["data"], Value::Null);
    });
}

#[test]
fn a_broadcast_tries_each_channel() {
    both(async |format| {
        let site = Site::usual().await;
        let mut wire = site.client(0, format, "ann").await;
        for channel in ["news", "match/7"] {
            subscribe(&mut wire, channel, Value::Null).await;
        }
        let body = json!({ "channels": ["news", "weather", "match/7"], "data": 7 });
        let answer = site.post("/broadcast", body).await.done();
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results[0], json!({ "channel": "news", "offset": 1 }));
        assert_eq!(results[1]["error"]["code"], "unknown_channel");
        assert_eq!(results[2], json!({ "channel": "match/7", "offset": 1 }));
        assert_eq!(numbers(&wire.all().await, "publication"), [7, 7]);
    });
}

#[test]
fn a_batch_is_carried_out_in_order_whatever_becomes_of_each_command() {
    both(async |format| {
        let site = Site::usual().await;
        let mut wire = site.client(0, format, "ann").await;
        subscribe(&mut wire, "news", Value::Null).await;
        let news = |n: u8| json!({ "publish": { "channel": "news", "data": n } });
        let answer = site
            .post(
                "/batch",
                json!({ "commands": [
                    news(1),
                    { "publish": { "channel": "weather", "data": 2 } },
                    { "unsubscribe": { "subject": "ann", "channel": "news" } },
                    { "broadcast": { "channels": ["news"], "data": 3 } },
                ] }),
            )
            .await
            .done();
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results[0], json!({ "publish": { "offset": 1 } }));
        assert_eq!(results[1]["error"]["code"], "unknown_channel");
        assert_eq!(results[2], json!({ "unsubscribe": { "subscriptions": 1 } }));
        let third = json!({ "broadcast": { "results": [{ "channel": "news", "offset": 2 }] } });
        assert_eq!(results[3], third);
        let heard = wire.all().await;
        assert_eq!(numbers(&heard, "publication"), [1]);
        assert!(heard.iter().any(|event| event["reason"] == "removed"));
    });
}

#[test]
fn a_history_is_read_in_pages_both_ways() {
    courtside::testing::run(async {
        let site = Site::usual().await;
        let empty = json!({ "epoch": "", "offset": 0, "publications": [], "more": false });
        let of_match = site.get("/history?channel=match/7").await.done();
        assert_eq!(of_match, empty, "reading does not begin a channel");
        for n in 1..=5 {
            site.publish("news", json!(n)).await.done();
        }
        let offsets = |page: &Value| {
            let publications = page["publications"].as_array().unwrap().iter();
            publications
                .map(|p| p["offset"].as_u64().unwrap())
                .collect::<Vec<_>>()
        };
        let page = site.get("/history?channel=news&limit=2").await.done();
        assert_eq!((offsets(&page), &page["more"]), (vec![4, 5], &json!(true)));
        assert_eq!(page["publications"][1], json!({ "offset": 5, "data": 5 }));
        let page = site
            .get("/history?channel=news&limit=3&before=4")
            .await
            .done();
        assert_eq!(
            (offsets(&page), &page["more"]),
            (vec![1, 2, 3], &json!(false))
        );
        let epoch = page["epoch"].as_str().unwrap();
        let after = |epoch: &str| format!("/history?channel=news&limit=2&since={epoch}:2");
        let page = site.get(&after(epoch)).await.done();
        assert_eq!((offsets(&page), &page["more"]), (vec![3, 4], &json!(true)));
        let page = site.get(&after("another")).await.done();
        assert_eq!(offsets(&page), [1, 2], "from the oldest");
    });
}

#[test]
fn who_is_present_is_read_in_pages() {
    both(async |format| {
        let site = Site::usual().await;
        let mut wires = Vec::new();
        for (at, user) in ["ann", "bob", "cid", "ann"].into_iter().enumerate() {
            let mut wire = site.client(at, format, user).await;
            let show =
                json!({ "action": "subscribe", "channel": "match/7", "data": { "n": user } });
            assert_eq!(wire.ask(show).await["event"], "subscribed");
            wires.push(wire);
        }
        sleep(A_WHILE).await;
        let page = site.get("/presence?channel=match/7&limit=2").await.done();
        let ann = json!({ "id": "ann", "subject": "ann", "sessions": 2, "data": { "n": "ann" } });
        assert_eq!((&page["count"], &page["next"]), (&json!(3), &json!("bob")));
        assert_eq!(page["members"][0], ann);
        let page = site.get("/presence?channel=match/7&after=bob").await.done();
        assert_eq!(page["members"].as_array().unwrap().len(), 1);
        assert_eq!(
            (&page["members"][0]["id"], page.get("next")),
            (&json!("cid"), None)
        );
        let nobody = site.get("/presence?channel=match/8").await.done();
        assert_eq!(nobody, json!({ "count": 0, "members": [] }));
    });
}

#[test]
fn a_user_is_subscribed_in_all_sessions() {
    both(async |format| {
        let site = Site::usual().await;
        let mut wires = Vec::new();
        for (worker, user) in [(0, "ann"), (1, "ann"), (1, "bob")] {
            wires.push(site.client(worker, format, user).await);
        }
        let of_ann = json!({ "subject": "ann", "channel": "news" });
        let answer = site.post("/subscribe", of_ann).await.done();
        assert_eq!(answer, json!({ "sessions": 2 }));
        site.publish("news", json!(1)).await.done();
        for (wire, heard) in wires.iter_mut().zip([1, 1, 0]) {
            assert_eq!(numbers(&wire.all().await, "publication").len(), heard);
        }
        let unknown = json!({ "subject": "ann", "channel": "weather" });
        let answer = site.post("/subscribe", unknown).await;
        assert_eq!(answer.error().1, "unknown_channel");
    });
}

#[test]
fn a_user_is_unsubscribed_in_all_sessions() {
    both(async |format| {
        let site = Site::usual().await;
        let mut wires = Vec::new();
        for (worker, user) in [(0, "ann"), (1, "ann"), (1, "bob")] {
            let mut wire = site.client(worker, format, user).await;
            subscribe(&mut wire, "news", Value::Null).await;
            wires.push(wire);
        }
        let of_ann = json!({ "subject": "ann", "channel": "news" });
        let answer = site.post("/unsubscribe", of_ann.clone()).await.done();
        assert_eq!(answer, json!({ "subscriptions": 2 }));
        site.publish("news", json!(1)).await.done();
        quiet().await;
        for wire in &mut wires[..2] {
            let heard = wire.all().await;
            assert!(heard.iter().any(|event| event["reason"] == "removed"));
            assert!(numbers(&heard, "publication").is_empty());
        }
        assert_eq!(numbers(&wires[2].all().await, "publication"), [1]);
        let answer = site.post("/unsubscribe", of_ann).await.done();
        assert_eq!(answer, json!({ "subscriptions": 0 }));
    });
}

#[test]
fn rooms_are_listed_in_pages() {
    both(async |format| {
        let site = Site::usual().await;
        let mut wires = Vec::new();
        for kind in ["arena", "arena", "arena", "desk"] {
            let mut wire = site.client(0, format, "ann").await;
            let join = json!({ "action": "join", "kind": kind, "mode": "create" });
            assert_eq!(wire.ask(join).await["event"], "joined");
            wires.push(wire);
        }
        let all = site.get("/rooms").await.done();
        assert_eq!(all["rooms"].as_array().unwrap().len(), 4);
        let first = site.get("/rooms?kind=arena&limit=2").await.done();
        let next = first["next"].as_str().unwrap();
        let second = site
            .get(&format!("/rooms?kind=arena&after={next}"))
            .await
            .done();
        let arenas = [&first, &second].map(|page| page["rooms"].as_array().unwrap());
        assert_eq!(arenas.map(Vec::len), [2, 1]);
        assert_eq!(second.get("next"), None);
        let room = &arenas[1][0];
        let (members, capacity) = (&room["members"], &room["capacity"]);
        assert_eq!((members, capacity), (&json!(1), &json!(4)));
        assert_eq!(
            (&room["kind"], &room["locked"]),
            (&json!("arena"), &json!(false))
        );
    });
}
