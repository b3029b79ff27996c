//! Why connections end: the table of close codes, whose ranges say whether a client should reconnect.

use std::fmt;

/// A WebSocket close code.
///
/// WebSocket's own codes (RFC 6455, 7.4.1) keep their meaning.
/// Courtside's codes carry a policy: 4000 to 4499 mean reconnect, with jitter; 4500 to 4999 mean do not.
/// Of these, 4400 to 4499 and 4901 to 4999 are the application's: see [`Disconnect`](crate::Disconnect).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CloseCode(pub u16);

macro_rules! close_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        impl CloseCode {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// Every code with a meaning in the protocol, with its name.
            pub const TABLE: &'static [(Self, &'static str)] = &[$((Self::$name, $text),)*];
        }
    };
}

close_codes! {
    /// A normal close.
    NORMAL = 1000, "normal";
    /// The server stops or the page was left.
    GOING_AWAY = 1001, "going_away";
    /// The peer broke WebSocket's rules.
    PROTOCOL_ERROR = 1002, "protocol_error";
    /// A text message was not UTF-8.
    INVALID_TEXT = 1007, "invalid_text";
    /// A message was longer than [`Limits::message_bytes`](crate::Limits::message_bytes).
    TOO_BIG = 1009, "too_big";
    /// The server failed; the client is not at fault.
    INTERNAL = 1011, "internal";
    /// The server has as many sessions as it may: [`Limits::sessions`](crate::Limits::sessions).
    TRY_LATER = 1013, "try_later";
    /// The server received nothing for too long.
    HEARTBEAT = 4000, "heartbeat";
    /// The client did not read fast enough, and its queue is full.
    SLOW = 4001, "slow";
    /// The server is shutting down; `goodbye` says when to reconnect.
    DRAIN = 4002, "drain";
    /// The session was resumed on another connection.
    SUPERSEDED = 4500, "superseded";
    /// The credential expired or was withdrawn.
    UNAUTHORIZED = 4501, "unauthorized";
    /// Too many frames that are not valid actions.
    VIOLATION = 4502, "violation";
    /// An application's decision.
    KICKED = 4503, "kicked";
}

impl CloseCode {
    /// Whether a client should reconnect after this code.
    #[must_use]
    pub fn comes_back(self) -> bool {
        match self.0 {
            4000..=4499 => true,
            4500..=4999 => false,
            // These would fail again: the policy that refused the client, and the message that was too big.
            1008 | 1009 => false,
            _ => true,
        }
    }

    /// Whether an application may choose this code for a [`Disconnect`](crate::Disconnect). A client that goes away uses 4900.
    pub(crate) fn is_of_application(self) -> bool {
        matches!(self.0, 4400..=4499 | 4901..=4999) || self == Self::KICKED
    }

    /// The code's name in the protocol, or `unknown`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::TABLE
            .iter()
            .find(|(code, _)| *code == self)
            .map_or("unknown", |(_, name)| name)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranges_carry_the_policy() {
        for (code, name) in CloseCode::TABLE {
            if code.0 >= 4000 {
                assert_eq!(code.comes_back(), code.0 < 4500, "{name}");
            }
        }
        for (code, comes_back) in [(4400, true), (4499, true), (4901, false), (4999, false)] {
            let code = CloseCode(code);
            assert!(
                code.is_of_application() && code.comes_back() == comes_back,
                "{code}"
            );
        }
        let of_application = CloseCode::TABLE
            .iter()
            .filter(|(c, _)| c.is_of_application());
        assert_eq!(
            of_application.collect::<Vec<_>>(),
            [&(CloseCode::KICKED, "kicked")]
        );
        assert!(CloseCode::TRY_LATER.comes_back());
        assert!(
            !CloseCode::TOO_BIG.comes_back(),
            "the same message would be too big again"
        );
    }
}
