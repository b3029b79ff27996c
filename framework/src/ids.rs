//! Names and ids: newtypes, so that a room's id cannot be confused with a channel's name.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// For maps by ids that the server itself has created. Names that clients choose need the standard library's hasher, for which
/// clients cannot cause collisions.
pub(crate) type IdHasher = foldhash::fast::RandomState;

/// Identifies a session: one client's identity across all its connections.
///
/// It is not secret; the resume token is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(Uuid);

impl SessionId {
    /// A new, random id.
    pub(crate) fn random() -> Self {
        Self(Uuid::new_v4())
    }

    pub(crate) const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The id as a UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identifies a member within its room; never reused in the same room.
///
/// On the wire it is a small integer, so it is cheap to use as a key in a state or as the sender of a chat line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub(crate) u32);

impl MemberId {
    /// The id as a number, 1 for a room's first member.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Allows passing a borrowed list of ids to [`RoomContext::among`](crate::RoomContext::among).
impl From<&MemberId> for MemberId {
    fn from(member: &MemberId) -> Self {
        *member
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! shared_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text, as on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::from)
            }
        }
    };
}

shared_name! {
    /// Identifies a room on a server.
    ///
    /// Ids that the lobby creates are 12 letters and digits: short, because each of a room's frames contains the id.
    RoomId
}

shared_name! {
    /// A channel's name, such as `updates` or `match/1930-final`.
    ChannelName
}

/// The longest id that the application may give a room.
const LONGEST_ID: usize = 64;

/// The letters of a room's code: consonants, so that no code is a word, and none that sounds or looks like another.
const CODE: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

impl RoomId {
    /// A new, random id: 60 bits in Crockford's base 32, which has no letters that look like digits.
    pub(crate) fn random() -> Self {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        Self::of_letters(ALPHABET, 12)
    }

    /// A new, random code that people can read out and type: six capital letters, such as `KRTWDB`. There are 64 million.
    ///
    /// It is an id for [`CreateRoom::id`](crate::CreateRoom::id). A code that is short can be guessed: what a client tries at random
    /// is bounded.
    ///
    /// ```
    /// # use courtside::RoomId;
    /// assert_eq!(RoomId::code().as_str().len(), 6);
    /// ```
    #[must_use]
    pub fn code() -> Self {
        Self::of_letters(CODE, 6)
    }

    fn of_letters<const N: usize>(letters: &[u8; N], length: usize) -> Self {
        let mut random = Uuid::new_v4().as_u128();
        let id: String = (0..length)
            .map(|_| {
                let letter = letters[(random % N as u128) as usize];
                random /= N as u128;
                char::from(letter)
            })
            .collect();
        Self::from(id)
    }

    /// Whether the application may give a room this id.
    pub(crate) fn is_good(&self) -> bool {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        (1..=LONGEST_ID).contains(&self.0.len()) && self.0.bytes().all(is_good)
    }
}

/// Identifies a listing of rooms that clients follow; never used again by the same server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ListingId(pub(crate) u64);

impl ListingId {
    /// Before all ids that listings have.
    pub(crate) const FIRST: Self = Self(0);
}

/// A room or a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Room(RoomId),
    Channel(ChannelName),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_id_is_short_and_new_each_time() {
        let (a, b) = (RoomId::random(), RoomId::random());
        assert_eq!(a.as_str().len(), 12);
        assert_ne!(a, b);
    }

    #[test]
    fn a_code_has_no_letters_that_could_be_mistaken() {
        for _ in 0..100 {
            let code = RoomId::code();
            assert!(code.is_good() && code.as_str().len() == 6);
            assert!(!code.as_str().contains(['A', 'E', 'I', 'O', 'U', '0', '1']));
        }
        assert!(RoomId::from("Final_2026-11").is_good());
        for bad in ["", "a b", "é", "a/b", &"a".repeat(65)] {
            assert!(!RoomId::from(bad).is_good(), "{bad}");
        }
    }
}
