// Run with `node --test example-game/page-tests/`.
// `src/flight.rs` moves ships on the server; `fixtures/flight.json` tests both against one flight.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const read = (path) => readFileSync(new URL(path, import.meta.url), 'utf8');
// The page's files are modules by how they are loaded; Node before 22.7 would want a package.json to tell it.
const { fly } = await import(`data:text/javascript,${encodeURIComponent(read('../page/flight.js'))}`);
const { tick_hz, start, field, legs } = JSON.parse(read('../fixtures/flight.json'));
const KEYS = ['x', 'y', 'vx', 'vy', 'dash'];

test('the page flies a ship as the server does', () => {
  let flight = { x: start[0], y: start[1], vx: 0, vy: 0, dash: 0 };
  for (const [number, { steps, leads, ...input }] of legs.entries()) {
    for (let step = 0; step < steps; step += 1) flight = fly(flight, input, 1 / tick_hz, field);
    for (const key of KEYS) assert.ok(Math.abs(flight[key] - leads[key]) < 0.01, `leg ${number}: ${key} is ${flight[key]}`);
  }
});

test('a step changes neither of what it is given, and may be cut anywhere', () => {
  const from = Object.freeze({ x: 900, y: 600, vx: 100, vy: -50, dash: 1.5 });
  const input = Object.freeze({ x: 0.6, y: -0.8, aim: 1, dash: true });
  const whole = fly(from, input, 0.1, field);
  const halves = fly(fly(from, input, 0.05, field), input, 0.05, field);
  for (const key of KEYS) assert.ok(Math.abs(whole[key] - halves[key]) < 1e-9, key);
});
