import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, type ConnectOptions } from '../src/index.js';
import { FORMATS, outcome, settle, stage, turn } from './support/stage.js';

// What the page gives is looked at before it can do harm, and what the server cannot take is not sent.

test('an option that cannot work is refused with a sentence', () => {
  const bad: [object, RegExp][] = [
    [{ format: 'xml' }, /expects format to be 'json' or 'msgpack', but got "xml"/],
    [{ connectTimeoutMs: 0 }, /connectTimeoutMs to be a number of milliseconds above 0, or Infinity, but got 0/],
    [{ connectTimeoutMs: '5000' }, /connectTimeoutMs/], [{ connectTimeoutMs: NaN }, /connectTimeoutMs/], [{ pongTimeoutMs: -1 }, /pongTimeoutMs/],
    [{ backoffBaseMs: 0 }, /backoffBaseMs/], [{ backoffCapMs: NaN }, /backoffCapMs/],
    [{ queueActions: 0 }, /queueActions/], [{ queueBytes: null }, /queueBytes/],
    [{ accessToken: 7 }, /accessToken to be a string, or a function/], [{ accessToken: {} }, /accessToken/],
    [{ storage: true }, /storage to be a Storage such as sessionStorage/], [{ WebSocket: 'ws' }, /WebSocket to be a class/], [{ WebSocket: null }, /WebSocket/],
    [{ fromat: 'json' }, /has no option "fromat"; the options are format, transport, fetch, accessToken/], [{ toString: 1 }, /has no option "toString"/],
    [{ transport: 'pigeon' }, /transport to be 'auto', 'websocket' or 'events'/], [{ fetch: 1 }, /fetch to be a function/], [{ clock: {} }, /clock/], [{ random: 1 }, /random/], [{ wakeOn: 1 }, /wakeOn/], [{ pageOn: 1 }, /pageOn/],
  ];
  for (const [options, message] of bad) {
    assert.throws(() => stage(options as ConnectOptions), (error: { code: string; message: string }) => error.code === 'bad_option' && message.test(error.message), JSON.stringify(options));
  }
  for (const options of [null, 'json', 7]) assert.throws(() => connect('ws://server.test', options as never), { code: 'bad_option' });
});

test('an option that is undefined means its default', async () => {
  const on = stage({ format: undefined, connectTimeoutMs: undefined, accessToken: undefined, storage: undefined });
  await settle(on);
  assert.equal(on.client.state, 'open');
});

test('an accessToken function with a wrong result is reported, and does not cause a loop', async () => {
  for (const wrong of [7, {}, true]) {
    const on = stage({ accessToken: () => wrong as never });
    const told: string[] = [];
    on.client.on('retry', ({ error }) => told.push(error.message));
    on.clock.advance(1000);
    assert.ok(told.length < 12, 'by the backoff');
    const late = stage({ accessToken: async () => wrong as never });
    late.client.on('retry', ({ error }) => told.push(error.message));
    await turn();
    assert.match(told.at(-1) ?? '', /accessToken function failed \(it returned .*: return a string, or undefined for a guest\)/);
  }
});

test('times longer than the platform’s timers allow work', async () => {
  const month = 30 * 24 * 3600 * 1000;
  const on = stage({ connectTimeoutMs: Infinity, pongTimeoutMs: 2 ** 40 });
  on.clock.longest = 2 ** 31 - 1;
  on.clock.advance(3 * month);
  assert.equal(on.network.sockets.length, 1, 'an attempt without an end');
  await settle(on);
  on.client.cut(3e9);
  on.clock.advance(3e9 - 1);
  assert.equal(on.network.sockets.length, 1);
  on.clock.advance(1);
  await settle(on);
  assert.equal(on.network.sockets.length, 2);
  on.server.tell(on.server.session, { event: 'goodbye', code: 4002, reason: '', reconnect: { after_ms: 2 * month, jitter_ms: 0 } });
  on.network.settle();
  on.socket().end(4002);
  on.clock.advance(2 * month - 1);
  assert.equal(on.network.sockets.length, 2);
  on.clock.advance(1);
  assert.equal(on.network.sockets.length, 3);
});

test('a cut takes a number', async () => {
  const on = stage();
  await settle(on);
  for (const wrong of [NaN, '5', undefined, null]) assert.throws(() => on.client.cut(wrong as number), { code: 'bad_option' });
  assert.equal(on.client.state, 'open');
  on.client.cut(-5);
  on.clock.advance(0);
  assert.equal(on.network.sockets.length, 2);
});

for (const format of FORMATS) {
  test(`a message that is longer than the server accepts is refused locally, in ${format}`, async () => {
    const on = stage({ format });
    on.server.messageBytes = 1000;
    const limit = (): number | undefined => on.client.limits?.message_bytes;
    assert.equal(limit(), undefined);
    // Nobody knows yet what the server takes.
    const early = outcome(on.client.call('early', 'x'.repeat(2000)));
    const small = on.client.call('early', 'small');
    const joining = on.client.join('arena');
    await settle(on);
    const first = await early;
    assert.ok('error' in first);
    assert.deepEqual([first.error.code, first.error.sent], ['too_big', false]);
    assert.match(first.error.message, /has 20\d\d bytes, and this server accepts at most 1000/);
    assert.deepEqual(await small, { echo: 'small' });
    assert.equal(limit(), 1000);
    const room = await joining;
    assert.throws(() => room.send('big', 'é'.repeat(500)), { code: 'too_big', sent: false });
    const call = await outcome(room.call('big', 'x'.repeat(1000)));
    assert.ok('error' in call && call.error.code === 'too_big');
    room.send('big', 'x'.repeat(850));
    await settle(on);
    assert.equal(on.server.log.at(-1)?.data.length, 850);
    assert.equal(on.server.log.filter(({ type }) => type === 'early').length, 1);
    assert.equal(on.client.state, 'open');
  });
}

test('a message that is too long and has no request is reported by the error event', async () => {
  const on = stage();
  const joining = on.client.join('arena');
  await settle(on);
  const room = await joining;
  on.socket().end();
  on.server.messageBytes = 1000; // Another configuration: only what was never written can be taken back.
  (on.client.limits as unknown as { message_bytes: number }).message_bytes = 1e6;
  room.send('big', 'x'.repeat(2000));
  on.wake();
  await settle(on);
  assert.deepEqual(on.errors.map(({ code }) => code), ['too_big']);
  assert.equal(on.client.state, 'open');
});
