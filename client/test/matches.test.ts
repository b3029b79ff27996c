import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MatchProgress, Room, TokenStorage } from '../src/index.js';
import { FORMATS, outcome, reconnect, settle, stage, type Stage } from './support/stage.js';

// Searches for a match: the client joins the room by itself, whatever happens to its connection.

function watch(on: Stage): MatchProgress[] {
  const progress: MatchProgress[] = [];
  on.client.on('match', (step) => progress.push(step));
  return progress;
}

function sent(on: Stage): string[] {
  return on.server.log.map(({ action }) => action);
}

for (const format of FORMATS) {
  test(`a match resolves with its room, over a lost connection, in ${format}`, async () => {
    const on = stage({ format });
    const progress = watch(on);
    const matching = on.client.match('duel', { data: { map: 'moon' }, party: { code: 'c', size: 2 } });
    await settle(on);
    assert.deepEqual(on.client.queues, ['duel']);
    const [search] = on.server.log;
    assert.deepEqual([search?.queue, search?.data, search?.party], ['duel', { map: 'moon' }, { code: 'c', size: 2 }]);
    on.socket().end();
    on.server.matched('duel', 'd-1');
    await reconnect(on);
    await settle(on);
    const room: Room = await matching;
    assert.equal(room.id, 'd-1');
    assert.deepEqual(progress, [
      { queue: 'duel', state: 'queued', waitedMs: 0, party: { present: 1, size: 2 } },
      { queue: 'duel', state: 'matched', room: 'd-1', kind: 'duel' },
    ]);
    assert.deepEqual(on.client.queues, []);
    assert.deepEqual(sent(on), ['match', 'join']);
  });
}

test('a match that another player does not join goes on as a search', async () => {
  const on = stage();
  const progress = watch(on);
  const matching = on.client.match('duel');
  await settle(on);
  on.server.holds = true;
  on.server.matched('duel', 'd-1');
  await settle(on);
  const join = on.server.log.at(-1);
  on.server.tell(on.server.session, { event: 'error', id: join?.id, code: 'match_dissolved', message: 'Another player has not joined.' });
  on.server.dissolved('duel', 4000);
  on.server.holds = false;
  await settle(on);
  on.server.matched('duel', 'd-2');
  await settle(on);
  assert.equal((await matching).id, 'd-2');
  assert.deepEqual(progress.map((step) => step.state), ['queued', 'matched', 'queued', 'matched']);
  assert.deepEqual(on.errors, []);
});

test('no match, a refusal, and a second search in the same queue', async () => {
  const on = stage();
  const matching = outcome(on.client.match('duel'));
  const second = await outcome(on.client.match('duel'));
  assert.ok('error' in second && second.error.code === 'already_queued');
  const none = outcome(on.client.match('none'));
  await settle(on);
  on.server.noMatch('duel', 'timeout');
  await settle(on);
  const first = await matching;
  assert.ok('error' in first);
  assert.deepEqual([first.error.code, first.error.reason], ['no_match', 'timeout']);
  const refused = await none;
  assert.ok('error' in refused && refused.error.code === 'unknown_queue');
  // And again.
  const again = on.client.match('duel');
  await settle(on);
  on.server.matched('duel', 'd-1');
  await settle(on);
  assert.equal((await again).id, 'd-1');
});

test('an aborted search is not sent, or leaves the queue, or leaves the room', async () => {
  const on = stage();
  const unsent = new AbortController();
  const early = outcome(on.client.match('duel', { signal: unsent.signal }));
  unsent.abort();
  const first = await early;
  assert.ok('error' in first);
  assert.deepEqual([first.error.code, first.error.sent], ['aborted', false]);
  await settle(on);
  assert.deepEqual(sent(on), []);

  const queued = new AbortController();
  const late = outcome(on.client.match('duel', { signal: queued.signal }));
  await settle(on);
  queued.abort();
  const second = await late;
  assert.ok('error' in second);
  assert.deepEqual([second.error.code, second.error.sent], ['aborted', true]);
  await settle(on);
  assert.deepEqual(sent(on), ['match', 'match.cancel']);

  const timed = outcome(on.client.match('duel', { timeoutMs: 500 }));
  await settle(on);
  on.server.holds = true;
  on.server.matched('duel', 'd-1');
  await settle(on);
  on.clock.advance(500);
  const third = await timed;
  assert.ok('error' in third && third.error.code === 'timeout');
  // The join was on its way, and the server accepts it before it reads the rest.
  on.server.holds = false;
  for (const act of on.server.log.filter(({ action }) => action === 'join')) on.server.process(on.server.session, act);
  await settle(on);
  assert.deepEqual(sent(on).slice(-2), ['match.cancel', 'leave']);
  assert.deepEqual(on.errors, []);
});

for (const format of FORMATS) {
  test(`a search that follows a cancelled one at once is not ended by what becomes of that, in ${format}`, async () => {
    for (const isAnswered of [true, false]) {
      const on = stage({ format });
      const first = new AbortController();
      const given = outcome(on.client.match('duel', { signal: first.signal }));
      await settle(on);
      if (!isAnswered) on.server.holds = true;
      // The older search has a match, or is over, while the cancellation is on its way.
      if (isAnswered) on.server.matched('duel', 'd-1');
      else on.server.noMatch('duel', 'timeout');
      first.abort();
      const second = on.client.match('duel');
      await settle(on);
      if (!isAnswered) {
        on.server.holds = false;
        for (const act of on.server.log.slice(-2)) on.server.process(on.server.session, act);
        await settle(on);
      }
      assert.ok('error' in (await given));
      assert.deepEqual(sent(on), ['match', 'match.cancel', 'match']);
      assert.deepEqual(on.client.queues, ['duel']);
      on.server.matched('duel', 'd-2');
      await settle(on);
      assert.equal((await second).id, 'd-2');
      assert.deepEqual(on.client.queues, []);
      assert.deepEqual(on.errors, []);
    }
  });
}

test('a queue is left in the step in which the client cancels, also before the server has answered the search', async () => {
  const on = stage();
  on.server.holds = true;
  const first = new AbortController();
  const given = outcome(on.client.match('duel', { signal: first.signal }));
  await settle(on);
  first.abort();
  assert.ok('error' in (await given));
  await settle(on);
  const [search, cancel] = on.server.log;
  on.server.process(on.server.session, search!);
  await settle(on);
  assert.deepEqual(on.client.queues, []);
  on.server.process(on.server.session, cancel!);
  on.server.holds = false;
  await settle(on);
  const matching = outcome(on.client.match('duel'));
  await settle(on);
  const cancelled = on.client.cancelMatch('duel');
  assert.deepEqual(on.client.queues, []);
  await settle(on);
  await cancelled;
  const ended = await matching;
  assert.ok('error' in ended && ended.error.reason === 'cancelled');
  assert.deepEqual(on.errors, []);
});

test('a room that refuses the client ends the search', async () => {
  const on = stage();
  const matching = outcome(on.client.match('duel'));
  await settle(on);
  on.server.ended.add('d-1');
  on.server.matched('duel', 'd-1');
  await settle(on);
  const result = await matching;
  assert.ok('error' in result && result.error.code === 'unknown_room');
  assert.deepEqual(sent(on), ['match', 'join', 'match.cancel']);
});

test('a lost session and a closed client reject the search', async () => {
  const on = stage();
  const lost = outcome(on.client.match('duel'));
  await settle(on);
  on.server.forgetSessions();
  on.socket().end();
  await reconnect(on);
  const first = await lost;
  assert.ok('error' in first);
  assert.deepEqual([first.error.code, first.error.sent], ['session_lost', true]);
  const closed = outcome(on.client.match('duel'));
  await settle(on);
  on.client.close();
  const second = await closed;
  assert.ok('error' in second && second.error.code === 'closed');
});

class FakeStorage implements TokenStorage {
  readonly items = new Map<string, string>();
  getItem = (key: string): string | null => this.items.get(key) ?? null;
  setItem = (key: string, value: string): void => void this.items.set(key, value);
  removeItem = (key: string): void => void this.items.delete(key);
}

test('a reloaded page continues its searches', async () => {
  for (const isEarly of [true, false]) {
    const storage = new FakeStorage();
    const on = stage({ storage });
    for (const queue of ['duel', 'team']) void outcome(on.client.match(queue));
    await settle(on);
    on.server.matched('team', 't-1');
    on.page.hidden(false);
    on.socket().close(1001);
    on.network.settle();
    const after = stage({ storage }, on);
    const restored: string[] = [];
    after.client.on('restored', ({ queues }) => restored.push(...queues));
    const early = isEarly && [after.client.match('duel'), after.client.match('team')];
    await settle(after);
    const [duel, team] = early || [after.client.match('duel'), after.client.match('team')];
    on.server.matched('duel', 'd-1');
    await settle(after);
    assert.equal((await (duel as Promise<Room>)).id, 'd-1');
    assert.equal((await (team as Promise<Room>)).id, 't-1');
    assert.deepEqual(restored, ['duel', 'team']);
    assert.equal(sent(on).filter((action) => action === 'match').length, 2, 'it is not in a queue twice');
  }
});
