//! What leaves a thread at the end of its turn, in the order in which it was said.

use std::sync::Arc;

use crate::ids::ChannelName;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::messages::{
    ChannelMessage, HubItem, HubItems, HubMessage, LobbyMessage, RoomAddress, RoomMessage,
};
use crate::runtime::server_inner::ServerInner;

/// In how many lists of items the one for a hub is looked for. Mostly there are as many lists as hubs; more hubs than this, and
/// some get their items in several pieces.
const HUBS: usize = 32;

/// A message that leaves the thread.
pub(crate) enum Outbound {
    Room(RoomAddress, RoomMessage),
    Lobby(Arc<ServerInner>, LobbyMessage),
    Channel(Arc<ServerInner>, ChannelName, ChannelMessage),
    Hub(HubAddress, HubMessage),
    Items(HubAddress, HubItems),
}

/// The items that wait for a hub, if `items` may go with them.
///
/// What other hubs are told in between is no reason against it: they have other sessions. Only a session that moves is the
/// business of two: it must have been adopted by the one before the other hears that it has been rehomed.
pub(crate) fn last_items<'a>(
    outward: &'a mut [Outbound],
    hub: &HubAddress,
    items: &[HubItem],
) -> Option<&'a mut HubItems> {
    let is_rehomed = |item: &HubItem| matches!(item, HubItem::Rehomed { .. });
    let reach = if items.iter().any(is_rehomed) {
        1
    } else {
        HUBS
    };
    for message in outward.iter_mut().rev().take(reach) {
        match message {
            Outbound::Items(to, waiting) if to.is(hub) => return Some(waiting),
            Outbound::Items(..) => {}
            // Somebody else, who may act on it: what is said now must not come before that.
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use smallvec::smallvec;

    use super::*;
    use crate::config::Config;
    use crate::ids::{RoomId, SessionId};
    use crate::runtime::flusher::Flusher;
    use crate::runtime::messages::Topic;
    use crate::runtime::worker::hub::Hub;
    use crate::session::outbox::Delivery;
    use crate::wire::codec::Format;
    use crate::wire::frame::Encoded;

    fn said(words: usize) -> HubItems {
        let word = || HubItem::Direct {
            session: SessionId::random(),
            frame: Encoded::of_bytes(Format::Json, "said".into()),
            delivery: Delivery::Sequenced,
        };
        (0..words).map(|_| word()).collect()
    }

    /// How many pieces leave, and for which of two hubs, after `act` has spoken to them.
    fn pieces(
        act: impl FnOnce(&Flusher, &HubAddress, &HubAddress, &Arc<ServerInner>),
    ) -> Vec<Option<usize>> {
        let mut pieces = Vec::new();
        actix::System::new().block_on(async {
            let server = crate::Server::builder().build().unwrap();
            let shared = server.shared.clone();
            let (a, b) = (Hub::start(shared.clone()), Hub::start(shared.clone()));
            let flusher = Flusher::default();
            act(&flusher, &a.address, &b.address, &shared);
            flusher.see_outward(|outward| {
                pieces = outward
                    .iter()
                    .map(|message| match message {
                        Outbound::Items(hub, _) => Some(usize::from(hub.is(&b.address))),
                        _ => None,
                    })
                    .collect();
            });
        });
        pieces
    }

    #[test]
    fn what_is_said_to_two_hubs_in_turn_leaves_in_two_pieces() {
        let pieces = pieces(|flusher, a, b, _| {
            for _ in 0..100 {
                let _behind = flusher.items_to_hub(a, said(1));
                let _behind = flusher.items_to_hub(b, said(2));
            }
        });
        assert_eq!(pieces, [Some(0), Some(1)]);
    }

    #[test]
    fn nobody_is_rehomed_before_it_is_adopted() {
        let (session, topic) = (SessionId::random(), Topic::Room(RoomId::random()));
        let pieces = pieces(|flusher, a, b, _| {
            let _behind = flusher.items_to_hub(a, said(1));
            let adopt = HubItem::Adopt {
                session,
                format: Format::Json,
                topic: topic.clone(),
            };
            let _behind = flusher.items_to_hub(b, smallvec![adopt]);
            let rehomed = HubItem::Rehomed {
                session,
                topic,
                to: Some(b.clone()),
            };
            let _behind = flusher.items_to_hub(a, smallvec![rehomed]);
        });
        assert_eq!(pieces, [Some(0), Some(1), Some(0)]);
    }

    #[test]
    fn nothing_is_said_before_what_others_were_told_first() {
        let pieces = pieces(|flusher, a, _, shared| {
            let _behind = flusher.items_to_hub(a, said(1));
            flusher.to_lobby(shared, LobbyMessage::Ended(RoomId::random()));
            let _behind = flusher.items_to_hub(a, said(1));
        });
        assert_eq!(pieces, [Some(0), None, Some(0)]);
    }

    #[test]
    fn a_backlog_counts_items_and_not_batches() {
        actix::System::new().block_on(async {
            let config = Config {
                hub_backlog: 10,
                ..Config::default()
            };
            let server = crate::Server::builder().config(config).build().unwrap();
            let hub = Hub::start(server.shared.clone());
            hub.address.send_batch(said(9));
            assert!(hub.address.backlog_if_full().is_none());
            hub.address.send_batch(said(9));
            assert!(hub.address.backlog_if_full().is_some());
            while !hub.address.is_idle() {
                tokio::task::yield_now().await;
            }
            assert!(hub.address.backlog_if_full().is_none());
        });
    }
}
