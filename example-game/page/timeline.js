// The states that came, by the server's tick, and what the arena looked like at any moment between two of them.

// Drawing lags so far behind the newest state that there is nearly always a later one to draw toward.
const DELAY_MS = 100;
// Without news, ships fly straight on for so long and then stand still.
const LONGEST_GUESS_MS = 250;
const KEPT = 12;
// Farther than any ship flies between two states: it has returned somewhere else.
const LEAP = 500;

export class Timeline {
  tickMs = 1000 / 30;
  #states = [];
  #offset = null;

  // A new room counts its own ticks: nothing of the old one can be drawn toward.
  clear() {
    this.#states = [];
    this.#offset = null;
  }

  push(state, tick, now) {
    const last = this.#states.at(-1);
    if (last && tick <= last.tick) return;
    this.#states.push({ tick, state });
    if (this.#states.length > KEPT) this.#states.shift();
    // A state can be late but never early: the offset follows early ones at once and late ones slowly.
    const offset = now - tick * this.tickMs;
    if (this.#offset === null || Math.abs(offset - this.#offset) > 500) this.#offset = offset;
    else this.#offset += (offset - this.#offset) * (offset < this.#offset ? 0.25 : 0.02);
  }

  get newest() {
    return this.#states.at(-1)?.state ?? null;
  }

  get newestTick() {
    return this.#states.at(-1)?.tick ?? null;
  }

  // What there is to be drawn now: { tick, state, ships, shots, pickups }, or null before the first state.
  sample(now) {
    if (this.#states.length === 0) return null;
    const tick = (now - this.#offset - DELAY_MS) / this.tickMs;
    let at = this.#states.findLastIndex((known) => known.tick <= tick);
    if (at < 0) at = 0;
    const from = this.#states[at];
    const to = this.#states[at + 1] ?? null;
    const span = to ? to.tick - from.tick : 1;
    const part = to ? Math.max(0, Math.min(1, (tick - from.tick) / span)) : 0;
    const guess = to ? 0 : Math.max(0, Math.min(LONGEST_GUESS_MS, (tick - from.tick) * this.tickMs)) / 1000;
    return {
      tick,
      state: from.state,
      ships: ships(from.state, to?.state, part, guess),
      shots: shots(from.state, to?.state, tick, this.tickMs),
      pickups: Object.entries(from.state.pickups ?? {}),
    };
  }
}

function ships(from, to, part, guess) {
  const drawn = new Map();
  for (const [id, ship] of Object.entries(from.ships ?? {})) {
    const [x, y, vx, vy] = ship.at;
    const next = to?.ships?.[id];
    const here = { ...ship, id: Number(id), x: x / 10 + vx * guess, y: y / 10 + vy * guess, vx, vy, angle: ship.aim / 100 };
    if (next && !ship.gone && !next.gone) {
      const dx = (next.at[0] - x) / 10;
      const dy = (next.at[1] - y) / 10;
      if (Math.hypot(dx, dy) < LEAP) {
        here.x = x / 10 + dx * part;
        here.y = y / 10 + dy * part;
        here.vx = vx + (next.at[2] - vx) * part;
        here.vy = vy + (next.at[3] - vy) * part;
      }
      here.angle += turnBetween(ship.aim / 100, next.aim / 100) * part;
    }
    drawn.set(here.id, here);
  }
  return drawn;
}

// A shot is told once, with its muzzle and its speed; where it is follows from the tick.
function shots(from, to, tick, tickMs) {
  const drawn = new Map();
  const place = (id, shot) => {
    const [x, y, vx, vy, born, owner] = shot;
    const age = (tick - born) * tickMs / 1000;
    if (age >= 0) drawn.set(id, { id, x: x + vx * age, y: y + vy * age, vx, vy, born, owner });
  };
  for (const [id, shot] of Object.entries(from.shots ?? {})) place(id, shot);
  for (const [id, shot] of Object.entries(to?.shots ?? {})) place(id, shot);
  return drawn;
}

// The shorter way round, from −π to π.
export function turnBetween(from, to) {
  const turn = (to - from + Math.PI) % (2 * Math.PI);
  return (turn < 0 ? turn + 2 * Math.PI : turn) - Math.PI;
}
