// The own ship, ahead of the server: it answers the hands at once, and what the server says otherwise is blended in.

import { lerp, Prediction } from '/courtside.js';
import { fly } from '/flight.js';

// Farther than any correction: the ship has returned somewhere else, and there is nothing between the two places.
const LEAP = 200;
// A page that was asleep does not catch up with what its hands did not do.
const MOST_STEPS = 4;

export class Own {
  #room = null;
  #prediction = null;
  // The ship that is predicted; null where the server's next word begins anew.
  #ship = null;
  #input = null;
  // Milliseconds of the step that has begun.
  #begun = 0;

  follow(room) {
    this.#room = room;
    this.#prediction = null;
    this.forget();
    room.onChange(['me'], (me) => {
      if (this.#room === room) this.#told(me);
    });
  }

  // After a break nobody knows what the server has done with what was on its way: its next word begins anew.
  forget() {
    this.#ship = null;
    this.#begun = 0;
  }

  #told(me) {
    if (!me) return this.forget();
    // See `Me` in `src/sight.rs` for what these are steps of.
    const flight = { x: me.x / 100, y: me.y / 100, vx: me.vx / 10, vy: me.vy / 10, dash: (me.dash ?? 0) / 1000, idle: me.idle === true };
    this.#prediction ??= new Prediction(flight, { step: (from, input) => this.#step(from, input, input.seconds), lerp: between });
    if (this.#ship !== me.ship) {
      // Not a new one: the numbers of the inputs go on.
      this.#prediction.reset(flight);
      this.#ship = me.ship;
    }
    this.#prediction.reconcile(flight, me.input, performance.now());
  }

  #step(flight, input, seconds) {
    const { field } = this.#room.state;
    return flight.idle ? flight : fly(flight, input, seconds, field);
  }

  // Lets `milliseconds` pass in which the hands want this: each step of the arena that they complete is predicted, and
  // handed to `send` with its number.
  advance({ x, y, aim, fire, dash }, milliseconds, stepMs, send) {
    if (this.#ship === null) return;
    this.#begun = Math.min(this.#begun + milliseconds, MOST_STEPS * stepMs);
    // What is predicted is what is said, and nobody needs more digits.
    const intent = { x: round(x), y: round(y), aim: round(aim), fire, dash };
    this.#input = { ...intent, seconds: stepMs / 1000 };
    while (this.#begun >= stepMs) {
      this.#begun -= stepMs;
      const number = this.#prediction.predict(this.#input);
      if (number !== undefined) send({ ...intent, number });
    }
  }

  // Where to draw the ship: { x, y, vx, vy, dash }, or null where the server steers it.
  shown(now) {
    if (this.#ship === null || !this.#input) return null;
    const flight = this.#prediction.shown(now);
    if (flight.idle) return null;
    // Steps are fewer than pictures: of the step that has begun, the part that has passed is flown too.
    return this.#step(flight, { ...this.#input, dash: false }, this.#begun / 1000);
  }
}

function between(from, to, part) {
  if (Math.hypot(to.x - from.x, to.y - from.y) > LEAP) return to;
  return { ...to, x: lerp(from.x, to.x, part), y: lerp(from.y, to.y, part), vx: lerp(from.vx, to.vx, part), vy: lerp(from.vy, to.vy, part) };
}

const round = (number) => Math.round(number * 100) / 100;
