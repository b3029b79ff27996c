import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Room, TokenStorage } from '../src/index.js';
import { FORMATS, outcome, reconnect, settle, stage, turn, type Stage } from './support/stage.js';

// A page is reloaded, and its session goes on in the next one.

class FakeStorage implements TokenStorage {
  readonly items = new Map<string, string>();
  getItem = (key: string): string | null => this.items.get(key) ?? null;
  setItem = (key: string, value: string): void => void this.items.set(key, value);
  removeItem = (key: string): void => void this.items.delete(key);
}

/** The page goes, with its connection, and is loaded again. */
async function reload(on: Stage, storage: TokenStorage): Promise<Stage> {
  on.page.hidden(false);
  on.socket().close(1001);
  on.network.settle();
  return stage({ storage }, on);
}

for (const format of FORMATS) {
  test(`a reloaded page has its room again, in ${format}`, async () => {
    const storage = new FakeStorage();
    const on = stage({ storage, format });
    const joining = on.client.join('arena', { name: 'ann' });
    await settle(on);
    const before = await joining;
    on.server.message(before.id, 'n', 'before');
    await settle(on);
    assert.equal(storage.items.size, 0, 'nothing is written while the page is there');

    on.page.hidden(false);
    on.socket().close(1001);
    on.network.settle();
    on.server.message(before.id, 'n', 'meanwhile');
    const after = stage({ storage, format }, on);
    assert.equal(storage.items.size, 0, 'taken out, so that no other page has it');
    const rooms: Room[] = [];
    after.client.on('restored', (restored) => rooms.push(...restored.rooms));
    const caught: number[] = [];
    after.client.on('caughtup', ({ missed }) => caught.push(missed));
    // Asked for before anybody knows that it is there: it is not joined twice.
    const again = after.client.join('arena', { name: 'ann' });
    await settle(after);
    const room = await again;
    assert.deepEqual([room.id, room.kind, room.member], [before.id, 'arena', before.member]);
    assert.deepEqual(rooms, [room]);
    assert.equal(on.server.log.filter(({ action }) => action === 'join').length, 1);
    assert.deepEqual(after.story, ['open resumed']);
    const heard: string[] = [];
    room.on('n', (n) => heard.push(n));
    await turn();
    assert.deepEqual(heard, ['meanwhile'], 'what the page before has heard is not told again');
    assert.deepEqual(caught, [1]);
    assert.deepEqual(room.state, { again: true });
    const { query } = after.socket();
    assert.deepEqual([query.get('restore'), query.get('received'), query.get('attempt')], ['true', '2', '1']);

    // Actions go on behind what the server has, with ids that no action had before.
    const ids = new Set(on.server.log.map(({ id }) => id));
    assert.deepEqual(await asked(after, room.call('echo', 1)), { echo: 1 });
    assert.equal(ids.has(on.server.log.at(-1)?.id), false);
    after.socket().end();
    await reconnect(after);
    assert.equal(after.socket().query.get('restore'), null, 'from then on it is an ordinary session');
    assert.deepEqual(await asked(after, room.call('echo', 2)), { echo: 2 });
  });
}

async function asked<T>(on: Stage, answer: Promise<T>): Promise<T> {
  await settle(on);
  return answer;
}

test('joins get restored rooms by id and kind, each once, and `create` gets none', async () => {
  const storage = new FakeStorage();
  const on = stage({ storage });
  const joins = [on.client.join('arena'), on.client.join('arena'), on.client.joinRoom('chat-7')];
  await settle(on);
  const [first, second, chat] = await Promise.all(joins);
  const after = await reload(on, storage);
  const created = after.client.join('arena', {}, { mode: 'create' });
  const byId = after.client.joinRoom('chat-7');
  await settle(after);
  assert.equal((await byId).member, chat?.member);
  assert.notEqual((await created).id, first?.id);
  // And those who ask later.
  const late = [after.client.join('arena'), after.client.join('arena', { name: 'bob' }), after.client.join('arena')];
  await settle(after);
  const ids = (await Promise.all(late)).map(({ id }) => id);
  assert.deepEqual(ids.slice(0, 2), [first?.id, second?.id]);
  assert.ok(![first?.id, second?.id].includes(ids[2]), 'there were two');
});

test('a restored room that is not joined is in the event, and can be left', async () => {
  const storage = new FakeStorage();
  const on = stage({ storage });
  void on.client.join('arena');
  await settle(on);
  const after = await reload(on, storage);
  const fresh: Promise<Room>[] = [];
  after.client.on('restored', ({ rooms }) => {
    for (const room of rooms) void room.leave();
    fresh.push(after.client.join('arena'));
  });
  await settle(after);
  assert.equal((await fresh[0])?.isJoined, true, 'what is being left is not given to a join');
  assert.equal(on.server.session.rooms.size, 1);
});

test('channels are subscribed to as always, and those without listeners are unsubscribed from', async () => {
  const storage = new FakeStorage();
  const on = stage({ storage });
  on.client.subscribe('news', () => {});
  on.client.subscribe('old', () => {});
  await settle(on);
  on.server.publish('news', 1);
  await settle(on);
  const after = await reload(on, storage);
  const heard: unknown[] = [];
  after.client.subscribe('news', (item) => heard.push(item));
  const restored: (readonly string[])[] = [];
  after.client.on('restored', ({ channels }) => restored.push(channels));
  await settle(after);
  on.server.publish('news', 2);
  await settle(after);
  assert.deepEqual(heard, [1, 2]);
  assert.deepEqual(restored, [['news', 'old']]);
  assert.deepEqual([...on.server.session.channels], ['news']);
});

test('if the session ended meanwhile, the page starts a first session', async () => {
  const storage = new FakeStorage();
  const on = stage({ storage });
  void on.client.join('arena');
  await settle(on);
  on.server.forgetSessions();
  const after = await reload(on, storage);
  const joining = after.client.join('arena');
  await settle(after);
  assert.equal((await joining).isJoined, true);
  assert.deepEqual(after.story, ['open'], 'this page has lost nothing');
  after.socket().end();
  await reconnect(after);
  assert.deepEqual([after.socket().query.get('received'), after.socket().query.get('attempt')], ['1', '1']);
  assert.deepEqual(after.story, ['open', 'reconnecting', 'open resumed']);
});

test('late answers to the previous page are ignored', async () => {
  const storage = new FakeStorage();
  const on = stage({ storage });
  await settle(on);
  void on.client.join('arena');
  on.network.stepUp(); // The server has it, the page does not know.
  const after = await reload(on, storage);
  const echo = after.client.call('echo', 1);
  await settle(after);
  assert.deepEqual(await echo, { echo: 1 });
  const joining = after.client.join('arena');
  await settle(after);
  assert.equal((await joining).id, [...on.server.session.rooms.keys()][0]);
  assert.equal(on.server.session.rooms.size, 1);
  on.server.tell(on.server.session, { event: 'left', room: 'nobody-knows', reason: 'left' });
  await settle(after);
  assert.equal(after.client.state, 'open');
});

test('a duplicated tab, a forbidden storage and an invalid one start a new session', async () => {
  const storage = new FakeStorage();
  const on = stage({ storage });
  await settle(on);
  assert.equal(stage({ storage }, on).socket().query.get('resume'), null);
  const forbidden = (): never => { throw new Error('SecurityError'); };
  const shut = stage({ storage: { getItem: forbidden, setItem: forbidden, removeItem: forbidden } });
  await settle(shut);
  shut.page.hidden(false);
  assert.equal(shut.client.state, 'open');
  for (const nonsense of ['', '7', '{"token":7}', '{"token":"t","received":-1,"attempt":0,"nextId":0}', 'null', '{']) {
    storage.items.set('courtside:server.test/ws', nonsense);
    assert.equal(stage({ storage }, on).socket().query.get('resume'), null, nonsense);
  }
});

test('a page from the back-forward cache continues, unless another page has its session', async () => {
  for (const isTaken of [false, true]) {
    const storage = new FakeStorage();
    const on = stage({ storage });
    const joining = on.client.join('arena');
    await settle(on);
    const room = await joining;
    on.page.hidden(true);
    assert.equal(storage.items.size, 1);
    const other = isTaken ? stage({ storage }, on) : undefined;
    if (other) await settle(other);
    const left: string[] = [];
    room.onLeft((reason) => left.push(reason));
    on.page.shown();
    await settle(on);
    await reconnect(on);
    assert.deepEqual(left, isTaken ? ['moved'] : []);
    assert.equal(on.client.state, 'open');
    assert.equal(storage.items.size, 0);
  }
});

test('a closed page leaves nothing behind', async () => {
  const storage = new FakeStorage();
  const on = stage({ storage });
  await settle(on);
  on.client.close();
  on.page.hidden(false);
  assert.equal(storage.items.size, 0);
  const result = await outcome(on.client.join('arena'));
  assert.ok('error' in result && result.error.code === 'closed');
});
