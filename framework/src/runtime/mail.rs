//! The messages that leave a thread at the end of its turn, in the order in which they were sent.
//!
//! One wake-up of a sleeping thread is then enough for all of them. They leave in one order whatever their receivers are, so
//! that no effect overtakes its cause. A hub of this thread receives its messages without its mailbox, unless that holds a
//! message that was sent before. An answer to one of its clients need not even wait for the end of the turn if nothing else does.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::ids::ChannelName;
use crate::runtime::contain::contain;
use crate::runtime::hub_address::HubAddress;
use crate::runtime::messages::{
    ChannelMessage, HubItem, HubItems, HubMessage, LobbyMessage, MatchMessage, RoomAddress,
    RoomMessage,
};
use crate::runtime::server_inner::ServerInner;

/// In how many of the newest lists of items the one for a hub is looked for. Usually there is one list for each hub; with more
/// hubs than this, some get their items in several pieces.
const HUBS: usize = 32;

/// Up to this capacity, the memory of one turn's messages is kept for the next turn.
const SPARE: usize = 256;

/// A message that leaves the thread.
pub(crate) enum Outbound {
    Room(RoomAddress, RoomMessage),
    Lobby(Arc<ServerInner>, LobbyMessage),
    Matchmaker(Arc<ServerInner>, MatchMessage),
    Channel(Arc<ServerInner>, ChannelName, ChannelMessage),
    Hub(HubAddress, HubMessage),
    Items(HubAddress, HubItems),
}

/// A hub of this thread, which is called instead of sent to.
pub(crate) trait LocalHub {
    fn address(&self) -> &HubAddress;

    fn take_message(self: Rc<Self>, message: HubMessage);

    /// Takes all the items and leaves the memory of the list.
    fn take_items(&self, items: &mut HubItems);
}

/// The messages that the actors of one thread have sent since its last turn ended.
#[derive(Default)]
pub(crate) struct Mail {
    outward: RefCell<Vec<Outbound>>,
    /// Whether messages are being sent that are not in `outward` any more.
    is_leaving: Cell<bool>,
    /// Memory that the next list of messages, and the next list of items for one hub, use again.
    spare: Cell<Vec<Outbound>>,
    spare_items: Cell<HubItems>,
    /// The hubs that live on this thread: one, except in tests.
    hubs: RefCell<Vec<Weak<dyn LocalHub>>>,
    /// Rooms and channels live on this thread, too.
    has_rooms: Cell<bool>,
}

impl Mail {
    /// A hub begins on this thread. `has_rooms`: rooms and channels live here, too.
    pub(crate) fn serve(&self, hub: Weak<dyn LocalHub>, has_rooms: bool) {
        let mut hubs = self.hubs.borrow_mut();
        hubs.retain(|hub| hub.strong_count() > 0);
        hubs.push(hub);
        self.has_rooms.set(has_rooms);
    }

    pub(crate) fn push(&self, message: Outbound) {
        self.outward.borrow_mut().push(message);
    }

    /// Adds items for a hub, to those that wait for it already where their order allows. If the hub has too many items on their
    /// way to it, returns the semaphore to wait for before sending more.
    ///
    /// Answers to clients of this thread wait for nothing if they would be the first to leave. A broadcast waits nevertheless,
    /// because more of them may follow, and the hub then visits each receiver only once.
    pub(crate) fn push_items(
        &self,
        hub: &HubAddress,
        mut items: HubItems,
    ) -> Option<Arc<Semaphore>> {
        hub.count(&items);
        let is_answer = |item: &HubItem| matches!(item, HubItem::Direct { .. });
        if self.is_empty()
            && !self.is_leaving.get()
            && items.iter().all(is_answer)
            && let Some(hub) = self.local_hub(hub)
        {
            let _ok = contain(|| hub.take_items(&mut items));
            return hub.address().backlog_if_full();
        }
        if let Some(waiting) = last_items(&mut self.outward.borrow_mut(), hub, &items) {
            if !waiting.spilled() {
                let few = std::mem::replace(waiting, self.spare_items.take());
                waiting.extend(few);
            }
            waiting.append(&mut items);
        }
        if !items.is_empty() {
            self.push(Outbound::Items(hub.clone(), items));
        }
        hub.backlog_if_full()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.outward.borrow().is_empty()
    }

    #[cfg(test)]
    pub(crate) fn see(&self, see: impl FnOnce(&[Outbound])) {
        see(&self.outward.borrow());
    }

    /// Sends every message; a panic in one does not keep back the others. True if a room or channel of this thread has got one.
    pub(crate) fn send_all(&self) -> bool {
        let mut outward = self.outward.replace(self.spare.take());
        let is_for_rooms = |o: &Outbound| matches!(o, Outbound::Room(..) | Outbound::Channel(..));
        let has_reached_rooms = self.has_rooms.get() && outward.iter().any(is_for_rooms);
        self.is_leaving.set(true);
        for message in outward.drain(..) {
            let _ok = contain(|| self.send(message));
        }
        self.is_leaving.set(false);
        if outward.capacity() <= SPARE {
            self.spare.set(outward);
        }
        has_reached_rooms
    }

    fn send(&self, message: Outbound) {
        match message {
            Outbound::Room(room, message) => room.do_send(message),
            Outbound::Lobby(shared, message) => shared.send_to_lobby(message),
            Outbound::Matchmaker(shared, message) => shared.send_to_matchmaker(message),
            Outbound::Channel(shared, channel, message) => {
                shared.send_to_channel(&channel, message);
            }
            Outbound::Hub(address, message) => match self.local_hub(&address) {
                Some(hub) => hub.take_message(message),
                None => address.send(message),
            },
            Outbound::Items(address, mut items) => match self.local_hub(&address) {
                Some(hub) => {
                    hub.take_items(&mut items);
                    if items.spilled() && items.capacity() <= SPARE {
                        self.spare_items.set(items);
                    }
                }
                None => address.send_batch(items),
            },
        }
    }

    /// The hub of this address, if it lives on this thread and nothing waits in its mailbox.
    fn local_hub(&self, address: &HubAddress) -> Option<Rc<dyn LocalHub>> {
        let hubs = self.hubs.borrow();
        let mut hubs = hubs.iter().filter_map(Weak::upgrade);
        hubs.find(|hub| hub.address().is(address) && address.is_idle())
    }
}

/// The items that wait for a hub, if `items` may be added to them.
///
/// Items for other hubs in between are no obstacle: those hubs have other sessions. Only a session that moves concerns two
/// hubs: the new one must adopt it before the old one receives `Rehomed`.
fn last_items<'a>(
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
            // Another actor may act on this message: what is sent now must not arrive before that.
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
    use crate::runtime::messages::{Broadcast, Topic};
    use crate::runtime::visitor::Visitor;
    use crate::runtime::worker::hub::Hub;
    use crate::session::outbox::Delivery;
    use crate::wire::codec::Format;
    use crate::wire::frame::Encoded;

    fn items(count: usize) -> HubItems {
        let item = || HubItem::Direct {
            session: SessionId::random(),
            frame: Encoded::of_bytes(Format::Json, "sent".into()),
            delivery: Delivery::Sequenced,
        };
        (0..count).map(|_| item()).collect()
    }

    /// The batches that leave, by the hub (0 or 1) that they are for, after `act`. `None` is a message to another actor.
    fn batches(
        act: impl FnOnce(&Flusher, &HubAddress, &HubAddress, &Arc<ServerInner>),
    ) -> Vec<Option<usize>> {
        let mut batches = Vec::new();
        actix::System::new().block_on(async {
            let server = crate::Server::builder().build().unwrap();
            let shared = server.shared.clone();
            let (a, b) = (Hub::start(shared.clone()), Hub::start(shared.clone()));
            let flusher = Flusher::default();
            act(&flusher, &a.address, &b.address, &shared);
            flusher.see_outward(|outward| {
                batches = outward
                    .iter()
                    .map(|message| match message {
                        Outbound::Items(hub, _) => Some(usize::from(hub.is(&b.address))),
                        _ => None,
                    })
                    .collect();
            });
        });
        batches
    }

    /// Each message is moved several times on its way, and moving more than 256 bytes costs twice as much. Box what only rare
    /// messages have.
    #[test]
    fn a_message_is_small() {
        assert!(size_of::<Outbound>() <= 256);
    }

    #[test]
    fn items_for_two_hubs_in_turn_leave_in_two_batches() {
        let batches = batches(|flusher, a, b, _| {
            for _ in 0..100 {
                let _behind = flusher.items_to_hub(a, items(1));
                let _behind = flusher.items_to_hub(b, items(2));
            }
        });
        assert_eq!(batches, [Some(0), Some(1)]);
    }

    /// An answer to a client of this thread does not wait for the end of the turn, unless something waits that was sent before.
    #[test]
    fn an_answer_leaves_at_once_if_it_is_the_first_to_leave() {
        actix::System::new().block_on(async {
            let server = crate::Server::builder().build().unwrap();
            let hub = Hub::start(server.shared.clone());
            let session = SessionId::random();
            let topic = Topic::Room(RoomId::random());
            let (worker, nobody) = (hub.address.worker, Visitor::default());
            let begun = hub.shared.begin_session(session, worker, &nobody);
            assert!(begun.full.is_none());
            hub.apply_all([HubItem::Adopt {
                session,
                format: Format::Json,
                topic: topic.clone(),
                watches: false,
            }]);
            let frame = || Encoded::of_bytes(Format::Json, "sent".into());
            let answer = || HubItem::Direct {
                session,
                frame: frame(),
                delivery: Delivery::Sequenced,
            };
            let broadcast = Broadcast {
                frame: frame(),
                delivery: Delivery::Sequenced,
                except: None,
            };
            let queued = || {
                let queue = hub.arrivals.borrow().queue_of(session).unwrap();
                queue.with_outbox(|outbox| outbox.produced())
            };
            let send = |items: HubItems| hub.flusher.items_to_hub(&hub.address, items);
            let _behind = send(smallvec![answer(), answer()]);
            assert_eq!(queued(), 2);
            let _behind = send(smallvec![HubItem::Publish(topic, broadcast)]);
            let _behind = send(smallvec![answer()]);
            assert_eq!(queued(), 2, "no answer overtakes a broadcast");
            hub.flusher.flush();
            assert_eq!(queued(), 4);
        });
    }

    #[test]
    fn no_session_is_rehomed_before_it_is_adopted() {
        let (session, topic) = (SessionId::random(), Topic::Room(RoomId::random()));
        let batches = batches(|flusher, a, b, _| {
            let _behind = flusher.items_to_hub(a, items(1));
            let adopt = HubItem::Adopt {
                session,
                format: Format::Json,
                topic: topic.clone(),
                watches: false,
            };
            let _behind = flusher.items_to_hub(b, smallvec![adopt]);
            let rehomed = HubItem::Rehomed {
                session,
                topic,
                to: Some(b.clone()),
            };
            let _behind = flusher.items_to_hub(a, smallvec![rehomed]);
        });
        assert_eq!(batches, [Some(0), Some(1), Some(0)]);
    }

    #[test]
    fn no_item_overtakes_an_earlier_message_to_another_actor() {
        let batches = batches(|flusher, a, _, shared| {
            let _behind = flusher.items_to_hub(a, items(1));
            flusher.to_lobby(shared, LobbyMessage::Ended(RoomId::random()));
            let _behind = flusher.items_to_hub(a, items(1));
        });
        assert_eq!(batches, [Some(0), None, Some(0)]);
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
            hub.address.send_batch(items(9));
            assert!(hub.address.backlog_if_full().is_none());
            hub.address.send_batch(items(9));
            assert!(hub.address.backlog_if_full().is_some());
            while !hub.address.is_idle() {
                tokio::task::yield_now().await;
            }
            assert!(hub.address.backlog_if_full().is_none());
        });
    }
}
