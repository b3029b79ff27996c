// The other ships, slightly in the past: there is nearly always a later state to interpolate to, so everything moves smoothly.

import { Interpolation, lerp, lerpAngle, lerpEach, TickClock } from '/courtside.js';

// Two state intervals of the arena plus some network delay.
const DELAY_MS = 120;
// Farther than any ship flies between two states: it has returned somewhere else.
const LEAP = 500;
// The player's ship is drawn ahead of the others. Its shots leave it at once and, within this many ticks, fall back to the time
// of the ships that they may hit.
const FALL_BACK = 10;

// The arena sends whole numbers: see `src/sight.rs` for the units.
const TENTH = 1 / 10;
const HUNDREDTH = 1 / 100;

export class Timeline {
  #tickMs = 1000 / 30;
  #clock;
  #ships;
  #shots = new Map();
  #room = null;
  #listeners = [];

  constructor() {
    this.#begin();
  }

  #begin() {
    this.#clock = new TickClock({ tickMs: this.#tickMs });
    this.#ships = new Interpolation(lerpEach(between), { delayMs: DELAY_MS });
    this.#shots.clear();
  }

  // Another room counts its own ticks, so drop the states of the previous one.
  follow(room) {
    for (const stop of this.#listeners) stop();
    this.#room = room;
    this.#begin();
    const ships = room.onState((state, tick) => {
      this.#clock.arrived(tick, performance.now());
      this.#ships.push(tick * this.#tickMs, state.ships ?? {});
    });
    // A shot is sent once, when it is fired or comes near. Its position follows from the tick.
    const shots = room.onEntities(['shots'], {
      added: (id, shot) => {
        const { vx, vy, born, owner } = shot;
        this.#shots.set(id, { id, x: shot.x * TENTH, y: shot.y * TENTH, vx, vy, born, owner, end: Infinity });
      },
      removed: (id) => {
        const shot = this.#shots.get(id);
        if (shot) shot.end = room.tick;
      },
    });
    this.#listeners = [ships, shots];
  }

  set tickMs(tickMs) {
    if (tickMs === this.#tickMs) return;
    this.#tickMs = tickMs;
    if (this.#room) this.follow(this.#room);
  }

  get tickMs() {
    return this.#tickMs;
  }

  get newest() {
    return this.#room?.state ?? null;
  }

  get newestTick() {
    return this.#room?.tick ?? null;
  }

  // What to draw now: { tick, state, ships, shots, pickups }, or null before the first state. `own` is the id of the player's ship.
  sample(now, own) {
    const state = this.newest;
    const time = this.#clock.at(now);
    const seen = time === undefined ? undefined : this.#ships.at(time);
    if (!state || !seen) return null;
    const tick = (time - DELAY_MS) / this.#tickMs;
    const ships = new Map();
    for (const [key, ship] of Object.entries(seen)) {
      const id = Number(key);
      const pilot = state.pilots[key];
      if (pilot) ships.set(id, { ...pilot, ...shipOf(ship), id });
    }
    return { tick, state, ships, shots: this.#shotsAt(tick, own), pickups: Object.values(state.pickups ?? {}) };
  }

  #shotsAt(tick, own) {
    const drawn = new Map();
    const ahead = DELAY_MS / this.#tickMs;
    for (const [id, shot] of this.#shots) {
      if (shot.end <= tick) {
        this.#shots.delete(id);
        continue;
      }
      const lead = shot.owner === own ? ahead * Math.max(0, 1 - (tick + ahead - shot.born) / FALL_BACK) : 0;
      const age = (tick + lead - shot.born) * this.#tickMs / 1000;
      if (age >= 0 && tick + lead < shot.end) drawn.set(Number(id), { ...shot, x: shot.x + shot.vx * age, y: shot.y + shot.vy * age });
    }
    return drawn;
  }
}

// Interpolates two states of a ship, in the arena's own units.
function between(from, to, part) {
  if (from.gone || to.gone || Math.hypot(to.x - from.x, to.y - from.y) * TENTH > LEAP) return from;
  return {
    ...from,
    x: lerp(from.x, to.x, part),
    y: lerp(from.y, to.y, part),
    vx: lerp(from.vx, to.vx, part),
    vy: lerp(from.vy, to.vy, part),
    aim: lerpAngle(from.aim * HUNDREDTH, to.aim * HUNDREDTH, part) / HUNDREDTH,
  };
}

function shipOf(ship) {
  return { ...ship, x: ship.x * TENTH, y: ship.y * TENTH, angle: ship.aim * HUNDREDTH };
}
