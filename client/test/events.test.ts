import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConnectOptions } from '../src/index.js';
import { FakeHttp } from './support/http.js';
import { FORMATS, settle, stage, turn, type Stage } from './support/stage.js';

/** A stage whose network has HTTP, too. Its WebSockets are blocked unless `network.reachable` is set. */
function withHttp(options: ConnectOptions = {}): Stage & { http: FakeHttp; transports: string[] } {
  let http: FakeHttp | undefined;
  const on = stage({ transport: 'auto', fetch: async (url, request) => { await turn(); return (http as FakeHttp).fetch(url, request); }, ...options });
  on.network.reachable = false;
  http = new FakeHttp(on.server, on.network);
  const transports: string[] = [];
  on.client.on('transport', (transport) => transports.push(transport));
  return Object.assign(on, { http, transports });
}

/** Lets everything happen that needs no time. */
async function run(on: Stage): Promise<void> {
  for (let n = 0; n < 6; n += 1) await (on.network.sockets.length > 0 ? settle(on) : turn());
}

/** Lets time pass in steps, so that pings are answered. */
async function pass(on: Stage, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 2000) {
    on.clock.advance(Math.min(left, 2000));
    await run(on);
  }
}

/** Fails two attempts over WebSockets, so that the third goes another way. */
async function fallBack(on: Stage): Promise<void> {
  const before = on.network.sockets.length;
  await run(on);
  for (let n = 0; n < 4 && on.client.state !== 'open'; n += 1) {
    on.wake();
    await run(on);
  }
  assert.ok(on.network.sockets.length - before <= 2);
}

for (const format of FORMATS) {
  test(`after two blocked WebSockets the session is carried by events, in ${format}`, async () => {
    const on = withHttp({ format });
    const room = on.client.join('arena');
    await fallBack(on);
    assert.equal(on.client.state, 'open');
    assert.equal(on.client.transport, 'events');
    assert.deepEqual(on.transports, ['events']);
    const heard: unknown[] = [];
    (await room).on('hello', (data) => heard.push(data));
    on.server.message((await room).id, 'hello', 'é☃');
    const reply = (await room).call('greet', 'ü');
    await run(on);
    assert.deepEqual(heard, ['é☃']);
    assert.deepEqual(await reply, { echo: 'ü' });
    assert.deepEqual(on.server.log.map(({ action }) => action), ['join', 'send']);
    const types = on.http.posted.map(({ type }) => type);
    assert.deepEqual([...new Set(types)], [format === 'json' ? 'application/json' : 'application/msgpack']);
    assert.equal(on.server.session.format, format);
  });

  test(`a request whose answer is lost is sent again without a second effect, in ${format}`, async () => {
    const on = withHttp({ format, transport: 'events' });
    await run(on);
    on.http.losesAnswers = 2;
    const replies = [on.client.call('a', 1), on.client.call('b', 2)];
    await run(on);
    on.clock.advance(500);
    await run(on);
    on.clock.advance(1000);
    await run(on);
    assert.deepEqual(await Promise.all(replies), [{ echo: 1 }, { echo: 2 }]);
    const third = on.client.call('c', 3);
    await run(on);
    assert.deepEqual(await third, { echo: 3 });
    assert.deepEqual(on.server.log.map(({ type }) => type), ['a', 'b', 'c']);
  });
}

test('a client that lost its WebSocket continues the session by events, and then on a WebSocket again', async () => {
  const on = withHttp();
  on.network.reachable = true;
  const got: unknown[] = [];
  on.client.subscribe('updates', (data) => got.push(data));
  await run(on);
  on.server.publish('updates', 1);
  await run(on);
  on.network.reachable = false;
  on.socket().end();
  on.server.publish('updates', 2);
  await fallBack(on);
  assert.deepEqual([on.client.transport, on.client.state], ['events', 'open']);
  on.server.publish('updates', 3);
  await run(on);

  // The WebSocket is still blocked when it is tried first.
  await pass(on, 30_000);
  assert.equal(on.client.state, 'open');
  assert.equal(on.socket().query.get('end'), 'true');
  assert.equal(on.socket().query.get('resume'), null);
  on.server.publish('updates', 4);
  await run(on);
  on.network.reachable = true;
  await pass(on, 62_000);
  assert.deepEqual([on.client.transport, on.client.state], ['websocket', 'open']);
  assert.deepEqual(on.transports, ['events', 'websocket']);
  on.server.publish('updates', 5);
  await run(on);
  assert.deepEqual(got, [1, 2, 3, 4, 5]);
  assert.equal(on.server.sessions.length, 1, 'probes begin no session');
});

test('a network that comes back is tried for a WebSocket at once', async () => {
  const on = withHttp();
  await fallBack(on);
  on.network.reachable = true;
  on.wake();
  await run(on);
  on.clock.advance(0);
  await run(on);
  assert.deepEqual(on.transports, ['events', 'websocket']);
  assert.deepEqual(on.story, ['open', 'reconnecting', 'open resumed']);
});

test('where neither works, both are tried in turn', async () => {
  const on = withHttp();
  on.http.reachable = false;
  for (let n = 0; n < 12; n += 1) {
    await run(on);
    on.wake();
  }
  assert.equal(on.client.state, 'connecting');
  const sockets = on.network.sockets.length;
  assert.ok(sockets >= 4 && sockets <= 8, `${sockets} WebSockets of 12 attempts`);
});

test('a transport that the page has chosen is the only one', async () => {
  const events = withHttp({ transport: 'events' });
  await run(events);
  assert.equal(events.network.sockets.length, 0);
  assert.deepEqual([events.client.transport, events.client.state], ['events', 'open']);
  assert.deepEqual(events.transports, []);
  await pass(events, 60_000);
  assert.equal(events.network.sockets.length, 0, 'no probes');

  const websocket = withHttp({ transport: 'websocket' });
  for (let n = 0; n < 6; n += 1) {
    await run(websocket);
    websocket.wake();
  }
  assert.equal(websocket.http.streams.length, 0);
});

test('without a fetch function there are only WebSockets', async () => {
  const on = withHttp({ transport: 'websocket', fetch: undefined });
  assert.equal(on.client.transport, 'websocket');
  assert.throws(() => stage({ transport: 'telepathy' as never }), { code: 'bad_option' });
});

test('a refused credential is reported as on a WebSocket', async () => {
  const on = withHttp({ transport: 'events', accessToken: 'old' });
  on.http.refusal = { status: 401, body: { code: 'ticket_expired', message: 'Your ticket has expired.' } };
  const refusals: string[] = [];
  on.client.on('unauthorized', ({ code, message }) => refusals.push(`${code}: ${message}`));
  await run(on);
  assert.deepEqual(refusals, ['ticket_expired: Your ticket has expired.']);
  assert.equal(on.client.state, 'closed');
});

test('a full server is asked again after the time that it names', async () => {
  const on = withHttp({ transport: 'events' });
  on.http.refusal = { status: 503, body: { code: 'full', message: 'full' } };
  const waits: number[] = [];
  on.client.on('retry', ({ delayMs }) => waits.push(delayMs));
  await run(on);
  on.http.refusal = undefined;
  assert.ok((waits[0] as number) >= 5000, `${waits}`);
  on.clock.advance(waits[0] as number);
  await run(on);
  assert.equal(on.client.state, 'open');
});

test('close() ends the session, after what was sent before', async () => {
  const on = withHttp({ transport: 'events' });
  await run(on);
  void on.client.call('last').catch(() => {});
  on.client.close();
  await run(on);
  assert.deepEqual(on.server.log.map(({ type }) => type), ['last']);
  assert.equal(on.server.session.hasEnded, true);
  assert.equal(on.clock.pending, 0);
});

test('the secrets of the connection are in no address of its actions', async () => {
  const on = withHttp({ transport: 'events', accessToken: 'secret' });
  await run(on);
  on.http.latest.end();
  await run(on);
  on.wake();
  await run(on);
  await run(on);
  assert.equal(on.http.latest.query.get('access_token'), 'secret');
  assert.ok(on.http.latest.query.has('resume'));
  const { url } = on.http.posted.at(-1) as { url: URL };
  assert.deepEqual([...url.searchParams.keys()].sort(), ['first', 'format']);
});

test('one request carries no more than the server takes in one message', async () => {
  const on = withHttp({ transport: 'events' });
  on.server.messageBytes = 1000;
  const text = 'é'.repeat(200);
  const calls = Array.from({ length: 10 }, (_, n) => on.client.call('long', text + n));
  await run(on);
  await run(on);
  await Promise.all(calls);
  for (const { actions } of on.http.posted) {
    assert.ok(new TextEncoder().encode(JSON.stringify(actions)).length <= 1016);
  }
  assert.equal(on.server.log.length, 10);
  await turn();
});
