//! A room that carries out the orders of its members.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)] // Everything here is part of a test, whose failure is a panic.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use courtside::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::sleep;

/// What happened in the desks of a server, in order. Give it to the server as data.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    /// What happened since the last call.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// What a client says when it comes to a desk.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wishes {
    /// What desks are matched on.
    pub map: Option<String>,
    /// Where it wants to be refused: in `create` or in `joined`.
    pub refuse: Option<String>,
}

/// What a member orders a desk to do.
#[derive(Debug, Default, Serialize, Deserialize, Message)]
#[message(reply = Value)]
#[serde(default)]
pub struct Order {
    what: String,
    who: u32,
    key: String,
    n: u64,
    data: Value,
}

/// A desk's message with a number.
#[derive(Debug, Serialize, Deserialize, Message)]
pub struct Said {
    n: u64,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    bulk: String,
}

impl Said {
    fn number(n: u64) -> Self {
        Self {
            n,
            bulk: String::new(),
        }
    }
}

/// A message that says nothing but its name.
#[derive(Debug, Serialize, Deserialize, Message)]
pub struct Bell;

/// A room of the kind `desk`, with that many seats and steps a second, which does what its members order.
#[derive(Debug)]
pub struct Desk<const SEATS: usize = 8, const HZ: usize = 0> {
    shown: Value,
    steps: Vec<u64>,
    jobs: u32,
    /// How it saves at its end, and how many milliseconds that takes.
    saves: Option<(String, u64)>,
    panics_in: String,
}

impl<const SEATS: usize, const HZ: usize> Desk<SEATS, HZ> {
    fn note(ctx: &RoomContext<Self>, line: String) {
        if let Some(log) = ctx.try_data::<Log>() {
            log.add(line);
        }
    }

    fn may_panic(&self, hook: &str) {
        assert!(self.panics_in != hook, "the desk was told to panic");
    }
}

/// What cannot be dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(
            std::thread::panicking(),
            "it was told to panic when it is dropped"
        );
    }
}

impl<const SEATS: usize, const HZ: usize> Desk<SEATS, HZ> {
    /// Saves in two steps, each a job, and publishes that it has.
    fn save(&mut self, how: &str, time: Duration, ctx: &mut RoomContext<Self>) {
        let done = move |_: &mut Self, (), ctx: &mut RoomContext<Self>| {
            Self::note(ctx, "saved".to_owned());
            ctx.spawn(sleep(time), |_, (), ctx| {
                Self::note(
                    ctx,
                    format!("saved again, with {} there", ctx.member_count()),
                );
                ctx.publish("news", &"saved").unwrap();
            })
            .unwrap();
        };
        let spawned = if how == "blocking" {
            let blocking = actix_web::web::block(move || std::thread::sleep(time));
            ctx.spawn(async move { blocking.await.unwrap() }, done)
        } else {
            ctx.spawn(sleep(time), done)
        };
        spawned.unwrap();
    }

    /// A job that is done at once and followed by the next.
    fn job_at_once(&mut self, ctx: &mut RoomContext<Self>) -> Result<(), Refusal> {
        self.jobs += 1;
        if self.jobs == 100_000 {
            return Ok(());
        }
        ctx.spawn(async {}, |desk, (), ctx| {
            let _busy = desk.job_at_once(ctx);
        })
    }
}

impl<const SEATS: usize, const HZ: usize> Drop for Desk<SEATS, HZ> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.may_panic("drop");
        }
    }
}

fn refuse(wishes: &Wishes, hook: &str) -> Result<(), Refusal> {
    match wishes.refuse.as_deref() {
        Some(place) if place == hook => Err(Refusal::new("unwelcome", format!("not in {hook}"))),
        _ => Ok(()),
    }
}

#[courtside::room]
impl<const SEATS: usize, const HZ: usize> Desk<SEATS, HZ> {
    fn config() -> RoomConfig {
        RoomConfig::default()
            .capacity(SEATS)
            .tick_hz(HZ as f64)
            .match_on(["map"])
            .jobs(3)
    }

    fn create(wishes: Wishes, ctx: &mut RoomContext<Self>) -> Result<Self, Refusal> {
        refuse(&wishes, "create")?;
        assert!(
            wishes.refuse.as_deref() != Some("panic"),
            "the desk was told to panic"
        );
        Self::note(ctx, "created".to_owned());
        Ok(Self {
            shown: json!({"n": 0}),
            steps: Vec::new(),
            jobs: 0,
            saves: None,
            panics_in: String::new(),
        })
    }

    #[on]
    fn bell(&mut self, _: Bell, ctx: &mut RoomContext<Self>) {
        ctx.broadcast(&Bell);
    }

    #[on]
    fn order(
        &mut self,
        from: &Member,
        order: Order,
        ctx: &mut RoomContext<Self>,
    ) -> Result<Value, Refusal> {
        let Order {
            what,
            who,
            key,
            n,
            data,
        } = order;
        let mut members = ctx.member_ids().into_iter();
        let who = members.find(|member| member.get() == who);
        let whom = || who.ok_or_else(|| Refusal::new("nobody", "there is no such member"));
        let delay = Duration::from_millis(n);
        match what.as_str() {
            "echo" => return Ok(data),
            "steps" => return Ok(json!(self.steps)),
            "refuse" => return Err(Refusal::new("unwilling", "the desk does not want to")),
            "tell" => ctx.broadcast(&Said::number(n)),
            "tell_others" => ctx.except(from).send(&Said::number(n)),
            "tell_one" => ctx.send(whom()?, &Said::number(n)),
            "bulk" => ctx.broadcast(&Said {
                n,
                bulk: "x".repeat(4096),
            }),
            "signal" => ctx.all().signal(&Said::number(n)),
            "latest" => ctx.all().latest(key, &Said::number(n)),
            "show" => self.shown = data,
            "kick" => ctx.kick(whom()?, "ordered"),
            "dispose" => ctx.dispose(),
            "lock" => ctx.lock(),
            "unlock" => ctx.unlock(),
            "private" => ctx.set_private(n != 0),
            "metadata" => ctx.set_metadata(&data),
            "publish" => ctx.publish(key, &data)?,
            "panic" => panic!("the desk was told to panic"),
            "panic_in" => self.panics_in = key,
            "panic_after" => drop(ctx.after(delay, |_, _| panic!("the desk was told to panic"))),
            "panic_in_job" => ctx.spawn(
                async { panic!("the job was told to panic") },
                |_, (): (), _| {},
            )?,
            "after" => drop(ctx.after(delay, move |_, ctx| ctx.broadcast(&Said::number(n)))),
            "every" => {
                let timer = ctx.every(delay, move |_, ctx| ctx.broadcast(&Said::number(n)));
                ctx.after(delay * 7 / 2, move |_, ctx| assert!(ctx.cancel(timer)));
            }
            "job" => ctx.spawn(sleep(delay), move |_, (), ctx| {
                ctx.broadcast(&Said::number(n))
            })?,
            "jobs_at_once" => self.job_at_once(ctx)?,
            "save_at_end" => self.saves = Some((key, n)),
            "jobs" => return Ok(json!(self.jobs)),
            "panic_with_job" => {
                let bomb = Bomb;
                ctx.spawn(async move { drop(bomb) }, |_, (): (), _| {})?;
                panic!("the desk was told to panic");
            }
            "endless_job" => ctx.spawn(std::future::pending(), |_, (): (), _| {})?,
            _ => return Err(Refusal::new("unknown_order", what)),
        }
        Ok(Value::Null)
    }

    fn state(&self) -> &Value {
        self.may_panic("state");
        &self.shown
    }

    fn joined(
        &mut self,
        member: &Member,
        wishes: Wishes,
        ctx: &mut RoomContext<Self>,
    ) -> Result<(), Refusal> {
        ctx.broadcast(&Said::number(1000 + u64::from(member.id().get())));
        refuse(&wishes, "joined")?;
        self.may_panic("joined");
        Self::note(ctx, format!("joined {}", member.id()));
        Ok(())
    }

    fn dropped(&mut self, member: &Member, ctx: &mut RoomContext<Self>) {
        Self::note(ctx, format!("dropped {}", member.id()));
        self.may_panic("dropped");
    }

    fn resumed(&mut self, member: &Member, ctx: &mut RoomContext<Self>) {
        Self::note(ctx, format!("resumed {}", member.id()));
    }

    fn left(&mut self, member: &Member, reason: LeaveReason, ctx: &mut RoomContext<Self>) {
        Self::note(ctx, format!("left {} {reason}", member.id()));
        ctx.broadcast(&Said::number(2000 + u64::from(member.id().get())));
        self.may_panic("left");
    }

    fn tick(&mut self, tick: Tick) {
        self.steps.push(tick.number);
        self.may_panic("tick");
    }

    fn disposed(&mut self, reason: DisposeReason, ctx: &mut RoomContext<Self>) {
        let line = match reason {
            DisposeReason::Asked => "disposed",
            DisposeReason::Empty => "disposed: empty",
            DisposeReason::Shutdown => "disposed: shutdown",
            _ => "disposed for another reason",
        };
        Self::note(ctx, line.to_owned());
        ctx.broadcast(&Said::number(3000));
        if let Some((how, millis)) = self.saves.take() {
            self.save(&how, Duration::from_millis(millis), ctx);
        }
        self.may_panic("disposed");
    }
}
