//! What a room shows: any type that serde can serialise.

use std::fmt;

use serde::Serialize;

use crate::ids::MemberId;
use crate::sync::tree::{Tree, Version};
use crate::wire::codec::CodecError;

/// What [`Room::state`](crate::Room::state) shows to members.
///
/// Its model is JSON's: objects with text keys, arrays, texts, numbers, booleans. A key whose value is null is absent.
///
/// A value that is not in this model cannot be sent: a map whose keys are neither texts nor numbers, and an enum's variant around
/// null, of which nothing would be left. The log names the place once, and each member gets the error `state_unavailable` once.
pub struct State<'a>(Option<Box<dyn Show + 'a>>);

impl<'a> State<'a> {
    /// The room shows no state.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Shows a value, by reference or owned.
    pub fn of(value: impl Serialize + 'a) -> Self {
        Self(Some(Box::new(value)))
    }

    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Notes in `tree` what is different.
    pub(crate) fn update(&self, tree: &mut Tree, version: Version) -> Result<bool, CodecError> {
        match &self.0 {
            Some(state) => state.update(tree, version),
            None => tree.update(&(), version),
        }
    }
}

impl fmt::Debug for State<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_none() {
            "State(none)"
        } else {
            "State(…)"
        })
    }
}

/// What [`Room::view`](crate::Room::view) shows to one member beside the shared state.
///
/// A view is an object, as the shared state is then; a key must not be in both. Otherwise the member is sent no state but the
/// error `state_unavailable`.
///
/// ```
/// use courtside::View;
/// use std::collections::BTreeMap;
///
/// # struct Game { hands: BTreeMap<u32, Vec<u8>>, team_of: BTreeMap<u32, u64>, plans: BTreeMap<u64, String> }
/// # #[derive(serde::Serialize)] struct Hand<'a> { hand: Option<&'a Vec<u8>> }
/// # #[derive(serde::Serialize)] struct Plan<'a> { plan: Option<&'a String> }
/// # impl Game {
/// /// By owner: each sees its own hand.
/// fn own(&self, player: u32) -> View<'_> {
///     View::of(Hand { hand: self.hands.get(&player) })
/// }
///
/// /// By team: those of a team share one view, and one encoding.
/// fn of_team(&self, player: u32) -> View<'_> {
///     let team = self.team_of[&player];
///     View::group(team, Plan { plan: self.plans.get(&team) })
/// }
/// # }
/// ```
///
/// For views by distance there are [`Grid`](crate::Grid), which finds what is near, and [`Subset`](crate::Subset), which shows that
/// part of a map.
pub struct View<'a> {
    group: Option<u64>,
    state: State<'a>,
}

impl<'a> View<'a> {
    /// The member sees the shared state and nothing else.
    #[must_use]
    pub fn none() -> Self {
        Self {
            group: None,
            state: State::none(),
        }
    }

    /// Something that only this member sees.
    pub fn of(value: impl Serialize + 'a) -> Self {
        Self {
            group: None,
            state: State::of(value),
        }
    }

    /// Something that all members with this group see: the same value for all of them. It is looked at and encoded once.
    /// A member that changes its group gets a whole state.
    pub fn group(group: u64, value: impl Serialize + 'a) -> Self {
        Self {
            group: Some(group),
            state: State::of(value),
        }
    }

    pub(crate) fn view_key(&self, member: MemberId) -> ViewKey {
        match (self.state.is_none(), self.group) {
            (true, _) => ViewKey::Shared,
            (false, Some(group)) => ViewKey::Group(group),
            (false, None) => ViewKey::Own(member),
        }
    }

    pub(crate) fn update(&self, tree: &mut Tree, version: Version) -> Result<bool, CodecError> {
        self.state.update(tree, version)
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("group", &self.group)
            .field("state", &self.state)
            .finish()
    }
}

/// Who sees the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) enum ViewKey {
    /// Those who see the shared state and nothing else.
    #[default]
    Shared,
    Group(u64),
    Own(MemberId),
}

/// The seam to the walk over a value of whatever type.
/// The method is concrete, so that one dynamic call is all that hiding the type costs.
trait Show {
    fn update(&self, tree: &mut Tree, version: Version) -> Result<bool, CodecError>;
}

impl<T: Serialize> Show for T {
    fn update(&self, tree: &mut Tree, version: Version) -> Result<bool, CodecError> {
        tree.update(self, version)
    }
}
