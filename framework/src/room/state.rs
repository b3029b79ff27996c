//! The state and the views of a room: values of any type that serde can serialise.

use std::fmt;

use serde::Serialize;

use crate::ids::MemberId;
use crate::sync::tree::{Tree, Version};
use crate::wire::codec::CodecError;

/// The state that [`Room::state`](crate::Room::state) shows to all members.
///
/// A state has JSON's model: objects with text keys, arrays, texts, numbers and booleans. A key whose value is null is absent.
///
/// Two kinds of values do not fit this model and cannot be sent: a map whose keys are neither texts nor numbers, and an enum variant
/// around null, because nothing would be left of it. Then the log names the place, and each member receives the error
/// `state_unavailable`, once each.
pub struct State<'a>(Option<Box<dyn Show + 'a>>);

impl<'a> State<'a> {
    /// No state.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// The state is this value, by reference or owned.
    pub fn of(value: impl Serialize + 'a) -> Self {
        Self(Some(Box::new(value)))
    }

    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Compares the state with `tree`, and notes the differences there. True if there are any.
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

/// The view that [`Room::view`](crate::Room::view) adds to the shared state for one member.
///
/// Where there is a view, both the view and the shared state must be objects, and no key may be in both. Otherwise the member
/// receives the error `state_unavailable` instead of a state.
///
/// ```
/// use courtside::View;
/// use std::collections::BTreeMap;
///
/// # struct Game { hands: BTreeMap<u32, Vec<u8>>, team_of: BTreeMap<u32, u64>, plans: BTreeMap<u64, String> }
/// # #[derive(serde::Serialize)] struct Hand<'a> { hand: Option<&'a Vec<u8>> }
/// # #[derive(serde::Serialize)] struct Plan<'a> { plan: Option<&'a String> }
/// # impl Game {
/// /// By owner: each player sees its own hand.
/// fn own(&self, player: u32) -> View<'_> {
///     View::of(Hand { hand: self.hands.get(&player) })
/// }
///
/// /// By team: the members of a team share one view, and one encoding.
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
    /// No view: the member sees the shared state only.
    #[must_use]
    pub fn none() -> Self {
        Self {
            group: None,
            state: State::none(),
        }
    }

    /// A value that only this member sees.
    pub fn of(value: impl Serialize + 'a) -> Self {
        Self {
            group: None,
            state: State::of(value),
        }
    }

    /// A value that all members of this group see. Pass the same value for all of them: it is compared and encoded once.
    /// A member that changes its group receives a whole state.
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

/// Members with equal keys see the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) enum ViewKey {
    /// The shared state only.
    #[default]
    Shared,
    Group(u64),
    Own(MemberId),
}

/// Hides the type of a value that is compared with a tree.
/// The method is not generic, so hiding the type costs one dynamic call.
trait Show {
    fn update(&self, tree: &mut Tree, version: Version) -> Result<bool, CodecError>;
}

impl<T: Serialize> Show for T {
    fn update(&self, tree: &mut Tree, version: Version) -> Result<bool, CodecError> {
        tree.update(self, version)
    }
}
