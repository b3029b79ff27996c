import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CourtsideError, ListedRoom, RoomListing, RoomsChange } from '../src/index.js';
import { FORMATS, reconnect, settle, stage, type Stage } from './support/stage.js';

const room = (id: string, members = 1): ListedRoom => ({ room: id, kind: 'arena', members, capacity: 4, locked: false, metadata: null });

/** Follows arenas. The lines are the rooms and the changes that the listener was called with. */
function follow(on: Stage, settings: Parameters<Stage['client']['followRooms']>[1] = {}): { listing: RoomListing; lines: string[] } {
  const lines: string[] = [];
  const ids = (rooms: readonly ListedRoom[]): string => rooms.map(({ room }) => room).join(' ');
  const listing = on.client.followRooms('arena', settings, (rooms, { added, changed, removed }: RoomsChange) => {
    lines.push(`${ids(rooms)} | +${ids(added)} ~${ids(changed)} -${ids(removed)}`);
  });
  return { listing, lines };
}

const acts = (on: Stage): string[] => on.server.log.map(({ action, listing, kind }) => `${action} ${listing ?? kind}`);

for (const format of FORMATS) {
  test(`a page follows the server, in ${format}`, async () => {
    const on = stage({ format });
    on.server.listed = [room('b'), room('a')];
    const { listing, lines } = follow(on, { filter: { fields: { map: 'moon' }, has_space: true }, limit: 2 });
    assert.deepEqual([listing.rooms, listing.isKnown], [[], false]);
    await settle(on);
    const { filter, limit, after } = on.server.log.at(-1) as Record<string, unknown>;
    assert.deepEqual([filter, limit, after], [{ fields: { map: 'moon' }, has_space: true }, 2, undefined]);
    assert.deepEqual([listing.rooms, listing.isKnown, listing.kind], [[room('a'), room('b')], true, 'arena']);
    const [a] = listing.rooms;
    on.server.relist({ added: [room('aa')], changed: [room('b', 3)], next: 'b' });
    on.server.relist({ removed: ['a'], changed: [room('aa')] });
    await settle(on);
    assert.deepEqual(lines, ['a b | +a b ~ -', 'a aa b | +aa ~b -', 'aa b | + ~ -a']);
    assert.deepEqual([listing.rooms.map(({ members }) => members), listing.next], [[1, 3], undefined]);
    assert.equal(a?.room, 'a');
    listing.unfollow();
    listing.unfollow();
    on.server.relist({ removed: ['b'] });
    await settle(on);
    assert.deepEqual([lines.length, acts(on)], [3, ['rooms.follow arena', 'rooms.unfollow 1']]);
  });
}

test('a room that has not changed stays the same object', async () => {
  const on = stage();
  on.server.listed = [room('a'), room('b')];
  const { listing, lines } = follow(on);
  await settle(on);
  const before = listing.rooms;
  on.server.relist({ changed: [room('a'), room('b', 2)] });
  await settle(on);
  assert.equal(listing.rooms[0], before[0]);
  assert.notEqual(listing.rooms[1], before[1]);
  assert.deepEqual(lines.at(-1), 'a b | + ~b -');
  assert.equal(before[1]?.members, 1);
});

test('a missed change leads to one more follow, and the whole page', async () => {
  const on = stage();
  const { listing, lines } = follow(on);
  await settle(on);
  on.server.relist({ added: [room('a')] }, false);
  on.server.relist({ added: [room('b')] });
  on.server.relist({ added: [room('c')] });
  await settle(on);
  assert.deepEqual(acts(on), ['rooms.follow arena', 'rooms.follow arena']);
  assert.deepEqual([listing.rooms.length, lines.at(-1)], [3, 'a b c | +a b c ~ -']);
});

test('after a resume the page comes by itself, and changes before it are ignored', async () => {
  const on = stage();
  on.server.listed = [room('a')];
  const { lines } = follow(on);
  await settle(on);
  on.socket().end();
  on.server.listed = [room('b')];
  on.server.listVersion += 5;
  await reconnect(on);
  on.server.relist({ added: [room('c')] });
  await settle(on);
  assert.deepEqual(acts(on), ['rooms.follow arena']);
  assert.deepEqual(lines.slice(1), ['b | +b ~ -a', 'b c | +c ~ -']);
});

test('in a new session the client follows again, and tries again if it is too fast', async () => {
  const on = stage();
  on.server.listed = [room('a')];
  const { listing, lines } = follow(on);
  await settle(on);
  on.server.forgetSessions();
  on.server.tooFast = 1;
  on.socket().end();
  await reconnect(on);
  assert.deepEqual(acts(on), ['rooms.follow arena', 'rooms.follow arena']);
  assert.deepEqual(listing.rooms, [room('a')], 'what was known stays until the server says otherwise');
  on.server.listed = [room('b')];
  on.clock.advance(2_000);
  await settle(on);
  assert.equal(acts(on).length, 3);
  assert.deepEqual([lines.at(-1), on.errors], ['b | +b ~ -a', []]);
  on.server.relist({ added: [room('c')] });
  await settle(on);
  assert.deepEqual(lines.at(-1), 'b c | +c ~ -');
});

test('what is refused has ended, and somebody is told', async () => {
  const on = stage();
  const ended: CourtsideError[] = [];
  const { listing } = follow(on);
  on.client.followRooms('closed_kind', {}, () => {}).onEnded((error) => ended.push(error));
  on.client.followRooms('closed_kind', {}, () => {});
  await settle(on);
  assert.deepEqual([ended.map(({ code }) => code), on.errors.map(({ code }) => code)], [['unknown_kind'], ['unknown_kind']]);
  listing.onEnded((error) => ended.push(error));
  on.client.close();
  assert.deepEqual(ended.map(({ code }) => code), ['unknown_kind', 'closed']);
  assert.throws(() => follow(on), { code: 'closed' });
});

test('listings of the same rooms share what the server follows', async () => {
  const on = stage();
  const first = follow(on);
  const second = follow(on);
  await settle(on);
  first.listing.unfollow();
  on.server.relist({ added: [room('a')] });
  await settle(on);
  assert.deepEqual([first.lines.length, second.listing.rooms.length], [1, 1]);
  assert.deepEqual(acts(on), ['rooms.follow arena', 'rooms.follow arena']);
  second.listing.unfollow();
  await settle(on);
  assert.deepEqual(acts(on).at(-1), 'rooms.unfollow 1');
});

test('listings that the server gives one number share it, however they were asked for', async () => {
  for (const [one, other] of [
    [{ filter: { fields: { map: 'moon', size: 4 } } }, { filter: { fields: { size: 4, map: 'moon' } } }],
    [{}, { limit: 50 }],
    [{ limit: 200 }, { limit: 500 }],
  ] as const) {
    const on = stage();
    const first = follow(on, one);
    const second = follow(on, other);
    await settle(on);
    first.listing.unfollow();
    on.server.relist({ added: [room('a')] });
    await settle(on);
    assert.deepEqual(acts(on), ['rooms.follow arena', 'rooms.follow arena']);
    assert.equal(second.listing.rooms.length, 1);
    second.listing.unfollow();
    await settle(on);
    assert.deepEqual(acts(on).at(-1), 'rooms.unfollow 1');
  }
});

test('what is given up stays until it is known that another listing is not the same', async () => {
  const on = stage();
  const first = follow(on);
  await settle(on);
  const second = follow(on, { limit: 50 });
  first.listing.unfollow();
  await settle(on);
  on.server.relist({ added: [room('a')] });
  await settle(on);
  assert.deepEqual(acts(on), ['rooms.follow arena', 'rooms.follow arena']);
  assert.equal(second.listing.rooms.length, 1);
  on.client.followRooms('closed_kind', {}, () => {}).onEnded(() => {});
  second.listing.unfollow();
  assert.equal(acts(on).length, 2);
  await settle(on);
  assert.deepEqual(acts(on).slice(2), ['rooms.follow closed_kind', 'rooms.unfollow 1']);
});

test('what is given up before the server has answered is unfollowed then', async () => {
  const on = stage();
  const { listing, lines } = follow(on);
  listing.unfollow();
  await settle(on);
  assert.deepEqual([acts(on), lines], [['rooms.follow arena', 'rooms.unfollow 1'], []]);
});

test('after a reload the page follows again, and hears nothing of what the page before has followed', async () => {
  const items = new Map<string, string>();
  const storage = {
    getItem: (key: string): string | null => items.get(key) ?? null,
    setItem: (key: string, value: string): void => void items.set(key, value),
    removeItem: (key: string): void => void items.delete(key),
  };
  const on = stage({ storage });
  on.server.listed = [room('a')];
  follow(on);
  await settle(on);
  on.page.hidden(false);
  on.socket().close(1001);
  on.network.settle();
  const after = stage({ storage }, on);
  const { lines } = follow(after);
  await settle(after);
  assert.deepEqual(after.story, ['open resumed']);
  on.server.relist({ added: [room('b')] });
  await settle(after);
  assert.deepEqual(lines, ['a | +a ~ -', 'a b | +b ~ -']);
  assert.deepEqual(acts(on), ['rooms.follow arena', 'rooms.follow arena']);
});

test('a limit is a number of rooms', () => {
  const on = stage();
  for (const limit of [0, -1, 1.5, Number.NaN]) assert.throws(() => follow(on, { limit }), { code: 'bad_option' });
});
