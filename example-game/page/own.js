// The player's ship, ahead of the server: it responds to input at once, and the server's corrections are blended in.

import { lerp, Prediction } from '/courtside.js';
import { fly } from '/flight.js';

// Farther than any correction: the ship has returned somewhere else, so do not interpolate.
const LEAP = 200;
// A page that was suspended does not catch up on missed steps.
const MOST_STEPS = 4;

export class Own {
  #room = null;
  #prediction = null;
  // The predicted ship; null if the prediction restarts with the server's next state.
  #ship = null;
  #input = null;
  // Milliseconds of the current step that have passed.
  #begun = 0;

  follow(room) {
    this.#room = room;
    this.#prediction = null;
    this.forget();
    room.onChange(['me'], (me) => {
      if (this.#room === room) this.#told(me);
    });
  }

  // After a disconnect it is unknown which inputs the server has applied: restart with its next state.
  forget() {
    this.#ship = null;
    this.#begun = 0;
  }

  #told(me) {
    if (!me) return this.forget();
    // See `Me` in `src/sight.rs` for the units.
    const flight = { x: me.x / 100, y: me.y / 100, vx: me.vx / 10, vy: me.vy / 10, dash: (me.dash ?? 0) / 1000, idle: me.idle === true };
    this.#prediction ??= new Prediction(flight, { step: (from, input) => this.#step(from, input, input.seconds), lerp: between });
    if (this.#ship !== me.ship) {
      // Not a new prediction, because the numbers of the inputs continue.
      this.#prediction.reset(flight);
      this.#ship = me.ship;
    }
    this.#prediction.reconcile(flight, me.input, performance.now());
  }

  #step(flight, input, seconds) {
    const { field } = this.#room.state;
    return flight.idle ? flight : fly(flight, input, seconds, field);
  }

  // Advances by `milliseconds` with this input: predicts each completed step of the arena and passes it to `send` with its
  // number.
  advance({ x, y, aim, fire, dash }, milliseconds, stepMs, send) {
    if (this.#ship === null) return;
    this.#begun = Math.min(this.#begun + milliseconds, MOST_STEPS * stepMs);
    // Predict exactly the values that are sent, with as many digits as needed.
    const intent = { x: round(x), y: round(y), aim: round(aim), fire, dash };
    this.#input = { ...intent, seconds: stepMs / 1000 };
    while (this.#begun >= stepMs) {
      this.#begun -= stepMs;
      const number = this.#prediction.predict(this.#input);
      if (number !== undefined) send({ ...intent, number });
    }
  }

  // Where to draw the ship: { x, y, vx, vy, dash }, or null if the server's state applies.
  shown(now) {
    if (this.#ship === null || !this.#input) return null;
    const flight = this.#prediction.shown(now);
    if (flight.idle) return null;
    // There are fewer steps than pictures, so also fly the elapsed part of the current step.
    return this.#step(flight, { ...this.#input, dash: false }, this.#begun / 1000);
  }
}

function between(from, to, part) {
  if (Math.hypot(to.x - from.x, to.y - from.y) > LEAP) return to;
  return { ...to, x: lerp(from.x, to.x, part), y: lerp(from.y, to.y, part), vx: lerp(from.vx, to.vx, part), vy: lerp(from.vy, to.vy, part) };
}

const round = (number) => Math.round(number * 100) / 100;
