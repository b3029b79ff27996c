//! Asks the application about a client's credential, within the time that this may take.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::claims::{Claims, Expiry, Identity};
use crate::error::Refusal;
use crate::runtime::sign_in::SignIn;
use crate::session::quota::LogQuota;
use crate::time::{Moment, after, if_ever};

/// The application's function, without the type of its claims.
type Authenticate = Box<dyn for<'a> Fn(&'a SignIn) -> Pending<'a> + Send + Sync>;

/// The future of the application's answer. Runs on the client's own thread.
type Pending<'a> = Pin<Box<dyn Future<Output = Result<(Claims, Option<Expiry>), Refusal>> + 'a>>;

/// How a server finds out who its clients are.
#[derive(Default)]
pub(crate) struct Authentication {
    /// `None`: every client is accepted.
    authenticate: Option<Authenticate>,
    log: LogQuota,
}

/// A client that the application accepts.
#[derive(Clone, Default, Debug)]
pub(crate) struct Accepted {
    pub(crate) claims: Claims,
    /// When its credential expires, on the server's clock. `None`: never.
    pub(crate) expires: Option<Moment>,
}

/// Why a client is not accepted.
#[derive(Debug)]
pub(crate) enum Unaccepted {
    /// The application refuses it, or its credential has expired.
    Refused(Refusal),
    /// The application did not answer in time. The code is `authentication_timeout`.
    Late(Refusal),
}

impl Authentication {
    pub(crate) fn by<C, F>(authenticate: F) -> Self
    where
        C: Serialize + DeserializeOwned + Send + Sync + 'static,
        F: AsyncFn(&SignIn) -> Result<Identity<C>, Refusal> + Send + Sync + 'static,
    {
        let authenticate = std::sync::Arc::new(authenticate);
        Self {
            authenticate: Some(Box::new(move |sign_in| {
                let authenticate = authenticate.clone();
                Box::pin(async move { Ok(authenticate(sign_in).await?.into_parts()) })
            })),
            log: LogQuota::default(),
        }
    }

    /// Asks about a client, for at most `patience`. `now` is the server's clock.
    pub(crate) async fn ask(
        &self,
        sign_in: &SignIn,
        patience: Duration,
        now: impl Fn() -> Duration,
    ) -> Result<Accepted, Unaccepted> {
        let Some(authenticate) = &self.authenticate else {
            return Ok(Accepted::default());
        };
        // The function itself may panic, too, before it returns its future.
        let asked = AssertUnwindSafe(async { authenticate(sign_in).await }).catch_unwind();
        let Ok(outcome) = timeout(patience, asked).await else {
            if let Some(left_out) = self.log.take(now()) {
                tracing::warn!(
                    left_out,
                    "an authentication took longer than `Config::authentication` allows"
                );
            }
            let refusal = Refusal::new(
                "authentication_timeout",
                "checking the credential took too long",
            );
            return Err(Unaccepted::Late(refusal));
        };
        let outcome = outcome.unwrap_or_else(|_| {
            tracing::error!("`authenticate` panicked");
            Err(Refusal::failed())
        });
        let accepted = outcome.and_then(|(claims, expiry)| {
            let left = expiry.map(|expiry| expiry.left(SystemTime::now()));
            if left == Some(Duration::ZERO) {
                return Err(expired());
            }
            let expires = left.and_then(if_ever).map(|left| after(now(), left).into());
            Ok(Accepted { claims, expires })
        });
        accepted.map_err(|refusal| {
            if let Some(left_out) = self.log.take(now()) {
                let address = sign_in.address().map(tracing::field::display);
                tracing::warn!(%refusal, address, left_out, "`authenticate` refused a client");
            }
            Unaccepted::Refused(refusal)
        })
    }
}

/// The refusal of a credential that was good, and is not any more.
pub(crate) fn expired() -> Refusal {
    Refusal::new("expired", "the credential has expired")
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication")
            .field("is_asked", &self.authenticate.is_some())
            .finish_non_exhaustive()
    }
}
