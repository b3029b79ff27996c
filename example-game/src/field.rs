//! The field: four walls and the pylons between them.

use serde::Serialize;

use crate::vector::Vector;

/// A round obstacle that stops ships and shots.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pylon {
    /// Its middle.
    pub center: Vector,
    /// From the middle to the rim.
    pub radius: f32,
}

/// A rectangle from the origin to (`width`, `height`), with walls that ships bounce off.
#[derive(Clone, Debug)]
pub struct Field {
    /// The wall to the right stands here.
    pub width: f32,
    /// The wall at the bottom stands here.
    pub height: f32,
    /// The obstacles, at fixed places.
    pub pylons: Vec<Pylon>,
}

/// The field as clients receive it, in whole units.
#[derive(Clone, Debug, Serialize)]
pub struct FieldView {
    width: i32,
    height: i32,
    /// x, y and radius of each pylon.
    pylons: Vec<[i32; 3]>,
}

impl Default for Field {
    fn default() -> Self {
        let pylon = |x, y, radius| Pylon {
            center: Vector::new(x, y),
            radius,
        };
        Self {
            width: 2400.0,
            height: 1600.0,
            pylons: vec![
                pylon(1200.0, 800.0, 120.0),
                pylon(560.0, 430.0, 74.0),
                pylon(1840.0, 430.0, 74.0),
                pylon(560.0, 1170.0, 74.0),
                pylon(1840.0, 1170.0, 74.0),
                pylon(1200.0, 250.0, 48.0),
                pylon(1200.0, 1350.0, 48.0),
            ],
        }
    }
}

impl Field {
    /// A field without pylons, for tests of what happens in the open.
    pub fn open(width: f32, height: f32) -> Self {
        Self {
            width,
            height,
            pylons: Vec::new(),
        }
    }

    /// The field as clients receive it.
    pub fn view(&self) -> FieldView {
        FieldView {
            width: self.width as i32,
            height: self.height as i32,
            pylons: self
                .pylons
                .iter()
                .map(|pylon| {
                    [
                        pylon.center.x as i32,
                        pylon.center.y as i32,
                        pylon.radius as i32,
                    ]
                })
                .collect(),
        }
    }

    /// Whether a disc lies inside the walls and clear of every pylon.
    pub fn is_clear(&self, at: Vector, radius: f32) -> bool {
        let inside = at.x >= radius
            && at.y >= radius
            && at.x <= self.width - radius
            && at.y <= self.height - radius;
        inside
            && self
                .pylons
                .iter()
                .all(|pylon| pylon.center.distance(at) >= pylon.radius + radius)
    }

    /// How far along the way from `from` to `to` a point is stopped by a wall or a pylon: from 0 to 1, or none.
    pub fn first_obstacle(&self, from: Vector, to: Vector) -> Option<f32> {
        let way = to - from;
        let walls = [
            wall_crossing(from.x, way.x, self.width),
            wall_crossing(from.y, way.y, self.height),
        ];
        let pylons = self
            .pylons
            .iter()
            .map(|pylon| disc_entry(from, to, pylon.center, pylon.radius));
        walls
            .into_iter()
            .chain(pylons)
            .flatten()
            .min_by(f32::total_cmp)
    }
}

fn wall_crossing(from: f32, way: f32, end: f32) -> Option<f32> {
    let to = from + way;
    if to < 0.0 {
        Some((-from / way).clamp(0.0, 1.0))
    } else if to > end {
        Some(((end - from) / way).clamp(0.0, 1.0))
    } else {
        None
    }
}

/// How far along the way from `from` to `to` a point enters a disc: from 0 to 1, or none.
/// The whole path is tested, not only its end, so that a fast shot cannot jump over a ship between two ticks.
pub fn disc_entry(from: Vector, to: Vector, center: Vector, radius: f32) -> Option<f32> {
    let way = to - from;
    let offset = from - center;
    let outside = offset.dot(offset) - radius * radius;
    if outside <= 0.0 {
        return Some(0.0);
    }
    let a = way.dot(way);
    let b = offset.dot(way);
    let discriminant = b * b - a * outside;
    if a <= f32::EPSILON || b >= 0.0 || discriminant < 0.0 {
        return None;
    }
    let entry = (-b - discriminant.sqrt()) / a;
    (0.0..=1.0).contains(&entry).then_some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_point_does_not_jump_over_a_thin_disc() {
        let entry = disc_entry(
            Vector::ZERO,
            Vector::new(1000.0, 0.0),
            Vector::new(500.0, 0.0),
            10.0,
        );
        assert!((entry.expect("it crosses the disc") - 0.49).abs() < 1e-3);
        assert_eq!(
            disc_entry(
                Vector::ZERO,
                Vector::new(1000.0, 0.0),
                Vector::new(500.0, 11.0),
                10.0
            ),
            None
        );
        assert_eq!(
            disc_entry(
                Vector::ZERO,
                Vector::new(100.0, 0.0),
                Vector::new(500.0, 0.0),
                10.0
            ),
            None
        );
    }

    #[test]
    fn the_first_obstacle_is_the_nearest_one() {
        let field = Field::default();
        let from = Vector::new(900.0, 800.0);
        let hit = field.first_obstacle(from, from + Vector::new(2000.0, 0.0));
        assert!((hit.expect("the pylon stands in the way") - 0.09).abs() < 1e-3);
        assert_eq!(
            field.first_obstacle(from, from + Vector::new(-100.0, 0.0)),
            None
        );
    }
}
