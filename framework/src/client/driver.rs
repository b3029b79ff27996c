//! The driver: the task that moves bytes between a connection and the rules, and opens the next connection.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{sleep, sleep_until, timeout};

use crate::client::connect::{Connect, Path};
use crate::client::error::ConnectError;
use crate::client::handshake::{Request, shake};
use crate::client::heard::{self, Farewell};
use crate::client::rules::{Effect, Rules, violation};
use crate::client::shared::{Shared, Wish};
use crate::client::transport::{Link, Turn};
use crate::close::CloseCode;
use crate::wire::codec::RawData;

/// Opens a client's connections.
pub(crate) struct Dialer {
    pub(crate) connect: Box<dyn Connect>,
    pub(crate) authority: String,
    pub(crate) path: Path,
}

impl Dialer {
    /// One attempt: a stream and a handshake on it.
    async fn dial(&self, shared: &Shared) -> Result<Link, ConnectError> {
        let options = &shared.options;
        let format = options.format.name();
        let path = shared.rules(|rules| match rules.resume() {
            Some((token, received)) if !token.is_empty() => self.path.with(&[
                ("format", &format),
                ("resume", &token),
                ("received", &received),
            ]),
            _ => self.path.with(&[("format", &format)]),
        });
        let mut headers = options.headers.clone();
        if let Some(token) = &options.access_token {
            headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
        }
        let request = Request {
            path,
            authority: self.authority.clone(),
            headers,
        };
        let mut random = shared.random(|random| random.clone());
        shared.random(|random| random.next());
        let mut io = self.connect.connect().await?;
        let accepted = shake(&mut io, &request, &mut random).await?;
        Ok(Link::new(io, accepted.rest, options.message_bytes))
    }
}

/// Runs a client until it is closed.
pub(crate) async fn run(shared: Rc<Shared>, dialer: Dialer) {
    let mut pause = Duration::ZERO;
    while let Some(link) = open(&shared, &dialer, pause).await {
        let farewell = attend(&shared, link).await;
        match shared.ended(farewell) {
            Some(next) => pause = next,
            None => break,
        }
    }
    shared.finish();
}

/// Opens the next connection, by as many attempts as it takes. `None` if there is no point in any.
async fn open(shared: &Shared, dialer: &Dialer, mut pause: Duration) -> Option<Link> {
    loop {
        let attempt = async {
            sleep(pause).await;
            let dial = timeout(shared.options.connect_timeout, dialer.dial(shared)).await;
            dial.unwrap_or(Err(ConnectError::TimedOut))
        };
        let error = tokio::select! {
            biased;
            () = until_closing(shared) => return None,
            dialed = attempt => match dialed {
                Ok(link) => return Some(link),
                Err(error) => error,
            },
        };
        tracing::debug!(%error, "a connection could not be opened");
        if !shared.was_welcomed() {
            shared.failed(error);
            return None;
        }
        if !error.is_transient() {
            shared.closed(error.to_string());
            return None;
        }
        let least = match &error {
            ConnectError::Refused { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        pause = shared.ended(lost(&error.to_string()))?.max(least);
    }
}

async fn until_closing(shared: &Shared) {
    while shared.wished() != Wish::Close {
        shared.driver.notified().await;
    }
}

/// Serves one connection until it ends.
async fn attend(shared: &Shared, mut link: Link) -> Farewell {
    shared.rules_mut(Rules::connected);
    let welcome_by = shared.now() + shared.options.connect_timeout;
    loop {
        match shared.wished() {
            Wish::Nothing => {}
            Wish::Cut => return lost("cut by the application"),
            Wish::Close => return say_goodbye(shared, link).await,
        }
        let reads = shared.wants_more();
        let now = shared.now();
        let (is_dead, deadline) = shared.rules_mut(|rules| {
            if !reads {
                rules.heard();
            }
            let is_dead = rules.is_dead(now);
            write(rules, &mut link, now);
            (is_dead, rules.deadline())
        });
        if is_dead {
            return lost("the server has been silent for too long");
        }
        let is_greeted = shared.rules(Rules::is_online);
        if !is_greeted && now >= welcome_by {
            return lost("the server did not welcome the client in time");
        }
        let deadline = if is_greeted { deadline } else { welcome_by };
        tokio::select! {
            biased;
            () = shared.driver.notified() => {}
            turn = link.turn(reads) => match turn {
                Turn::Flushed => {}
                Turn::Sign => shared.rules_mut(Rules::heard),
                Turn::Message(frame) => take(shared, &mut link, frame),
                Turn::Ended(farewell) => return farewell,
            },
            () = sleep_until(shared.moment(deadline)) => {}
        }
    }
}

fn write(rules: &mut Rules, link: &mut Link, now: Duration) {
    while link.has_room() {
        match rules.next_to_write(now) {
            Some(frame) => link.send(frame),
            None => return,
        }
    }
}

fn take(shared: &Shared, link: &mut Link, frame: RawData) {
    let now = shared.now();
    let effects = match heard::read(&frame) {
        Ok(heard) => shared.rules_mut(|rules| rules.receive(now, heard)),
        Err(what) => violation("bad_event", what),
    };
    if let Some(Effect::Break(code, reason)) = shared.apply(effects) {
        link.refuse(code, &reason);
    }
}

fn lost(reason: &str) -> Farewell {
    Farewell {
        code: None,
        reason: reason.to_owned(),
    }
}

/// Sends what is queued and closes, within the time that the options give it. Nothing is handed on any more.
async fn say_goodbye(shared: &Shared, mut link: Link) -> Farewell {
    shared.rules_mut(Rules::leave_all);
    let saying = async {
        loop {
            shared.rules_mut(|rules| write(rules, &mut link, shared.now()));
            if link.is_flushed() && shared.rules(Rules::is_written) {
                link.close(CloseCode::NORMAL, "");
            }
            if let Turn::Ended(farewell) = link.turn(true).await {
                return farewell;
            }
        }
    };
    let said = timeout(shared.options.close_timeout, saying).await;
    said.unwrap_or_else(|_| lost("the server did not answer the close in time"))
}
