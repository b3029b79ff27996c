//! Ends a subscription because the application says so.
//!
//! The session does it, as if its client had asked: so it keeps the order of everything else that the session has sent to the
//! channel, and it finds the subscriptions that still wait in the session.

use std::rc::Rc;

use crate::channel::input::UnsubscribeReason;
use crate::error::Refusal;
use crate::runtime::messages::{Asks, ChannelAction, ChannelMessage, HubMessage, SessionMessage};
use crate::runtime::removal::Removal;
use crate::runtime::worker::hub::Hub;
use crate::runtime::worker::session::SessionActor;

impl Hub {
    /// Brings a removal to its session, which lives here, is on its way here, or lived here last.
    pub(crate) fn remove_subscription(self: &Rc<Self>, removal: Removal) {
        let session = removal.session;
        if let Some(local) = self.sessions.borrow().get(&session) {
            local.address.do_send(SessionMessage::Remove(removal));
            return;
        }
        self.forward_removal(removal);
    }

    fn forward_removal(&self, removal: Removal) {
        let session = removal.session;
        match self.shared.home(session) {
            Some(worker) if worker == self.address.worker => {
                let message = HubMessage::Remove(removal);
                self.arrivals.borrow_mut().keep(session, message);
            }
            Some(worker) => {
                if let Some(hub) = self.shared.hub(worker) {
                    self.flusher.to_hub(&hub, HubMessage::Remove(removal));
                }
            }
            // It has ended, with all its subscriptions.
            None => {}
        }
    }
}

impl SessionActor {
    /// Ends a subscription, also one that still waits, or forwards the removal if the session has moved.
    pub(crate) fn remove_subscription(&mut self, removal: Removal) {
        if self.hub.shared.home(self.id) != Some(self.hub.address.worker) {
            return self.hub.forward_removal(removal);
        }
        // The channel may send to the other worker already, where its answer would find no session yet.
        if let Some(moving) = &mut self.moving {
            moving.removals.push(removal);
            return;
        }
        let Removal {
            channel, ticket, ..
        } = removal;
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
            ticket.note_ended();
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
