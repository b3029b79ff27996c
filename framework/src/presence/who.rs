//! Who is present.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::ids::SessionId;

/// One entry of a list: a subject with all its sessions, or a session without a subject.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Who {
    Subject(Arc<str>),
    Session(SessionId),
}

impl Who {
    pub(crate) fn new(subject: Option<&Arc<str>>, session: SessionId) -> Self {
        match subject {
            Some(subject) => Self::Subject(subject.clone()),
            None => Self::Session(session),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(subject) => f.write_str(subject),
            Self::Session(session) => session.fmt(f),
        }
    }
}

impl Serialize for Who {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Subject(subject) => serializer.serialize_str(subject),
            Self::Session(session) => session.serialize(serializer),
        }
    }
}
