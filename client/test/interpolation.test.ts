import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Interpolation, lerp, lerpAngle, lerpEach, TickClock } from '../src/index.js';
import { seeded } from './support/random.js';

const near = (actual: number | undefined, expected: number): void => {
  assert.ok(actual !== undefined && Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`);
};

test('numbers are interpolated between snapshots, with a delay', () => {
  const shown = new Interpolation(lerp, { delayMs: 100 });
  assert.equal(shown.at(0), undefined);
  shown.push(1000, 0);
  shown.push(1050, 10);
  shown.push(1100, 40);
  for (const [now, expected] of [[1000, 0], [1100, 0], [1125, 5], [1150, 10], [1175, 25], [1200, 40], [1300, 40], [9999, 40]] as const) near(shown.at(now), expected);
});

test('movement continues after the last snapshot for a bounded time', () => {
  const shown = new Interpolation(lerp, { delayMs: 0, extrapolateMs: 30 });
  shown.push(0, 0);
  assert.equal(shown.at(20), 0, 'one snapshot has no way');
  shown.push(50, 100);
  for (const [now, expected] of [[50, 100], [60, 120], [80, 160], [81, 160], [5000, 160]] as const) near(shown.at(now), expected);
});

test('an object that stood still and then moves does not creep', () => {
  const shown = new Interpolation(lerp, { delayMs: 0, gapMs: 100 });
  shown.push(0, 0);
  shown.push(1000, 10);
  for (const [now, expected] of [[500, 0], [900, 0], [950, 5], [1000, 10]] as const) near(shown.at(now), expected);
});

test('the buffer is bounded, and snapshots older than the newest are ignored', () => {
  const shown = new Interpolation(lerp, { delayMs: 0, capacity: 3 });
  for (const time of [0, 10, 20, 30]) shown.push(time, time);
  assert.equal(shown.at(0), 10, 'the oldest was dropped, so the next is shown');
  shown.push(25, 999);
  near(shown.at(28), 28);
  shown.push(30, 50);
  near(shown.at(25), 35);
  shown.clear();
  assert.equal(shown.at(30), undefined);
});

test('angles turn the shorter way', () => {
  near(lerpAngle(0.1, 0.3, 0.5), 0.2);
  near(lerpAngle(0.1, -0.1, 0.5), 0);
  near(Math.cos(lerpAngle(3, -3, 0.5)), -1);
  near(lerpAngle(3, -3, 1), 2 * Math.PI - 3);
  near(lerpAngle(-3, 3, 1), 3 - 2 * Math.PI);
  near(Math.cos(lerpAngle(50, -50, 1)), Math.cos(-50));
  near(lerpAngle(2, 2, 0.7), 2);
});

test('entities are interpolated, appear with the later snapshot and disappear with it', () => {
  interface Ship { x: number; angle: number; name: string }
  const asked: string[] = [];
  const ships = new Interpolation(lerpEach<Ship>((from, to, part) => {
    asked.push(to.name);
    return { ...to, x: lerp(from.x, to.x, part), angle: lerpAngle(from.angle, to.angle, part) };
  }), { delayMs: 0, extrapolateMs: 50 });
  const still = { x: 5, angle: 0, name: 'still' };
  ships.push(0, { a: { x: 0, angle: 6, name: 'a' }, gone: { x: 9, angle: 0, name: 'gone' }, still });
  ships.push(100, JSON.parse('{"a": {"x": 10, "angle": 6.2, "name": "a"}, "__proto__": {"x": 1, "angle": 0, "name": "new"}}') as Record<string, Ship>);
  const half = ships.at(50) ?? {};
  assert.deepEqual(Object.keys(half), ['a', 'gone', 'still']);
  near(half.a?.x, 5);
  near(half.a?.angle, 6.1);
  assert.deepEqual(Object.keys(ships.at(100) ?? {}), ['a', '__proto__']);
  const beyond = ships.at(150) ?? {};
  assert.deepEqual(Object.keys(beyond), ['a', '__proto__']);
  near(beyond.a?.x, 15);
  asked.length = 0;
  ships.push(200, { a: { x: 11, angle: 0, name: 'a' }, still });
  ships.push(300, { a: { x: 12, angle: 0, name: 'a' }, still });
  assert.equal(ships.at(250)?.still, still);
  assert.deepEqual(asked, ['a'], 'what is the same is not asked about');
});

test('the least delayed arrival determines the time of all ticks', () => {
  const ticks = new TickClock({ tickMs: 50 });
  assert.equal(ticks.at(0), undefined);
  assert.equal(ticks.timeOf(1), undefined);
  const random = seeded(5);
  for (let tick = 100; tick < 400; tick += 1) ticks.arrived(tick, 7000 + tick * 50 + (tick % 10 === 0 ? 0 : random() * 80));
  near(ticks.timeOf(400), 7000 + 400 * 50);
  near(ticks.at(7000 + 400 * 50 + 25), 400 * 50 + 25);
});

test('the time adapts slowly to a changed delay, and at once to a clock that jumps', () => {
  const ticks = new TickClock({ tickMs: 50, arrivals: 4 });
  let tick = 0;
  const arrive = (delay: number): number => {
    tick += 1;
    ticks.arrived(tick, tick * 50 + delay);
    return ticks.timeOf(0) as number;
  };
  near(arrive(40), 40);
  near(arrive(0), 37.5);
  near(arrive(0), 35);
  for (let n = 0; n < 20; n += 1) arrive(0);
  near(ticks.timeOf(0), 0);
  near(arrive(30), 0);
  for (let n = 0; n < 2; n += 1) near(arrive(30), 0);
  near(arrive(30), 2.5);
  for (let n = 0; n < 20; n += 1) arrive(30);
  near(ticks.timeOf(0), 30);
  near(arrive(-10_000), -10_000);
});

test('states that arrive with jitter are shown in their own rhythm', () => {
  const random = seeded(9);
  const ticks = new TickClock({ tickMs: 50 });
  const shown = new Interpolation(lerp, { delayMs: 120 });
  const under: { tick: number; arrives: number }[] = [];
  let last = 0;
  for (let tick = 1; tick <= 200; tick += 1) {
    // In order, as on one connection.
    last = Math.max(last, tick * 50 + random() * 60);
    under.push({ tick, arrives: last });
  }
  let drawn: number | undefined;
  for (let now = 0; now < 200 * 50; now += 16) {
    while (under[0] && under[0].arrives <= now) {
      const { tick } = under.shift() as { tick: number };
      ticks.arrived(tick, now);
      shown.push(tick * 50, tick * 50);
    }
    const time = ticks.at(now);
    const position = time === undefined ? undefined : shown.at(time);
    // It moves by 1 a millisecond in the world, so it does here: without stops and without jumps, once the line is known.
    if (now > 4000 && position !== undefined && drawn !== undefined) assert.ok(Math.abs(position - drawn - 16) < 3, `${position - drawn} at ${now}`);
    drawn = position;
  }
});
