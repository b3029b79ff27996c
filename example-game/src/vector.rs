//! Points and directions on the plane.

use std::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};

/// A point, a direction or a velocity; the unit is the field's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vector {
    /// Grows to the right.
    pub x: f32,
    /// Grows downward, as on a canvas.
    pub y: f32,
}

impl Vector {
    /// The origin, and the vector without a direction.
    pub const ZERO: Self = Self { x: 0.0, y: 0.0 };

    /// A vector of two coordinates.
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// The unit vector that points along `angle`, in radians.
    pub fn along(angle: f32) -> Self {
        Self::new(angle.cos(), angle.sin())
    }

    /// The angle of this vector in radians, zero for the zero vector.
    pub fn angle(self) -> f32 {
        self.y.atan2(self.x)
    }

    /// The scalar product.
    pub fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y
    }

    /// The length.
    pub fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// The distance from this point to another.
    pub fn distance(self, other: Self) -> f32 {
        (other - self).length()
    }

    /// The same direction with length one; the zero vector stays what it is.
    pub fn unit(self) -> Self {
        let length = self.length();
        if length > f32::EPSILON {
            self * (1.0 / length)
        } else {
            Self::ZERO
        }
    }

    /// The same direction, at most `longest` long.
    pub fn at_most(self, longest: f32) -> Self {
        let length = self.length();
        if length > longest {
            self * (longest / length)
        } else {
            self
        }
    }

    /// This vector turned by a quarter, clockwise on a screen.
    pub fn quarter_turn(self) -> Self {
        Self::new(-self.y, self.x)
    }

    /// False if a coordinate is infinite or not a number.
    pub fn is_finite(self) -> bool {
        self.x.is_finite() && self.y.is_finite()
    }
}

impl Add for Vector {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::new(self.x + other.x, self.y + other.y)
    }
}

impl AddAssign for Vector {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Vector {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y)
    }
}

impl SubAssign for Vector {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Mul<f32> for Vector {
    type Output = Self;
    fn mul(self, factor: f32) -> Self {
        Self::new(self.x * factor, self.y * factor)
    }
}

impl Neg for Vector {
    type Output = Self;
    fn neg(self) -> Self {
        Self::new(-self.x, -self.y)
    }
}

/// The shorter way round from one angle to another, in radians: from −π to π.
pub fn turn_between(from: f32, to: f32) -> f32 {
    use std::f32::consts::{PI, TAU};
    (to - from + PI).rem_euclid(TAU) - PI
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_takes_the_shorter_way_across_the_seam() {
        assert!((turn_between(3.0, -3.0) - 0.283_185).abs() < 1e-4);
        assert!((turn_between(-3.0, 3.0) + 0.283_185).abs() < 1e-4);
    }

    #[test]
    fn the_zero_vector_has_no_direction_and_no_nan() {
        assert_eq!(Vector::ZERO.unit(), Vector::ZERO);
        assert_eq!(Vector::ZERO.at_most(1.0), Vector::ZERO);
    }
}
