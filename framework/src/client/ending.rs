//! How a client ends its session, so that its seats are free at once: by closing its connection, or, where it has none, by
//! telling the server so on a new one.

use std::pin::pin;

use tokio::time::{sleep, timeout};

use crate::client::driver::{Dialer, receive, write};
use crate::client::error::ConnectError;
use crate::client::random::Random;
use crate::client::rules::Rules;
use crate::client::shared::Shared;
use crate::client::socket::{ClientSocket, SocketEvent};
use crate::close::CloseCode;

/// Ends the client's session. Whoever waits for the end of the client waits for `close_timeout` at the longest; what takes longer
/// goes on in the background, until the server itself has ended the session.
pub(crate) async fn end(shared: &Shared, dialer: &Dialer, socket: Option<ClientSocket>) {
    let mut ending = pin!(async {
        let is_done = match socket {
            Some(socket) => say_goodbye(shared, socket).await,
            None => false,
        };
        if !is_done {
            end_from_afar(shared, dialer).await;
        }
    });
    if timeout(shared.options.close_timeout, &mut ending)
        .await
        .is_err()
    {
        shared.finish();
        ending.await;
    }
}

/// Sends what is queued and closes. True if the server has confirmed it, or will not have the client back.
/// Nothing is handed on any more.
async fn say_goodbye(shared: &Shared, mut socket: ClientSocket) -> bool {
    let saying = async {
        loop {
            shared.rules_mut(|rules| write(rules, &mut socket, shared.now()));
            if socket.is_flushed() && shared.rules(Rules::is_written) {
                socket.close(CloseCode::NORMAL, "");
            }
            match socket.next(true).await {
                // What was missed is not handed on, but nothing can be sent before the welcome has come.
                SocketEvent::Message(frame) if !shared.rules(Rules::is_online) => {
                    drop(receive(shared, &frame));
                }
                SocketEvent::Message(_) | SocketEvent::Flushed | SocketEvent::Activity => {}
                SocketEvent::Closed(farewell) => return farewell.code,
            }
        }
    };
    let code = timeout(shared.options.close_timeout, saying).await;
    code.ok().flatten().is_some_and(is_final)
}

/// Tells the server that the session has ended, as often as it takes, and as long as the server keeps the session.
async fn end_from_afar(shared: &Shared, dialer: &Dialer) {
    while let Some(left) = shared.rules_mut(|rules| rules.time_left(shared.now())) {
        let most = shared.options.connect_timeout;
        let most = shared.rules(|rules| rules.attempt_time(shared.now(), most));
        if let Ok(true) = timeout(most.min(left), end_once(shared, dialer)).await {
            return;
        }
        let random = shared.random(Random::fraction);
        let pause = shared.rules_mut(|rules| rules.pause(shared.now(), random));
        sleep(pause).await;
    }
}

/// One attempt. True if there is no need for another, or no use in one.
async fn end_once(shared: &Shared, dialer: &Dialer) -> bool {
    let mut socket = match dialer.dial(shared, true).await {
        Ok(socket) => socket,
        Err(ConnectError::Refused { status: 401, .. }) => return true,
        Err(error) => return !error.is_transient(),
    };
    loop {
        match socket.next(true).await {
            // A welcome, from a server that does not know the request: closing its connection ends the session as well.
            SocketEvent::Message(_) => socket.close(CloseCode::NORMAL, ""),
            SocketEvent::Flushed | SocketEvent::Activity => {}
            SocketEvent::Closed(farewell) => return farewell.code.is_some_and(is_final),
        }
    }
}

/// Whether the session has ended, or is none of this client's business any more.
fn is_final(code: CloseCode) -> bool {
    code == CloseCode::NORMAL || !code.comes_back()
}
