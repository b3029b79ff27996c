//! What happens in the simulation.

use crate::pickup::PickupKind;
use crate::ship::ShipId;
use crate::vector::Vector;

/// What happened in a step, in the order in which it happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Happening {
    /// A shot met a ship.
    Hit {
        /// The ship that was met.
        ship: ShipId,
        /// The ship that had fired.
        by: ShipId,
        /// Where.
        at: Vector,
        /// A shield took it.
        absorbed: bool,
    },
    /// A ship's hull is gone.
    Destroyed {
        /// The ship that was destroyed.
        ship: ShipId,
        /// The ship that had fired.
        by: ShipId,
        /// Where.
        at: Vector,
    },
    /// A ship flew into a pickup.
    Picked {
        /// The ship.
        ship: ShipId,
        /// What it got.
        kind: PickupKind,
        /// Where.
        at: Vector,
    },
}
