import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveAddress } from '../src/address.js';
import { Backoff } from '../src/backoff.js';
import { ServerClock } from '../src/clock.js';
import { decode, encode } from '../src/codec.js';
import { Emitter } from '../src/events.js';
import { Heartbeat } from '../src/heartbeat.js';
import { isSequenced, type Welcome } from '../src/protocol.js';
import { Session } from '../src/session.js';
import { FORMATS } from './support/stage.js';

const welcome = (fields: Partial<Welcome>): Welcome => ({
  event: 'welcome', protocol: 1, session: 's', resume: 'token', resumed: false, received: 0, time: 0, ping_ms: 10_000, window_ms: 30_000, ...fields,
});

function opened(bounds = { actions: 100, bytes: 10_000 }): Session {
  const session = new Session(bounds);
  assert.equal(session.welcome(welcome({})), 'first');
  return session;
}

test('a resumed session continues writing after what the server has', () => {
  const session = opened();
  for (const frame of ['a', 'b', 'c']) session.push(frame, undefined);
  assert.deepEqual([...session.unwritten()], ['a', 'b', 'c']);
  session.push('d', undefined);
  assert.equal(session.welcome(welcome({ resumed: true, received: 2, resume: 'next' })), 'resumed');
  assert.equal(session.token, 'next');
  assert.deepEqual([...session.unwritten()], ['c', 'd']);
  assert.deepEqual([...session.unwritten()], []);
});

test('a pong in the middle of writing loses and repeats nothing', () => {
  const session = opened();
  session.push('a', undefined);
  session.push('b', undefined);
  const writing = session.unwritten();
  assert.equal(writing.next().value, 'a');
  assert.ok(session.confirm(1));
  session.push('c', undefined);
  assert.deepEqual([...writing], ['b', 'c']);
});

test('an impossible count breaks the session', () => {
  const session = opened();
  session.push('a', undefined);
  assert.equal(session.confirm(1), false, 'nothing was written yet');
  assert.deepEqual([...session.unwritten()], ['a']);
  for (const count of [2, -1, 0.5, NaN, undefined as never]) assert.equal(session.confirm(count), false, String(count));
  assert.ok(session.confirm(1));
  assert.equal(session.confirm(0), false, 'what was confirmed stays confirmed');
  assert.equal(session.welcome(welcome({ resumed: true, received: 0 })), 'broken');
  session.forget();
  assert.equal(session.token, undefined);
  assert.equal(session.welcome(welcome({ resumed: true })), 'broken', 'nobody asked for a resume');
  assert.equal(session.welcome(welcome({})), 'lost', 'what was given up is lost');
});

test('a lost session resets its counts and returns the unacknowledged actions', () => {
  const session = opened();
  session.push('a', 1);
  session.push('b', undefined);
  for (const _ of session.unwritten());
  session.confirm(1);
  session.push('c', 3);
  session.arrived('message', 10);
  assert.equal(session.welcome(welcome({ resume: 'other' })), 'lost');
  assert.deepEqual(session.renew().map(({ id, written }) => [id, written]), [[undefined, true], [3, false]]);
  assert.equal(session.received, 0);
  session.push('d', undefined);
  assert.deepEqual([...session.unwritten()], ['d']);
  assert.ok(session.confirm(1));
});

test('both bounds hold, and acknowledged actions make room', () => {
  const few = opened({ actions: 2, bytes: 1000 });
  few.push('a', undefined);
  few.push('b', undefined);
  assert.throws(() => few.push('c', undefined), { code: 'queue_full', sent: false });
  for (const _ of few.unwritten());
  few.confirm(1);
  few.push('c', undefined);
  const small = opened({ actions: 100, bytes: 10 });
  small.push('123456', undefined);
  assert.throws(() => small.push('12345', undefined), /raise queueActions and queueBytes/);
  small.push('1234', undefined);
});

test('128 frames or 64 KiB in either direction cause an early ping', () => {
  const session = opened({ actions: 4096, bytes: 1 << 20 });
  for (let n = 0; n < 127; n += 1) session.arrived('message', 1);
  for (let n = 0; n < 500; n += 1) session.arrived('state', 1000);
  assert.equal(session.wantsPing, false, 'what is not sequenced needs no confirmation');
  session.arrived('message', 1);
  assert.equal(session.wantsPing, true);
  session.pinged();
  assert.equal(session.wantsPing, false);
  session.arrived('message', 64 * 1024);
  assert.equal(session.wantsPing, true);
  session.pinged();
  for (let n = 0; n < 128; n += 1) session.push('x', undefined);
  for (const _ of session.unwritten());
  assert.equal(session.wantsPing, true);
  const small = opened({ actions: 4, bytes: 1000 });
  small.push('x', undefined);
  small.push('x', undefined);
  for (const _ of small.unwritten());
  assert.equal(small.wantsPing, true, 'half of a small bound');
});

test('an unknown event counts', () => {
  for (const event of ['message', 'reply', 'error', 'of_the_future']) assert.equal(isSequenced(event), true, event);
  for (const event of ['welcome', 'pong', 'signal', 'state', 'patch', 'goodbye']) assert.equal(isSequenced(event), false, event);
});

test('the backoff is a random part of a limit that doubles', () => {
  const backoff = new Backoff(250, 1000, () => 0.999_999);
  assert.deepEqual([1, 2, 3, 4].map(() => Math.round(backoff.next(0))), [250, 500, 1000, 1000]);
  backoff.reset();
  assert.equal(Math.round(backoff.next(0)), 250);
  assert.equal(new Backoff(250, 1000, () => 0).next(0), 0);
});

test('the server’s clock comes from the shortest round trip', () => {
  const clock = new ServerClock();
  assert.equal(clock.at(0), undefined);
  clock.sample(0, 200, 5000 + 190); // A slow answer, stamped late.
  clock.sample(1000, 1020, 5000 + 1010);
  clock.sample(2000, 2300, 5000 + 2010);
  assert.equal(clock.at(3000), 8000);
});

test('a sample that contradicts the ones before it replaces them', () => {
  const clock = new ServerClock();
  clock.sample(0, 10, 5005);
  clock.sample(1000, 1400, 9000 + 1200);
  assert.equal(clock.at(2000), 11_000, 'the local clock stood still while the computer slept');
});

test('old samples are forgotten', () => {
  const clock = new ServerClock();
  clock.sample(0, 2, 1001);
  for (let n = 1; n <= 8; n += 1) clock.sample(n * 1000, n * 1000 + 20, 1000 + n * 1000 + 10 + 15);
  assert.equal(clock.at(0), 1015);
});

test('a heartbeat pings in time, waits for an answer and then gives up', () => {
  const beat = new Heartbeat(10_000, 5000, 0);
  assert.equal(beat.due, 10_000);
  assert.equal(beat.check(9999, 0), 'wait');
  assert.equal(beat.check(10_000, 0), 'ping');
  beat.pinged(10_000, 0);
  assert.equal(beat.due, 15_000);
  beat.heard();
  assert.equal(beat.check(15_000, 0), 'wait');
  assert.equal(beat.due, 20_000);
  beat.pinged(20_000, 0);
  beat.pinged(24_000, 0);
  assert.equal(beat.check(25_000, 0), 'dead', 'a later ping does not put it off');
});

test('a value is the same in both formats', () => {
  const data = { text: 'é', n: -1.5, big: 2 ** 53 - 1, yes: true, none: null, list: [1, [2]], gone: undefined };
  for (const format of FORMATS) {
    const frame = encode({ action: 'call', type: 'echo', data }, format);
    const wire = typeof frame === 'string' ? frame.replace('"action"', '"event"') : frame;
    if (typeof wire === 'string') {
      const { data: back } = decode(wire) as unknown as { data: object };
      assert.deepEqual(back, { text: 'é', n: -1.5, big: 2 ** 53 - 1, yes: true, none: null, list: [1, [2]] });
    } else {
      // The same length of key, so the bytes can be turned into an event in place.
      const text = new TextEncoder();
      const at = Buffer.from(wire).indexOf('action');
      assert.ok(at > 0);
      wire.set(text.encode('event '), at);
      assert.throws(() => decode(wire.slice().buffer), /not an object with an `event`/);
    }
  }
  for (const format of FORMATS) {
    const loop: { self?: unknown } = {};
    loop.self = loop;
    assert.throws(() => encode({ action: 'call', type: 'loop', data: loop }, format), { code: 'bad_data' }, format);
  }
  assert.throws(() => encode({ action: 'call', type: 'big', data: 1n }, 'json'), /plain objects, arrays, strings/);
});

test('relative addresses are resolved against the page', () => {
  const at = (href: string, url: string): string => {
    Object.defineProperty(globalThis, 'location', { value: { href }, configurable: true });
    try {
      return resolveAddress(url).href;
    } finally {
      delete (globalThis as { location?: unknown }).location;
    }
  };
  assert.equal(at('https://play.test/game/', '/ws'), 'wss://play.test/ws');
  assert.equal(at('http://localhost:4000/game/', 'ws?v=1'), 'ws://localhost:4000/game/ws?v=1');
  assert.equal(at('https://play.test/', '//other.test/ws'), 'wss://other.test/ws');
});

test('a listener can be removed, and one that throws does not affect others', async () => {
  const emitter = new Emitter<{ x: [n: number] }>();
  const heard: string[] = [];
  const reported: unknown[] = [];
  Object.defineProperty(globalThis, 'reportError', { value: (error: unknown) => reported.push(error), configurable: true });
  try {
    const listener = (n: number): void => void heard.push(`a${n}`);
    emitter.on('x', () => { throw new Error('page'); });
    const offA = emitter.on('x', listener);
    emitter.on('x', listener);
    const offB: () => void = emitter.on('x', () => heard.push('never'));
    emitter.on('x', () => offB());
    offA();
    offA();
    offB();
    assert.equal(emitter.emit('x', 1), true);
    assert.deepEqual(heard, ['a1']);
    assert.equal((reported[0] as Error).message, 'page');
  } finally {
    delete (globalThis as { reportError?: unknown }).reportError;
  }
});
