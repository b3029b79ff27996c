//! The client whose action a channel's hook decides on.

use std::fmt;

use crate::app_data::AppData;
use crate::caller::Caller;
use crate::ids::ChannelName;

/// A client, the channel that its action is for, and what the application has given the server.
pub(crate) struct Asker {
    pub(crate) caller: Caller,
    pub(crate) channel: ChannelName,
    /// The parameters of the channel's pattern, and what stands for them in its name.
    pub(crate) params: Vec<(String, String)>,
    pub(crate) app: AppData,
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker")
            .field("session", &self.caller.session)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

impl Asker {
    #[track_caller]
    pub(super) fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(known, _)| known == name);
        match found {
            Some((_, value)) => value,
            None => panic!(
                "the pattern of the channel `{}` has no parameter `{name}`: write `{{{name}}}` in it",
                self.channel
            ),
        }
    }
}

/// Writes the methods that all hooks' parameters have.
macro_rules! asker_methods {
    ($owner:ident $(<$param:ident>)?) => {
        impl $(<$param>)? $owner $(<$param>)? {
            /// The client's session.
            #[must_use]
            pub fn session(&self) -> SessionId {
                self.asker.caller.session
            }

            /// The claims that [`ServerBuilder::authenticate`](crate::ServerBuilder::authenticate) returned for the client.
            ///
            /// # Panics
            ///
            /// If the claims are of another type. The log names both types, and the client receives the error `internal`.
            #[must_use]
            #[track_caller]
            pub fn claims<Claims: Any>(&self) -> &Claims {
                self.asker.caller.claims()
            }

            /// Who the client is, as [`Identity::subject`](crate::Identity::subject) says. `None`: nobody known.
            #[must_use]
            pub fn subject(&self) -> Option<&str> {
                self.asker.caller.subject()
            }

            /// The channel.
            #[must_use]
            pub fn channel(&self) -> &str {
                self.asker.channel.as_str()
            }

            /// What stands in the channel's name for a parameter of its pattern: for `match/{id}` and the channel `match/7`,
            /// `param("id")` is `7`. The client chose it.
            ///
            /// # Panics
            ///
            /// If the pattern has no such parameter. The log says so, and the client receives the error `internal`.
            #[must_use]
            #[track_caller]
            pub fn param(&self, name: &str) -> &str {
                self.asker.param(name)
            }

            /// A value that the application passed to [`ServerBuilder::data`](crate::ServerBuilder::data).
            ///
            /// # Panics
            ///
            /// If no such value was passed. The log names the type, and the client receives the error `internal`.
            #[must_use]
            #[track_caller]
            pub fn app<App: Any + Send + Sync>(&self) -> Arc<App> {
                self.asker.app.require()
            }
        }
    };
}

pub(super) use asker_methods;
