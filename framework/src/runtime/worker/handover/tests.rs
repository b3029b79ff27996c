use actix::Addr;
use bytes::BytesMut;
use tokio::sync::oneshot;

use super::*;
use crate::config::Config;
use crate::ids::{ListingId, RoomId};
use crate::lobby::listing::filter::Filter;
use crate::lobby::listing::registry::ListingKey;
use crate::runtime::connection::handle::ConnectionHandle;
use crate::runtime::messages::{Intent, LobbyMessage, MayFollow};
use crate::runtime::visitor::Visitor;
use crate::runtime::worker::opening::{Opening, Resume};
use crate::session::info::Transport;

fn open(hub: &Rc<Hub>, resume: Option<Resume>) -> Rc<ConnectionHandle> {
    let opening = Opening {
        transport: Transport::Websocket,
        format: Format::Json,
        visitor: Visitor::default(),
        resume,
    };
    hub.open(opening, None)
}

/// The only session of a hub.
fn session(hub: &Hub) -> (SessionId, Addr<SessionActor>) {
    let sessions = hub.sessions.borrow();
    let (id, local) = sessions.iter().next().unwrap();
    (*id, local.address.clone())
}

fn key(limit: usize) -> ListingKey {
    ListingKey {
        kind: "arena".into(),
        filter: Filter::default(),
        after: None,
        limit,
    }
}

/// The application has answered that the session of a hub may follow a listing.
fn may_follow(hub: &Hub) -> SessionMessage {
    let sessions = hub.sessions.borrow();
    let local = sessions.values().next().unwrap();
    SessionMessage::MayFollow(Box::new(MayFollow {
        id: None,
        key: key(5),
        outcome: Ok(()),
        permit: local.permits.take_nothing(),
    }))
}

/// Lets the threads of a server do what is to be done.
async fn settle(hub: &Hub) {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    let (reply, info) = oneshot::channel();
    let room = RoomId::random();
    let question = LobbyMessage::Info { room, reply };
    hub.flusher.to_lobby(&hub.shared, question);
    assert!(info.await.unwrap().is_none());
}

fn with_hubs(test: impl AsyncFn(Rc<Hub>, Rc<Hub>)) {
    actix::System::new().block_on(async {
        let mut config = Config::default();
        config.limits.sessions = 1;
        let server = crate::Server::builder().config(config).build().unwrap();
        let shared = server.shared.clone();
        test(Hub::start(shared.clone()), Hub::start(shared)).await;
    });
}

#[test]
fn a_session_that_has_ended_follows_no_listing() {
    with_hubs(async |hub, _| {
        let connection = open(&hub, None).id;
        let (_, address) = session(&hub);
        address.do_send(SessionMessage::Closed { connection });
        address.do_send(may_follow(&hub));
        settle(&hub).await;
        assert!(hub.sessions.borrow().is_empty());
        let other = hub.shared.listings.open(key(6), 1);
        assert!(other.is_some(), "nobody follows the first one");
    });
}

/// What waits in the mailbox of a session that moves is for the session, and not for what is left of it.
#[test]
fn a_session_that_has_moved_acts_only_where_it_is() {
    with_hubs(async |first, second| {
        let mut welcome = BytesMut::new();
        open(&first, None).take(&mut welcome, 1000);
        let welcome = String::from_utf8_lossy(&welcome).into_owned();
        let (_, token) = welcome.split_once("\"resume\":\"").unwrap();
        let (id, address) = session(&first);
        let token = token.split('"').next().unwrap().to_owned();
        let resume = Resume {
            token,
            intent: Intent::Resume { received: 0 },
            attempt: None,
        };
        let _connection = open(&second, Some(resume));
        // Now its actor has been asked to move.
        second.flusher.flush();
        address.do_send(SessionMessage::TicketOver);
        address.do_send(may_follow(&first));
        settle(&first).await;
        assert_eq!(session(&second).0, id);
        let listing = Topic::Listing(ListingId(1));
        assert!(second.topics.borrow().contains(&listing, id));
        assert!(!first.topics.borrow().contains(&listing, id));
        let (other, nobody) = (SessionId::random(), Visitor::default());
        let begun = first.shared.begin_session(other, 0, &nobody);
        assert!(begun.full.is_some() && begun.gone.is_empty());
    });
}
