// Creates effects for what appears and changes in the state.

// The arena sends tenths of a unit: see `src/sight.rs`.
const TENTH = 1 / 10;
// A shot that was fired longer ago has come into view, so show no muzzle flash.
const FRESH_TICKS = 4;

// Keeps `pilots` by their ship, and calls `arrived(tick, ship, x, y)` and `fired(tick, owner, x, y, angle)`.
export function watchEntities(room, { pilots, arrived, fired }) {
  // The state in which each pilot was new: a ship that appears with its pilot has arrived; one that appears alone was only far.
  const since = new Map();
  const know = (key, { name, hue }) => pilots.set(Number(key), { id: Number(key), name, hue });
  const comes = (key, { x, y }) => arrived(room.tick, Number(key), x * TENTH, y * TENTH);
  room.onEntities(['pilots'], {
    added(key, pilot) {
      know(key, pilot);
      since.set(key, room.tick);
    },
    changed: know,
    removed: (key) => since.delete(key),
  });
  room.onEntities(['ships'], {
    added(key, ship) {
      if (since.get(key) === room.tick && !ship.gone) comes(key, ship);
    },
    changed(key, ship, before) {
      if (before.gone && !ship.gone) comes(key, ship);
    },
  });
  room.onEntities(['shots'], {
    added(key, { x, y, vx, vy, born, owner }) {
      if (room.tick - born <= FRESH_TICKS) fired(born, owner, x * TENTH, y * TENTH, Math.atan2(vy, vx));
    },
  });
}
