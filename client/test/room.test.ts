import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Room } from '../src/index.js';
import { FORMATS, outcome, settle, stage, turn, type Stage } from './support/stage.js';

async function joined(on: Stage): Promise<Room> {
  const joining = on.client.join('arena', { name: 'ann' });
  await settle(on);
  return joining;
}

test('a join names its room by id or kind', async () => {
  const on = stage();
  void on.client.join('arena', { name: 'ann' });
  void on.client.join('arena', undefined, { mode: 'create' });
  void on.client.joinRoom('arena-7', { name: 'ann' });
  await settle(on);
  assert.deepEqual(
    on.server.log.map(({ session: _, id: __, ...act }) => act),
    [
      { action: 'join', kind: 'arena', options: { name: 'ann' } },
      { action: 'join', kind: 'arena', mode: 'create' },
      { action: 'join', room: 'arena-7', options: { name: 'ann' } },
    ],
  );
});

for (const format of FORMATS) {
  test(`a room speaks, in ${format}`, async () => {
    const on = stage({ format });
    const room = await joined(on);
    assert.equal(room.kind, 'arena');
    assert.equal(room.member, 1);
    assert.deepEqual(room.state, { joined: true });
    const heard: unknown[] = [];
    room.on('chat_line', (line) => heard.push(line));
    room.on('beep', (nothing) => heard.push(nothing));
    on.server.message(room.id, 'chat_line', { text: 'hi' });
    on.server.tell(on.server.session, { event: 'signal', room: room.id, type: 'beep' });
    on.server.message('another', 'chat_line', { text: 'no' });
    const answer = room.call('ask', [1]);
    room.send('tell', { x: 0.5 });
    await settle(on);
    assert.deepEqual(heard, [{ text: 'hi' }, undefined]);
    assert.deepEqual(await answer, { echo: [1] });
    assert.deepEqual(on.server.log.at(-1), { action: 'send', room: room.id, type: 'tell', data: { x: 0.5 }, session: 'session-1' });
  });
}

test('a refused join rejects with the server’s error', async () => {
  const on = stage();
  const refused = outcome(on.client.join('closed_kind'));
  await settle(on);
  const result = await refused;
  assert.ok('error' in result && result.error.code === 'unknown_kind');
});

test('messages before the first listener are queued for it, in order', async () => {
  const on = stage();
  const room = await joined(on);
  for (const n of [1, 2, 3]) on.server.message(room.id, n === 2 ? 'even' : 'odd', n);
  await settle(on);
  const heard: number[] = [];
  room.on('odd', (n) => heard.push(n));
  room.on('even', (n) => heard.push(n));
  on.server.message(room.id, 'odd', 5);
  on.network.settle();
  assert.deepEqual(heard, [], 'not within the code that registers');
  await turn();
  assert.deepEqual(heard, [1, 2, 3, 5]);
});

test('queued messages without a listener are bounded, and dropping them is reported', async () => {
  const on = stage();
  const room = await joined(on);
  for (let n = 0; n < 1500; n += 1) on.server.message(room.id, 'n', n);
  await settle(on);
  assert.deepEqual(on.errors.map(({ code }) => code), ['unheard']);
});

test('a state listener first receives the present state', async () => {
  const on = stage();
  const room = await joined(on);
  const seen: unknown[] = [];
  const off = room.onState((state, tick) => seen.push([state, tick]));
  assert.deepEqual(seen, []);
  await turn();
  assert.deepEqual(seen, [[{ joined: true }, room.tick]]);
  on.server.state(room.id, { n: 2 });
  await settle(on);
  assert.deepEqual(seen.length, 2);
  assert.deepEqual(room.state, { n: 2 });
  off();
  on.server.state(room.id, { n: 3 });
  await settle(on);
  assert.equal(seen.length, 2);
});

test('leaving is confirmed, final, and harmless to repeat', async () => {
  const on = stage();
  const room = await joined(on);
  const left: string[] = [];
  room.onLeft((reason) => left.push(reason));
  const leaving = room.leave();
  assert.throws(() => room.send('late'), { code: 'room_left', sent: false });
  void room.leave();
  await settle(on);
  await leaving;
  await room.leave();
  assert.deepEqual(left, ['left']);
  assert.equal(on.server.log.filter((act) => act.action === 'leave').length, 1);
  const late = await outcome(room.call('ask'));
  assert.ok('error' in late && late.error.code === 'room_left');
});

test('a room that the server ends reports the reason, also to late listeners, after its last messages', async () => {
  const on = stage();
  const room = await joined(on);
  on.server.message(room.id, 'last', 'words');
  on.server.tell(on.server.session, { event: 'left', room: room.id, reason: 'kicked' });
  on.server.message(room.id, 'last', 'too late');
  await settle(on);
  const story: string[] = [];
  room.onLeft((reason) => story.push(reason));
  room.on('last', (words) => story.push(words));
  await turn();
  assert.deepEqual(story, ['words', 'kicked']);
  room.onLeft((reason) => story.push(`late ${reason}`));
  await turn();
  assert.deepEqual(story, ['words', 'kicked', 'late kicked']);
  assert.throws(() => room.send('x'), /was left \(kicked\): join it again/);
});

test('an end between registering and delivering queued messages comes after them', async () => {
  const on = stage();
  const room = await joined(on);
  on.server.message(room.id, 'last', 'words');
  await settle(on);
  const story: string[] = [];
  room.onLeft((reason) => story.push(reason));
  room.on('last', (words) => story.push(words));
  on.server.tell(on.server.session, { event: 'left', room: room.id, reason: 'disposed' });
  on.network.settle();
  await turn();
  assert.deepEqual(story, ['words', 'disposed']);
});

test('a closing client leaves its rooms', async () => {
  const on = stage();
  const room = await joined(on);
  const left: string[] = [];
  room.onLeft((reason) => left.push(reason));
  await turn();
  on.client.close();
  assert.deepEqual(left, ['closed']);
});
