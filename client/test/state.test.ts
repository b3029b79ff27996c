import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashOf } from '../src/hash.js';
import type { Room } from '../src/index.js';
import { byNumber, difference } from './support/difference.js';
import { seeded } from './support/random.js';
import { reconnect, settle, stage, FORMATS, turn, type Stage } from './support/stage.js';

async function joined(on: Stage): Promise<Room> {
  const joining = on.client.join('arena');
  await settle(on);
  return joining;
}

interface Told {
  tick: number;
  data: unknown;
  base?: number;
  keys?: string[];
  hash?: number;
}

/** What the server says of the room's state: a patch where there is a base, and otherwise whole. */
async function tell(on: Stage, room: Room, told: Told): Promise<void> {
  on.server.tell(on.server.session, { event: told.base === undefined ? 'state' : 'patch', room: room.id, ...told });
  await settle(on);
}

const syncs = (on: Stage): string[] => on.server.log.filter(({ action }) => action === 'sync').map(({ room }) => room);

/** Objects in the order of their bytes; a number is an index of the key table. */
const m = (...entries: [string | number, unknown][]): Map<string | number, unknown> => new Map(entries);

for (const format of FORMATS) {
  test(`a state follows patches, in ${format}`, async () => {
    const on = stage({ format });
    const room = await joined(on);
    const seen: unknown[] = [];
    room.onState((state, tick) => seen.push([tick, state]));
    await tell(on, room, { tick: 10, data: { a: { x: 1, y: 2 }, b: { x: 3 } } });
    const { a, b } = room.state;
    await tell(on, room, { tick: 11, base: 10, data: { a: { x: 5 }, c: 1 } });
    await tell(on, room, { tick: 13, base: 11, data: { a: { y: null }, c: null, d: { n: null } } });
    assert.deepEqual(seen.slice(-2), [[11, { a: { x: 5, y: 2 }, b: { x: 3 }, c: 1 }], [13, { a: { x: 5 }, b: { x: 3 }, d: {} }]]);
    assert.equal(room.tick, 13);
    assert.deepEqual(a, { x: 1, y: 2 }, 'what was handed out before stays as it was');
    assert.equal(room.state.b, b, 'what did not change is the same');
    assert.deepEqual(syncs(on), []);
  });

  test(`a patch that does not fit makes the client request the whole state, once, in ${format}`, async () => {
    const on = stage({ format });
    const room = await joined(on);
    const seen: unknown[] = [];
    room.onState((_, tick) => seen.push(tick));
    await tell(on, room, { tick: 10, data: { x: 1 } });
    on.server.whole = undefined;
    await tell(on, room, { tick: 12, base: 11, data: { x: 2 } });
    await tell(on, room, { tick: 13, base: 12, data: { x: 3 } });
    await tell(on, room, { tick: 14, base: 10, data: { x: 4 } });
    assert.deepEqual(syncs(on), [room.id], 'what comes meanwhile is ignored, even if it would fit');
    assert.deepEqual([room.state, room.tick], [{ x: 1 }, 10]);
    await tell(on, room, { tick: 14, data: { x: 4 } });
    await tell(on, room, { tick: 15, base: 14, data: { y: 5 } });
    assert.deepEqual([room.state, room.tick], [{ x: 4, y: 5 }, 15]);
    await tell(on, room, { tick: 17, base: 16, data: {} });
    assert.deepEqual(syncs(on), [room.id, room.id], 'the next time it asks again');
    assert.deepEqual(seen.filter((tick) => (tick as number) >= 10), [10, 14, 15]);
    assert.deepEqual(on.errors, []);
  });

  test(`a hash that differs makes the client request the state, and the old one stays, in ${format}`, async () => {
    const on = stage({ format });
    const room = await joined(on);
    await tell(on, room, { tick: 1, data: { x: 1 }, hash: hashOf({ x: 1 }) });
    await tell(on, room, { tick: 2, base: 1, data: { x: 2, y: null }, hash: hashOf({ x: 2 }) });
    assert.deepEqual(room.state, { x: 2 });
    on.server.whole = undefined;
    await tell(on, room, { tick: 3, base: 2, data: { x: 3 }, hash: hashOf({ x: 4 }) });
    assert.deepEqual([room.state, room.tick], [{ x: 2 }, 2]);
    assert.deepEqual(syncs(on), [room.id]);
    await tell(on, room, { tick: 3, data: { x: 4 }, hash: hashOf({ x: 4 }) });
    await tell(on, room, { tick: 4, base: 3, data: { x: 5 } });
    assert.deepEqual(room.state, { x: 5 });
    assert.deepEqual(syncs(on), [room.id]);
  });
}

test('a patch before the first state makes the client request it', async () => {
  const on = stage();
  on.server.tellsJoiners = false;
  on.server.whole = undefined;
  const room = await joined(on);
  await tell(on, room, { tick: 1, base: 0, data: { x: 1 } });
  assert.equal(room.state, undefined);
  assert.deepEqual(syncs(on), [room.id]);
});

test('a whole state that never matches its hash is used, and reported once', async () => {
  const on = stage();
  const room = await joined(on);
  on.server.whole = { tick: 2, data: { x: 2 }, hash: 8 };
  await tell(on, room, { tick: 1, data: { x: 1 }, hash: 7 });
  assert.deepEqual([room.state, syncs(on).length, on.errors.map(({ code }) => code)], [{ x: 2 }, 1, ['bad_hash']]);
  await tell(on, room, { tick: 3, base: 2, data: { x: 3 }, hash: 9 });
  assert.deepEqual([room.state, syncs(on).length, on.errors.length], [{ x: 3 }, 1, 1], 'asking on would never end');
  await tell(on, room, { tick: 4, data: { x: 4 }, hash: hashOf({ x: 4 }) });
  await tell(on, room, { tick: 5, base: 4, data: { x: 5 }, hash: 9 });
  assert.equal(syncs(on).length, 2, 'hashes that agree again are looked at again');
});

test('patches in MessagePack name keys by number', async () => {
  const on = stage({ format: 'msgpack' });
  const room = await joined(on);
  await tell(on, room, { tick: 1, keys: ['x', 'y'], data: { ships: { 7: { x: 1, y: 2 } } } });
  // The keys of the event itself, and those of a whole state, are no part of the table.
  await tell(on, room, { tick: 2, base: 1, data: m(['ships', m(['7', m([0, 5], ['hp', 9])])]) });
  assert.deepEqual(room.state, { ships: { 7: { x: 5, y: 2, hp: 9 } } });
  await tell(on, room, { tick: 3, base: 2, data: m([2, m([3, m([4, 8], [1, null])], ['10', m([0, 3])])]) });
  assert.deepEqual(room.state, { ships: { 7: { x: 5, hp: 8 }, 10: { x: 3 } } });
  assert.deepEqual(syncs(on), []);
});

test('a number that is not in the key table makes the client request the state, which resets the table', async () => {
  const on = stage({ format: 'msgpack' });
  const room = await joined(on);
  on.server.whole = undefined;
  await tell(on, room, { tick: 1, keys: ['x'], data: { x: 1 } });
  await tell(on, room, { tick: 2, base: 1, data: m(['a', 1], [2, 2]) });
  assert.deepEqual([room.state, syncs(on)], [{ x: 1 }, [room.id]]);
  await tell(on, room, { tick: 2, keys: ['y', 'x'], data: { x: 2, y: 2 } });
  await tell(on, room, { tick: 3, base: 2, data: m([0, 'y'], [1, 'x']) });
  assert.deepEqual(room.state, { x: 'x', y: 'y' });
  await tell(on, room, { tick: 4, data: { z: 1 } });
  await tell(on, room, { tick: 5, base: 4, data: m([0, 1]) });
  assert.equal(syncs(on).length, 2, 'without keys, the table is empty');
});

test('each room has its own key table', async () => {
  const on = stage({ format: 'msgpack' });
  const rooms = [await joined(on), await joined(on)];
  for (const [n, room] of rooms.entries()) await tell(on, room, { tick: 1, keys: [`k${n}`], data: {} });
  for (const [n, room] of rooms.entries()) await tell(on, room, { tick: 2, base: 1, data: m([0, n], ['more', 1]) });
  for (const room of rooms) await tell(on, room, { tick: 3, base: 2, data: m([1, 2]) });
  assert.deepEqual(rooms.map(({ state }) => state), [{ k0: 0, more: 2 }, { k1: 1, more: 2 }]);
});

test('a request for a state survives a lost connection, and is answered once', async () => {
  const on = stage();
  const room = await joined(on);
  await tell(on, room, { tick: 1, data: { x: 1 } });
  on.server.tell(on.server.session, { event: 'patch', room: room.id, tick: 3, base: 2, data: {} });
  while (on.network.stepDown());
  on.socket().end();
  await reconnect(on);
  assert.deepEqual(on.story, ['open', 'reconnecting', 'open resumed']);
  assert.deepEqual(syncs(on), [room.id]);
  assert.deepEqual(room.state, { synced: true });
});

test('a refused sync is not reported', async () => {
  const on = stage();
  const room = await joined(on);
  on.server.process = (session, { id, room }) => on.server.tell(session, { event: 'error', id, room, code: 'not_a_member', message: 'No.' });
  const errors: string[] = [];
  room.onError(({ code }) => errors.push(code));
  await tell(on, room, { tick: 3, base: 2, data: {} });
  assert.equal(syncs(on).length, 1);
  assert.deepEqual([errors, on.errors], [[], []]);
});

test('a whole state also keeps unchanged parts', async () => {
  const on = stage();
  const room = await joined(on);
  await tell(on, room, { tick: 1, data: { a: { x: 1 }, b: [{ y: 1 }, { y: 2 }] } });
  const before = room.state;
  await tell(on, room, { tick: 2, data: { a: { x: 1 }, b: [{ y: 1 }, { y: 3 }] } });
  assert.equal(room.state.a, before.a);
  assert.equal(room.state.b[0], before.b[0]);
  assert.notEqual(room.state.b, before.b);
  assert.deepEqual(before.b[1], { y: 2 });
});

test('no key of a state is lost, whatever its name', async () => {
  for (const format of FORMATS) {
    const on = stage({ format });
    const room = await joined(on);
    await tell(on, room, { tick: 1, data: JSON.parse('{"players": {"__proto__": {"x": 1}}}') });
    await tell(on, room, { tick: 2, base: 1, data: JSON.parse('{"players": {"__proto__": {"y": 2}, "constructor": 3}}') });
    assert.equal(JSON.stringify(room.state), '{"players":{"__proto__":{"x":1,"y":2},"constructor":3}}');
    assert.equal(({} as { y?: number }).y, undefined);
  }
});

test('a change is reported with the previous value, and only if something changed', async () => {
  const on = stage();
  const room = await joined(on);
  await tell(on, room, { tick: 1, data: { ships: { a: { x: 1 }, b: { x: 2 } }, round: 1 } });
  const told: unknown[] = [];
  const offs = [
    room.onChange(['ships'], (now, before) => told.push(['ships', now, before])),
    room.onChange(['ships', 'a', 'x'], (now, before) => told.push(['x', now, before])),
    room.onChange(['round'], (now, before) => told.push(['round', now, before])),
    room.onChange(['nowhere', 'at', 'all'], () => told.push('nowhere')),
    room.onChange([], (now, before) => told.push(['all', (now as any).round, (before as any).round])),
  ];
  await turn();
  assert.deepEqual(told, [], 'what is there already is no change');
  const heard = async (event: Told): Promise<unknown[]> => {
    told.length = 0;
    await tell(on, room, event);
    return [...told];
  };
  assert.deepEqual(await heard({ tick: 2, base: 1, data: { ships: { b: { x: 3 } } } }), [
    ['ships', { a: { x: 1 }, b: { x: 3 } }, { a: { x: 1 }, b: { x: 2 } }],
    ['all', 1, 1],
  ]);
  assert.deepEqual(await heard({ tick: 3, base: 2, data: { ships: { a: { x: 1 } }, round: 1 } }), [], 'nothing is new in it');
  assert.deepEqual(await heard({ tick: 4, base: 3, data: { ships: { a: null }, round: 2 } }), [
    ['ships', { b: { x: 3 } }, { a: { x: 1 }, b: { x: 3 } }],
    ['x', undefined, 1],
    ['round', 2, 1],
    ['all', 2, 1],
  ]);
  assert.deepEqual(await heard({ tick: 5, data: { ships: { b: { x: 3 } }, round: 2 } }), [], 'a whole state that is the same');
  assert.deepEqual(await heard({ tick: 6, data: { ships: { b: { x: 3 } }, round: null } }), [['round', undefined, 2], ['all', null, 2]]);
  for (const off of offs) off();
  assert.deepEqual(await heard({ tick: 7, base: 6, data: { round: 9, ships: null } }), []);
});

test('changes are reported in arrays, and for numeric keys', async () => {
  const on = stage();
  const room = await joined(on);
  await tell(on, room, { tick: 1, data: { list: [{ x: 1 }, { x: 2 }], byId: { 7: 'a' } } });
  const told: unknown[] = [];
  room.onChange(['list', 1, 'x'], (now) => told.push(now));
  room.onChange(['byId', 7], (now) => told.push(now));
  await tell(on, room, { tick: 2, base: 1, data: { list: [{ x: 5 }, { x: 2 }], byId: { 8: 'b' } } });
  await tell(on, room, { tick: 3, base: 2, data: { list: [{ x: 5 }, { x: 6 }], byId: { 7: 'c' } } });
  assert.deepEqual(told, [6, 'c']);
});

test('a path that is not an array of keys is refused, and the error shows the array to write', async () => {
  const on = stage();
  const room: any = await joined(on);
  const refused = (path: unknown, message: RegExp): void => {
    assert.throws(() => room.onChange(path, () => {}), { code: 'bad_option', message });
    assert.throws(() => room.onEntities(path, {}), { code: 'bad_option', message });
  };
  refused('players', /expects a path to be an array of keys, such as \['players'\], but got "players"\.$/);
  refused('ships.a.x', /such as \['ships', 'a', 'x'\], but got "ships\.a\.x"/);
  refused('', /such as \['players'\], but got ""/);
  refused(undefined, /such as \['players'\], but got undefined/);
  refused(['ships', undefined], /expects the keys of a path to be strings and numbers, but got undefined\.$/);
});

test('entities are added, changed and removed', async () => {
  const on = stage();
  const room = await joined(on);
  await tell(on, room, { tick: 1, data: { ships: { a: { x: 1 }, b: { x: 2 } } } });
  const story: unknown[] = [];
  const whole = (): unknown => Object.keys(room.state.ships ?? {}).join('');
  const off = room.onEntities(['ships'], {
    added: (key, ship) => story.push(['added', key, ship, whole()]),
    changed: (key, ship, before) => story.push(['changed', key, ship, before, whole()]),
    removed: (key, ship) => story.push(['removed', key, ship, whole()]),
  });
  const heard = async (event: Told): Promise<unknown[]> => {
    await tell(on, room, event);
    return story.splice(0);
  };
  assert.deepEqual(story, [], 'not within the code that registers');
  await turn();
  assert.deepEqual(story.splice(0), [['added', 'a', { x: 1 }, 'ab'], ['added', 'b', { x: 2 }, 'ab']], 'what is there already');
  assert.deepEqual(
    await heard({ tick: 2, base: 1, data: { ships: { c: { x: 3 }, b: { x: 4 }, a: null } } }),
    [['removed', 'a', { x: 1 }, 'bc'], ['changed', 'b', { x: 4 }, { x: 2 }, 'bc'], ['added', 'c', { x: 3 }, 'bc']],
    'the patch is applied as a whole before anybody is told',
  );
  assert.deepEqual(await heard({ tick: 3, base: 2, data: { other: 1, ships: { b: { x: 4 } } } }), []);
  assert.deepEqual(await heard({ tick: 4, data: { ships: { b: { x: 4 }, c: null, d: { x: 0 } } } }), [['removed', 'c', { x: 3 }, 'bcd'], ['added', 'd', { x: 0 }, 'bcd']]);
  assert.deepEqual(await heard({ tick: 5, base: 4, data: { ships: null } }), [['removed', 'b', { x: 4 }, ''], ['removed', 'd', { x: 0 }, '']]);
  assert.deepEqual(await heard({ tick: 6, base: 5, data: { ships: { b: { x: 1 } } } }), [['added', 'b', { x: 1 }, 'b']]);
  off();
  assert.deepEqual(await heard({ tick: 7, base: 6, data: { ships: { b: null } } }), []);
});

test('entities that are added before the first report are reported once', async () => {
  const on = stage();
  const room = await joined(on);
  await tell(on, room, { tick: 1, data: { ships: { a: 1 } } });
  const added: string[] = [];
  room.onEntities(['ships'], { added: (key) => added.push(key) });
  on.server.tell(on.server.session, { event: 'patch', room: room.id, tick: 2, base: 1, data: { ships: { b: 2 } } });
  on.network.settle();
  await turn();
  assert.deepEqual(added, ['a', 'b']);
});

test('an entity listener can remove itself, also before the first report', async () => {
  const on = stage();
  const room = await joined(on);
  await tell(on, room, { tick: 1, data: { ships: { a: 1, b: 2 } } });
  const added: string[] = [];
  const off = room.onEntities(['ships'], { added: (key) => { added.push(key); off(); } });
  room.onEntities(['ships'], { added: () => added.push('never') })();
  await turn();
  assert.deepEqual(added, ['a']);
});

for (const format of FORMATS) {
  test(`the client recovers its state from lost and wrong patches, in ${format}`, async () => {
    const random = seeded(21);
    const below = (n: number): number => Math.floor(random() * n);
    const on = stage({ format });
    const room = await joined(on);
    const told = new Map<string, unknown>();
    room.onEntities(['ships'], { added: (key, ship) => told.set(key, ship), changed: (key, ship) => told.set(key, ship), removed: (key) => told.delete(key) });
    let state: any = { ships: {}, round: 0 };
    let keys: string[] = [];
    let tick = 0;
    const whole = (): Told => {
      keys = Object.keys(state.ships).filter(() => random() < 0.5);
      return { tick, data: state, ...(format === 'msgpack' && { keys: [...keys] }), ...(random() < 0.5 && { hash: hashOf(state) }) };
    };
    await tell(on, room, whole());
    let asked = 0;
    for (let step = 0; step < 400; step += 1) {
      const before = structuredClone(state);
      for (let n = below(4); n >= 0; n -= 1) {
        const id = ['1', '2', '10', 'x', 'ö🚀'][below(5)] as string;
        if (random() < 0.2) delete state.ships[id];
        else state.ships[id] = { ...state.ships[id], [['x', 'y', 'name', 'list'][below(4)] as string]: [below(9), 'a', { x: below(3) }, [{ x: 1, y: below(2) }]][below(4)] };
      }
      state.round = below(3);
      const base = tick;
      tick += 1 + below(2);
      const patch = difference(before, state);
      const data = format === 'msgpack' ? byNumber(patch, keys) : patch;
      const hash = random() < 0.1 ? 1 : random() < 0.5 ? hashOf(state) : undefined;
      if (random() < 0.1) continue;
      on.server.whole = undefined;
      await tell(on, room, { tick, base, data, ...(hash !== undefined && { hash }) });
      if (syncs(on).length > asked) {
        asked += 1;
        assert.equal(syncs(on).length, asked);
        await tell(on, room, { tick: 0, base: 99, data: { round: 'never' } });
        await tell(on, room, whole());
      }
      assert.deepEqual([room.state, room.tick], [state, tick]);
      assert.deepEqual(Object.fromEntries(told), room.state.ships);
    }
    assert.ok(asked > 30);
    assert.deepEqual(on.errors, []);
  });
}
