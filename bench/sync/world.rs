//! The world that is synchronised: ships that move about.

use std::collections::BTreeMap;

use courtside::{Fixed, Grid};
use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct World {
    pub(crate) round: u32,
    pub(crate) ships: BTreeMap<u32, Ship>,
}

#[derive(Serialize)]
pub(crate) struct Ship {
    pub(crate) x: Fixed<100>,
    pub(crate) y: Fixed<100>,
    angle: Fixed<100>,
    hp: u16,
    name: String,
}

impl World {
    /// So many ships on a plane of that width.
    pub(crate) fn new(ships: u32, width: f64) -> Self {
        let mut chance = Chance(7);
        let ships = (0..ships).map(|id| {
            let ship = Ship {
                x: Fixed::new(chance.next() * width),
                y: Fixed::new(chance.next() * width),
                angle: Fixed::new(chance.next() * std::f64::consts::TAU),
                hp: 100,
                name: format!("ship {id}"),
            };
            (id, ship)
        });
        Self {
            round: 1,
            ships: ships.collect(),
        }
    }

    /// Moves `moving` of the ships; in each tick others.
    pub(crate) fn step(&mut self, tick: u32, moving: u32, grid: Option<&mut Grid<u32>>) {
        let count = self.ships.len() as u32;
        let mut grid = grid;
        for n in 0..moving {
            let id = (tick.wrapping_mul(moving) + n) % count;
            let Some(ship) = self.ships.get_mut(&id) else {
                continue;
            };
            let angle = ship.angle.get() + 0.05;
            ship.angle = angle.into();
            ship.x = (ship.x.get() + angle.cos() * 3.0).into();
            ship.y = (ship.y.get() + angle.sin() * 3.0).into();
            if let Some(grid) = &mut grid {
                grid.place(id, ship.x.get(), ship.y.get());
            }
        }
    }
}

/// The same numbers in each run.
struct Chance(u64);

impl Chance {
    /// From 0 up to 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}
