import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode as libraryDecodes, encode } from '@msgpack/msgpack';
import { decode } from '../src/codec.js';
import { KeyTable } from '../src/keys.js';
import { mergePatch } from '../src/merge.js';
import { Packed, Reader } from '../src/reader.js';
import { golden } from './support/golden.js';
import { fromHex, join, pack } from './support/pack.js';
import { seeded } from './support/random.js';

const read = (bytes: Uint8Array): unknown => new Reader(bytes).value();
const frame = (value: unknown): ArrayBuffer => pack(value).slice().buffer as ArrayBuffer;

const VALUES: unknown[] = [
  null, true, false, 0, 1, 127, 128, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, -1, -32, -33, -128, -129, -32768, -32769, -(2 ** 31), -(2 ** 31) - 1,
  -(2 ** 53) + 1, 0.1, -0.5, 1e300, Infinity, '', 'a', 'é', '日本', '🚀', 'x'.repeat(31), 'x'.repeat(32), 'é'.repeat(40), 'y'.repeat(300), 'z'.repeat(70_000),
  [], {}, [1, [2, [3]]], Array.from({ length: 16 }, (_, n) => n), Array.from({ length: 70_000 }, () => 1), { a: { b: [{ c: null }] } },
  Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`key ${n}`, n])), Object.fromEntries(Array.from({ length: 70_000 }, (_, n) => [`k${n}`, n])),
  { 10: 'a', 9: 'b', x: 'c' }, { ['a very long key, longer than those that are kept']: 1 },
];

test('everything that the library writes is read, and skipped to the byte', () => {
  for (const value of VALUES) {
    const bytes = encode(value);
    const inFront = new Reader(join([bytes, new Uint8Array([7])]));
    assert.deepEqual(inFront.value(), value);
    assert.equal(inFront.value(), 7);
    assert.ok(inFront.hasEnded);
    assert.deepEqual(new Reader(join([bytes, new Uint8Array([7])])).skip().length, bytes.length);
  }
});

test('random values are read as the library reads them', () => {
  const random = seeded(11);
  const below = (n: number): number => Math.floor(random() * n);
  const value = (depth: number): unknown => {
    switch (below(depth > 3 ? 4 : 6)) {
      case 0: return Math.round((random() - 0.5) * 2 ** below(54));
      case 1: return random() * 2 ** below(60);
      case 2: return 'aé日🚀'.repeat(below(20)).slice(below(4) * 5);
      case 3: return [null, true, false][below(3)];
      case 4: return Array.from({ length: below(20) }, () => value(depth + 1));
      default: return Object.fromEntries(Array.from({ length: below(20) }, () => [`k${below(50)}`.repeat(1 + below(3)), value(depth + 1)]));
    }
  };
  for (let round = 0; round < 500; round += 1) {
    const bytes = encode(value(0));
    assert.deepEqual(read(bytes), libraryDecodes(bytes));
  }
});

test('numbers beyond those of JavaScript are the nearest double', () => {
  assert.equal(read(fromHex('cfffffffffffffffff')), 18446744073709551615);
  assert.equal(read(fromHex('cf0020000000000001')), 9007199254740992);
  assert.equal(read(fromHex('cf0020000000000003')), 9007199254740996);
  assert.equal(read(fromHex('d38000000000000000')), -9223372036854775808);
  assert.equal(read(fromHex('d3ffffffffffffffff')), -1);
  assert.equal(read(fromHex('ca3dcccccd')), Math.fround(0.1));
});

test('values have the model of JSON', () => {
  assert.deepEqual(read(fromHex('c403010203')), [1, 2, 3], 'bytes are an array of numbers');
  assert.deepEqual(read(fromHex('820761cd0100c0')), { 7: 97, 256: null }, 'numbers as keys are texts');
  assert.equal(read(pack('\ufeffmark')), '\ufeffmark', 'a mark of byte order belongs to a text');
  assert.equal(read(pack('\ufeff' + 'x'.repeat(50))), '\ufeff' + 'x'.repeat(50));
});

test('any key is kept, and none changes prototypes', () => {
  const value = read(pack(new Map([['__proto__', { polluted: true }], ['constructor', 1 as never]]))) as object;
  assert.equal(JSON.stringify(value), '{"__proto__":{"polluted":true},"constructor":1}');
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  // Short keys share their strings, whatever looks alike.
  const alike = ['', 'ab', 'ba', 'é', 'Ã©', 'Aa', 'BB', 'x'.repeat(24), 'x'.repeat(25)];
  for (let round = 0; round < 2; round += 1) for (const key of alike) assert.deepEqual(Object.keys(read(pack(new Map([[key, 1]]))) as object), [key]);
});

test('bytes that end too early, or have a type that the model lacks, are refused', () => {
  const whole = pack({ a: [1, 300, 70_000, 2 ** 40, -1, -300, 0.5, 'text', 'x'.repeat(300), null], bin: new Uint8Array(3) });
  for (let length = 0; length < whole.length; length += 1) {
    assert.throws(() => read(whole.subarray(0, length)), RangeError);
    assert.throws(() => new Reader(whole.subarray(0, length)).skip(), RangeError);
  }
  for (const hex of ['c1', 'd40100', 'c7010000', '81c001', '81ff01', '8190c0']) assert.throws(() => read(fromHex(hex)), hex);
  assert.throws(() => new Reader(fromHex('c1')).skip());
  assert.throws(() => read(fromHex('ddffffffff01')), RangeError, 'an announced size alone takes no memory');
});

test('an event is read in any order of its fields, and nothing may follow it', () => {
  const message = { room: 'a', data: { x: [1] }, event: 'message', type: 't' };
  assert.deepEqual(decode(frame(message)), message);
  assert.throws(() => decode(join([pack(message), pack(1)]).slice().buffer as ArrayBuffer));
  for (const wrong of [[1], 'text', 7, null, { event: 7 }, {}]) assert.throws(() => decode(frame(wrong)));
  for (const patch of [{ event: 'patch', room: 'a', data: { x: 1 } }, { data: { x: 1 }, event: 'patch', room: 'a' }]) {
    const { data, ...head } = decode(frame(patch)) as unknown as { data: Packed };
    assert.deepEqual(head, { event: 'patch', room: 'a' });
    assert.deepEqual(data.open(new KeyTable()), { x: 1 });
  }
});

// Objects in the order of their bytes; a number is an index.
const m = (...entries: [string | number, unknown][]): Map<string | number, unknown> => new Map(entries);

test('keys of a patch are numbers in the table, which grows in the order of the bytes', () => {
  const table = new KeyTable(['x', 'y']);
  const open = (value: unknown): unknown => new Packed(pack(value)).open(table);
  assert.deepEqual(open(m([0, 1], [1, 2])), { x: 1, y: 2 });
  // 7, 10 and 9 become 2, 4 and 5, though objects list them in another order; a key counts before what is inside its value.
  assert.deepEqual(open(m(['7', m(['ships', 1])], ['10', null], ['9', null])), { 7: { ships: 1 }, 10: null, 9: null });
  assert.deepEqual(open(m([2, m([0, 5], [3, 6])], [4, 'ten'], [5, 'nine'])), { 7: { x: 5, ships: 6 }, 10: 'ten', 9: 'nine' });
  // In objects inside arrays, too, and within the same patch.
  assert.deepEqual(open(m(['list', [m(['hp', 1]), m([7, 2]), [m([6, 3])]]])), { list: [{ hp: 1 }, { hp: 2 }, [{ list: 3 }]] });
  // A number as text is a text.
  assert.deepEqual(open(m(['0', 'zero'], [0, 'x'])), { 0: 'zero', x: 'x' });
  assert.deepEqual(open(m([8, 'zero'])), { 0: 'zero' });
  assert.throws(() => open(m([9, 'not there'])), RangeError);
  assert.throws(() => open(m([-1, 'never there'])));
});

test('a key that is sent as a string again is added again', () => {
  const table = new KeyTable(['x']);
  assert.deepEqual(new Packed(pack(m(['x', 1]))).open(table), { x: 1 });
  assert.deepEqual(new Packed(pack(m([1, 2]))).open(table), { x: 2 });
});

test('indices of more than one byte are found', () => {
  const names = Array.from({ length: 70_000 }, (_, n) => `k${n}`);
  const table = new KeyTable(names);
  for (const index of [127, 128, 255, 256, 65_535, 65_536]) assert.deepEqual(new Packed(pack(m([index, 1]))).open(table), { [`k${index}`]: 1 });
  assert.deepEqual(new Packed(fromHex('81cf000000000000000301')).open(table), { k3: 1 });
});

test('the table’s own strings are kept as keys, __proto__ among them', () => {
  const patched = mergePatch({}, new Packed(pack(m([0, m(['x', 1])]))).open(new KeyTable(['__proto__'])));
  assert.equal(JSON.stringify(patched), '{"__proto__":{"x":1}}');
});

interface Sequence {
  name: string;
  keys: string[];
  state: unknown;
  steps: { patch: string; json: unknown; result: unknown }[];
}

test('patches written by servers are read correctly', () => {
  for (const { name, keys, state, steps } of golden<Sequence[]>('key_table.json')) {
    const table = new KeyTable(keys);
    let now = state;
    for (const [n, { patch, json, result }] of steps.entries()) {
      const opened = new Packed(fromHex(patch)).open(table);
      assert.deepEqual(opened, json, `${name}, patch ${n}`);
      now = mergePatch(now, opened);
      assert.deepEqual(now, result, `${name}, state after ${n}`);
    }
  }
});
