import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PresenceChange } from '../src/index.js';
import { FORMATS, outcome, reconnect, settle, stage, type Stage } from './support/stage.js';

const ann = { id: 'ann', data: { name: 'Ann' }, sessions: 1 };
const bob = { id: 'bob', sessions: 1 };

/** The changes of a list, as one line each. */
function story(on: { presence: { onChange: (listener: (change: PresenceChange) => void) => unknown } }): string[] {
  const lines: string[] = [];
  const ids = (members: readonly { id: string }[]): string => members.map(({ id }) => id).join(' ');
  on.presence.onChange(({ joined, changed, left }) => lines.push(`+${ids(joined)} ~${ids(changed)} -${ids(left)}`));
  return lines;
}

async function watch(on: Stage): Promise<{ subscription: ReturnType<Stage['client']['subscribe']>; lines: string[] }> {
  const subscription = on.client.subscribe('hall', () => {}, { presence: true, data: { name: 'Me' } });
  const lines = story(subscription);
  await settle(on);
  return { subscription, lines };
}

for (const format of FORMATS) {
  test(`a list follows the server, in ${format}`, async () => {
    const on = stage({ format });
    on.server.present = [ann];
    const { subscription: { presence }, lines } = await watch(on);
    assert.deepEqual(on.server.log.at(-1)?.data, { name: 'Me' });
    assert.deepEqual([...presence.members.values()], [ann]);
    const before = presence.members;
    on.server.tell(on.server.session, on.server.change('hall', { joined: [bob] }));
    on.server.tell(on.server.session, on.server.change('hall', { changed: [{ ...ann, sessions: 2 }], left: ['nobody'] }));
    on.server.tell(on.server.session, on.server.change('hall', { left: ['bob'] }));
    await settle(on);
    assert.deepEqual(lines, ['+ann ~ -', '+bob ~ -', '+ ~ann -', '+ ~ -bob']);
    assert.deepEqual([presence.count, presence.members.get('ann')?.sessions, before.size], [1, 2, 1]);
    // Nothing has changed, so nothing is reported.
    on.server.tell(on.server.session, on.server.change('hall', { changed: [{ ...ann, sessions: 2 }] }));
    await settle(on);
    assert.equal(lines.length, 4);
  });

  test(`a missed change leads to one question, in ${format}`, async () => {
    const on = stage({ format });
    const { subscription: { presence }, lines } = await watch(on);
    on.server.change('hall', { joined: [ann] });
    const before = on.server.log.length;
    on.server.tell(on.server.session, on.server.change('hall', { joined: [bob] }));
    on.server.tell(on.server.session, on.server.change('hall', { changed: [bob] }));
    await settle(on);
    assert.deepEqual(on.server.log.slice(before).map(({ action, channel }) => [action, channel]), [['presence', 'hall']]);
    assert.deepEqual([[...presence.members.keys()], lines], [['ann', 'bob'], ['+ann bob ~ -']]);
    // The note for a client that was too slow, and nothing after it.
    on.server.change('hall', { left: ['bob'] });
    on.server.tell(on.server.session, { event: 'presence', channel: 'hall', base: on.server.presenceVersion, version: on.server.presenceVersion });
    await settle(on);
    assert.deepEqual([[...presence.members.keys()], lines.at(-1)], [['ann'], '+ ~ -bob']);
  });
}

for (const comes of ['before the list', 'before the reply', 'after the reply'] as const) {
  test(`a note that comes ${comes} of an open question leads to another question`, async () => {
    const on = stage();
    on.server.present = [ann];
    const { subscription: { presence } } = await watch(on);
    const { server } = on;
    const before = server.log.length;
    const note = (version: number): void => server.tell(server.session, { event: 'presence', channel: 'hall', base: version, version });
    server.change('hall', { joined: [bob] });
    note(server.presenceVersion);
    server.holds = true;
    await settle(on);
    assert.equal(server.log.length - before, 1);
    const id = server.log.at(-1)?.id;
    const list = server.list('hall');
    server.change('hall', { left: ['ann'] });
    const newest = server.presenceVersion;
    if (comes === 'before the list') note(newest);
    server.tell(server.session, list);
    if (comes === 'before the reply') note(newest);
    server.tell(server.session, { event: 'reply', id });
    if (comes === 'after the reply') note(newest);
    server.holds = false;
    await settle(on);
    await settle(on);
    assert.deepEqual([...presence.members.keys()], ['bob']);
    assert.equal(server.log.length - before, 2);
  });
}

test('after a reconnect and in a new session the list is complete, and only differences are reported', async () => {
  const on = stage();
  on.server.present = [ann, bob];
  const { subscription: { presence }, lines } = await watch(on);
  on.socket().end();
  on.server.change('hall', { left: ['bob'] });
  const before = on.server.log.length;
  await reconnect(on);
  assert.deepEqual([lines, on.server.log.length], [['+ann bob ~ -', '+ ~ -bob'], before]);
  on.server.forgetSessions();
  on.socket().end();
  on.server.presenceVersion = 0;
  on.server.present = [ann, { id: 'cyd', sessions: 1 }];
  await reconnect(on);
  assert.deepEqual([lines.slice(2), presence.count], [['+cyd ~ -'], 2]);
  const again = on.server.log.at(-1);
  assert.deepEqual([again?.action, again?.presence, again?.data], ['subscribe', true, { name: 'Me' }]);
  // Versions begin again, too.
  on.server.tell(on.server.session, on.server.change('hall', { left: ['cyd'] }));
  await settle(on);
  assert.deepEqual(lines.at(-1), '+ ~ -cyd');
});

test('with too many only their number is known', async () => {
  const on = stage();
  on.server.present = [ann];
  const { subscription: { presence }, lines } = await watch(on);
  on.server.tell(on.server.session, { event: 'presence', channel: 'hall', version: 1, count: 312 });
  await settle(on);
  assert.deepEqual([presence.count, presence.isListed, presence.members.size, lines.at(-1)], [312, false, 0, '+ ~ -']);
  on.server.presenceVersion = 2;
  on.server.tell(on.server.session, on.server.list('hall'));
  await settle(on);
  assert.deepEqual([presence.count, presence.isListed, lines.at(-1)], [1, true, '+ann ~ -']);
});

test('what a client shows can be changed, and is shown in the next session', async () => {
  const on = stage();
  const { subscription: { presence } } = await watch(on);
  const set = presence.set({ name: 'Other' });
  await settle(on);
  assert.deepEqual(await outcome(set), { value: undefined });
  assert.deepEqual(on.server.log.at(-1)?.data, { name: 'Other' });
  on.server.forgetSessions();
  on.socket().end();
  await reconnect(on);
  assert.deepEqual(on.server.log.at(-1)?.data, { name: 'Other' });
});

test('a later listener can begin to watch a channel', async () => {
  const on = stage();
  on.server.present = [ann];
  const heard: unknown[] = [];
  const first = on.client.subscribe('hall', (item) => heard.push(item));
  await settle(on);
  on.server.publish('hall', 1);
  await settle(on);
  assert.equal(first.presence.count, 0);
  const second = on.client.subscribe('hall', () => {}, { presence: true });
  await settle(on);
  assert.deepEqual([second.presence === first.presence, second.presence.count, heard], [true, 1, [1]]);
});

test('a room has a list, too', async () => {
  const on = stage();
  const joining = on.client.join('arena', {}, { data: { name: 'Me' } });
  await settle(on);
  const room = await joining;
  assert.deepEqual(on.server.log.at(-1)?.data, { name: 'Me' });
  const lines = story(room);
  on.server.session.watched.add(room.id);
  on.server.present = [ann];
  on.server.tell(on.server.session, on.server.list(room.id));
  await settle(on);
  on.socket().end();
  on.server.change(room.id, { joined: [bob] });
  await reconnect(on);
  assert.deepEqual([lines, room.presence.count], [['+ann ~ -', '+bob ~ -'], 2]);
  const set = room.presence.set({ ready: true });
  await settle(on);
  await set;
  assert.deepEqual(on.server.log.at(-1)?.room, room.id);
});
