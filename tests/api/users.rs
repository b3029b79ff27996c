//! Users: what is sent to their sessions, which they have, and how these end.

use courtside::testing::run;
use courtside_tests::wire_tools::{both, quiet};
use serde_json::json;

use super::site::Site;

#[test]
fn an_event_reaches_all_sessions_of_a_user_or_one() {
    both(async |format| {
        let site = Site::usual().await;
        let mut anns = [
            site.client(0, format, "ann").await,
            site.client(1, format, "ann").await,
        ];
        let mut bob = site.client(1, format, "bob").await;
        let gift = json!({ "subject": "ann", "type": "gift", "data": { "gold": 50 } });
        let answer = site.post("/users/send", gift).await.done();
        assert_eq!(answer, json!({ "sessions": 2 }));
        for ann in &mut anns {
            let event = ann.event("message").await;
            assert_eq!(
                (&event["type"], &event["data"]),
                (&json!("gift"), &json!({ "gold": 50 }))
            );
            assert_eq!(event.get("room"), None);
        }
        let session = anns[0].welcome["session"].clone();
        let note = json!({ "subject": "ann", "session": session, "type": "note" });
        assert_eq!(
            site.post("/users/send", note).await.done(),
            json!({ "sessions": 1 })
        );
        let event = anns[0].event("message").await;
        assert_eq!((&event["type"], event.get("data")), (&json!("note"), None));
        let others = json!({ "subject": "bob", "session": session, "type": "note" });
        assert_eq!(
            site.post("/users/send", others).await.done(),
            json!({ "sessions": 0 })
        );
        assert!(
            bob.all()
                .await
                .iter()
                .all(|event| event["event"] != "message")
        );
        assert!(
            anns[1]
                .all()
                .await
                .iter()
                .all(|event| event["event"] != "message")
        );
    });
}

#[test]
fn the_sessions_of_a_user_are_listed_in_pages() {
    both(async |format| {
        let site = Site::usual().await;
        let mut wires = Vec::new();
        for worker in [0, 1, 0] {
            wires.push(site.client(worker, format, "ann").await);
        }
        let join = json!({ "action": "join", "kind": "arena" });
        let joined = wires[0].ask(join).await;
        wires[1].control.cut();
        quiet().await;
        let first = site.get("/users/sessions?subject=ann&limit=2").await.done();
        let next = first["next"].as_str().unwrap();
        let path = format!("/users/sessions?subject=ann&after={next}");
        let second = site.get(&path).await.done();
        assert_eq!(second.get("next"), None);
        let pages = [&first, &second].map(|page| page["sessions"].as_array().unwrap().clone());
        let sessions = pages.concat();
        assert_eq!(sessions.len(), 3);
        let of = |wire: usize| {
            let id = &wires[wire].welcome["session"];
            sessions
                .iter()
                .find(|session| session["session"] == *id)
                .unwrap()
        };
        assert_eq!(of(0)["transport"], "websocket");
        assert_eq!(of(0)["format"], format.name());
        let room = json!({ "room": joined["room"], "kind": "arena", "member": joined["member"] });
        assert_eq!(of(0)["rooms"], json!([room]));
        assert_eq!(of(1).get("transport"), None);
        assert!(of(1)["dropped_since"].as_u64() >= of(1)["since"].as_u64());
        let nobody = site.get("/users/sessions?subject=zoe").await.done();
        assert_eq!(nobody, json!({ "sessions": [] }));
    });
}

#[test]
fn a_user_is_disconnected_and_told_why() {
    both(async |format| {
        let site = Site::usual().await;
        let mut ann = site.client(0, format, "ann").await;
        let mut bob = site.client(0, format, "bob").await;
        let why = json!({ "subject": "ann", "code": 4901, "reason": "too many devices" });
        let answer = site.post("/users/disconnect", why.clone()).await.done();
        assert_eq!(answer, json!({ "sessions": 1 }));
        let goodbye = ann.event("goodbye").await;
        assert_eq!(
            (&goodbye["code"], &goodbye["reason"]),
            (&json!(4901), &json!("too many devices"))
        );
        assert_eq!(
            site.post("/users/disconnect", why).await.done(),
            json!({ "sessions": 0 })
        );
        bob.ask(json!({ "action": "ping" })).await;
    });
}

#[test]
fn a_user_is_kept_out_of_a_room_and_told_why() {
    both(async |format| {
        let site = Site::usual().await;
        let create = json!({ "kind": "arena", "id": "final" });
        site.post("/rooms/create", create).await.done();
        let mut ann = site.client(0, format, "ann").await;
        let join = json!({ "action": "join", "room": "final" });
        assert_eq!(ann.ask(join.clone()).await["event"], "joined");
        let out = |room: &str, seconds: u32| json!({ "subject": "ann", "room": room, "seconds": seconds, "reason": "mind your language" });
        let answer = site.post("/users/keep-out", out("final", 600)).await;
        assert_eq!(answer.done(), json!({}));
        let left = ann.event("left").await;
        let told = (&left["reason"], &left["message"]);
        assert_eq!(told, (&json!("kicked"), &json!("mind your language")));
        assert_eq!(ann.ask(join.clone()).await["code"], "kept_out");
        site.post("/users/keep-out", out("final", 0)).await.done();
        assert_eq!(ann.ask(join).await["event"], "joined");
        let gone = (404, "unknown_room".to_owned(), Some("room".to_owned()));
        assert_eq!(
            site.post("/users/keep-out", out("none", 1)).await.error(),
            gone
        );
        let (status, code, _) = site
            .post("/users/keep-out", out("final", 65_536))
            .await
            .error();
        assert_eq!((status, code.as_str()), (400, "bad_field"));
    });
}

#[test]
fn what_is_wrong_about_a_user_is_named() {
    run(async {
        let site = Site::usual().await;
        let why =
            |code: u16, reason: &str| json!({ "subject": "ann", "code": code, "reason": reason });
        for (path, body, status, code, field) in [
            (
                "/users/disconnect",
                why(4600, "no"),
                422,
                "bad_code",
                "code",
            ),
            (
                "/users/disconnect",
                why(1000, "no"),
                400,
                "bad_field",
                "code",
            ),
            (
                "/users/disconnect",
                why(4901, ""),
                400,
                "bad_field",
                "reason",
            ),
            (
                "/users/send",
                json!({ "subject": "ann" }),
                400,
                "missing_field",
                "type",
            ),
            (
                "/users/send",
                json!({ "subject": "ann", "type": "a", "session": "x" }),
                400,
                "bad_field",
                "session",
            ),
        ] {
            let told = (status, code.to_owned(), Some(field.to_owned()));
            assert_eq!(site.post(path, body).await.error(), told, "{path}");
        }
        let path = "/users/sessions?subject=ann&after=x";
        assert_eq!(site.get(path).await.status, 400);
    });
}
