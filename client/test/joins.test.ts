import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Loss, Room } from '../src/index.js';
import { outcome, reconnect, settle, stage, turn, type Stage } from './support/stage.js';

// Joins that are taken back, rooms that are joined again, and messages that nobody wants.

async function joined(on: Stage, settings: Parameters<Stage['client']['join']>[2] = {}): Promise<Room> {
  const joining = on.client.join('arena', { name: 'ann' }, settings);
  await settle(on);
  return joining;
}

/** Settles, and lets the short waits pass that let other code run first. */
async function pass(on: Stage): Promise<void> {
  for (let n = 0; n < 6; n += 1) {
    on.clock.advance(1);
    await settle(on);
  }
}

test('join, leave and join again without waiting, as a component that is mounted twice', async () => {
  for (const isOpen of [true, false]) {
    const on = stage();
    on.server.single.add('arena');
    if (isOpen) await settle(on);
    const first = on.client.join('arena');
    void first.then((room) => room.leave());
    const second = on.client.join('arena');
    void second.then((room) => room.leave());
    const third = on.client.join('arena');
    await pass(on);
    assert.equal((await third).isJoined, true);
    assert.equal((await first).isJoined, false);
    assert.equal(on.server.session.rooms.size, 1);
  }
});

test('a room that is not being left is not joined twice', async () => {
  const on = stage();
  on.server.single.add('arena');
  await joined(on);
  const again = outcome(on.client.join('arena'));
  await pass(on);
  const result = await again;
  assert.ok('error' in result && result.error.code === 'already_member');
});

test('an aborted join is not sent, or the room is left again', async () => {
  const on = stage();
  const unsent = new AbortController();
  const early = outcome(on.client.join('arena', {}, { signal: unsent.signal }));
  unsent.abort(new Error('unmounted'));
  const first = await early;
  assert.ok('error' in first);
  assert.deepEqual([first.error.code, first.error.sent, (first.error.cause as Error).message], ['aborted', false, 'unmounted']);
  await settle(on);
  assert.equal(on.server.log.length, 0, 'it was never sent');

  const sent = new AbortController();
  const late = outcome(on.client.join('arena', {}, { signal: sent.signal }));
  on.network.stepUp();
  sent.abort();
  const second = await late;
  assert.ok('error' in second);
  assert.deepEqual([second.error.code, second.error.sent], ['aborted', true]);
  await settle(on);
  assert.deepEqual(on.server.log.map(({ action }) => action), ['join', 'leave']);

  const third = await outcome(on.client.join('arena', {}, { signal: sent.signal }));
  assert.ok('error' in third && third.error.code === 'aborted', 'a signal that was aborted before');
});

test('a call is given up by its signal or timeout, and its late answer is ignored', async () => {
  const on = stage();
  on.server.silent.add('slow');
  const room = await joined(on);
  const stop = new AbortController();
  const both = [outcome(on.client.call('slow', 1, { signal: stop.signal })), outcome(room.call('slow', 1, { timeoutMs: 2000 }))];
  await settle(on);
  on.clock.advance(1999);
  stop.abort();
  on.clock.advance(1);
  const [byHand, byTime] = await Promise.all(both);
  assert.ok(byHand && 'error' in byHand && byHand.error.code === 'aborted' && byHand.error.sent === true);
  assert.ok(byTime && 'error' in byTime && byTime.error.code === 'timeout');
  assert.match(byTime.error.message, /within 2000 ms/);
  for (const { id } of on.server.log) on.server.tell(on.server.session, { event: 'reply', id: id as number, data: 'late' });
  assert.deepEqual(await answered(on, room.call('echo', 1, { timeoutMs: 100, signal: new AbortController().signal })), { echo: 1 });
  const timers = on.clock.pending;
  on.clock.advance(1000);
  assert.equal(on.clock.pending, timers, 'no timer is left of what was answered');
  for (const patience of [{ timeoutMs: -1 }, { timeoutMs: NaN }, { signal: 7 as never }]) {
    for (const request of [on.client.call('echo', 1, patience), on.client.join('arena', {}, patience), room.call('echo', 1, patience)]) {
      const wrong = await outcome<unknown>(request);
      assert.ok('error' in wrong && wrong.error.code === 'bad_option');
    }
  }
});

async function answered<T>(on: Stage, answer: Promise<T>): Promise<T> {
  await settle(on);
  return answer;
}

test('a call that times out while offline is not sent', async () => {
  const on = stage();
  await settle(on);
  on.socket().end();
  const call = outcome(on.client.call('echo', 1, { timeoutMs: 50 }));
  on.network.reachable = false;
  on.clock.advance(60);
  const result = await call;
  assert.ok('error' in result);
  assert.deepEqual([result.error.code, result.error.sent], ['timeout', false]);
  on.network.reachable = true;
  on.clock.advance(1000);
  await settle(on);
  on.clock.advance(1000);
  await settle(on);
  assert.equal(on.client.state, 'open');
  assert.equal(on.server.log.length, 0);
});

test('a room that was joined with `rejoin` is joined again by itself, with its listeners', async () => {
  const on = stage();
  const room = await joined(on, { rejoin: true });
  const other = await joined(on);
  const story: unknown[] = [];
  room.on('n', (n) => story.push(n));
  room.onLeft((reason) => story.push(`left ${reason}`));
  room.onState((state) => story.push(state));
  room.onRejoined(({ reason, previous }) => story.push([reason, previous.id, previous.member]));
  await turn();
  story.length = 0;
  const before = { id: room.id, member: room.member };
  const losses: Loss[] = [];
  on.client.on('lost', (loss) => {
    losses.push(loss);
    assert.equal(room.isJoined, false);
    assert.throws(() => room.send('x'), /is being joined again: wait for room\.onRejoined/);
  });
  on.server.forgetSessions();
  on.socket().end();
  await reconnect(on);
  on.server.message(room.id, 'n', 1);
  await settle(on);
  assert.equal(room.id, before.id, 'the same room, as somebody else');
  assert.notEqual(room.member, before.member);
  assert.deepEqual(story, [['unknown', before.id, before.member], { joined: true }, 1]);
  assert.deepEqual(losses[0]?.rooms, [room.id, other.id]);
  assert.equal(other.isJoined, false);
  assert.deepEqual(await answered(on, room.call('echo', 2)), { echo: 2 });
  assert.deepEqual(on.server.log.at(-2)?.options, { name: 'ann' });
});

test('if the room is gone, another one of its kind is joined', async () => {
  const on = stage();
  const room = await joined(on, { rejoin: true });
  const before = room.id;
  on.server.ended.add(before);
  on.server.forgetSessions();
  on.socket().end();
  await reconnect(on);
  await settle(on);
  assert.equal(room.isJoined, true);
  assert.notEqual(room.id, before);
  on.server.message(room.id, 'n', 1);
  const heard: number[] = [];
  room.on('n', (n) => heard.push(n));
  await settle(on);
  assert.deepEqual(heard, [1]);
});

test('a room that cannot be joined again is left, with the reason of the loss', async () => {
  const on = stage();
  const joining = on.client.joinRoom('chat-7', {}, { rejoin: true });
  await settle(on);
  const room = await joining;
  const left: string[] = [];
  room.onLeft((reason) => left.push(reason));
  on.server.ended.add('chat-7');
  on.server.forgetSessions();
  on.socket().end();
  await reconnect(on);
  assert.deepEqual(left, ['unknown']);
});

test('a loss while a room is being joined again, a leave and a close', async () => {
  const on = stage();
  const room = await joined(on, { rejoin: true });
  const left: string[] = [];
  room.onLeft((reason) => left.push(reason));
  on.server.forgetSessions();
  on.socket().end();
  on.wake();
  on.network.accept();
  on.network.stepDown();
  on.server.forgetSessions();
  on.socket().end();
  await reconnect(on);
  await settle(on);
  assert.equal(room.isJoined, true, 'two sessions later');

  on.server.forgetSessions();
  on.socket().end();
  on.wake();
  on.network.accept();
  on.network.stepDown();
  await room.leave();
  assert.deepEqual(left, ['left']);
  await settle(on);
  assert.equal(on.server.session.rooms.size, 0, 'it was on its way already, and is left');

  const another = await joined(on, { rejoin: true });
  another.onLeft((reason) => left.push(reason));
  await turn();
  on.server.forgetSessions();
  on.socket().end();
  on.wake();
  on.network.accept();
  on.network.stepDown();
  on.client.close();
  assert.deepEqual(left, ['left', 'closed']);
});

test('a shutdown is reported as such, and `lost` names its rooms', async () => {
  const on = stage();
  const [room, kept, over] = [await joined(on), await joined(on, { rejoin: true }), await joined(on)];
  const story: string[] = [];
  for (const each of [room, kept, over]) each.onLeft((reason) => story.push(`${each === room ? 'room' : each === kept ? 'kept' : 'over'} ${reason}`));
  await turn();
  const ids = [room.id, kept.id];
  on.server.tell(on.server.session, { event: 'left', room: over.id, reason: 'disposed' });
  for (const id of ids) on.server.tell(on.server.session, { event: 'left', room: id, reason: 'shutdown' });
  await settle(on);
  assert.deepEqual(story, ['over disposed', 'room shutdown'], 'what is joined again is not left');
  assert.equal(kept.isJoined, false);
  const losses: Loss[] = [];
  on.client.on('lost', (loss) => losses.push(loss));
  on.server.forgetSessions();
  on.socket().end(4002);
  await reconnect(on);
  assert.deepEqual(losses.map(({ rooms }) => rooms), [ids]);
  assert.equal(kept.isJoined, true);
  assert.deepEqual(story.length, 2);
});

test('a message without a listener causes one warning for each type', async (t) => {
  const warn = t.mock.method(console, 'warn', () => {});
  const on = stage();
  const [room, other] = [await joined(on), await joined(on)];
  for (const each of [room, other]) each.on('known', () => {});
  await turn();
  for (const type of ['known', 'strange', 'strange', 'odd']) for (const { id } of [room, other]) on.server.message(id, type);
  await settle(on);
  assert.deepEqual(warn.mock.calls.map(({ arguments: [text] }) => String(text).match(/type "(\w+)"/)?.[1]), ['strange', 'odd']);
  assert.match(String(warn.mock.calls[0]?.arguments[0]), /room\.on\("strange", …\), or with room\.onMessage/);
});

test('onMessage receives every type, also earlier messages, and then there are no warnings', async (t) => {
  const warn = t.mock.method(console, 'warn', () => {});
  const on = stage();
  const room = await joined(on);
  on.server.message(room.id, 'early', 1);
  await settle(on);
  const heard: unknown[] = [];
  const off = room.onMessage((type, data) => heard.push([type, data]));
  room.on('late', (data) => heard.push(data));
  await turn();
  on.server.message(room.id, 'late', 2);
  on.server.tell(on.server.session, { event: 'signal', room: room.id, type: 'beep' });
  await settle(on);
  assert.deepEqual(heard, [['early', 1], 2, ['late', 2], ['beep', undefined]]);
  assert.equal(warn.mock.callCount(), 0);
  off();
  on.server.message(room.id, 'early');
  await settle(on);
  assert.equal(warn.mock.callCount(), 1);
});

test('messages of the application are heard outside of rooms, also earlier ones, and a type without a listener causes one warning', async (t) => {
  const warn = t.mock.method(console, 'warn', () => {});
  const on = stage();
  await settle(on);
  const send = (type: string, data?: unknown): void => on.server.tell(on.server.session, { event: 'message', type, data });
  send('gift', 1);
  await settle(on);
  const heard: unknown[] = [];
  on.client.onMessage<number>('gift', (gold) => heard.push(gold));
  await turn();
  for (const type of ['gift', 'strange', 'strange']) send(type, 2);
  await settle(on);
  assert.deepEqual(heard, [1, 2]);
  assert.equal(warn.mock.callCount(), 1);
  assert.match(String(warn.mock.calls[0]?.arguments[0]), /the server sent a message of type "strange".*client\.onMessage\("strange", …\)/);
  const all: unknown[] = [];
  const off = on.client.onMessage((type, data) => all.push([type, data]));
  for (const type of ['other', 'gift']) send(type);
  await settle(on);
  off();
  send('gift', 4);
  await settle(on);
  assert.deepEqual(all, [['other', undefined], ['gift', undefined]]);
  assert.equal(warn.mock.callCount(), 1);
});

test('messages of the application that nobody listens to are bounded', async () => {
  const on = stage();
  await settle(on);
  for (let n = 0; n <= 1000; n += 1) on.server.tell(on.server.session, { event: 'message', type: 'gift', data: n });
  await settle(on);
  assert.deepEqual(on.errors.map(({ code }) => code), ['unheard']);
});

test('a kicked member is told why', async () => {
  const on = stage();
  const room = await joined(on);
  const told: unknown[] = [];
  room.onLeft((reason, why) => told.push([reason, why]));
  on.server.tell(on.server.session, { event: 'left', room: room.id, reason: 'kicked', message: 'no shouting' });
  await settle(on);
  room.onLeft((reason, why) => told.push([reason, why]));
  await turn();
  assert.deepEqual(told, [['kicked', 'no shouting'], ['kicked', 'no shouting']]);
});

test('caughtup is emitted after the last missed event was delivered', async () => {
  const on = stage();
  const room = await joined(on);
  const story: unknown[] = [];
  room.on('n', (n) => story.push(n));
  on.client.on('caughtup', ({ missed }) => story.push({ missed }));
  on.client.on('open', () => story.push('open'));
  on.server.message(room.id, 'n', 0);
  await settle(on);
  on.socket().end();
  for (const n of [1, 2]) on.server.message(room.id, 'n', n);
  await reconnect(on);
  on.server.message(room.id, 'n', 3);
  await settle(on);
  assert.deepEqual(story, [0, 'open', 1, 2, { missed: 2 }, 3]);
  story.length = 0;
  on.socket().end();
  await reconnect(on);
  assert.deepEqual(story, ['open', { missed: 0 }], 'nothing was missed');
  story.length = 0;
  on.server.forgetSessions();
  on.socket().end();
  await reconnect(on);
  assert.deepEqual(story, ['open'], 'there is nothing to catch up with in another session');
});

test('caughtup starts again if the connection breaks in the middle', async () => {
  const on = stage();
  const room = await joined(on);
  const missed: number[] = [];
  on.client.on('caughtup', (caught) => missed.push(caught.missed));
  room.on('n', () => {});
  on.socket().end();
  for (const n of [1, 2, 3]) on.server.message(room.id, 'n', n);
  on.wake();
  on.network.accept();
  for (let n = 0; n < 2; n += 1) on.network.stepDown(); // The welcome and one of three.
  on.socket().end();
  await reconnect(on);
  assert.deepEqual(missed, [2]);
});
