//! Rooms: created, looked at, told, asked and ended.

use courtside::testing::run;
use courtside_tests::wire_tools::{both, quiet};
use serde_json::{Value, json};

use super::site::Site;

async fn create(site: &Site, id: &str) -> String {
    let room = site.post("/rooms/create", json!({ "kind": "arena", "id": id }));
    room.await.done()["room"].as_str().unwrap().to_owned()
}

#[test]
fn a_room_is_created_told_asked_and_ended() {
    both(async |format| {
        let site = Site::usual().await;
        assert_eq!(create(&site, "final").await, "final");
        let mut wire = site.client(0, format, "ann").await;
        let joined = wire.ask(json!({ "action": "join", "room": "final" })).await;
        assert_eq!(joined["event"], "joined");
        let info = site.get("/rooms/info?room=final").await.done();
        assert_eq!(
            (&info["kind"], &info["members"]),
            (&json!("arena"), &json!(1))
        );

        let notice = json!({ "room": "final", "type": "notice", "data": { "text": "hurry" } });
        assert_eq!(site.post("/rooms/tell", notice).await.done(), json!({}));
        let heard = wire.event("message").await;
        let said = json!({ "text": "hurry", "from": "the API's key `all`" });
        assert_eq!((&heard["type"], &heard["data"]), (&json!("notice"), &said));
        let count = json!({ "room": "final", "type": "count" });
        assert_eq!(
            site.post("/rooms/ask", count).await.done(),
            json!({ "reply": 1 })
        );

        let end = json!({ "room": "final" });
        assert_eq!(
            site.post("/rooms/dispose", end.clone()).await.done(),
            json!({})
        );
        quiet().await;
        assert_eq!(wire.event("left").await["reason"], "disposed");
        let gone = (404, "unknown_room".to_owned(), Some("room".to_owned()));
        assert_eq!(site.post("/rooms/dispose", end).await.error(), gone);
        assert_eq!(site.get("/rooms/info?room=final").await.error(), gone);
        let late = json!({ "room": "final", "type": "count" });
        for path in ["/rooms/tell", "/rooms/ask"] {
            assert_eq!(site.post(path, late.clone()).await.error(), gone);
        }
    });
}

#[test]
fn what_a_room_refuses_is_told_with_the_code_of_the_room() {
    run(async {
        let site = Site::usual().await;
        let room = create(&site, "final").await;
        let tell = |name: &str, data: Value| json!({ "room": room, "type": name, "data": data });
        for (message, code) in [
            (tell("notice", json!({ "text": "" })), "empty"),
            (tell("notice", json!({ "text": 7 })), "bad_payload"),
            (tell("dance", json!(null)), "unknown_type"),
        ] {
            for path in ["/rooms/tell", "/rooms/ask"] {
                let (status, given, _) = site.post(path, message.clone()).await.error();
                assert_eq!((status, given.as_str()), (422, code));
            }
        }
        let (status, code, _) = site
            .post("/rooms/tell", tell("crash", json!(null)))
            .await
            .error();
        assert_eq!((status, code.as_str()), (500, "crashed"));
    });
}

#[test]
fn a_room_that_cannot_be_created_is_refused() {
    run(async {
        let site = Site::usual().await;
        create(&site, "final").await;
        for (body, status, code, field) in [
            (
                json!({ "kind": "arena", "id": "final" }),
                409,
                "taken",
                Some("id"),
            ),
            (
                json!({ "kind": "palace" }),
                404,
                "unknown_kind",
                Some("kind"),
            ),
            (
                json!({ "kind": "arena", "id": "a b" }),
                400,
                "bad_field",
                Some("id"),
            ),
            (
                json!({ "kind": "arena", "options": { "map": 7 } }),
                422,
                "bad_payload",
                None,
            ),
            (
                json!({ "kind": "arena", "options": { "map": "" } }),
                422,
                "no_map",
                None,
            ),
        ] {
            let answer = site.post("/rooms/create", body).await;
            let field = field.map(str::to_owned);
            assert_eq!(answer.error(), (status, code.to_owned(), field));
            assert_eq!(answer.header("retry-after"), None);
        }
        let options = json!({ "kind": "arena", "options": { "map": "moon" } });
        let other = site.post("/rooms/create", options).await.done();
        assert_eq!(other["room"].as_str().unwrap().len(), 12);
    });
}

#[test]
fn a_room_that_does_not_reply_in_time_may_reply_later() {
    run(async {
        let site = Site::usual().await;
        create(&site, "final").await;
        let slow = json!({ "room": "final", "type": "count", "timeout_ms": 99 });
        assert_eq!(site.post("/rooms/ask", slow).await.status, 400);
        let ask = json!({ "room": "final", "type": "count", "timeout_ms": 100 });
        assert_eq!(
            site.post("/rooms/ask", ask).await.done(),
            json!({ "reply": 0 })
        );
    });
}

#[test]
fn the_same_key_twice_creates_one_room_and_tells_it_once() {
    run(async {
        let site = Site::usual().await;
        let body = json!({ "kind": "arena" });
        let first = site
            .post_once("a", "/rooms/create", body.clone())
            .await
            .done();
        let second = site.post_once("a", "/rooms/create", body).await.done();
        assert_eq!(first, second);
        let rooms = site.get("/rooms?kind=arena").await.done();
        assert_eq!(rooms["rooms"].as_array().unwrap().len(), 1);
        let notice =
            json!({ "room": first["room"], "type": "notice", "data": { "text": "hurry" } });
        for _ in 0..2 {
            site.post_once("b", "/rooms/tell", notice.clone())
                .await
                .done();
        }
        let count = json!({ "room": first["room"], "type": "count" });
        assert_eq!(
            site.post("/rooms/ask", count).await.done(),
            json!({ "reply": 1 })
        );
    });
}

#[test]
fn a_batch_creates_a_room_and_acts_on_it() {
    run(async {
        let site = Site::usual().await;
        let commands = json!({ "commands": [
            { "create_room": { "kind": "arena", "id": "final" } },
            { "tell_room": { "room": "final", "type": "notice", "data": { "text": "hurry" } } },
            { "ask_room": { "room": "final", "type": "count" } },
            { "dispose_room": { "room": "final" } },
            { "dispose_room": { "room": "final" } },
        ] });
        let results = site.post("/batch", commands).await.done()["results"].clone();
        let expected = json!([
            { "create_room": { "room": "final" } },
            { "tell_room": {} },
            { "ask_room": { "reply": 1 } },
            { "dispose_room": {} },
        ]);
        assert_eq!(
            results.as_array().unwrap()[..4],
            expected.as_array().unwrap()[..]
        );
        assert_eq!(results[4]["error"]["code"], "unknown_room");
    });
}

#[test]
fn all_rooms_of_a_kind_are_told() {
    run(async {
        let site = Site::usual().await;
        for room in ["first", "second"] {
            create(&site, room).await;
        }
        let tell = |kind: &str, name: &str| {
            let data = json!({ "text": "hurry" });
            let body = json!({ "kind": kind, "type": name, "data": data });
            site.post("/rooms/broadcast", body)
        };
        let report = |handled: u8, refused: u8| json!({ "rooms": 2, "handled": handled, "refused": refused, "busy": 0, "gone": 0, "crashed": 0 });
        assert_eq!(tell("arena", "notice").await.done(), report(2, 0));
        assert_eq!(tell("arena", "dance").await.done(), report(0, 2));
        let count = json!({ "room": "second", "type": "count" });
        assert_eq!(
            site.post("/rooms/ask", count).await.done(),
            json!({ "reply": 1 })
        );
        let unknown = (404, "unknown_kind".to_owned(), Some("kind".to_owned()));
        assert_eq!(tell("palace", "notice").await.error(), unknown);
    });
}
