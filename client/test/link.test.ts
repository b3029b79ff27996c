import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLOSE_CODES, type CourtsideError } from '../src/index.js';
import { outcome, reconnect, settle, stage, turn } from './support/stage.js';

const half = () => 0.5;

test('nothing is written before the welcome, and everything right after it', async () => {
  const on = stage();
  void on.client.call('early', 1);
  on.network.accept();
  assert.deepEqual(on.socket().up, []);
  on.network.stepDown();
  const [first, second] = on.socket().up.map((frame) => JSON.parse(frame as string).action);
  assert.deepEqual([first, second], ['call', 'ping']);
});

test('an attempt carries the format, the credential and the page’s own parameters', async () => {
  const on = stage({ url: 'https://server.test/ws?v=2#top', format: 'msgpack', accessToken: 'a b&c' });
  const url = new URL(on.socket().url);
  assert.equal(url.protocol, 'wss:');
  assert.equal(url.hash, '');
  assert.deepEqual(Object.fromEntries(url.searchParams), { v: '2', format: 'msgpack', access_token: 'a b&c' });
});

test('a resume carries the token of the last welcome and the count of events', async () => {
  const on = stage();
  await settle(on);
  const room = on.client.join('arena');
  await settle(on);
  on.server.message((await room).id, 'hello');
  on.server.state((await room).id, {});
  await settle(on);
  on.socket().end();
  await reconnect(on);
  assert.equal(on.socket().query.get('resume'), 'token-1');
  assert.equal(on.socket().query.get('received'), '2', 'joined and message count, state does not');
  assert.deepEqual(on.story, ['open', 'reconnecting', 'open resumed']);
});

test('a credential can be requested for each attempt, and arrive late', async () => {
  let asked = 0;
  const on = stage({ accessToken: async () => `fresh-${(asked += 1)}` });
  assert.equal(on.network.sockets.length, 0);
  await turn();
  assert.equal(on.socket().query.get('access_token'), 'fresh-1');
  on.socket().end();
  await turn();
  on.wake();
  await turn();
  assert.equal(on.socket().query.get('access_token'), 'fresh-2');
});

test('a credential that arrives after its attempt was given up opens no connection', async () => {
  let hand: ((token: string) => void)[] = [];
  const on = stage({ accessToken: () => new Promise((resolve) => hand.push(resolve)) });
  on.client.cut(1000);
  hand[0]?.('late');
  await turn();
  assert.equal(on.network.sockets.length, 0);
  on.clock.advance(1000);
  hand[1]?.('in time');
  await turn();
  assert.equal(on.socket().query.get('access_token'), 'in time');
});

test('a failed credential function is reported and called again', async () => {
  let failures = 0;
  const on = stage({ accessToken: () => { throw new Error('signed out'); } });
  on.client.on('retry', ({ error }) => {
    failures += 1;
    assert.equal(error.code, 'token_failed');
    assert.match(error.message, /signed out/);
  });
  on.clock.advance(60_000);
  assert.ok(failures > 2);
});

test('after a lost welcome, the previous token is used again', async () => {
  const on = stage();
  const answer = on.client.call('first');
  await settle(on);
  await answer;
  on.socket().end();
  on.wake();
  on.network.accept();
  // The server has handed out another token, and the client never hears of it.
  on.socket().end();
  await reconnect(on);
  assert.equal(on.socket().query.get('resume'), 'token-1');
  assert.deepEqual(on.story, ['open', 'reconnecting', 'open resumed']);
});

test('an event before the welcome is not counted, and the connection is given up', async () => {
  const on = stage();
  const retries: string[] = [];
  on.client.on('retry', ({ error }) => retries.push(error.code));
  const before = on.socket();
  before.onmessage?.({ data: JSON.stringify({ event: 'message', room: 'r', type: 'x' }) });
  assert.deepEqual(retries, ['protocol']);
  before.onmessage?.({ data: JSON.stringify({ event: 'welcome', protocol: 1, resumed: false, resume: 't', session: 's', received: 0 }) });
  assert.equal(on.client.state, 'connecting', 'the abandoned socket is no longer heard');
  await reconnect(on);
  assert.equal(on.client.state, 'open');
});

test('waits double up to the cap, with full jitter', () => {
  const on = stage({ random: half });
  const waits: number[] = [];
  on.network.reachable = false;
  on.client.on('retry', ({ delayMs, attempt }) => {
    assert.equal(attempt, waits.length + 1);
    waits.push(delayMs);
  });
  for (let n = 0; n < 9; n += 1) {
    on.network.accept();
    on.clock.advance(waits.at(-1) ?? 0);
  }
  assert.deepEqual(waits, [125, 250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
});

test('only a connection that lasted resets the backoff', async () => {
  const on = stage({ random: half });
  const waits: number[] = [];
  on.client.on('retry', ({ delayMs }) => waits.push(delayMs));
  await settle(on);
  on.socket().end();
  await reconnect(on);
  on.socket().end();
  await reconnect(on);
  on.clock.advance(4000);
  await settle(on);
  on.clock.advance(1000);
  on.socket().end();
  assert.deepEqual(waits, [125, 250, 125]);
});

test('no welcome in time is a failed attempt', () => {
  const on = stage({ connectTimeoutMs: 3000 });
  const told: string[] = [];
  on.client.on('retry', ({ error }) => told.push(error.message));
  on.clock.advance(2999);
  assert.deepEqual(told, []);
  on.clock.advance(1);
  assert.match(told[0] ?? '', /server\.test\/ws did not send a welcome within 3000 ms/);
  assert.equal(on.network.sockets[0]?.closedWith, 4900);
});

test('the close code decides whether the client reconnects', async () => {
  const staysAway = [1008, 1009, 4500, 4501, 4502, 4503, 4999];
  const comesBack = [1000, 1001, 1006, 1011, 1012, 1013, 4000, 4001, 4002, 4499];
  for (const code of [...staysAway, ...comesBack]) {
    const on = stage();
    await settle(on);
    on.socket().end(code);
    assert.equal(on.client.state, comesBack.includes(code) ? 'reconnecting' : 'closed', String(code));
    on.wake();
    assert.equal(on.network.sockets.length, comesBack.includes(code) ? 2 : 1, String(code));
  }
  for (const { code, comesBack: rule } of CLOSE_CODES) assert.equal(rule, comesBack.includes(code), String(code));
});

test('closing rejects all requests with the cause', async () => {
  const on = stage();
  await settle(on);
  const asked = outcome(on.client.call('big', 'x'));
  let told: string | undefined;
  on.client.on('closed', (error) => (told = error?.code));
  on.socket().end(1009);
  const result = await asked;
  assert.ok('error' in result);
  assert.equal(result.error.code, 'closed');
  assert.match(result.error.message, /too big/);
  assert.equal(told, 'too_big');
  const after = await outcome(on.client.call('again'));
  assert.ok('error' in after && after.error.code === 'closed');
  await assert.rejects(on.client.whenOpen(), /too big/);
  assert.equal(on.clock.pending, 0, 'no timer is left');
});

test('a goodbye says when to reconnect, and a wake-up does not shorten it', async () => {
  const on = stage({ random: half });
  await settle(on);
  on.server.tell(on.server.session, { event: 'goodbye', code: 4002, reason: 'deploy', reconnect: { after_ms: 3000, jitter_ms: 2000 } });
  on.network.settle();
  let delay = 0;
  on.client.on('retry', ({ delayMs }) => (delay = delayMs));
  on.socket().end(4002);
  assert.equal(delay, 4000);
  on.clock.advance(3999);
  on.wake();
  assert.equal(on.network.sockets.length, 1);
  on.clock.advance(1);
  assert.equal(on.network.sockets.length, 2);
});

test('the application learns with which code and why it was disconnected', async () => {
  for (const [code, goes] of [[4901, true], [4503, true], [4400, false]] as const) {
    const on = stage();
    await settle(on);
    const told: unknown[] = [];
    const tell = (name: string) => (error?: CourtsideError) => told.push([name, error?.code, error?.closeCode, error?.reason]);
    on.client.on('closed', tell('closed'));
    on.client.on('retry', ({ error }) => tell('retry')(error));
    const goodbye = { event: 'goodbye', code, reason: 'you were banned' } as const;
    on.server.tell(on.server.session, goes ? goodbye : { ...goodbye, reconnect: { after_ms: 0, jitter_ms: 0 } });
    on.network.settle();
    on.socket().end(code);
    assert.deepEqual(told, [[goes ? 'closed' : 'retry', goes ? 'kicked' : 'disconnected', code, 'you were banned']]);
  }
});

test('a goodbye without `reconnect` is for good, whatever the code', async () => {
  const on = stage();
  await settle(on);
  on.server.tell(on.server.session, { event: 'goodbye', code: 1012, reason: 'the game is over' });
  on.network.settle();
  let told = '';
  on.client.on('closed', (error) => (told = error?.message ?? ''));
  on.socket().end(1012);
  assert.equal(on.client.state, 'closed');
  assert.match(told, /the game is over/);
});

test('the client backs off from a server that always sends a goodbye at once', async () => {
  const on = stage({ random: half });
  const waits: number[] = [];
  on.client.on('retry', ({ delayMs }) => waits.push(delayMs));
  for (let n = 0; n < 4; n += 1) {
    await settle(on);
    on.server.tell(on.server.session, { event: 'goodbye', code: 4002, reason: '', reconnect: { after_ms: 0, jitter_ms: 0 } });
    on.network.settle();
    on.socket().end(4002);
    on.clock.advance(waits.at(-1) ?? 0);
  }
  assert.deepEqual(waits, [125, 250, 500, 1000]);
});

test('a wake-up reconnects at once, and checks a connection that looks open', async () => {
  const on = stage();
  await settle(on);
  const pings = on.server.pings.length;
  on.wake();
  on.network.settle();
  assert.equal(on.server.pings.length, pings + 1);
  on.socket().vanish();
  on.wake();
  on.clock.advance(4999);
  assert.equal(on.client.state, 'open');
  on.clock.advance(1);
  assert.equal(on.client.state, 'reconnecting', 'five seconds after the check and not after the next ping');
  on.wake();
  assert.equal(on.network.sockets.length, 2);
  on.wake();
  assert.equal(on.network.sockets.length, 2, 'an attempt that is under way is left alone');
});

test('a cut keeps the session, lasts for its time and then reconnects at once', async () => {
  const on = stage();
  const joining = on.client.join('arena');
  await settle(on);
  const room = await joining;
  const heard: number[] = [];
  room.on('n', (n) => heard.push(n));
  on.client.cut(5000);
  assert.equal(on.client.state, 'reconnecting');
  assert.notEqual(on.network.sockets[0]?.closedWith, 1000, 'not the end of the session');
  on.server.message(room.id, 'n', 1);
  room.send('steer', 1);
  on.wake();
  on.clock.advance(4999);
  assert.equal(on.network.sockets.length, 1);
  on.clock.advance(1);
  await settle(on);
  assert.deepEqual(on.story, ['open', 'reconnecting', 'open resumed']);
  assert.deepEqual(heard, [1]);
  assert.equal(on.server.log.at(-1)?.data, 1);
});

test('a shorter cut does not shorten a longer one', async () => {
  const on = stage();
  await settle(on);
  on.client.cut(5000);
  on.client.cut(100);
  on.clock.advance(4999);
  assert.equal(on.network.sockets.length, 1);
  on.clock.advance(1);
  assert.equal(on.network.sockets.length, 2);
});

test('a dead server is detected by its silence after a ping', async () => {
  const on = stage();
  await settle(on);
  on.clock.advance(3000);
  on.socket().vanish();
  on.clock.advance(11_999);
  assert.equal(on.client.state, 'open');
  on.clock.advance(1);
  assert.equal(on.client.state, 'reconnecting', 'ping_ms and the timeout after the last ping');
});

test('any frame is a sign of life, even if no ping is answered', async () => {
  const on = stage();
  on.server.answersPings = false;
  const joining = on.client.join('arena');
  await settle(on);
  for (let n = 0; n < 100; n += 1) {
    on.clock.advance(1000);
    on.server.message((await joining).id, 'n', n);
    on.network.settle();
  }
  assert.equal(on.client.state, 'open');
  assert.equal(on.network.sockets.length, 1);
});

test('after the computer slept, the server gets another ping', async () => {
  const on = stage();
  await settle(on);
  on.clock.advance(10_000);
  on.clock.jump(3_600_000);
  assert.equal(on.client.state, 'open');
  on.clock.advance(5000);
  assert.equal(on.client.state, 'reconnecting');
});

test('a connection that still sends bytes is slow, not dead', async () => {
  const on = stage();
  await settle(on);
  const socket = on.socket();
  socket.bufferedAmount = 100_000;
  on.clock.advance(10_000);
  socket.bufferedAmount = 60_000;
  on.clock.advance(5000);
  assert.equal(on.client.state, 'open');
  on.clock.advance(5000);
  assert.equal(on.client.state, 'reconnecting', 'once nothing moves any more');
});

test('closing is final, reaches the server and leaves no timers behind', async () => {
  let waking = true;
  const on = stage({ wakeOn: () => () => (waking = false) });
  await settle(on);
  const waiting = outcome(on.client.call('slow'));
  on.client.close();
  on.client.close();
  assert.equal(on.socket().closedWith, 1000);
  assert.deepEqual(on.story, ['open', 'closed', 'closed by the page']);
  await settle(on);
  assert.equal(on.clock.pending, 0);
  const result = await waiting;
  assert.ok('error' in result && result.error.code === 'closed');
  assert.equal(waking, false);
  on.client.cut(1);
  on.clock.advance(100_000);
  assert.equal(on.network.sockets.length, 1);
});

test('a server with another protocol version is rejected', async () => {
  const on = stage();
  on.server.protocol = 2;
  await settle(on);
  assert.deepEqual(on.story, ['closed', 'closed by protocol']);
});

test('a second welcome is a protocol error', async () => {
  const on = stage();
  await settle(on);
  on.server.tell(on.server.session, { event: 'welcome', protocol: 1, session: 'x', resume: 'x', resumed: false, received: 0, time: 0, ping_ms: 1, window_ms: 1 });
  on.network.settle();
  assert.deepEqual(on.story, ['open', 'reconnecting']);
});

test('a page that closes in a lost listener receives no open event', async () => {
  const on = stage();
  await settle(on);
  on.client.on('lost', () => on.client.close());
  let last = '';
  on.client.on('state', (state) => (last = state));
  on.server.forgetSessions();
  on.socket().end();
  await reconnect(on);
  assert.deepEqual(on.story, ['open', 'reconnecting', 'lost unknown', 'closed', 'closed by the page']);
  assert.equal(last, 'closed');
});

test('an unreadable frame ends the session, because it is unknown whether it counts', async () => {
  const on = stage();
  await settle(on);
  on.socket().onmessage?.({ data: 'not json' });
  await reconnect(on);
  assert.equal(on.socket().query.get('resume'), null);
  assert.deepEqual(on.story, ['open', 'reconnecting', 'lost protocol', 'open']);
});

test('an address that can never work throws at once', () => {
  assert.throws(() => stage({ url: '/ws' }), /outside a browser, give an absolute address/);
  assert.throws(() => stage({ url: 'ftp://server.test' }), /use ws:, wss:/);
  assert.throws(() => stage({ WebSocket: undefined as never }), { code: 'no_websocket' });
});
