import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Gap, PublicationInfo } from '../src/index.js';
import { FORMATS, outcome, reconnect, settle, stage, turn } from './support/stage.js';

for (const format of FORMATS) {
  test(`history comes first, then what is new, in ${format}`, async () => {
    const on = stage({ format });
    on.server.publish('news', 'old');
    const heard: [string, PublicationInfo][] = [];
    const subscription = on.client.subscribe<string>('news', (item, info) => heard.push([item, info]));
    await settle(on);
    await subscription.ready;
    on.server.publish('news', 'new');
    await settle(on);
    assert.deepEqual(heard, [
      ['old', { channel: 'news', epoch: 'one', offset: 1, past: true }],
      ['new', { channel: 'news', epoch: 'one', offset: 2, past: false }],
    ]);
    assert.deepEqual(subscription.position, { epoch: 'one', offset: 2 });
  });
}

test('publishing resolves with the offset', async () => {
  const on = stage();
  const first = on.client.publish('news', 'a');
  const second = on.client.publish('news', 'b');
  await settle(on);
  assert.deepEqual([await first, await second], [1, 2]);
});

test('a new session continues after the last offset and delivers none twice', async () => {
  const on = stage();
  const heard: unknown[] = [];
  const gaps: Gap[] = [];
  on.client.subscribe('news', (item) => heard.push(item)).onGap((gap) => gaps.push(gap));
  await settle(on);
  on.server.publish('news', 1);
  on.server.publish('news', 2);
  await settle(on);
  on.server.forgetSessions();
  on.socket().end();
  on.server.publish('news', 3);
  await reconnect(on);
  on.server.publish('news', 4);
  await settle(on);
  assert.deepEqual(heard, [1, 2, 3, 4]);
  assert.deepEqual(gaps, []);
  assert.deepEqual(on.server.log.at(-1)?.since, { epoch: 'one', offset: 2 });
});

for (const code of ['too_fast', 'authorization_timeout']) test(`a subscription that is refused with ${code} is tried again until it succeeds`, async () => {
  const on = stage();
  on.server.hurryCode = code;
  const heard: unknown[] = [];
  const ends: string[] = [];
  const names = ['a', 'b', 'c'];
  for (const name of names) on.client.subscribe(name, (item) => heard.push(item)).onEnded(({ code }) => ends.push(code));
  await settle(on);
  const before = on.server.log.length;
  on.server.tooFast = 5;
  on.server.forgetSessions();
  on.socket().end();
  for (const name of names) on.server.publish(name, name);
  await reconnect(on);
  assert.deepEqual(heard, []);
  on.clock.advance(999);
  await settle(on);
  assert.equal(on.server.tooFast, 2, 'not at once');
  on.clock.advance(1_001);
  await settle(on);
  assert.deepEqual(heard, ['c']);
  on.clock.advance(2_000);
  await settle(on);
  assert.deepEqual(heard, ['c', 'a', 'b']);
  on.clock.advance(10_000);
  await settle(on);
  const asked = on.server.log.slice(before).filter(({ action }) => action === 'subscribe').map(({ channel }) => channel);
  assert.deepEqual(asked, ['a', 'b', 'c', 'a', 'b', 'c', 'a', 'b']);
  assert.deepEqual([ends, on.errors], [[], []]);
});

test('a subscription that waits to be tried again can be ended', async () => {
  const on = stage();
  const subscription = on.client.subscribe('a', () => {});
  await settle(on);
  on.server.tooFast = 1;
  on.server.forgetSessions();
  on.socket().end();
  await reconnect(on);
  subscription.unsubscribe();
  on.clock.advance(10_000);
  await settle(on);
  assert.equal(on.server.log.at(-1)?.action, 'unsubscribe');
  assert.deepEqual(on.errors, []);
});

test('a first subscription that is too fast is refused', async () => {
  const on = stage();
  on.server.tooFast = 1;
  const { ready } = on.client.subscribe('a', () => {});
  await settle(on);
  assert.equal((await outcome(ready) as { error: { code: string } }).error.code, 'too_fast');
});

test('a history that is too short causes a gap with its size', async () => {
  const on = stage();
  on.server.retained = 2;
  const heard: unknown[] = [];
  const gaps: Gap[] = [];
  on.client.subscribe('news', (item) => heard.push(item)).onGap((gap) => gaps.push(gap));
  await settle(on);
  on.server.publish('news', 1);
  await settle(on);
  on.server.forgetSessions();
  on.socket().end();
  for (const n of [2, 3, 4, 5]) on.server.publish('news', n);
  await reconnect(on);
  assert.deepEqual(heard, [1, 4, 5]);
  assert.deepEqual(gaps, [{ from: { epoch: 'one', offset: 1 }, missed: 2 }]);
});

test('a new epoch causes a gap of unknown size, with new offsets', async () => {
  const on = stage();
  const heard: unknown[] = [];
  const gaps: Gap[] = [];
  on.client.subscribe('news', (item) => heard.push(item)).onGap((gap) => gaps.push(gap));
  await settle(on);
  for (const n of [1, 2, 3]) on.server.publish('news', n);
  await settle(on);
  on.socket().end();
  on.server.forgetSessions();
  on.server.restartStream('news');
  on.server.publish('news', 'first again');
  await reconnect(on);
  on.server.publish('news', 'second again');
  await settle(on);
  assert.deepEqual(heard, [1, 2, 3, 'first again', 'second again']);
  assert.deepEqual(gaps, [{ from: { epoch: 'one', offset: 3 }, missed: undefined }]);
});

test('publications that were not recovered but already received are not delivered again', async () => {
  const on = stage();
  const heard: unknown[] = [];
  const gaps: Gap[] = [];
  on.client.subscribe('news', (item) => heard.push(item)).onGap((gap) => gaps.push(gap));
  await settle(on);
  const answer = { event: 'subscribed', channel: 'news', epoch: 'one', recovered: false };
  for (const n of [1, 2]) on.server.publish('news', n);
  await settle(on);
  on.server.silent.add(undefined as never); // The model stays silent: the test answers in its place.
  on.server.forgetSessions();
  on.socket().end();
  await reconnect(on);
  const { id } = on.server.log.at(-1) ?? {};
  on.server.tell(on.server.session, { ...answer, id, offset: 3, publications: [{ offset: 1, data: 1 }, { offset: 2, data: 2 }, { offset: 3, data: 3 }] });
  await settle(on);
  assert.deepEqual(heard, [1, 2, 3]);
  assert.deepEqual(gaps, [], 'nothing is missing between what was seen and what came');
});

test('a subscription with a position starts after it', async () => {
  const on = stage();
  for (const n of [1, 2, 3]) on.server.publish('news', n);
  const heard: unknown[] = [];
  on.client.subscribe('news', (item) => heard.push(item), { since: { epoch: 'one', offset: 2 } });
  await settle(on);
  assert.deepEqual(heard, [3]);
});

test('listeners of one channel share one subscription', async () => {
  const on = stage();
  const heard: string[] = [];
  const first = on.client.subscribe('news', (n) => heard.push(`first ${n}`));
  await settle(on);
  on.server.publish('news', 1);
  await settle(on);
  const second = on.client.subscribe('news', (n) => heard.push(`second ${n}`));
  on.server.publish('news', 2);
  await settle(on);
  first.unsubscribe();
  first.unsubscribe();
  on.server.publish('news', 3);
  await settle(on);
  assert.deepEqual(heard, ['first 1', 'first 2', 'second 2', 'second 3']);
  assert.deepEqual(on.server.log.map((act) => act.action), ['subscribe']);
  second.unsubscribe();
  await settle(on);
  assert.equal(on.server.log.at(-1)?.action, 'unsubscribe');
});

test('a new subscription receives nothing of the previous one', async () => {
  const on = stage();
  const heard: string[] = [];
  on.client.subscribe('news', () => heard.push('old')).unsubscribe();
  const subscription = on.client.subscribe('news', () => heard.push('old'));
  await settle(on);
  subscription.unsubscribe();
  const fresh = on.client.subscribe('news', (n, { past }) => heard.push(`fresh ${n} ${past}`));
  on.server.publish('news', 1);
  await settle(on);
  await fresh.ready;
  on.server.publish('news', 2);
  await settle(on);
  assert.deepEqual(heard, ['fresh 1 true', 'fresh 2 false']);
});

test('events in flight for an earlier subscription do not make a later one skip anything', async () => {
  const on = stage();
  const first = on.client.subscribe('news', () => {});
  await settle(on);
  for (const n of [1, 2, 3]) on.server.publish('news', n);
  first.unsubscribe();
  const heard: unknown[] = [];
  on.client.subscribe('news', (n) => heard.push(n), { since: { epoch: 'one', offset: 1 } });
  while (on.network.stepDown());
  assert.deepEqual(heard, []);
  await settle(on);
  assert.deepEqual(heard, [2, 3]);
});

test('a refused subscription is reported by ready and onEnded', async () => {
  const on = stage();
  const subscription = on.client.subscribe('secret', () => {});
  const ended: string[] = [];
  subscription.onEnded(({ code }) => ended.push(code));
  await settle(on);
  assert.deepEqual(ended, ['unknown_channel']);
  const awaited = outcome(on.client.subscribe('secret', () => {}).ready);
  await settle(on);
  const result = await awaited;
  assert.ok('error' in result && result.error.code === 'unknown_channel', 'it can be tried again');
  assert.deepEqual(on.errors, [], 'who was told is not told once more');
});

for (const code of ['members_only', 'too_deep']) test(`a subscription that a later listener changes, and that is refused with ${code}, ends here and at the server`, async () => {
  const on = stage();
  const heard: unknown[] = [];
  const ends: string[] = [];
  on.client.subscribe('news', (item) => heard.push(item)).onEnded((error) => ends.push(`first ${error.code}`));
  await settle(on);
  Object.assign(on.server, { hurryCode: code, tooFast: 1 });
  on.client.subscribe('news', (item) => heard.push(item), { data: 'no pass' }).onEnded((error) => ends.push(`second ${error.code}`));
  await settle(on);
  assert.deepEqual(ends, [`first ${code}`, `second ${code}`]);
  assert.deepEqual([...on.server.session.channels], []);
  on.server.publish('news', 1);
  await settle(on);
  on.client.subscribe('news', (item) => heard.push(item), { last: 0 });
  await settle(on);
  on.server.publish('news', 2);
  await settle(on);
  assert.deepEqual([heard.at(-1), [...on.server.session.channels], on.errors], [2, ['news'], []]);
});

test('a refused subscription is reported by the error event without ready and onEnded', async () => {
  const on = stage();
  on.client.subscribe('secret', () => {});
  await settle(on);
  assert.match(on.errors[0]?.message ?? '', /Subscribing to "secret" was refused: There is no such channel/);
});

test('a subscription that the server ends is over', async () => {
  const on = stage();
  const heard: unknown[] = [];
  const subscription = on.client.subscribe('news', (item) => heard.push(item));
  const ended: unknown[] = [];
  subscription.onEnded(({ code, reason, message }) => ended.push([code, reason, message]));
  await settle(on);
  on.server.tell(on.server.session, { event: 'unsubscribed', channel: 'news', reason: 'removed' });
  await settle(on);
  assert.deepEqual(ended, [['unsubscribed', 'removed', 'The server ended the subscription to "news": removed.']]);
  const before = on.server.log.length;
  subscription.unsubscribe();
  on.server.forgetSessions();
  on.socket().end();
  await reconnect(on);
  assert.equal(on.server.log.length, before, 'nothing is said of it any more');
});

for (const format of FORMATS) {
  test(`a subscriber sends its data without presence, and learns what it was given and for how long, in ${format}`, async () => {
    const on = stage({ format });
    on.server.given = { data: { seat: 7 }, expires_ms: 60_000 };
    on.server.publish('news', 1);
    const story: unknown[] = [];
    const subscription = on.client.subscribe('news', (item) => story.push(item), { data: { pass: 'a' } });
    subscription.onSubscribed(({ data, expiresIn }) => story.push([data, expiresIn]));
    assert.equal(subscription.data, undefined);
    await settle(on);
    assert.deepEqual(on.server.log.at(-1)?.data, { pass: 'a' });
    assert.equal('presence' in (on.server.log.at(-1) ?? {}), false);
    assert.deepEqual([story, subscription.data], [[[{ seat: 7 }, 60_000], 1], { seat: 7 }]);
    // The next session's check gets the same data, and may give something else.
    on.server.given = {};
    on.server.forgetSessions();
    on.socket().end();
    await reconnect(on);
    assert.deepEqual(on.server.log.at(-1)?.data, { pass: 'a' });
    assert.deepEqual([story.slice(2), subscription.data], [[[undefined, undefined]], undefined]);
  });
}

test('a subscription whose time is over can be taken up again by the listener that hears of it', async () => {
  const on = stage();
  const heard: unknown[] = [];
  const first = on.client.subscribe('news', (item) => heard.push(item), { data: 'old pass' });
  first.onEnded(({ reason }) => {
    if (reason === 'expired') on.client.subscribe('news', (item) => heard.push(item), { since: first.position, data: 'new pass' });
  });
  await settle(on);
  on.server.publish('news', 1);
  await settle(on);
  on.server.session.channels.delete('news');
  on.server.tell(on.server.session, { event: 'unsubscribed', channel: 'news', reason: 'expired' });
  on.server.publish('news', 2);
  await settle(on);
  on.server.publish('news', 3);
  await settle(on);
  assert.deepEqual(heard, [1, 2, 3]);
  assert.deepEqual(on.server.log.filter(({ action }) => action === 'subscribe').map(({ data }) => data), ['old pass', 'new pass']);
});

test('a channel that the application subscribes the client to is announced, and heard by whoever subscribes', async () => {
  const on = stage();
  const heard: unknown[] = [];
  on.client.on('subscribed', ({ channel }) => on.client.subscribe(channel, (item) => heard.push([channel, item])));
  await settle(on);
  const asked = on.server.log.length;
  const begun = { event: 'subscribed', epoch: 'one', offset: 4, recovered: false, publications: [] };
  for (const channel of ['gifts', 'gifts']) on.server.tell(on.server.session, { ...begun, channel });
  on.server.tell(on.server.session, { event: 'publication', channel: 'gifts', offset: 5, data: 'gold' });
  await settle(on);
  assert.deepEqual(heard, [['gifts', 'gold']]);
  assert.equal(on.server.log.length, asked, 'it need not ask for it');
  on.server.tell(on.server.session, { event: 'unsubscribed', channel: 'gifts', reason: 'removed' });
  on.server.tell(on.server.session, { event: 'publication', channel: 'gifts', offset: 6, data: 'none' });
  await settle(on);
  assert.equal(heard.length, 1);
});

test('a channel that was left while offline is not subscribed to again', async () => {
  const on = stage();
  const subscription = on.client.subscribe('news', () => {});
  await settle(on);
  on.server.forgetSessions();
  on.socket().end();
  subscription.unsubscribe();
  on.client.subscribe('other', () => {});
  await reconnect(on);
  const mine = on.server.log.filter((act) => act.session === on.server.session.id);
  assert.deepEqual(mine.map((act) => [act.action, act.channel]), [['subscribe', 'other']]);
  await turn();
});
