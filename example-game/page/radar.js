// The ships' positions for the small map: exact if they are in view, otherwise approximate.

// The step of the radar's positions in units, and the fraction of the distance by which a dot follows per second: see `Radar` in
// `src/shared.rs`.
const STEP = 20;
const FOLLOW = 4;

export class Radar {
  #dots = new Map();

  // The dots of a frame by the ship's id: { id, x, y, hue, ghost }.
  dots({ state, ships }, dt) {
    const dots = new Map();
    for (const [key, [column, row]] of Object.entries(state.radar)) {
      const id = Number(key);
      const pilot = state.pilots[key];
      const near = ships.get(id);
      if (!pilot || near) continue;
      const [x, y] = [column * STEP, row * STEP];
      const last = this.#dots.get(id) ?? { x, y };
      const part = 1 - Math.exp(-FOLLOW * dt);
      dots.set(id, { ...pilot, id, x: last.x + (x - last.x) * part, y: last.y + (y - last.y) * part });
    }
    for (const [id, ship] of ships) if (!ship.gone) dots.set(id, ship);
    this.#dots = dots;
    return dots;
  }
}
