//! Listings of rooms that clients follow: pages, filters, what changes in them, and who may.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use std::time::Duration;

use courtside::client::{Followed, Options, RoomsWanted};
use courtside::prelude::*;
use courtside::testing::{Direction, TestServer, run};
use courtside::{Creations, Format, Lister, Quota, ServerBuilder};
use courtside_tests::event_tools::Stream;
use courtside_tests::listing_tools::{Page, ask_to_follow, follow};
use courtside_tests::lobby_tools::{ask, server};
use courtside_tests::presence_tools::open_as;
use courtside_tests::wire_tools::{Desk, Wire, both, calm, on_each_worker, quiet, whoever_is_late};
use serde_json::{Value, json};
use tokio::time::sleep;

#[path = "live_listing/churn.rs"]
mod churn;

/// Longer than the interval between two changes.
const A_WHILE: Duration = Duration::from_secs(1);

/// A new desk of a client.
async fn desk(wire: &mut Wire, options: Value) -> String {
    let joined = ask(wire, "create", options).await;
    joined["room"]
        .as_str()
        .unwrap_or_else(|| panic!("{joined}"))
        .to_owned()
}

#[test]
fn a_follower_gets_the_page_and_then_what_changes_in_it() {
    both(async |format| {
        let server = server::<2>().await;
        let mut ann = Wire::open(&server, 0, format).await;
        let mut bob = Wire::open(&server, 1, format).await;
        let mut page = follow(&mut bob, json!({})).await;
        assert!(page.rooms.is_empty());
        let room = desk(&mut ann, json!({"map": "moon"})).await;
        let added = bob.event("rooms").await;
        assert_eq!(
            added["added"],
            json!([{"room": room, "kind": "desk", "members": 1, "capacity": 2, "locked": false, "metadata": null}])
        );
        page.hear(&added);
        // Within the interval, changes wait for each other.
        ann.order(&room, json!({"what": "metadata", "data": {"round": 1}}))
            .await;
        ann.order(&room, json!({"what": "lock"})).await;
        ann.order(&room, json!({"what": "metadata", "data": {"round": 2}}))
            .await;
        sleep(A_WHILE).await;
        page.hear_all(&mut bob).await;
        assert_eq!((page.wholes, page.changes), (1, 2));
        let shown = &page.rooms[&room];
        assert_eq!(
            (&shown["locked"], &shown["metadata"]),
            (&json!(true), &json!({"round": 2}))
        );
        // What has been undone before anybody was told is no change.
        ann.order(&room, json!({"what": "metadata", "data": {"round": 3}}))
            .await;
        quiet().await;
        ann.order(&room, json!({"what": "unlock"})).await;
        ann.order(&room, json!({"what": "lock"})).await;
        sleep(A_WHILE).await;
        page.hear_all(&mut bob).await;
        assert_eq!(page.changes, 3);
        ann.order(&room, json!({"what": "dispose"})).await;
        sleep(A_WHILE).await;
        page.hear_all(&mut bob).await;
        assert!(page.rooms.is_empty());
        let unfollowed = bob
            .ask(json!({"action": "rooms.unfollow", "listing": page.listing}))
            .await;
        assert_eq!(unfollowed["event"], "reply");
        desk(&mut ann, json!({})).await;
        sleep(A_WHILE).await;
        assert_eq!(bob.all().await, [] as [Value; 0]);
    });
}

#[test]
fn a_private_room_is_in_no_listing() {
    both(async |format| {
        let server = server::<8>().await;
        let mut ann = Wire::open(&server, 0, format).await;
        let mut bob = Wire::open(&server, 1, format).await;
        let mut page = follow(&mut bob, json!({})).await;
        let room = desk(&mut ann, json!({})).await;
        ann.order(&room, json!({"what": "private", "n": 1})).await;
        sleep(A_WHILE).await;
        page.hear_all(&mut bob).await;
        assert!(page.rooms.is_empty());
        // What happens in it is not told either, and a newcomer does not see it.
        let changes = page.changes;
        ann.order(&room, json!({"what": "metadata", "data": {"map": "moon"}}))
            .await;
        sleep(A_WHILE).await;
        page.hear_all(&mut bob).await;
        assert_eq!(page.changes, changes);
        let mut other = Wire::open(&server, 0, format).await;
        assert!(
            follow(&mut other, json!({"filter": {"fields": {"map": "moon"}}}))
                .await
                .rooms
                .is_empty()
        );
        ann.order(&room, json!({"what": "private", "n": 0})).await;
        sleep(A_WHILE).await;
        page.hear_all(&mut bob).await;
        assert_eq!(page.ids(), [&room]);
    });
}

#[test]
fn a_filter_and_a_page_show_their_part_of_the_rooms() {
    both(async |format| {
        let server = server::<2>().await;
        let mut ann = Wire::open(&server, 0, format).await;
        let mut bob = Wire::open(&server, 1, format).await;
        let mut rooms = Vec::new();
        for map in ["moon", "mars", "moon", "moon"] {
            rooms.push(desk(&mut ann, json!({"map": map})).await);
        }
        let mars = rooms.remove(1);
        rooms.sort_unstable();
        let moon = json!({"fields": {"map": "moon"}});
        let mut first = follow(&mut bob, json!({"filter": moon, "limit": 2})).await;
        assert_eq!(first.ids(), [&rooms[0], &rooms[1]]);
        assert_eq!(first.next.as_ref(), Some(&rooms[1]));
        let second = json!({"filter": moon, "limit": 2, "after": first.next});
        let mut second = follow(&mut bob, second).await;
        assert_eq!(
            (second.ids(), &second.next),
            (vec![rooms[2].as_str()], &None)
        );
        let mut free = follow(&mut bob, json!({"filter": {"has_space": true}})).await;
        assert_eq!(free.rooms.len(), 4);
        // The second page begins where it began, and the first one is filled up.
        ann.order(&rooms[0], json!({"what": "dispose"})).await;
        let mut carl = Wire::open(&server, 0, format).await;
        carl.ask(json!({"action": "join", "room": mars})).await;
        sleep(A_WHILE).await;
        for event in bob.all().await {
            for page in [&mut first, &mut second, &mut free] {
                page.hear(&event);
            }
        }
        assert_eq!(first.ids(), [&rooms[1], &rooms[2]]);
        assert_eq!(second.ids(), [&rooms[2]]);
        assert_eq!(free.ids(), [&rooms[1], &rooms[2]]);
    });
}

#[test]
fn a_resumed_session_gets_its_pages_whole_and_then_changes() {
    let test = |format, worker| async move {
        let server = server::<8>().await;
        let mut ann = Wire::open(&server, 1, format).await;
        let mut bob = Wire::open(&server, 0, format).await;
        let mut page = follow(&mut bob, json!({})).await;
        let mut others = follow(&mut bob, json!({"filter": {"locked": true}})).await;
        for round in 0..3 {
            bob.control.cut();
            let room = desk(&mut ann, json!({})).await;
            sleep(A_WHILE).await;
            bob = bob.resume(&server, worker).await;
            assert!(bob.resumed());
            for event in bob.all().await {
                page.hear(&event);
                others.hear(&event);
            }
            let expected = round + 2;
            assert_eq!((page.wholes, page.changes), (expected, round));
            assert_eq!(others.wholes, expected);
            assert!(page.rooms.contains_key(&room));
            ann.order(&room, json!({"what": "lock"})).await;
            sleep(A_WHILE).await;
            for event in bob.all().await {
                page.hear(&event);
                others.hear(&event);
            }
            assert_eq!(page.changes, round + 1, "and changes go on");
            assert_eq!(others.ids().len(), round + 1);
        }
    };
    whoever_is_late(|| on_each_worker(test));
}

/// A reloaded page does not know what it followed, so it follows anew.
#[test]
fn a_restored_session_follows_nothing() {
    on_each_worker(|format, worker| async move {
        let server = server::<8>().await;
        let mut ann = Wire::open(&server, 1, format).await;
        let mut bob = Wire::open(&server, 0, format).await;
        let page = follow(&mut bob, json!({})).await;
        bob.control.cut();
        let path = bob.way_back(&bob.token(), bob.received);
        let path = format!("{path}&restore=true");
        let mut back = Wire::open_at(&server, worker, format, &path).await;
        back.take_over(&bob, bob.received);
        assert!(back.resumed());
        desk(&mut ann, json!({})).await;
        sleep(A_WHILE).await;
        assert_eq!(back.all().await, [] as [Value; 0]);
        let mut again = follow(&mut back, json!({})).await;
        assert!(
            again.listing > page.listing,
            "nobody followed the first one any more"
        );
        desk(&mut ann, json!({})).await;
        sleep(A_WHILE).await;
        again.hear_all(&mut back).await;
        assert_eq!(again.rooms.len(), 2);
    });
}

#[test]
fn who_reads_slowly_gets_the_whole_page_and_no_queue() {
    both(async |format| {
        let server = server::<8>().await;
        let mut ann = Wire::open(&server, 0, format).await;
        let mut bob = Wire::open(&server, 0, format).await;
        let mut page = follow(&mut bob, json!({})).await;
        let room = desk(&mut ann, json!({})).await;
        bob.control.stall(Direction::ToClient);
        let filler = "x".repeat(30_000);
        for n in 0..40 {
            let metadata = json!({"n": n, "filler": filler});
            ann.order(&room, json!({"what": "metadata", "data": metadata}))
                .await;
            sleep(A_WHILE).await;
        }
        bob.control.release(Direction::ToClient);
        sleep(A_WHILE).await;
        page.hear_all(&mut bob).await;
        assert_eq!(page.rooms[&room]["metadata"]["n"], 39);
        assert!(page.wholes >= 2, "{}", page.wholes);
        assert!(page.changes < 20, "{} changes have waited", page.changes);
    });
}

#[test]
fn what_one_client_may_follow_is_bounded_and_it_is_told_why() {
    both(async |format| {
        let mut config = calm();
        let quota = Quota::new(3, 1, 5);
        config.limits.session_creations = Creations::default().listings(quota);
        config.limits.listings_in_all = 4;
        let builder = Server::builder().config(config).room::<Desk>();
        let server = TestServer::start(builder, 1).await.unwrap();
        let mut ann = Wire::open(&server, 0, format).await;
        // Not the first page of the kind, which counts for nobody else.
        let page = |limit: u64| json!({"after": "0", "limit": limit});
        let mut listings = Vec::new();
        for limit in 1..4 {
            listings.push(follow(&mut ann, page(limit)).await.listing);
        }
        let code = |answer: &Value| {
            answer["code"]
                .as_str()
                .unwrap_or_else(|| panic!("{answer}"))
                .to_owned()
        };
        let many = ask_to_follow(&mut ann, page(9)).await;
        assert_eq!(code(&many), "too_many_listings");
        assert!(
            many["message"].as_str().unwrap().contains("this session"),
            "{many}"
        );
        // To follow the same again counts as nothing, and brings the page.
        let again = follow(&mut ann, page(1)).await;
        assert_eq!(again.listing, listings[0]);
        // Following and unfollowing at random is slowed down.
        let mut codes = Vec::new();
        for limit in 10..20 {
            let unfollow = json!({"action": "rooms.unfollow", "listing": listings.pop()});
            ann.ask(unfollow).await;
            let answer = ask_to_follow(&mut ann, page(limit)).await;
            match answer["data"]["listing"].as_u64() {
                Some(listing) => listings.push(listing),
                None => {
                    codes.push(code(&answer));
                    break;
                }
            }
        }
        assert_eq!(codes, ["too_fast"]);
        let mut bob = Wire::open(&server, 0, format).await;
        follow(&mut bob, page(30)).await;
        follow(&mut bob, page(31)).await;
        let full = ask_to_follow(&mut bob, page(32)).await;
        assert_eq!(code(&full), "too_many_listings");
        // Whoever comes can follow the first page.
        let mut dora = Wire::open(&server, 0, format).await;
        follow(&mut dora, json!({})).await;
        // What others follow already can be followed nevertheless, by whoever has not too many of his own.
        follow(&mut bob, page(1)).await;
        // When nobody follows them any more, there is room for others.
        ann.raw
            .send_close(courtside::CloseCode(1000), "")
            .await
            .unwrap();
        sleep(A_WHILE).await;
        let mut carl = Wire::open(&server, 0, format).await;
        follow(&mut carl, page(40)).await;
    });
}

#[test]
fn what_cannot_be_followed_is_refused() {
    both(async |format| {
        let server = server::<8>().await;
        let mut ann = Wire::open(&server, 0, format).await;
        for (wanted, code) in [
            (json!({"kind": "nothing"}), "unknown_kind"),
            (json!({"kind": null}), "bad_field"),
            (json!({"filter": {"fields": {"mood": 1}}}), "bad_payload"),
            (json!({"filter": {"hasSpace": true}}), "bad_payload"),
            (json!({"after": "a".repeat(65)}), "bad_payload"),
            (json!({"after": "a b"}), "bad_payload"),
            (json!({"after": ""}), "bad_field"),
            (json!({"filter": {"locked": 1}}), "bad_payload"),
            (json!({"filter": "moon"}), "bad_payload"),
            (
                json!({"filter": {"fields": {"map": "x".repeat(300)}}}),
                "bad_payload",
            ),
            (json!({"after": 7}), "bad_field"),
            (json!({"limit": "all"}), "bad_field"),
        ] {
            let refused = ask_to_follow(&mut ann, wanted.clone()).await;
            assert_eq!(refused["code"], code, "{wanted}");
        }
        let unfollow = json!({"action": "rooms.unfollow", "listing": 99});
        assert_eq!(ann.ask(unfollow).await["code"], "not_followed");
        // A page has at least one room and at most 200, whatever is asked for.
        desk(&mut ann, json!({})).await;
        sleep(A_WHILE).await;
        for limit in [0, 100_000] {
            assert_eq!(
                follow(&mut ann, json!({"limit": limit})).await.rooms.len(),
                1
            );
        }
    });
}

fn guarded() -> ServerBuilder {
    Server::builder()
        .config(calm())
        .room::<Desk>()
        .authenticate(async |sign_in| {
            let name = sign_in.token().unwrap_or("guest").to_owned();
            Ok(Identity::new(name.clone()).subject(name))
        })
        .listing(async |lister: &Lister| {
            sleep(Duration::from_millis(10)).await;
            let name = lister.claims::<String>();
            assert_ne!(name, "broken", "the hook was told to panic");
            if name == "slow" {
                sleep(Duration::from_secs(60)).await;
            }
            let map = lister.filter().fields.get("map");
            match (name.as_str(), lister.kind()) {
                ("ann", _) => Ok(()),
                ("bob", Some("desk")) if map == Some(&json!("moon")) => Ok(()),
                _ => Err(Refusal::new("members_only", "these rooms are for members")),
            }
        })
}

#[test]
fn the_application_decides_who_may_list_and_follow() {
    both(async |format| {
        let server = TestServer::start(guarded(), 2).await.unwrap();
        let moon = json!({"filter": {"fields": {"map": "moon"}}});
        let list = json!({"action": "call", "type": "rooms.list", "data": {"kind": "desk"}});
        for (name, filter, expected) in [
            ("ann", json!({}), None),
            ("bob", moon.clone(), None),
            ("bob", json!({}), Some("members_only")),
            ("guest", moon.clone(), Some("members_only")),
            ("broken", moon.clone(), Some("internal")),
            ("slow", moon.clone(), Some("authorization_timeout")),
        ] {
            let mut wire = open_as(&server, 0, format, name).await;
            let answer = ask_to_follow(&mut wire, filter).await;
            assert_eq!(answer["code"].as_str(), expected, "{name}: {answer}");
            let listed = wire.ask(list.clone()).await;
            let may_list = name == "ann";
            assert_eq!(listed["event"] == "reply", may_list, "{name}: {listed}");
        }
    });
}

/// The session has moved, or ended, when the application answers.
#[test]
fn an_answer_of_the_application_follows_the_session() {
    on_each_worker(|format, worker| async move {
        let server = TestServer::start(guarded(), 2).await.unwrap();
        let mut ann = open_as(&server, 0, format, "ann").await;
        let id = ann
            .begin(json!({"action": "rooms.follow", "kind": "desk"}))
            .await;
        quiet().await;
        ann.control.cut();
        let path = format!("{}&access_token=ann", ann.way_back(&ann.token(), 0));
        let mut back = Wire::open_at(&server, worker, format, &path).await;
        back.take_over(&ann, 0);
        assert!(back.resumed());
        let listing = back.answer(id).await["data"]["listing"].as_u64().unwrap();
        let mut page = Page {
            listing,
            ..Page::default()
        };
        sleep(A_WHILE).await;
        page.hear_all(&mut back).await;
        assert_eq!(page.wholes, 1);
        let mut gone = open_as(&server, 0, format, "ann").await;
        gone.begin(json!({"action": "rooms.follow", "kind": "desk"}))
            .await;
        gone.raw
            .send_close(courtside::CloseCode(1000), "")
            .await
            .unwrap();
        sleep(A_WHILE).await;
        assert_eq!(follow(&mut back, json!({})).await.listing, listing);
    });
}

#[test]
fn a_server_that_does_not_list_its_rooms_lets_nobody_follow_them() {
    both(async |format| {
        let builder = Server::builder()
            .config(calm())
            .room::<Desk>()
            .without_room_list();
        let server = TestServer::start(builder, 1).await.unwrap();
        let mut ann = Wire::open(&server, 0, format).await;
        let refused = ask_to_follow(&mut ann, json!({})).await;
        assert_eq!(refused["code"], "listing_denied");
    });
}

#[test]
fn the_rust_client_keeps_a_page_over_lost_connections_and_sessions() {
    for window in [calm().window, Duration::ZERO] {
        both(move |format| async move {
            let config = calm().window(window);
            let builder = Server::builder().config(config).room::<Desk>();
            let server = TestServer::start(builder, 2).await.unwrap();
            let mut ann = Wire::open(&server, 0, format).await;
            let options = Options::default().format(format);
            let client = server.client(options).await.unwrap();
            let wanted = RoomsWanted::new("desk").limit(5);
            let mut listing = client.follow_rooms(wanted).await.unwrap();
            for rooms in 1..4 {
                client.cut();
                desk(&mut ann, json!({})).await;
                // Once for the connection, once more for the page.
                for _ in 0..2 {
                    sleep(10 * A_WHILE).await;
                    while let Some(event) = client.try_next() {
                        if listing.see(&event) == Followed::Missed {
                            client.follow_again(&mut listing).await.unwrap();
                        }
                    }
                }
                assert_eq!(listing.rooms().len(), rooms);
            }
            client.unfollow_rooms(listing).await.unwrap();
        });
    }
}

#[test]
fn listings_come_by_an_event_stream_too() {
    run(async {
        let server = server::<8>().await;
        let mut ann = Wire::open(&server, 1, Format::Json).await;
        let mut stream = Stream::open(&server, 0, Format::Json, "").await;
        let follow = json!({"action": "rooms.follow", "kind": "desk", "id": 1});
        stream.send(&server, 1, &[follow]).await;
        let listing = stream.event("reply").await["data"]["listing"].as_u64();
        let mut page = Page {
            listing: listing.unwrap(),
            ..Page::default()
        };
        page.hear(&stream.event("rooms").await);
        let room = desk(&mut ann, json!({})).await;
        page.hear(&stream.event("rooms").await);
        assert_eq!(page.ids(), [&room]);
    });
}
