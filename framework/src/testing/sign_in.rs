//! What a client shows of itself, for tests of the application's `authenticate`.

use std::fmt;
use std::net::IpAddr;

use actix_web::cookie::Cookie;
use actix_web::test::TestRequest;

use crate::address::ClientAddress;
use crate::handler::AppData;
use crate::runtime::sign_in::SignIn;
use crate::testing::Data;

/// Makes a [`SignIn`], so that a test can call the function that [`ServerBuilder::authenticate`](crate::ServerBuilder::authenticate)
/// gets, without a server.
///
/// ```
/// use courtside::prelude::*;
/// use courtside::testing::{Data, TestSignIn};
///
/// struct Guests(bool);
///
/// async fn authenticate(sign_in: &SignIn) -> Result<Identity<String>, Refusal> {
///     match sign_in.cookie("pass") {
///         Some(name) => Ok(Identity::new(name.clone()).subject(name)),
///         None if sign_in.data::<Guests>().0 => Ok(Identity::new("a guest".to_owned())),
///         None => Err(Refusal::new("no_pass", "sign in")),
///     }
/// }
///
/// # courtside::testing::run(async {
/// let ann = TestSignIn::request().cookie("pass", "ann").build();
/// let ann = authenticate(&ann).await.unwrap();
/// assert_eq!((ann.claims().as_str(), ann.subject_id()), ("ann", Some("ann")));
///
/// let closed = TestSignIn::request().data(Data::default().with(Guests(false))).build();
/// assert_eq!(authenticate(&closed).await.unwrap_err().code(), "no_pass");
/// # });
/// ```
#[derive(Default)]
pub struct TestSignIn {
    token: Option<String>,
    /// `None`: the client refreshes its credential.
    request: Option<TestRequest>,
    query: String,
    address: Option<ClientAddress>,
    data: Data,
}

impl fmt::Debug for TestSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSignIn").finish_non_exhaustive()
    }
}

impl TestSignIn {
    /// A request for a connection, without a token, headers, cookies and query, from an unknown address.
    #[must_use]
    pub fn request() -> Self {
        Self {
            request: Some(TestRequest::default()),
            ..Self::default()
        }
    }

    /// A client that shows a fresh token during its session. There is no request then: headers, cookies and the query are ignored.
    #[must_use]
    pub fn refresh(token: impl Into<String>) -> Self {
        Self {
            token: Some(token.into()),
            ..Self::default()
        }
    }

    /// Sets the token, as a client of this crate sends it. Default: none. A header `Authorization: Bearer …` has precedence.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Adds a header.
    ///
    /// # Panics
    ///
    /// [`build`](Self::build) panics if the name or the value cannot be that of a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.map(|r| r.append_header((name, value)));
        self
    }

    /// Adds a cookie, whose value is not encoded.
    #[must_use]
    pub fn cookie(mut self, name: &str, value: &str) -> Self {
        let cookie = Cookie::new(name.to_owned(), value.to_owned());
        self.request = self.request.map(|request| request.cookie(cookie));
        self
    }

    /// Sets the query, as it stands in the address behind the `?`. Default: empty.
    #[must_use]
    pub fn query(mut self, query: &str) -> Self {
        query.clone_into(&mut self.query);
        self
    }

    /// Sets the client's address. Default: unknown.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        self.address = Some(ClientAddress::new(address));
        self
    }

    /// Sets the values that [`SignIn::data`] returns. Default: none.
    #[must_use]
    pub fn data(mut self, data: Data) -> Self {
        self.data = data;
        self
    }

    /// What the application's function receives.
    #[must_use]
    pub fn build(self) -> SignIn {
        let data = AppData::new(self.data.0);
        match self.request {
            Some(request) => {
                let request = request.uri(&format!("/ws?{}", self.query));
                SignIn::of_request(&request.to_http_request(), self.token, self.address, data)
            }
            None => SignIn::of_refresh(self.token.unwrap_or_default(), self.address, data),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_request_has_what_it_was_given() {
        let sign_in = TestSignIn::request()
            .token("from the query")
            .header("X-Team", "red")
            .header("X-Team", "blue")
            .cookie("pass", "a b")
            .cookie("other", "c")
            .query("room=7%2F8&access_token=ignored")
            .address("192.0.2.7".parse().unwrap())
            .data(Data::default().with(7_u8))
            .build();
        assert_eq!(sign_in.token(), Some("from the query"));
        assert_eq!(sign_in.header("x-team"), Some("red"));
        assert_eq!(sign_in.cookie("pass").as_deref(), Some("a b"));
        assert_eq!(sign_in.cookie("other").as_deref(), Some("c"));
        assert_eq!(sign_in.query("room").as_deref(), Some("7/8"));
        assert_eq!(sign_in.address().unwrap().ip().to_string(), "192.0.2.7");
        assert_eq!(sign_in.data::<u8>(), Arc::new(7));
    }

    #[test]
    fn a_header_has_precedence_over_the_token_of_the_query() {
        let sign_in = TestSignIn::request().token("query");
        let sign_in = sign_in.header("Authorization", "Bearer header").build();
        assert_eq!(sign_in.token(), Some("header"));
    }

    #[test]
    fn a_refresh_has_only_the_token() {
        let refresh = TestSignIn::refresh("fresh").header("x", "y");
        let refresh = refresh.cookie("pass", "ann").query("room=7").build();
        assert_eq!(refresh.token(), Some("fresh"));
        assert_eq!((refresh.header("x"), refresh.cookie("pass")), (None, None));
        assert_eq!((refresh.query("room"), refresh.address()), (None, None));
    }
}
