//! Events of the simulation.

use crate::pickup::PickupKind;
use crate::ship::ShipId;
use crate::vector::Vector;

/// An event of a step. A step returns its events in order.
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
        /// Whether a shield stopped it.
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
