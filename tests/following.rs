//! The application follows channels.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // All of it is tests.

use courtside::testing::TestServer;
use courtside::{FollowError, Followed, Follower};
use courtside_tests::channel_tools::{builder, publish, server};
use courtside_tests::wire_tools::{Wire, both, calm, quiet};
use serde_json::json;

/// What waits: each publication with its channel, offset and number, and for each gap the offsets that it names.
fn waiting(follower: &mut Follower) -> Vec<(String, u64, u64)> {
    std::iter::from_fn(|| follower.try_next())
        .flat_map(|followed| match followed {
            Followed::Publication(publication) => vec![(
                publication.channel().to_string(),
                publication.offset(),
                publication.data().unwrap(),
            )],
            Followed::Gap(gap) => {
                assert!(gap.is_complete);
                let missed = gap.channels.into_iter();
                missed
                    .map(|missed| (format!("-{}", missed.channel), missed.first, missed.last))
                    .collect()
            }
            _ => Vec::new(),
        })
        .collect()
}

fn line(channel: &str, offset: u64, n: u64) -> (String, u64, u64) {
    (channel.to_owned(), offset, n)
}

#[test]
fn a_follower_receives_what_clients_rooms_and_the_application_publish() {
    both(async |format| {
        let server = server().await;
        let mut follower = server.server().follow("match/{id}").unwrap();
        let mut everything = server.server().follow("{*any}").unwrap();
        let mut wire = Wire::open(&server, 1, format).await;
        publish(&server, "match/1", [10]).await;
        publish(&server, "news", [20]).await;
        wire.ask(json!({"action": "publish", "channel": "match/1", "data": 11}))
            .await;
        let room = wire.join(json!({})).await.0;
        let order = json!({"what": "publish", "key": "match/2", "data": 12});
        wire.order(&room, order).await;
        quiet().await;
        let expected = [
            line("match/1", 1, 10),
            line("match/1", 2, 11),
            line("match/2", 1, 12),
        ];
        assert_eq!(waiting(&mut follower), expected);
        assert_eq!(waiting(&mut everything).len(), 4);
        drop(everything);
        publish(&server, "match/1", [13]).await;
        let Some(Followed::Publication(next)) = follower.next().await else {
            panic!("no publication");
        };
        assert_eq!((next.offset(), next.data::<u64>().unwrap()), (3, 13));
        assert!(next.data::<String>().is_err());
    });
}

#[test]
fn a_follower_that_is_too_slow_is_told_what_it_has_missed_and_goes_on() {
    both(async |_| {
        let config = calm().follow_backlog(3);
        let server = TestServer::start(builder().config(config), 2)
            .await
            .unwrap();
        let mut follower = server.server().follow("news").unwrap();
        publish(&server, "news", 1..=5).await;
        let expected = [
            line("news", 1, 1),
            line("news", 2, 2),
            line("news", 3, 3),
            line("-news", 4, 5),
        ];
        assert_eq!(waiting(&mut follower), expected);
        publish(&server, "news", [6]).await;
        assert_eq!(waiting(&mut follower), [line("news", 6, 6)]);
    });
}

#[test]
fn what_is_no_pattern_is_refused() {
    both(async |_| {
        let server = server().await;
        for wrong in ["", "match/*", "match/{"] {
            let refused = server.server().follow(wrong).unwrap_err();
            assert_eq!(refused, FollowError::BadPattern(wrong.to_owned()));
        }
    });
}

/// The server's own threads end with it, so this is a whole server.
#[test]
fn a_follower_ends_with_its_server_after_what_waits() {
    actix::System::new().block_on(async {
        let server = builder().build().unwrap();
        let mut follower = server.follow("news").unwrap();
        server.publish("news", &1).await.unwrap();
        let handle = server.handle();
        drop(server);
        assert!(matches!(
            follower.next().await,
            Some(Followed::Publication(_))
        ));
        assert!(follower.next().await.is_none());
        let refused = handle.publish("news", &2).await;
        assert_eq!(refused, Err(courtside::PublishError::Ended));
        assert!(handle.follow("news").unwrap().next().await.is_none());
    });
}
