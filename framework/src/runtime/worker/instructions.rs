//! Carries out what the application wants of a session.
//!
//! The hub puts events into the outbox, in the order in which they were sent. Everything else, the session does itself, so that it
//! keeps the order of what it has sent before.

use std::rc::Rc;
use std::sync::Arc;

use actix::Context;
use smallvec::SmallVec;

use crate::channel::input::UnsubscribeReason;
use crate::channel::log::Start;
use crate::error::Refusal;
use crate::ids::{ChannelName, SessionId};
use crate::room::config::LeaveReason;
use crate::runtime::connection::phase::CloseMode;
use crate::runtime::instruction::{Instruction, SendTicket, SubscriptionTicket, Task};
use crate::runtime::messages::{Asks, ChannelAction, ChannelMessage, HubMessage, SessionMessage};
use crate::runtime::worker::hub::Hub;
use crate::runtime::worker::session::SessionActor;
use crate::session::farewell::Disconnect;
use crate::session::info::SessionInfo;
use crate::session::outbox::Delivery;
use crate::wire::codec::{Format, RawData};
use crate::wire::frame::Encoded;

impl Hub {
    /// Brings an instruction to its session, which lives here, is on its way here, or lived here last.
    pub(crate) fn instruct(self: &Rc<Self>, instruction: Instruction) {
        let session = instruction.session;
        if !self.sessions.borrow().contains_key(&session) {
            return self.forward_instruction(instruction);
        }
        let Some(number) = instruction.number else {
            return self.carry_out(session, instruction.task);
        };
        let mut instructions = self.instructions.borrow_mut();
        let in_order = instructions.entry(session).or_default();
        in_order.put(number, instruction.task);
        let due: SmallVec<[Task; 1]> = std::iter::from_fn(|| in_order.take()).collect();
        drop(instructions);
        for task in due {
            self.carry_out(session, task);
        }
    }

    fn forward_instruction(&self, instruction: Instruction) {
        let session = instruction.session;
        match self.shared.home(session) {
            Some(worker) if worker == self.address.worker => {
                let message = HubMessage::Instruct(instruction);
                self.arrivals.borrow_mut().keep(session, message);
            }
            Some(worker) => {
                if let Some(hub) = self.shared.hub(worker) {
                    self.flusher.to_hub(&hub, HubMessage::Instruct(instruction));
                }
            }
            // It has ended.
            None => {}
        }
    }

    fn carry_out(&self, session: SessionId, task: Task) {
        match task {
            // The outbox moves with the session, so an event need not wait for a move.
            Task::Send(event, ticket) => self.send_outside(session, event, &ticket),
            task => self.send_to_session(session, SessionMessage::Instructed(task)),
        }
    }

    /// Sends an event outside of rooms. It is kept for a client that is disconnected.
    fn send_outside(&self, session: SessionId, event: Encoded, ticket: &SendTicket) {
        let Some(local) = self.sessions.borrow().get(&session).cloned() else {
            return;
        };
        // A session that holds something is not displaced; this one may have been already.
        if local.send_queue.reader().is_none() && !self.shared.keep(session) {
            return;
        }
        self.direct(session, event, Delivery::Sequenced);
        self.note_memory();
        if !local
            .send_queue
            .with_outbox(|outbox| outbox.has_overflowed())
        {
            ticket.answer(());
        }
    }
}

impl SessionActor {
    /// Does what the application wants.
    pub(crate) fn instructed(&mut self, ctx: &mut Context<Self>, task: Task) {
        // A channel may send to the other worker already, where its answer would find no session yet. And what a session is like is
        // known when it has arrived.
        if let Some(moving) = &mut self.moving {
            return moving.tasks.push(task);
        }
        match task {
            Task::Subscribe(channel, ticket) => self.add_subscription(channel, ticket),
            Task::Unsubscribe(channel, ticket) => self.remove_subscription(channel, ticket),
            Task::Disconnect(why, ticket) => {
                self.disconnect(ctx, why);
                ticket.answer(());
            }
            Task::Describe(ticket) => ticket.answer(self.describe()),
            // The hub has done it.
            Task::Send(..) => {}
        }
    }

    /// Ends the session. Its client reads what waits for it, and then why it is disconnected.
    fn disconnect(&mut self, ctx: &mut Context<Self>, why: Arc<Disconnect>) {
        let shared = &self.hub.shared;
        if let Some(connection) = self.connection.take() {
            let reconnect = why.code.comes_back().then(|| self.hub.reconnect_at_once());
            let (mode, deadline) = (CloseMode::AfterPending, self.hub.closing_deadline());
            connection.end(why.code, &why.reason, reconnect, mode, deadline);
            self.handle.router.close();
        }
        // The goodbye may be lost, or there is no connection: then the client learns it when it wants to resume.
        shared.note_farewell(self.id, self.tokens.clone(), why);
        self.end(ctx, LeaveReason::Disconnected);
    }

    fn describe(&self) -> SessionInfo {
        let shared = &self.hub.shared;
        let transport = self
            .connection
            .as_ref()
            .map(|connection| connection.transport);
        let window = self.window.as_ref();
        SessionInfo {
            id: self.id,
            subject: self.visitor.claims.subject().map(str::to_owned),
            since: shared.time_of(self.began.get()),
            transport,
            dropped_since: window.map(|window| shared.time_of(window.since.get())),
            format: self.handle.send_queue.format(),
            address: self.visitor.address.map(|address| address.to_string()),
            rooms: self.handle.router.session_rooms(),
        }
    }

    /// Subscribes, as if the client had asked, but without a history, and without asking the channel's hook.
    fn add_subscription(&mut self, channel: ChannelName, ticket: Arc<SubscriptionTicket>) {
        let shared = self.hub.shared.clone();
        let Some(kind) = shared.channels.find(channel.as_str()).cloned() else {
            return;
        };
        let changes = |action: &ChannelAction| {
            matches!(
                action.asks,
                Asks::Subscribe { .. } | Asks::Unsubscribe { .. }
            )
        };
        let is_changing = {
            let mut waiting = self.admission.waiting();
            waiting.any(|(known, action)| *known == channel && changes(action))
        };
        let is_there = self.handle.router.subscriptions.borrow().contains(&channel);
        if is_there && !is_changing {
            return ticket.answer(());
        }
        let no_data = RawData::null(Format::Json);
        let Ok(appearance) = self.appearance(kind.presence, false, &no_data) else {
            return;
        };
        let mut subscriptions = self.handle.router.subscriptions.borrow_mut();
        if !is_there && subscriptions.len() >= shared.config.limits.subscriptions {
            return;
        }
        self.subscribes += 1;
        let attempt = self.subscribes;
        subscriptions.insert(channel.clone(), attempt, false);
        drop(subscriptions);
        ticket.answer(());
        let start = Start {
            last: Some(0),
            ..Start::default()
        };
        let asks = Asks::Subscribe {
            kind,
            start,
            delta: false,
            attempt,
            appearance,
            data: None,
            grant: None,
            ticket: Some(ticket),
        };
        let (id, permit) = (None, self.handle.permits.take_nothing());
        self.enqueue_for_channel(&channel, ChannelAction { id, asks, permit });
        // If it has to wait until the client has read something, the application does not.
        for action in self.admission.waiting_mut() {
            if let Asks::Subscribe {
                attempt: known,
                ticket,
                ..
            } = &mut action.asks
                && *known == attempt
            {
                *ticket = None;
            }
        }
    }

    /// Ends a subscription, also one that still waits, as if the client had asked.
    fn remove_subscription(&mut self, channel: ChannelName, ticket: Arc<SubscriptionTicket>) {
        let is_subscribe = |action: &ChannelAction| matches!(action.asks, Asks::Subscribe { .. });
        let withdrawn = self.admission.withdraw(&channel, is_subscribe);
        let is_any = !withdrawn.is_empty();
        if is_any && !self.admission.is_asking() {
            // The hook of one of them may run.
            self.give_up_hook();
        }
        for action in withdrawn {
            let refusal = Refusal::new("removed", "the application has ended this subscription");
            self.error(action.id, &refusal);
        }
        // Its client may have unsubscribed, while another action for the channel waits before that.
        let was_there = self.may_subscribe_to(&channel);
        if was_there {
            let subscriptions = &self.handle.router.subscriptions;
            subscriptions.borrow_mut().remove(&channel);
            self.forget_limit(&channel, self.subscribes);
            ticket.answer(());
            self.unsubscribing.push(channel.clone());
            let message = ChannelMessage::Unsubscribe {
                session: self.id,
                channel: channel.clone(),
                attempt: self.subscribes,
                answer: Some((self.receiver(), None)),
                reason: UnsubscribeReason::Removed,
                permit: None,
                ticket: Some(ticket),
            };
            self.hub.to_channel(&channel, message);
        }
        if is_any {
            self.send_waiting();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::room::outside::Outside;
    use crate::runtime::instruction::{Ticket, all};
    use crate::runtime::visitor::Visitor;
    use crate::runtime::worker::opening::Opening;
    use crate::session::info::Transport;

    /// As when an event has taken a longer path, because the session has moved after it was sent.
    #[test]
    fn what_arrives_early_waits_for_what_was_sent_before() {
        actix::System::new().block_on(async {
            let server = crate::Server::builder().build().unwrap();
            let hub = Hub::start(server.shared.clone());
            let opening = Opening {
                transport: Transport::Websocket,
                format: Format::Json,
                visitor: Visitor::default(),
                resume: None,
            };
            let connection = hub.open(opening, None);
            let _welcome = connection.take(&mut BytesMut::new(), 1000);
            let session = *hub.sessions.borrow().keys().next().unwrap();
            let send = |number, word: &'static str| {
                let event = Encoded::of_bytes(Format::Json, word.into());
                let place = server.shared.admit_sending(1).unwrap();
                let (ticket, answered) = Ticket::new(place);
                hub.instruct(Instruction {
                    session,
                    number: Some(number),
                    task: Task::Send(event, ticket),
                });
                all(answered)
            };
            let (third, second) = (send(2, "third,"), send(1, "second,"));
            tokio::task::yield_now().await;
            let mut written = BytesMut::new();
            connection.take(&mut written, 1000);
            assert!(written.is_empty());
            assert_eq!(send(0, "first,").await, [()]);
            assert_eq!((second.await, third.await), (vec![()], vec![()]));
            connection.take(&mut written, 1000);
            assert_eq!(written, "first,second,third,");
        });
    }
}
