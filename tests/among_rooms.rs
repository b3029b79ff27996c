//! Rooms that reach other rooms: what they send leaves after the hook, in order, and not if the hook is undone.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use courtside::prelude::*;
use courtside::testing::{RoomHarness, TestServer, run};
use courtside::{AskError, BroadcastError, Server, ServerBuilder, TellError};
use courtside_tests::wire_tools::{Wire, both, calm, quiet};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What a booth does to other rooms: some orders, in this order.
#[derive(Serialize, Deserialize, Message, Clone)]
#[message(reply = Vec<String>)]
struct Do(Vec<Order>);

#[derive(Serialize, Deserialize, Clone)]
enum Order {
    Tell(RoomId, u64),
    TellAll(u64),
    Ask(RoomId),
    Dispose(RoomId),
    Panic,
    Refuse,
}

/// A number for the notes of a room.
#[derive(Serialize, Deserialize, Message, Debug, PartialEq)]
struct Number(u64);

/// What a room has noted: numbers, and replies.
#[derive(Serialize, Deserialize, Message)]
#[message(reply = Vec<String>)]
struct Notes;

/// A question among rooms.
#[derive(Serialize, Deserialize, Message, Debug, PartialEq)]
#[message(reply = u64)]
struct Sum;

#[derive(Serialize, Deserialize, Message)]
struct Unregistered;

/// A booth, which does what it is told.
#[derive(Default)]
struct Booth {
    notes: Vec<String>,
    sum: u64,
}

impl Booth {
    /// What is refused at once is noted.
    fn obey(&mut self, orders: Vec<Order>, ctx: &mut RoomContext<Self>) -> Result<(), Refusal> {
        for order in orders {
            let done = match order {
                Order::Tell(room, n) => match ctx.server().room(room).tell(&Number(n)) {
                    Err(error) => Err(format!("{error:?}")),
                    Ok(()) => Ok(()),
                },
                Order::TellAll(n) => {
                    let sent = ctx.server().broadcast::<Self>(&Number(n)).unwrap();
                    self.notes.push(format!("to {}", sent.rooms));
                    Ok(())
                }
                Order::Ask(room) => {
                    let asked = ctx.server().room(room).ask(&Sum, |booth, sum, _| {
                        booth.notes.push(format!("{sum:?}"));
                    });
                    asked.map_err(|refusal| refusal.code().to_owned())
                }
                Order::Dispose(room) => {
                    ctx.server().room(room).dispose();
                    Ok(())
                }
                Order::Panic => panic!("the test wants it"),
                Order::Refuse => return Err(Refusal::new("no", "never")),
            };
            self.notes.extend(done.err());
        }
        Ok(())
    }
}

#[courtside::room(options = Vec<Order>)]
impl Booth {
    fn config() -> RoomConfig {
        RoomConfig::default().inbox(4).jobs(2)
    }

    fn joined(&mut self, options: Vec<Order>, ctx: &mut RoomContext<Self>) -> Result<(), Refusal> {
        self.obey(options, ctx)
    }

    #[receive]
    fn obey_order(
        &mut self,
        orders: Do,
        ctx: &mut RoomContext<Self>,
    ) -> Result<Vec<String>, Refusal> {
        self.obey(orders.0, ctx)?;
        Ok(self.notes.clone())
    }

    #[receive]
    fn number(&mut self, from: &Sender, number: Number) {
        let from = match from {
            Sender::Room(room) => room.to_string(),
            from => from.to_string(),
        };
        self.notes.push(format!("{} from {from}", number.0));
        self.sum += number.0;
    }

    #[receive]
    fn notes(&mut self, _: Notes) -> Vec<String> {
        self.notes.clone()
    }

    #[receive]
    fn sum(&mut self, _: Sum) -> u64 {
        self.sum
    }
}

/// A room that receives nothing from outside.
#[derive(Default)]
struct Deaf;

#[courtside::room]
impl Deaf {}

fn builder() -> ServerBuilder {
    Server::builder()
        .config(calm())
        .room::<Booth>()
        .room::<Deaf>()
}

async fn server() -> TestServer {
    TestServer::start(builder(), 2).await.unwrap()
}

async fn booth(server: &TestServer, id: &str) -> courtside::RoomHandle {
    let none: [Order; 0] = [];
    let created = server.server().create::<Booth>(&none.to_vec()).id(id);
    created.await.unwrap()
}

#[test]
fn what_a_room_sends_to_another_arrives_in_order_and_a_reply_comes_back() {
    run(async {
        let server = server().await;
        let (a, b) = (booth(&server, "a").await, booth(&server, "b").await);
        let orders = Do(vec![
            Order::Tell("b".into(), 1),
            Order::Tell("b".into(), 2),
            Order::Ask("b".into()),
            Order::Tell("b".into(), 4),
            Order::Tell("nobody".into(), 1),
            Order::Ask("nobody".into()),
            Order::Ask("b".into()),
            Order::Tell("a".into(), 7),
        ]);
        let at_once = a.ask(&orders).await.unwrap();
        assert_eq!(at_once, ["RoomGone", "busy"], "two jobs may run");
        quiet().await;
        let notes = b.ask(&Notes).await.unwrap();
        assert_eq!(notes, ["1 from a", "2 from a", "4 from a"]);
        let mut notes = a.ask(&Notes).await.unwrap().split_off(2);
        notes.sort();
        let gone = format!("{:?}", Err::<u64, _>(AskError::Tell(TellError::RoomGone)));
        let mut expected = ["7 from a", "Ok(3)", gone.as_str()];
        expected.sort_unstable();
        assert_eq!(notes, expected);
    });
}

#[test]
fn a_room_may_not_send_more_to_another_than_that_may_hold() {
    run(async {
        let server = server().await;
        let (a, b) = (booth(&server, "a").await, booth(&server, "b").await);
        let orders = (0..6).map(|n| Order::Tell("b".into(), n)).collect();
        assert_eq!(a.ask(&Do(orders)).await.unwrap(), ["Busy", "Busy"]);
        assert_eq!(b.ask(&Notes).await.unwrap().len(), 4);
    });
}

#[test]
fn nothing_is_sent_by_a_hook_that_is_undone() {
    both(async |format| {
        let server = server().await;
        let (a, b) = (booth(&server, "a").await, booth(&server, "b").await);
        let mut wire = Wire::open(&server, 0, format).await;
        let orders = vec![
            Order::Tell("b".into(), 1),
            Order::TellAll(1),
            Order::Ask("b".into()),
            Order::Dispose("b".into()),
            Order::Refuse,
        ];
        let join = json!({"action": "join", "room": "a", "options": orders});
        assert_eq!(wire.ask(join).await["code"], "no");
        quiet().await;
        assert_eq!(b.ask(&Notes).await.unwrap(), [""; 0]);
        let orders = vec![
            Order::Tell("b".into(), 2),
            Order::Dispose("b".into()),
            Order::Panic,
        ];
        let crashed = a.ask(&Do(orders)).await;
        assert_eq!(crashed, Err(AskError::Tell(TellError::Crashed)));
        quiet().await;
        assert_eq!(b.ask(&Notes).await.unwrap(), [""; 0]);
        assert_eq!(server.server().memory().actions, 0, "no place is lost");
    });
}

#[test]
fn a_room_ends_another_after_what_it_has_told_it() {
    run(async {
        let server = server().await;
        let (a, b) = (booth(&server, "a").await, booth(&server, "b").await);
        let order = |n| Order::Tell("b".into(), n);
        let orders = vec![order(1), Order::Dispose("b".into()), order(2)];
        assert_eq!(a.ask(&Do(orders)).await.unwrap(), [""; 0]);
        quiet().await;
        let late = b.tell(&Number(3)).await;
        assert_eq!(late, Err(TellError::RoomGone));
    });
}

#[test]
fn a_broadcast_reaches_all_rooms_of_a_kind_and_reports_each() {
    run(async {
        let server = server().await;
        let rooms = [booth(&server, "a").await, booth(&server, "b").await];
        let deaf = server.server().create::<Deaf>(&()).await.unwrap();
        let ended = booth(&server, "c").await;
        ended.dispose().await.unwrap();
        let report = server
            .server()
            .broadcast::<Booth>(&Number(1))
            .await
            .unwrap();
        assert_eq!((report.rooms, report.handled), (2, 2));
        let report = server.server().broadcast::<Deaf>(&Number(1)).await.unwrap();
        assert_eq!((report.rooms, report.refused), (1, 1));
        assert_eq!(deaf.info().await.unwrap().kind, "deaf");
        let by_name = server.server().broadcast_to("theatre", &Number(1));
        let unknown = BroadcastError::UnknownKind("theatre".into());
        assert_eq!(by_name.await, Err(unknown));
        // By a room, itself included.
        let to_all = Do(vec![Order::TellAll(5)]);
        assert_eq!(
            rooms[0].ask(&to_all).await.unwrap(),
            ["1 from the application", "to 2"]
        );
        quiet().await;
        assert_eq!(rooms[0].ask(&Notes).await.unwrap()[2], "5 from a");
        assert_eq!(rooms[1].ask(&Notes).await.unwrap()[1], "5 from a");
        // One has no place, and one crashes.
        let full: Vec<_> = (0..4).map(|n| rooms[0].tell(&Number(n)).sent()).collect();
        assert!(full.iter().all(Result::is_ok));
        let crash = Do(vec![Order::Panic]);
        let report = server.server().broadcast::<Booth>(&crash).await.unwrap();
        assert_eq!((report.rooms, report.busy, report.crashed), (2, 1, 1));
        let sent = server
            .server()
            .broadcast::<Booth>(&Number(1))
            .sent()
            .unwrap();
        assert_eq!((sent.rooms, sent.busy), (1, 0));
    });
}

#[test]
fn a_room_under_test_is_told_and_asked_and_shows_what_it_sends() {
    let mut booth = RoomHarness::<Booth>::new(Vec::new()).unwrap();
    booth.tell(&Number(3)).unwrap();
    booth.tell_as(Sender::Room("b".into()), &Number(4)).unwrap();
    assert_eq!(booth.ask(&Sum).unwrap(), 7);
    let refused = booth.tell(&Unregistered).unwrap_err();
    assert!(matches!(refused, TellError::Refused(refusal) if refusal.code() == "unknown_type"));
    let orders = vec![
        Order::Tell("b".into(), 1),
        Order::TellAll(2),
        Order::Ask("c".into()),
        Order::Ask("d".into()),
        Order::Dispose("e".into()),
    ];
    booth.ask(&Do(orders)).unwrap();
    assert_eq!(booth.told::<Number>(), [("b".into(), Number(1))]);
    assert_eq!(booth.told::<Number>(), [], "they are taken");
    assert_eq!(
        booth.broadcast_to_rooms::<Number>(),
        [("booth".into(), Number(2))]
    );
    assert_eq!(booth.disposed_rooms(), ["e".into()]);
    let [c, d] = <[_; 2]>::try_from(booth.asked::<Sum>()).unwrap();
    assert_eq!((c.room.as_str(), &c.message), ("c", &Sum));
    assert_eq!(booth.run_jobs(), 0);
    c.reply(&9);
    d.fail(TellError::Busy);
    assert_eq!(booth.run_jobs(), 2);
    assert_eq!(booth.room().notes[3..], ["Ok(9)", "Err(Tell(Busy))"]);
    booth.shut_down();
    assert_eq!(booth.tell(&Number(1)), Err(TellError::RoomGone));
}
