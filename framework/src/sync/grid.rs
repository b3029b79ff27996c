//! A spatial hash, for views by distance.

use std::collections::HashMap;
use std::hash::Hash;

/// Things on a plane, found by their distance from a point.
///
/// The plane is divided into square cells, and a search looks only at the cells that its circle touches. Choose cells that are
/// about as wide as your most common radius; a factor of four more or less does no harm.
///
/// A thing with a coordinate that is NaN is kept, but no search finds it.
///
/// ```
/// use courtside::Grid;
///
/// let mut ships = Grid::new(100.0);
/// ships.place(1, 10.0, 10.0);
/// ships.place(2, 50.0, 20.0);
/// ships.place(2, 900.0, 20.0);      // it moved
/// assert_eq!(ships.within(0.0, 0.0, 200.0).collect::<Vec<_>>(), [1]);
/// ```
#[derive(Debug, Clone)]
pub struct Grid<K> {
    /// The width of a cell.
    cell: f64,
    cells: HashMap<Cell, Vec<Item<K>>>,
    places: HashMap<K, CellPosition>,
}

type Cell = (i64, i64);

#[derive(Debug, Clone)]
struct Item<K> {
    key: K,
    x: f64,
    y: f64,
}

/// The cell of a thing, and its position in the cell's list.
#[derive(Debug, Clone, Copy)]
struct CellPosition {
    cell: Cell,
    at: usize,
}

impl<K: Copy + Eq + Hash> Grid<K> {
    /// An empty grid. If the width is no positive number, cells are 1 wide.
    #[must_use]
    pub fn new(cell: f64) -> Self {
        Self {
            cell: if cell > 0.0 && cell.is_finite() {
                cell
            } else {
                1.0
            },
            cells: HashMap::new(),
            places: HashMap::new(),
        }
    }

    /// Adds a thing, or moves it if it is there already.
    pub fn place(&mut self, key: K, x: f64, y: f64) {
        let cell = self.cell_of(x, y);
        if let Some(place) = self.places.get(&key)
            && place.cell == cell
        {
            if let Some(item) = self.cells.get_mut(&cell).and_then(|c| c.get_mut(place.at)) {
                (item.x, item.y) = (x, y);
            }
            return;
        }
        self.remove(&key);
        let items = self.cells.entry(cell).or_default();
        let at = items.len();
        items.push(Item { key, x, y });
        self.places.insert(key, CellPosition { cell, at });
    }

    /// Removes a thing. False if it was not there.
    pub fn remove(&mut self, key: &K) -> bool {
        let Some(CellPosition { cell, at }) = self.places.remove(key) else {
            return false;
        };
        let Some(items) = self.cells.get_mut(&cell) else {
            return false;
        };
        items.swap_remove(at);
        if let Some(moved) = items.get(at)
            && let Some(place) = self.places.get_mut(&moved.key)
        {
            place.at = at;
        }
        if items.is_empty() {
            // Otherwise things that move would leave empty cells behind for ever.
            self.cells.remove(&cell);
        }
        true
    }

    /// The coordinates of a thing.
    #[must_use]
    pub fn position(&self, key: &K) -> Option<(f64, f64)> {
        let place = self.places.get(key)?;
        let item = self.cells.get(&place.cell)?.get(place.at)?;
        Some((item.x, item.y))
    }

    /// How many things there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether the grid is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The things that are at most `radius` away from a point, in no particular order.
    ///
    /// Collect and sort them for a [`Subset`](crate::Subset), so that the keys come in the same order each time.
    pub fn within(&self, x: f64, y: f64, radius: f64) -> impl Iterator<Item = K> {
        // A thing just on the circle must not be missed because of rounding at the border of a cell.
        let reach = radius + (x.abs().max(y.abs()) + radius) * 4.0 * f64::EPSILON;
        let low = self.cell_of(x - reach, y - reach);
        let high = self.cell_of(x + reach, y + reach);
        let side = |low: i64, high: i64| (i128::from(high) - i128::from(low) + 1).max(0) as u128;
        // The circle covers more cells than there are in use, so it is quicker to look at all things.
        let is_wide =
            side(low.0, high.0).saturating_mul(side(low.1, high.1)) > self.cells.len() as u128;
        let all = is_wide.then(|| self.cells.values());
        let columns = (!is_wide).then_some(low.0..=high.0);
        let touched = columns
            .into_iter()
            .flatten()
            .flat_map(move |column| (low.1..=high.1).map(move |row| (column, row)))
            .filter_map(|cell| self.cells.get(&cell));
        let items = all.into_iter().flatten().chain(touched).flatten();
        items
            .filter(move |item| {
                let (dx, dy) = (item.x - x, item.y - y);
                radius >= 0.0 && dx * dx + dy * dy <= radius * radius
            })
            .map(|item| item.key)
    }

    /// Coordinates too large for an integer share the outermost cell.
    fn cell_of(&self, x: f64, y: f64) -> Cell {
        (
            (x / self.cell).floor() as i64,
            (y / self.cell).floor() as i64,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Place(u8, f64, f64),
        Remove(u8),
        Ask(f64, f64, f64),
    }

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            20 => -50.0..50.0_f64,
            5 => (-5..5_i8).prop_map(|n| f64::from(n) * 10.0),
            1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, -1e300, 1e19, f64::MIN_POSITIVE, -0.0]),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..40_u8, number(), number()).prop_map(|(key, x, y)| Step::Place(key, x, y)),
            1 => (0..40_u8).prop_map(Step::Remove),
            3 => (number(), number(), number()).prop_map(|(x, y, radius)| Step::Ask(x, y, radius)),
        ]
    }

    proptest! {
        #[test]
        fn it_finds_what_a_look_at_everything_finds(steps in prop::collection::vec(step(), 0..200), cell in number()) {
            let mut grid = Grid::new(cell);
            let mut all = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Place(key, x, y) => {
                        grid.place(key, x, y);
                        all.insert(key, (x, y));
                    }
                    Step::Remove(key) => {
                        prop_assert_eq!(grid.remove(&key), all.remove(&key).is_some());
                    }
                    Step::Ask(x, y, radius) => {
                        let mut found: Vec<u8> = grid.within(x, y, radius).collect();
                        found.sort_unstable();
                        let is_near = |&(_, &(ox, oy)): &(&u8, &(f64, f64))| {
                            let (dx, dy): (f64, f64) = (ox - x, oy - y);
                            radius >= 0.0 && dx * dx + dy * dy <= radius * radius
                        };
                        let near: Vec<u8> = all.iter().filter(is_near).map(|(key, _)| *key).collect();
                        // Squares of numbers beyond 1e150 are infinite, so distances cannot be compared there.
                        if [x, y, radius].iter().all(|n| n.abs() < 1e100) {
                            prop_assert_eq!(found, near);
                        }
                    }
                }
                prop_assert_eq!(grid.len(), all.len());
                prop_assert_eq!(grid.cells.values().map(Vec::len).sum::<usize>(), all.len());
            }
        }
    }

    #[test]
    fn it_knows_where_things_are() {
        let mut grid = Grid::new(10.0);
        grid.place('a', 1.0, 2.0);
        grid.place('a', 3.0, 4.0);
        grid.place('a', 300.0, 4.0);
        assert_eq!(grid.position(&'a'), Some((300.0, 4.0)));
        assert_eq!(grid.within(300.0, 0.0, 4.0).count(), 1);
        assert!(grid.remove(&'a') && grid.is_empty() && grid.cells.is_empty());
    }
}
