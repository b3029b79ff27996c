//! What a client shows of itself to be accepted.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, web};

use crate::address::ClientAddress;
use crate::handler::AppData;

/// What a client shows of itself: what [`ServerBuilder::authenticate`](crate::ServerBuilder::authenticate) decides by.
///
/// With a request for a connection come its headers, its cookies and its query. When a client refreshes its credential during a
/// session, there is no request: then only the [token](Self::token), the [address](Self::address) and the application's
/// [data](Self::data) are there.
pub struct SignIn {
    token: Option<String>,
    request: Option<HttpRequest>,
    address: Option<ClientAddress>,
    data: AppData,
}

impl SignIn {
    /// `token`: the one in the query. One in the headers has precedence.
    pub(crate) fn of_request(
        request: &HttpRequest,
        token: Option<String>,
        address: Option<ClientAddress>,
        data: AppData,
    ) -> Self {
        Self {
            token: bearer(request).map(str::to_owned).or(token),
            request: Some(request.clone()),
            address,
            data,
        }
    }

    /// A client shows a fresh token during its session.
    pub(crate) fn of_refresh(token: String, address: Option<ClientAddress>, data: AppData) -> Self {
        Self {
            token: Some(token),
            request: None,
            address,
            data,
        }
    }

    /// The client's token: from the header `Authorization: Bearer …`, else from `access_token` in the query, which is where the
    /// clients of this crate send it; on a refresh, from the action.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// A header of the request; the first one, if there are several of the name. `None` also if it is not visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.as_ref()?.headers().get(name)?.to_str().ok()
    }

    /// The value of a cookie of the request, without percent-encoding.
    ///
    /// Browsers send cookies with requests of any page. By default, only pages of the server's own host may connect; see
    /// [`ServerBuilder::allow_origin`](crate::ServerBuilder::allow_origin) before you allow others.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        let cookie = self.request.as_ref()?.cookie(name)?;
        Some(cookie.value().to_owned())
    }

    /// A parameter of the request's query, without percent-encoding; the first one, if there are several of the name.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        let query = self.request.as_ref()?.query_string();
        let query = web::Query::<Vec<(String, String)>>::from_query(query).ok()?;
        let mut pairs = query.into_inner().into_iter();
        pairs.find_map(|(known, value)| (known == name).then_some(value))
    }

    /// The client's address: see [`ServerBuilder::trust_proxy`](crate::ServerBuilder::trust_proxy). `None` if it is unknown. On a
    /// refresh, it is the address from which the session began.
    #[must_use]
    pub fn address(&self) -> Option<ClientAddress> {
        self.address
    }

    /// A value that the application passed to [`ServerBuilder::data`](crate::ServerBuilder::data).
    ///
    /// # Panics
    ///
    /// If no `T` was passed. The log names the type, and the client is refused with `internal`.
    #[must_use]
    #[track_caller]
    pub fn data<T: Any + Send + Sync>(&self) -> Arc<T> {
        self.data.require()
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the token and the request's headers, which are secrets.
        f.debug_struct("SignIn")
            .field("address", &self.address)
            .field("is_refresh", &self.request.is_none())
            .finish_non_exhaustive()
    }
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?;
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
