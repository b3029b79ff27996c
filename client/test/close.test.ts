import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outcome, reconnect, settle, stage, turn, type Stage } from './support/stage.js';

// The end of a session by its client, whatever is under way: the server is told, or the session's window has ended.

/** Lets the attempts in the background happen. */
async function pass(on: Stage, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 250) {
    on.clock.advance(250);
    await settle(on);
  }
}

test('a close ends the session after what was sent', async () => {
  const on = stage();
  const joining = on.client.join('arena');
  await settle(on);
  const room = await joining;
  room.send('last', 'words');
  on.client.close();
  assert.equal(on.client.state, 'closed', 'at once');
  await settle(on);
  assert.equal(on.server.log.at(-1)?.data, 'words');
  assert.equal(on.socket().closedWith, 1000);
  assert.equal(on.server.session.hasEnded, true);
  assert.equal(on.server.session.rooms.size, 0);
  assert.equal(on.clock.pending, 0);
});

test('a join in progress leaves no member behind after a close', async () => {
  for (const opened of [false, true]) {
    const on = stage();
    if (opened) await settle(on);
    const joining = outcome(on.client.join('arena'));
    on.client.close();
    await settle(on);
    const result = await joining;
    assert.ok('error' in result && result.error.code === 'closed');
    assert.equal(on.server.sessions.length, 1);
    assert.equal(on.server.session.hasEnded, true, opened ? 'while open' : 'before the welcome');
    assert.equal(on.clock.pending, 0);
  }
});

test('a close before the first answer gives up when the attempt fails', async () => {
  const on = stage();
  on.client.close();
  assert.equal(on.socket().closedWith, undefined, 'the handshake may have reached the server: it is told behind it');
  on.socket().end();
  await settle(on);
  await pass(on, 60_000);
  assert.equal(on.network.sockets.length, 1);
  assert.equal(on.clock.pending, 0);
});

test('a close while offline reaches the server as soon as possible', async () => {
  const on = stage();
  const joining = on.client.join('arena');
  await settle(on);
  await joining;
  on.network.reachable = false;
  on.socket().end();
  on.client.close();
  assert.deepEqual(on.story, ['open', 'reconnecting', 'closed', 'closed by the page']);
  await pass(on, 10_000);
  assert.equal(on.server.session.hasEnded, false);
  assert.ok(on.network.sockets.length > 3, 'it is tried again and again');
  on.network.reachable = true;
  await pass(on, 15_000);
  assert.equal(on.server.session.hasEnded, true);
  const { query } = on.socket();
  assert.deepEqual([query.get('end'), query.get('resume')], ['true', 'token-1']);
  assert.ok(Number(query.get('attempt')) > 3);
  assert.equal(on.clock.pending, 0);
});

test('a close that cannot reach the server within the window is given up', async () => {
  const on = stage();
  await settle(on);
  on.network.reachable = false;
  on.socket().end();
  on.client.close();
  await pass(on, 50_000);
  assert.equal(on.clock.pending, 0);
  const attempts = on.network.sockets.length;
  assert.ok(attempts < 60, `${attempts} attempts in 45 s`);
  await pass(on, 60_000);
  assert.equal(on.network.sockets.length, attempts);
});

test('a close on a dead connection uses another connection', async () => {
  const on = stage();
  const joining = on.client.join('arena');
  await settle(on);
  await joining;
  on.socket().vanish();
  on.client.close();
  await pass(on, 12_000);
  assert.equal(on.server.session.hasEnded, true);
  assert.equal(on.socket().query.get('end'), 'true');
});

test('a close in the middle of a resume ends the session', async () => {
  const on = stage();
  const joining = on.client.join('arena');
  await settle(on);
  await joining;
  on.socket().end();
  on.wake();
  on.client.close();
  await settle(on);
  assert.equal(on.server.session.hasEnded, true);
  assert.equal(on.server.sessions.length, 1);
  assert.equal(on.clock.pending, 0);
});

test('a close requests a credential as any attempt does', async () => {
  let asked = 0;
  const on = stage({ accessToken: async () => `fresh-${(asked += 1)}` });
  await turn();
  await settle(on);
  on.socket().end();
  on.client.close();
  await turn();
  await settle(on);
  assert.equal(on.socket().query.get('access_token'), 'fresh-2');
  assert.equal(on.server.session.hasEnded, true);
});

test('connections that the client drops and may resume are closed with 4900', async () => {
  const on = stage();
  await settle(on);
  on.client.cut(0);
  assert.equal(on.network.sockets[0]?.closedWith, 4900);
  on.clock.advance(0);
  await settle(on);
  on.clock.advance(10_000);
  on.clock.advance(5000);
  assert.equal(on.network.sockets[1]?.closedWith, 4900, 'a pong that does not come');
  await reconnect(on);
  on.socket().onmessage?.({ data: 'not json' });
  assert.equal(on.network.sockets[2]?.closedWith, 1000, 'a session that this side gives up is not to keep its seats');
});

test('a page that is left ends its session, unless the browser keeps it', async () => {
  for (const isKept of [false, true]) {
    const on = stage();
    await settle(on);
    on.page.hidden(isKept);
    await settle(on);
    assert.equal(on.server.session.hasEnded, !isKept);
    if (!isKept) continue;
    const pings = on.server.pings.length;
    on.page.shown();
    await settle(on);
    assert.equal(on.server.pings.length, pings + 1, 'and looks whether its connection has lived');
  }
});
