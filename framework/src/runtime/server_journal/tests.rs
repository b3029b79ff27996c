use std::time::Duration;

use crate::channel::config::Channel;
use crate::channel::publish::PublishError;
use crate::config::Config;
use crate::error::BuildError;
use crate::journal::memory_storage::MemoryStorage;
use crate::journal::settings::{Journal, JournalHealth};
use crate::server::{Server, ServerBuilder};

fn builder(storage: &MemoryStorage) -> ServerBuilder {
    let config = Config {
        publish_backlog: 3,
        ..Config::default()
    };
    Server::builder()
        .config(config)
        .journal(Journal::dir("unused"))
        .journal_storage(storage.clone())
        .channel("news", Channel::open())
}

async fn soon(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let outcome = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    outcome.unwrap();
}

#[test]
fn a_full_disk_holds_everything_back_and_the_server_goes_on_when_it_has_room() {
    actix::System::new().block_on(async {
        let storage = MemoryStorage::new();
        let server = builder(&storage).build().unwrap();
        let mut follower = server.follow("news").unwrap();
        assert_eq!(server.publish_once("key", "news", "1").await, Ok(1));
        assert!(follower.next().await.is_some());
        storage.set_capacity(Some(storage.size()));
        let held: Vec<_> = ["2", "3", "4"]
            .map(|text| server.publish("news", text))
            .into();
        let stalled = || {
            let health = server.journal_health();
            matches!(health, Some(JournalHealth::Stalled { .. }))
        };
        soon(stalled).await;
        assert_eq!(server.publish("news", "5").await, Err(PublishError::Busy));
        assert!(follower.try_next().is_none(), "nothing leaves");
        storage.set_capacity(None);
        for (ack, offset) in held.into_iter().zip(2..) {
            assert_eq!(ack.await, Ok(offset));
            assert!(follower.next().await.is_some());
        }
        assert_eq!(server.journal_health(), Some(JournalHealth::Good));
        server.drain().await;
        assert_eq!(server.publish("news", "6").await, Err(PublishError::Ended));
        drop(server);

        let server = builder(&storage.kill()).build().unwrap();
        let page = server.history("news", Default::default()).await.unwrap();
        assert_eq!((page.offset, page.publications.len()), (4, 4));
        assert_eq!(server.publish_once("key", "news", "1").await, Ok(1));
        assert_eq!(server.publish("news", "5").await, Ok(5));
        let mut follower = server.follow("news").unwrap();
        assert_eq!(server.publish("news", "6").await, Ok(6));
        assert!(follower.next().await.is_some());
    });
}

#[test]
fn a_second_server_and_a_journal_that_cannot_be_read_are_errors_that_say_what_to_do() {
    actix::System::new().block_on(async {
        let problem = |storage: &MemoryStorage| match builder(storage).build() {
            Err(BuildError::Journal { problem, .. }) => problem,
            other => panic!("{other:?}"),
        };
        let storage = MemoryStorage::new();
        let server = builder(&storage).build().unwrap();
        let second = problem(&storage.another_process());
        assert!(second.contains("another process has locked"), "{second}");
        server.drain().await;
        drop(server);
        let storage = storage.kill();
        let head = crate::journal::storage::FileName::Head;
        storage.tamper(head, |bytes| bytes.fill(0));
        assert!(problem(&storage).contains("back from a backup"));
    });
}
