import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Gap, PublicationInfo } from '../src/index.js';
import { FORMATS, outcome, reconnect, settle, stage, turn } from './support/stage.js';

test('a newcomer says what it wants of the history, and says it again in a new session', async () => {
  const on = stage();
  for (const n of [1, 2, 3]) on.server.publish('news', n);
  const heard: unknown[] = [];
  const from = new Date(1_764_000_000_000);
  on.client.subscribe('news', (item) => heard.push(item), { last: 2, from });
  await settle(on);
  assert.deepEqual(heard, [2, 3]);
  on.server.forgetSessions();
  on.socket().end();
  await reconnect(on);
  const [first, again] = on.server.log.filter(({ action }) => action === 'subscribe');
  assert.deepEqual([first?.last, first?.from, first?.since], [2, from.getTime(), undefined]);
  assert.deepEqual([again?.last, again?.from, again?.since], [2, from.getTime(), { epoch: 'one', offset: 3 }]);
  assert.deepEqual(heard, [2, 3]);
});

test('settings that cannot work are named', () => {
  const on = stage();
  for (const settings of [{ last: -1 }, { last: 1.5 }, { from: new Date(NaN) }, { keep: -1 }, { keep: Infinity }]) {
    assert.throws(() => on.client.subscribe('news', () => {}, settings), { code: 'bad_option' });
  }
});

test('a subscription turns the pages of the history', async () => {
  const on = stage();
  for (const n of [1, 2, 3, 4, 5]) on.server.publish('news', n);
  const subscription = on.client.subscribe<number>('news', () => {}, { last: 1 });
  await settle(on);
  const read: number[] = [];
  let before: number | undefined = 5;
  while (before !== undefined) {
    const asked = subscription.history({ before, limit: 2 });
    await settle(on);
    const { publications, more, epoch, offset } = await asked;
    assert.deepEqual([epoch, offset], ['one', 5]);
    read.unshift(...publications.map(({ data }) => data));
    before = more ? publications[0]?.offset : undefined;
  }
  assert.deepEqual(read, [1, 2, 3, 4]);
  subscription.unsubscribe();
  const refused = outcome(on.client.history('news', { limit: 2 }));
  await settle(on);
  assert.equal((await refused as { error: { code: string } }).error.code, 'not_subscribed');
});

test('a later listener starts with what the client holds', async () => {
  const on = stage();
  on.server.publish('news', 1);
  const heard: string[] = [];
  on.client.subscribe('news', (n) => heard.push(`first ${n}`), { keep: 3 });
  await settle(on);
  for (const n of [2, 3, 4]) on.server.publish('news', n);
  await settle(on);
  heard.length = 0;
  const late: [unknown, PublicationInfo][] = [];
  const second = on.client.subscribe('news', (n, info) => late.push([n, info]), { keep: 2 });
  assert.deepEqual(late, [], 'not before it has its subscription');
  const third = on.client.subscribe('news', () => heard.push('third'), { keep: 3 });
  third.unsubscribe();
  on.client.subscribe('news', (n) => heard.push(`live ${n}`));
  await turn();
  assert.deepEqual(late, [3, 4].map((n) => [n, { channel: 'news', epoch: 'one', offset: n, past: true }]));
  on.server.publish('news', 5);
  await settle(on);
  assert.deepEqual(late.at(-1), [5, { channel: 'news', epoch: 'one', offset: 5, past: false }]);
  assert.deepEqual(heard, ['first 5', 'live 5']);
  assert.deepEqual(on.server.log.map(({ action }) => action), ['subscribe'], 'the server is not asked again');
  second.unsubscribe();
});

test('a listener that joins while publications arrive receives each once and in order', async () => {
  const on = stage();
  for (const n of [1, 2, 3]) on.server.publish('news', n);
  const late: unknown[] = [];
  on.client.subscribe('news', (n) => {
    if (n === 2) on.client.subscribe('news', (each) => late.push(each), { keep: 10 });
  }, { keep: 10 });
  await settle(on);
  await turn();
  assert.deepEqual(late, [1, 2, 3]);
});

test('what the client holds has no gaps', async () => {
  const on = stage();
  on.server.retained = 1;
  const gaps: Gap[] = [];
  on.client.subscribe('news', () => {}, { keep: 10 }).onGap((gap) => gaps.push(gap));
  await settle(on);
  on.server.publish('news', 1);
  await settle(on);
  on.server.forgetSessions();
  on.socket().end();
  for (const n of [2, 3]) on.server.publish('news', n);
  await reconnect(on);
  assert.equal(gaps.length, 1);
  const late: unknown[] = [];
  on.client.subscribe('news', (n) => late.push(n), { keep: 10 });
  await turn();
  assert.deepEqual(late, [3]);
});

for (const format of FORMATS) {
  test(`of a channel that delivers the newest, each offset is handed on once and none is counted, in ${format}`, async () => {
    const on = stage({ format });
    const heard: unknown[] = [];
    const tell = (offset: number): void => on.server.tell(on.server.session, { event: 'latest', channel: 'clock', offset, data: { offset } });
    await settle(on);
    on.client.subscribe('clock', (_, { offset }) => heard.push(offset));
    tell(7); // Before the answer: of an earlier subscription.
    await settle(on);
    for (const offset of [1, 4, 4, 9]) tell(offset);
    await settle(on);
    assert.deepEqual(heard, [1, 4, 9]);
    on.socket().end();
    await reconnect(on);
    tell(9);
    tell(10);
    await settle(on);
    assert.deepEqual(heard, [1, 4, 9, 10]);
    assert.ok(on.story.includes('open resumed'), 'the counts agree');
    assert.deepEqual(on.errors, []);
  });

  test(`listeners receive whole publications, whatever comes as a patch, in ${format}`, async () => {
    const on = stage({ format });
    on.server.publish('match', { minute: 1, score: { home: 0, away: 0 }, note: null });
    const heard: unknown[] = [];
    on.client.subscribe('match', (state) => heard.push(state), { delta: true });
    await settle(on);
    assert.equal(on.server.log[0]?.delta, true);
    const tell = (offset: number, part: object): void => on.server.tell(on.server.session, { event: 'publication', channel: 'match', offset, ...part });
    tell(2, { patch: { minute: 2, score: { home: 1 } } });
    tell(3, { data: { minute: 3, note: null } });
    tell(4, { patch: { minute: 4, list: [{ a: null }] } });
    tell(5, { patch: {} });
    tell(6, { patch: { minute: null } });
    await settle(on);
    assert.deepEqual(heard, [
      { minute: 1, score: { home: 0, away: 0 }, note: null },
      { minute: 2, score: { home: 1, away: 0 }, note: null },
      { minute: 3, note: null },
      { minute: 4, note: null, list: [{ a: null }] },
      { minute: 4, note: null, list: [{ a: null }] },
      { note: null, list: [{ a: null }] },
    ]);
  });
}

test('the base of a patch is not handed on', async () => {
  const on = stage();
  on.server.publish('match', { minute: 1, name: 'final' });
  const heard: unknown[] = [];
  on.client.subscribe('match', (state) => heard.push(state), { delta: true, since: { epoch: 'one', offset: 1 } });
  await settle(on);
  assert.deepEqual(heard, []);
  on.server.tell(on.server.session, { event: 'publication', channel: 'match', offset: 2, patch: { minute: 2 } });
  await settle(on);
  assert.deepEqual(heard, [{ minute: 2, name: 'final' }]);
});

test('a patch of something that the client lacks makes it subscribe again', async () => {
  const on = stage();
  const heard: unknown[] = [];
  on.client.subscribe('match', (state) => heard.push(state), { delta: true });
  await settle(on);
  on.server.publish('match', { minute: 1 });
  on.server.publish('match', { minute: 2 });
  await settle(on);
  on.server.tell(on.server.session, { event: 'publication', channel: 'match', offset: 4, patch: { minute: 4 } });
  on.server.histories.get('match')?.push({ offset: 3, data: { minute: 3 } });
  await settle(on);
  assert.deepEqual(heard, [{ minute: 1 }, { minute: 2 }, { minute: 3 }]);
  assert.deepEqual(on.server.log.at(-1)?.since, { epoch: 'one', offset: 2 });
});
