import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lerp, Prediction } from '../src/index.js';
import { seeded } from './support/random.js';

const sum = (state: number, input: number): number => state + input;

test('an input has its effect at once, and reconciling replays inputs that the server has not seen', () => {
  const ship = new Prediction(0, { step: sum });
  assert.deepEqual([ship.predict(1), ship.predict(10), ship.predict(100)], [1, 2, 3]);
  assert.deepEqual([ship.state, ship.pending], [111, 3]);
  assert.ok(ship.reconcile(1, 1));
  assert.deepEqual([ship.state, ship.pending], [111, 2], 'it was right');
  assert.ok(ship.reconcile(5, 2));
  assert.deepEqual([ship.state, ship.pending], [105, 1], 'a wall stopped it');
  assert.ok(ship.reconcile(50, 2));
  assert.deepEqual([ship.state, ship.pending], [150, 1], 'something else moved it');
});

test('a late state changes nothing', () => {
  const ship = new Prediction(0, { step: sum });
  ship.predict(1);
  ship.predict(10);
  ship.reconcile(11, 2);
  assert.equal(ship.reconcile(1, 1), false);
  assert.deepEqual([ship.state, ship.pending], [11, 0]);
});

test('an input that never reached the server is dropped with the next one that did', () => {
  const ship = new Prediction(0, { step: sum });
  for (const input of [1, 10, 100]) ship.predict(input);
  ship.reconcile(101, 3);
  assert.deepEqual([ship.state, ship.pending], [101, 0]);
});

test('the number of pending inputs is bounded', () => {
  const ship = new Prediction(0, { step: sum, maxPending: 2 });
  assert.deepEqual([ship.predict(1), ship.predict(1), ship.predict(1)], [1, 2, undefined]);
  assert.deepEqual([ship.state, ship.pending], [2, 2]);
  ship.reconcile(1, 1);
  assert.equal(ship.predict(1), 3, 'what was refused has no number');
});

test('numbers continue after those that the server already has', () => {
  const ship = new Prediction(0, { step: sum });
  ship.reconcile(7, 40);
  assert.equal(ship.predict(1), 41);
  ship.reset(0);
  assert.deepEqual([ship.state, ship.pending], [0, 0]);
  assert.ok(ship.reconcile(3, 0), 'another room begins at 0');
  assert.deepEqual([ship.state, ship.predict(1)], [3, 42]);
});

test('a correction is blended in while inputs keep their effect', () => {
  const ship = new Prediction(0, { step: sum, lerp, smoothMs: 100 });
  ship.predict(10);
  assert.equal(ship.shown(1000), 10);
  ship.reconcile(2, 1, 1000);
  assert.equal(ship.state, 2);
  assert.deepEqual([ship.shown(900), ship.shown(1000), ship.shown(1050)], [10, 10, 6]);
  ship.predict(5);
  assert.equal(ship.shown(1050), 11);
  ship.reconcile(7, 2, 1050);
  assert.equal(ship.shown(1050), 11, 'a state that is as predicted is no new correction');
  assert.equal(ship.shown(1150), 7);
  assert.equal(ship.shown(1100), 7, 'and then it is over');
});

test('without lerp, a correction is shown at once', () => {
  for (const options of [{ step: sum }, { step: sum, lerp, smoothMs: 0 }]) {
    const ship = new Prediction(0, options);
    ship.predict(10);
    ship.reconcile(2, 1, 0);
    assert.equal(ship.shown(0), 2);
  }
});

test('client and server agree in the end on any connection, and always if the server makes no corrections', () => {
  const random = seeded(3);
  for (let round = 0; round < 200; round += 1) {
    const ship = new Prediction(0, { step: sum, maxPending: 20 });
    let server = { state: 0, applied: 0 };
    let truth = 0;
    const up: { number: number; input: number }[] = [];
    const down: { state: number; applied: number }[] = [];
    let loses = false;
    for (let turn = 0; turn < 300; turn += 1) {
      const dice = random();
      if (dice < 0.4) {
        const input = Math.floor(random() * 10);
        const number = ship.predict(input);
        if (number === undefined) assert.equal(ship.pending, 20);
        else if (round % 2 === 1 && random() < 0.2) loses = true;
        else up.push({ number, input });
        if (number !== undefined) truth += input;
      } else if (dice < 0.7) {
        const said = up.shift();
        if (said) server = { state: server.state + said.input, applied: said.number };
        down.push(server);
      } else {
        // States may be skipped, and one may come again late.
        const [told] = down.splice(Math.floor(random() * 2), 1);
        if (told) ship.reconcile(told.state, told.applied);
      }
      if (!loses) assert.equal(ship.state, truth);
    }
    for (const { number, input } of up) server = { state: server.state + input, applied: number };
    const last = ship.predict(1);
    if (last !== undefined) server = { state: server.state + 1, applied: last };
    ship.reconcile(server.state, server.applied);
    if (last !== undefined) assert.deepEqual([ship.state, ship.pending], [server.state, 0]);
  }
});
