//! The matchmaker's actor: asks the rules of all queues, and sends complete matches to the lobby.
//!
//! It has a thread of its own, because a rule may take long, and no join to another room should wait for that.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
use smallvec::smallvec;

use crate::error::Refusal;
use crate::ids::{RoomId, SessionId};
use crate::matchmaking::Queue;
use crate::matchmaking::config::MakeOptions;
use crate::matchmaking::made::Made;
use crate::matchmaking::queue::{NoMatch, QueueCore, QueueEffect};
use crate::runtime::flusher::Flusher;
use crate::runtime::messages::{
    End, HubItem, JoinRequest, LobbyMessage, MatchMessage, MatchRequest, MatchedRoom, Receiver,
};
use crate::runtime::room_admission::refuse_join;
use crate::runtime::server_inner::ServerInner;
use crate::session::outbox::Delivery;
use crate::session::tickets::{TicketChange, TicketState};
use crate::wire::codec::CodecError;
use crate::wire::event;
use crate::wire::frame::{Encoded, Formats, FrameWriter};

/// A queue that the application has registered, with the kind of its rooms.
pub(crate) struct NewQueue {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Arc<str>,
    pub(crate) queue: Queue,
}

/// A session in a queue, and how it is reached.
struct Player {
    /// Where it was when it entered. That hub forwards items to where it is now.
    receiver: Receiver,
    attempt: u64,
}

struct ServedQueue {
    name: Arc<str>,
    kind: Arc<str>,
    core: QueueCore<JoinRequest>,
    players: HashMap<SessionId, Player>,
    options: MakeOptions,
    every: Duration,
    join_within: Duration,
    /// Whether its next tick is due at some time. An empty queue has none.
    is_ticking: bool,
}

/// The queues of a server.
pub(crate) struct Matchmaker {
    shared: Arc<ServerInner>,
    queues: HashMap<Arc<str>, ServedQueue>,
    /// How many changes of tickets were sent.
    changes: u64,
}

/// The answer that the next event to a session gives.
type Answer = Option<(SessionId, u64)>;

impl Matchmaker {
    pub(crate) fn new(shared: Arc<ServerInner>, queues: Vec<NewQueue>) -> Self {
        let serve = |new: NewQueue| {
            let Queue {
                rule,
                most,
                options,
                bounds,
                every,
                ..
            } = new.queue;
            let served = ServedQueue {
                core: QueueCore::new(new.name.clone(), bounds, rule, most),
                name: new.name.clone(),
                kind: new.kind,
                players: HashMap::new(),
                options,
                every,
                join_within: bounds.join_within,
                is_ticking: false,
            };
            (new.name, served)
        };
        Self {
            shared,
            queues: queues.into_iter().map(serve).collect(),
            changes: 0,
        }
    }

    fn enter(&mut self, request: MatchRequest, ctx: &mut Context<Self>) {
        let now = self.shared.now();
        let Some(queue) = self.queues.get_mut(&request.queue) else {
            return;
        };
        let session = request.receiver.session;
        let entered = match self.shared.is_draining.load(Ordering::Relaxed) {
            true => Err(draining()),
            false => queue
                .core
                .enter(now, session, request.subject, request.entry, request.party),
        };
        match entered {
            Ok(()) => {
                let player = Player {
                    receiver: request.receiver,
                    attempt: request.attempt,
                };
                queue.players.insert(session, player);
                if !queue.is_ticking {
                    queue.is_ticking = true;
                    tick_later(ctx, queue);
                }
                let answer = request.id.map(|id| (session, id));
                self.carry_out(&request.queue, answer);
            }
            Err(refusal) => {
                let change = (request.attempt, TicketState::Over);
                self.tell(&request.receiver, &request.queue, change, |w| {
                    event::error(w, request.id, None, &refusal)
                });
            }
        }
    }

    fn cancel(&mut self, receiver: &Receiver, queue: &Arc<str>, id: Option<u64>) {
        let session = receiver.session;
        let now = self.shared.now();
        let is_in = self
            .queues
            .get_mut(queue)
            .is_some_and(|queue| queue.core.leave(now, session, Some(NoMatch::Cancelled)));
        if is_in {
            self.carry_out(queue, id.map(|id| (session, id)));
        } else {
            // Its search has ended at the same moment.
            send(receiver, None, |w| event::error(w, id, None, &not_queued()));
        }
    }

    fn join(&mut self, name: &Arc<str>, request: JoinRequest) {
        let (Some(queue), Some(room)) = (self.queues.get_mut(name), request.room().cloned()) else {
            return;
        };
        queue.core.join(request.receiver.session, &room, request);
        self.carry_out(name, None);
    }

    /// Applies what has happened to a session in every queue; there are few.
    fn for_each(&mut self, act: impl Fn(&mut QueueCore<JoinRequest>)) {
        let names: Vec<_> = self.queues.keys().cloned().collect();
        for name in names {
            if let Some(queue) = self.queues.get_mut(&name) {
                act(&mut queue.core);
            }
            self.carry_out(&name, None);
        }
    }

    fn gone(&mut self, session: SessionId) {
        let now = self.shared.now();
        for queue in self.queues.values_mut() {
            queue.players.remove(&session);
        }
        self.for_each(|core| {
            core.leave(now, session, None);
        });
    }

    fn tick(&mut self, name: &Arc<str>, ctx: &mut Context<Self>) {
        let now = self.shared.now();
        let Some(queue) = self.queues.get_mut(name) else {
            return;
        };
        queue.core.expire(now);
        let proposed = catch_unwind(AssertUnwindSafe(|| queue.core.propose(now)));
        let proposed = proposed.unwrap_or_else(|_| {
            tracing::error!(queue = &**name, "the rule of a queue panicked");
            Vec::new()
        });
        let mut ignored = 0;
        for one in proposed {
            ignored += usize::from(!queue.core.make(now, one, &RoomId::random()));
        }
        if ignored > 0 {
            tracing::error!(
                queue = &**name,
                ignored,
                "the rule of a queue proposed matches without a ticket, of tickets that were taken, or of too many players"
            );
        }
        self.carry_out(name, None);
        if let Some(queue) = self.queues.get_mut(name) {
            queue.is_ticking = !queue.core.is_empty();
            if queue.is_ticking {
                tick_later(ctx, queue);
            }
        }
    }

    /// Carries out what has followed in a queue. The first event to the session of `answer` has the number of its action.
    fn carry_out(&mut self, name: &Arc<str>, mut answer: Answer) {
        let Some(queue) = self.queues.get_mut(name) else {
            return;
        };
        for effect in queue.core.take_effects() {
            let Some(queue) = self.queues.get_mut(name) else {
                return;
            };
            let mut id_for = |session: SessionId| {
                let is_its = |(to, _): &mut (SessionId, u64)| *to == session;
                answer.take_if(is_its).map(|(_, id)| id)
            };
            match effect {
                QueueEffect::Queued {
                    session,
                    waited,
                    party,
                } => {
                    let id = id_for(session);
                    self.tell_player(name, session, TicketState::Queued, |w| {
                        event::queued(w, id, name, waited, party)
                    });
                }
                QueueEffect::Matched { session, room } => {
                    let (kind, within) = (queue.kind.clone(), queue.join_within);
                    let state = TicketState::Matched(room.clone());
                    self.tell_player(name, session, state, |w| {
                        event::matched(w, name, &room, &kind, within)
                    });
                }
                QueueEffect::NoMatch { session, reason } => {
                    let id = id_for(session);
                    self.tell_player(name, session, TicketState::Over, |w| {
                        event::no_match(w, id, name, reason.name())
                    });
                    self.forget(name, session);
                }
                QueueEffect::Refused { join, refusal } => {
                    refuse_join(&join.receiver, join.id, &refusal);
                }
                QueueEffect::Begin { made, joins } => self.begin(name, &made, joins),
            }
        }
    }

    /// All players of a match have joined: its room begins.
    fn begin(&mut self, name: &Arc<str>, made: &Made, mut requests: Vec<JoinRequest>) {
        for player in &made.players {
            self.end_ticket(name, player.session);
        }
        let Some(queue) = self.queues.get(name) else {
            return;
        };
        let options = catch_unwind(AssertUnwindSafe(|| (queue.options)(made)));
        let options = match options {
            Ok(Ok(options)) => options,
            Ok(Err(error)) => return refuse_all(&requests, &Refusal::internal(error)),
            Err(_) => {
                tracing::error!(
                    queue = &**name,
                    "the function for a match's options panicked"
                );
                return refuse_all(&requests, &Refusal::failed());
            }
        };
        for request in &mut requests {
            request.options = options.clone();
            request.is_expected = true;
        }
        let room = MatchedRoom {
            kind: queue.kind.clone(),
            id: made.room.clone(),
            options,
            requests,
        };
        self.shared
            .send_to_lobby(LobbyMessage::BeginMatch(Box::new(room)));
    }

    /// A session's search has ended with a room, of which the client learns by `joined`.
    fn end_ticket(&mut self, name: &Arc<str>, session: SessionId) {
        let Some(player) = self.forget(name, session) else {
            return;
        };
        let change = self.change(name, (player.attempt, TicketState::Begun));
        send_item(&player.receiver, change, None);
    }

    fn forget(&mut self, name: &Arc<str>, session: SessionId) -> Option<Player> {
        self.queues.get_mut(name)?.players.remove(&session)
    }

    fn change(&mut self, queue: &Arc<str>, (attempt, state): (u64, TicketState)) -> TicketChange {
        self.changes += 1;
        TicketChange {
            queue: queue.clone(),
            attempt,
            version: self.changes,
            state,
        }
    }

    fn tell_player(
        &mut self,
        name: &Arc<str>,
        session: SessionId,
        state: TicketState,
        write: impl Fn(&mut FrameWriter) -> Result<(), CodecError>,
    ) {
        let players = self.queues.get(name).map(|queue| &queue.players);
        let Some(player) = players.and_then(|players| players.get(&session)) else {
            return;
        };
        let (receiver, attempt) = (player.receiver.clone(), player.attempt);
        self.tell(&receiver, name, (attempt, state), write);
    }

    fn tell(
        &mut self,
        receiver: &Receiver,
        queue: &Arc<str>,
        change: (u64, TicketState),
        write: impl Fn(&mut FrameWriter) -> Result<(), CodecError>,
    ) {
        let change = self.change(queue, change);
        send(receiver, Some(change), write);
    }
}

/// Sends an event to a session, wherever it is, with the change of its ticket.
fn send(
    receiver: &Receiver,
    change: Option<TicketChange>,
    write: impl Fn(&mut FrameWriter) -> Result<(), CodecError>,
) {
    match (Encoded::new(Formats::only(receiver.format), write), change) {
        (Ok(frame), Some(change)) => send_item(receiver, change, Some(frame)),
        (Ok(frame), None) => {
            let item = HubItem::Direct {
                session: receiver.session,
                frame,
                delivery: Delivery::Sequenced,
            };
            let _behind = Flusher::of_this_thread().items_to_hub(&receiver.hub, smallvec![item]);
        }
        (Err(error), _) => tracing::error!(%error, "an event cannot be encoded"),
    }
}

fn send_item(receiver: &Receiver, change: TicketChange, frame: Option<Encoded>) {
    let item = HubItem::Ticket {
        session: receiver.session,
        change: Box::new(change),
        frame,
    };
    let _behind = Flusher::of_this_thread().items_to_hub(&receiver.hub, smallvec![item]);
}

fn refuse_all(requests: &[JoinRequest], refusal: &Refusal) {
    for request in requests {
        refuse_join(&request.receiver, request.id, refusal);
    }
}

fn draining() -> Refusal {
    Refusal::new("draining", "this server is shutting down")
}

/// The answer to a cancellation of nothing.
pub(crate) fn not_queued() -> Refusal {
    Refusal::new("not_queued", "this session is not in this queue")
}

fn tick_later(ctx: &mut Context<Matchmaker>, queue: &ServedQueue) {
    let name = queue.name.clone();
    ctx.run_later(queue.every, move |matchmaker, ctx| {
        matchmaker.tick(&name, ctx)
    });
}

impl Actor for Matchmaker {
    type Context = Context<Self>;
}

impl Handler<MatchMessage> for Matchmaker {
    type Result = ();

    fn handle(&mut self, message: MatchMessage, ctx: &mut Self::Context) {
        match message {
            MatchMessage::Enter(request) => self.enter(*request, ctx),
            MatchMessage::Cancel {
                receiver,
                queue,
                id,
                permit: _permit,
            } => self.cancel(&receiver, &queue, id),
            MatchMessage::Join { queue, request } => self.join(&queue, *request),
            MatchMessage::Dropped(session) => {
                self.for_each(|core| core.set_connected(session, false));
            }
            MatchMessage::Resumed(session) => {
                self.for_each(|core| core.set_connected(session, true));
            }
            MatchMessage::Gone(session) => self.gone(session),
            MatchMessage::Drain => self.for_each(QueueCore::drain),
        }
    }
}

impl Handler<End> for Matchmaker {
    type Result = ();

    fn handle(&mut self, _: End, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
