//! Asks the hooks of channels, and acts on their answers.
//!
//! A hook runs beside the session, on its thread. The action that it decides on stays the first in the session's queue meanwhile,
//! so that the session's actions for channels keep their order. While the session moves, no hook runs: the new worker asks again.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use actix::{AsyncContext, Context, SpawnHandle};
use actix_rt::task::JoinHandle;
use futures_util::FutureExt;
use tokio::time::timeout;

use crate::caller::Caller;
use crate::channel::asker::Asker;
use crate::channel::input::{Grant, UnsubscribeReason};
use crate::channel::kind::{Answer, SubscribeRule};
use crate::channel::subscriber::Subscriber;
use crate::error::Refusal;
use crate::ids::ChannelName;
use crate::runtime::messages::{Allowed, Asks, ChannelAction, SessionMessage};
use crate::runtime::worker::session::SessionActor;
use crate::session::history_queue::Needs;
use crate::session::time_limits::TimeLimits;
use crate::time::{after, if_ever};
use crate::wire::codec::RawData;

/// A hook that runs. It ends when this is dropped.
#[derive(Debug)]
struct RunningHook {
    /// Its answer has the same number. A hook that is given up may have answered just before.
    number: u64,
    task: JoinHandle<()>,
}

impl Drop for RunningHook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a session has of hooks: the one that runs, and the subscriptions that hooks have limited in time.
#[derive(Debug, Default)]
pub(crate) struct Hooked {
    running: Option<RunningHook>,
    pub(crate) limits: TimeLimits,
    /// For the next subscription that ends.
    timer: Option<SpawnHandle>,
}

impl Hooked {
    /// The limits of a session that has moved here.
    pub(crate) fn arrived(limits: TimeLimits) -> Option<Box<Self>> {
        let is_limited = limits.next().is_some();
        is_limited.then(|| {
            Box::new(Self {
                limits,
                ..Self::default()
            })
        })
    }
}

impl SessionActor {
    /// Asks the hook of the action that waits first.
    pub(crate) fn ask_hook(&mut self) {
        let Some((channel, action)) = self.admission.first() else {
            return;
        };
        let shared = &self.hub.shared;
        let asker = Asker {
            caller: Caller {
                session: self.id,
                claims: self.visitor.claims.clone(),
                address: self.visitor.address,
            },
            channel: channel.clone(),
            params: shared.channels.params(channel.as_str()),
            app: shared.data.clone(),
        };
        let Some(answer) = answer(action, asker) else {
            // The channel has no hook.
            return;
        };
        let kind = shared.channels.find(channel.as_str()).cloned();
        let pattern = kind.map_or_else(String::new, |kind| kind.pattern.clone());
        let (patience, channel) = (shared.config.authorization, channel.clone());
        let (shared, session) = (shared.clone(), self.handle.address.clone());
        let number = self.hub.number_hook();
        let asked = async move {
            let answer = AssertUnwindSafe(answer).catch_unwind();
            let outcome = match if_ever(patience) {
                Some(patience) => timeout(patience, answer).await.ok(),
                None => Some(answer.await),
            };
            let outcome = match outcome {
                Some(Ok(outcome)) => outcome,
                Some(Err(_)) => {
                    tracing::error!(%channel, pattern, "a hook of a channel panicked");
                    Err(Refusal::failed())
                }
                None => {
                    if let Some(left_out) = shared.hook_log.take(shared.now()) {
                        tracing::warn!(
                            %channel, pattern,
                            left_out,
                            "a hook of a channel took longer than `Config::authorization`"
                        );
                    }
                    Err(Refusal::new(
                        "authorization_timeout",
                        "the server took too long to decide whether this is allowed: try again",
                    ))
                }
            };
            session.do_send(SessionMessage::HookAnswered(number, outcome));
        };
        let task = actix_rt::spawn(asked);
        let running = RunningHook { number, task };
        self.hooked.get_or_insert_default().running = Some(running);
    }

    /// The hook with this number has answered: that of the action that waits first, or one that was given up meanwhile, because
    /// its action was withdrawn, or the session moves or has ended.
    pub(crate) fn hook_answered(
        &mut self,
        ctx: &mut Context<Self>,
        number: u64,
        answer: Result<Allowed, Refusal>,
    ) {
        let running = self.hooked.as_mut().map(|hooked| &mut hooked.running);
        let is_it = |running: &mut RunningHook| running.number == number;
        if running.and_then(|running| running.take_if(is_it)).is_none() {
            return;
        }
        match answer {
            Ok(Allowed::Publish(publication)) => {
                if let Some(ChannelAction {
                    asks: Asks::Publish { data, hook, .. },
                    ..
                }) = self.admission.allow(Needs::Nothing)
                {
                    (*data, *hook) = (publication, None);
                }
            }
            Ok(Allowed::Subscribe(begin, limit)) => self.grant(ctx, begin, limit),
            Err(refusal) => self.hook_refused(refusal),
        }
        self.await_limit(ctx);
        self.send_waiting();
    }

    fn grant(&mut self, ctx: &mut Context<Self>, begin: Option<RawData>, limit: Duration) {
        let until = if_ever(limit).map(|limit| after(self.hub.now(), limit));
        let channel = self.admission.first().map(|(channel, _)| channel.clone());
        let Some(ChannelAction {
            asks:
                Asks::Subscribe {
                    data,
                    grant,
                    attempt,
                    ..
                },
            ..
        }) = self.admission.allow(Needs::History)
        else {
            return;
        };
        *data = None;
        *grant = Some(Box::new(Grant { data: begin, until }));
        let attempt = *attempt;
        if let Some(channel) = channel {
            self.limit(ctx, &channel, attempt, until);
        }
    }

    fn hook_refused(&mut self, refusal: Refusal) {
        let Some((channel, action)) = self.admission.refuse() else {
            return;
        };
        let ChannelAction { id, asks, permit } = action;
        let Asks::Subscribe { attempt, .. } = asks else {
            self.error(id, &refusal);
            return;
        };
        // The answer comes from the channel, which ends the subscription that the session may have had.
        let subscriptions = &self.handle.router.subscriptions;
        subscriptions.borrow_mut().remove_attempt(&channel, attempt);
        let reason = UnsubscribeReason::Refused(refusal);
        let asks = Asks::Unsubscribe { attempt, reason };
        self.send_to_channel(channel, ChannelAction { id, asks, permit }, 0);
    }

    /// Drops the hook that runs. It is asked again later.
    pub(crate) fn give_up_hook(&mut self) {
        if let Some(hooked) = &mut self.hooked {
            hooked.running = None;
        }
        self.admission.ask_again();
    }

    fn limit(
        &mut self,
        ctx: &mut Context<Self>,
        channel: &ChannelName,
        attempt: u64,
        until: Option<Duration>,
    ) {
        if until.is_some() || self.hooked.is_some() {
            let mut hooked = self.hooked.take().unwrap_or_default();
            hooked.limits.set(channel, attempt, until);
            // A channel may have refused what its hook had allowed. So no more limits are kept than the session may have
            // subscriptions, and actions that wait.
            hooked.limits.retain(|known| self.may_subscribe_to(known));
            self.hooked = Some(hooked);
            self.await_limit(ctx);
        }
    }

    /// The channel is asked to end the subscription of this attempt, and of earlier ones.
    pub(crate) fn forget_limit(&mut self, channel: &ChannelName, attempt: u64) {
        if let Some(hooked) = &mut self.hooked {
            hooked.limits.forget(channel, attempt);
        }
    }

    /// Whether the session may be a subscriber of the channel: it is listed, or its unsubscribe still waits.
    pub(crate) fn may_subscribe_to(&self, channel: &ChannelName) -> bool {
        self.handle.router.subscriptions.borrow().contains(channel)
            || self.waiting_unsubscribes().any(|known| known == channel)
    }

    /// Sets the timer for the next subscription that ends.
    pub(crate) fn await_limit(&mut self, ctx: &mut Context<Self>) {
        let now = self.hub.now();
        let Some(hooked) = &mut self.hooked else {
            return;
        };
        if let Some(timer) = hooked.timer.take() {
            ctx.cancel_future(timer);
        }
        match hooked.limits.next() {
            Some(next) => {
                let left = next.saturating_sub(now);
                hooked.timer = Some(ctx.run_later(left, |session, ctx| session.limit_reached(ctx)));
            }
            None if hooked.running.is_none() => self.hooked = None,
            None => {}
        }
    }

    fn limit_reached(&mut self, ctx: &mut Context<Self>) {
        if self.moving.is_some() {
            // The next worker continues.
            return;
        }
        let now = self.hub.now();
        let ended = self
            .hooked
            .as_mut()
            .map(|hooked| hooked.limits.take_ended(now));
        for (channel, attempt) in ended.into_iter().flatten() {
            self.end_limited(channel, attempt);
        }
        self.send_waiting();
        self.await_limit(ctx);
    }

    /// The time of a subscription is over. That overtakes the actions for the channel that wait, because no number of them may
    /// make it last longer. A later attempt to subscribe is decided on by itself.
    fn end_limited(&mut self, channel: ChannelName, attempt: u64) {
        if !self.may_subscribe_to(&channel) {
            return;
        }
        let mut subscriptions = self.handle.router.subscriptions.borrow_mut();
        subscriptions.remove_attempt(&channel, attempt);
        drop(subscriptions);
        // It may be allowed and wait for space for its history. An earlier subscription ends as well.
        let is_it = |action: &ChannelAction| matches!(action.asks, Asks::Subscribe { attempt: known, .. } if known == attempt);
        let begun = self.admission.withdraw(&channel, is_it).pop();
        let (id, permit, reason) = match begun {
            Some(ChannelAction { id, permit, .. }) => {
                let late = Refusal::new(
                    "authorization_timeout",
                    "the time for which this was allowed was over before it could begin: try again",
                );
                (id, permit, UnsubscribeReason::Refused(late))
            }
            None => {
                let permit = self.handle.permits.take_nothing();
                (None, permit, UnsubscribeReason::Expired)
            }
        };
        let asks = Asks::Unsubscribe { attempt, reason };
        self.send_to_channel(channel, ChannelAction { id, asks, permit }, 0);
    }
}

/// Begins to ask the hook of an action.
fn answer(action: &ChannelAction, asker: Asker) -> Option<Answer<Allowed>> {
    match &action.asks {
        Asks::Subscribe {
            kind,
            data: Some(data),
            ..
        } => {
            let SubscribeRule::Hook(hook) = &kind.subscribe else {
                return None;
            };
            let data = (**data).clone();
            let answer = hook(Subscriber { asker, data });
            Some(Box::pin(async move {
                let (begin, limit) = answer.await?.into_parts()?;
                Ok(Allowed::Subscribe(begin, limit))
            }))
        }
        Asks::Publish {
            data,
            hook: Some(hook),
            ..
        } => {
            let answer = hook.ask(asker, data.clone());
            Some(Box::pin(async move { answer.await.map(Allowed::Publish) }))
        }
        _ => None,
    }
}
