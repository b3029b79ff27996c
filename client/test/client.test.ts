import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FORMATS, outcome, reconnect, settle, stage } from './support/stage.js';

for (const format of FORMATS) {
  test(`calls are matched with their replies and errors, in ${format}`, async () => {
    const on = stage({ format });
    const first = on.client.call('echo', { n: 1 });
    const refused = outcome(on.client.call('refuse'));
    const last = on.client.call<{ echo: null }>('nothing');
    await settle(on);
    assert.deepEqual(await first, { echo: { n: 1 } });
    assert.deepEqual(await last, { echo: null });
    const result = await refused;
    assert.ok('error' in result);
    assert.equal(result.error.code, 'refused');
    assert.equal(result.error.message, 'Not now.');
    assert.equal(result.error.sent, undefined, 'the server answered');
    assert.equal('data' in (on.server.log[2] ?? {}), false, 'no data is no field');
  });
}

test('data is encoded when it is sent', async () => {
  const on = stage();
  const position = { x: 1 };
  const answer = on.client.call('echo', position);
  position.x = 2;
  await settle(on);
  assert.deepEqual(await answer, { echo: { x: 1 } });
});

test('a full queue refuses further actions and loses none of its own', async () => {
  const on = stage({ queueActions: 3 });
  const kept = [1, 2, 3].map((n) => on.client.call('echo', n));
  const refused = await outcome(on.client.call('echo', 4));
  assert.ok('error' in refused);
  assert.equal(refused.error.code, 'queue_full');
  assert.equal(refused.error.sent, false);
  await settle(on);
  assert.deepEqual(await Promise.all(kept), [{ echo: 1 }, { echo: 2 }, { echo: 3 }]);
  void on.client.call('echo', 5);
  await settle(on);
  assert.deepEqual(on.server.log.map((act) => act.data), [1, 2, 3, 5]);
});

test('unanswered requests are bounded', async () => {
  const on = stage({ queueActions: 3 });
  on.server.silent.add('quiet');
  await settle(on);
  for (let n = 0; n < 3; n += 1) {
    on.client.call('quiet').catch(() => {});
    await settle(on);
  }
  const refused = await outcome(on.client.call('quiet'));
  assert.ok('error' in refused && refused.error.code === 'queue_full');
  assert.match(refused.error.message, /3 requests wait for an answer/);
});

test('a client that sends much and receives little is acknowledged before its queue is full', async () => {
  const on = stage();
  const joining = on.client.join('arena');
  await settle(on);
  const room = await joining;
  for (let n = 0; n < 20_000; n += 1) {
    room.send('steer', n);
    on.network.settle();
  }
  assert.equal(on.server.log.length, 20_001);
});

test('a client that receives much acknowledges before the server’s buffer is full', async () => {
  const on = stage();
  const joining = on.client.join('arena');
  await settle(on);
  const room = await joining;
  const pings = on.server.pings.length;
  for (let n = 0; n < 1280; n += 1) on.server.message(room.id, 'n', n);
  on.network.settle();
  assert.equal(on.server.pings.length - pings, 10);
  assert.ok(Number(on.server.pings.at(-1)?.received) > 1200);
});

for (const reason of ['expired', 'unknown', 'overflow']) {
  test(`a session that is gone (${reason}) is reported to all listeners`, async () => {
    const on = stage();
    const joining = on.client.join('arena');
    await settle(on);
    const room = await joining;
    const left: string[] = [];
    room.onLeft((why) => left.push(why));
    on.server.silent.add('slow');
    const confirmed = outcome(on.client.call('slow'));
    await settle(on);
    on.clock.advance(10_000);
    await settle(on); // The pong confirms it.
    const written = outcome(on.client.call('slow'));
    room.send('steer');
    on.socket().end();
    const unsent = outcome(on.client.call('slow'));
    const unsentJoin = outcome(on.client.join('arena'));
    room.send('steer');
    const leaving = room.leave();
    on.server.refuseResume = reason;
    const losses: object[] = [];
    on.client.on('lost', (loss) => losses.push(loss));
    const before = on.server.log.length;
    await reconnect(on);
    assert.deepEqual(left, [reason]);
    assert.deepEqual(losses, [{ reason, rooms: [room.id], unsent: 4, unknown: 2 }]);
    assert.deepEqual(on.story, ['open', 'reconnecting', `lost ${reason}`, 'open']);
    for (const [request, sent] of [[confirmed, true], [written, true], [unsent, false], [unsentJoin, false]] as const) {
      const result = await request;
      assert.ok('error' in result);
      assert.equal(result.error.code, 'session_lost');
      assert.equal(result.error.sent, sent);
      assert.match(result.error.message, sent ? /may or may not/ : /never sent/);
    }
    await leaving; // It is left, as was wished.
    assert.equal(on.server.log.length, before, 'nothing of the old session leaks into the new one');
    assert.throws(() => room.send('steer'), { code: 'room_left' });
    const again = on.client.call('echo', 1);
    await settle(on);
    assert.deepEqual(await again, { echo: 1 });
  });
}

test('requests before the first welcome wait through any number of failed attempts', async () => {
  const on = stage();
  const answer = on.client.call('echo', 1);
  for (let n = 0; n < 5; n += 1) {
    on.network.accept();
    on.socket().end(); // The welcome is lost each time.
    on.wake();
  }
  await settle(on);
  assert.deepEqual(await answer, { echo: 1 });
  assert.equal(on.server.log.length, 1);
});

test('the page can call the client from each event listener', async () => {
  const on = stage();
  await settle(on);
  const rejoined: unknown[] = [];
  on.client.on('lost', () => rejoined.push(on.client.join('arena')));
  on.server.forgetSessions();
  on.socket().end();
  await reconnect(on);
  assert.equal(rejoined.length, 1);
  assert.equal((await (rejoined[0] as Promise<{ kind: string }>)).kind, 'arena');
  on.client.on('retry', () => on.client.close());
  on.socket().end();
  assert.equal(on.client.state, 'closed');
});

test('errors that answer no request reach the error event, or the room that they name', async () => {
  const on = stage();
  const joining = on.client.join('arena');
  await settle(on);
  const room = await joining;
  room.send('refuse');
  await settle(on);
  assert.equal(on.errors[0]?.code, 'refused');
  const heard: string[] = [];
  room.onError((error) => heard.push(error.code));
  room.send('refuse');
  await settle(on);
  assert.deepEqual([heard.length, on.errors.length], [1, 1]);
});

test('an error without a listener is written to the console', async (t) => {
  const warn = t.mock.method(console, 'warn', () => {});
  const { connect } = await import('../src/index.js');
  const { Network } = await import('./support/network.js');
  const { ServerModel } = await import('./support/server.js');
  const { FakeClock } = await import('./support/clock.js');
  const clock = new FakeClock();
  const server = new ServerModel(clock);
  const network = new Network(server);
  connect('ws://server.test', { WebSocket: network.WebSocket, clock });
  network.settle();
  server.tell(server.session, { event: 'error', code: 'not_an_action', message: 'Send an object.' });
  network.settle();
  network.latest.end();
  clock.advance(300);
  network.reachable = false;
  network.accept();
  assert.match(String(warn.mock.calls[0]?.arguments[0]), /not_an_action: Send an object/);
  assert.match(String(warn.mock.calls[1]?.arguments[0]), /Trying again/);
  assert.equal(warn.mock.callCount(), 2, 'once for each outage');
});

test('pings measure the round trip, and reject without a connection', async () => {
  const on = stage();
  const early = await outcome(on.client.ping());
  assert.ok('error' in early && early.error.code === 'not_connected');
  await settle(on);
  const measured = on.client.ping();
  on.clock.advance(40);
  await settle(on);
  assert.equal(await measured, 40);
  assert.equal(on.client.roundTrip, 40);
  const lost = outcome(on.client.ping());
  on.socket().end();
  const result = await lost;
  assert.ok('error' in result && result.error.code === 'not_connected');
});

test('the server’s clock is known from the welcome on', async () => {
  const on = stage();
  assert.equal(on.client.serverTime(), undefined);
  await settle(on);
  assert.equal(on.client.serverTime(), on.server.time());
  on.clock.advance(1234);
  assert.equal(on.client.serverTime(), on.server.time());
});

test('whenOpen waits for the welcome', async () => {
  const on = stage();
  const open = on.client.whenOpen();
  await settle(on);
  await open;
  await on.client.whenOpen();
  assert.equal(on.client.sessionId, on.server.session.id);
});

test('if a server acknowledges unsent actions, the client starts a new session', async () => {
  const on = stage();
  await settle(on);
  on.server.tell(on.server.session, { event: 'pong', received: 7, time: 0 });
  on.network.settle();
  assert.equal(on.client.state, 'reconnecting');
  await reconnect(on);
  assert.deepEqual(on.story, ['open', 'reconnecting', 'lost protocol', 'open']);
});

test('events of later versions are counted and ignored', async () => {
  const on = stage();
  await settle(on);
  on.server.tell(on.server.session, { event: 'of_another_future', channel: 'c' });
  on.server.tell(on.server.session, { event: 'of_the_future' });
  await settle(on);
  on.socket().end();
  await reconnect(on);
  assert.equal(on.socket().query.get('received'), '2');
});
