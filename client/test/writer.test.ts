import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from '@msgpack/msgpack';
import { byteLength, encode, isLongerThan } from '../src/codec.js';
import { pack } from '../src/writer.js';
import { seeded } from './support/random.js';

// Held against JSON.stringify, and read back by a library that shares no code with the writer.

const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value) ?? 'null');
const asPacked = (value: unknown): unknown => decode(pack(value), { useBigInt64: false });

test('what JSON makes of a value is what MessagePack makes of it', () => {
  class Point {
    private readonly hidden = 1;
    constructor(readonly x: number) {}
    toJSON(key: string): unknown {
      return { key, x: this.x, more: this.hidden };
    }
  }
  const cases: unknown[] = [
    undefined, null, true, 0, -0, 0.5, NaN, Infinity, '', 'é😀', [], {}, new Date(0), new Uint8Array([1, 2]), new Map([[1, 2]]), /x/,
    new Number(1), new String('s'), new Boolean(false), () => 1, Symbol('s'), new Point(3), { p: new Point(1), q: [new Point(2)] },
    [undefined, () => 1, Symbol('s'), NaN], { gone: undefined, run() {}, s: Symbol('s'), kept: null, nan: NaN },
    { a: { toJSON: () => undefined }, b: [{ toJSON: () => undefined }] }, Object.create({ inherited: 1 }), { __proto__: null, x: 1 },
    [, 1], 'x'.repeat(300), 'é'.repeat(40_000), Array(70_000).fill(1), new Error('e'),
    ...[31, 32, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53, 1e20, 1e21, 1e300, 5e-324].flatMap((n) => [n, -n, n + 0.5]),
    Object.fromEntries([...Array(70_000).keys()].map((n) => [n, n])),
  ];
  for (const value of cases) assert.deepEqual(asPacked(value), asJson(value), String(JSON.stringify(value)).slice(0, 80));
});

test('random values are the same in both formats', () => {
  const random = seeded(7);
  const upTo = (n: number): number => Math.floor(random() * n);
  const make = (depth: number): unknown => {
    switch (upTo(depth > 4 ? 8 : 10)) {
      case 0: return null;
      case 1: return random() < 0.5;
      case 2: return Math.round((random() - 0.5) * 2 ** upTo(70));
      case 3: return (random() - 0.5) * 10 ** upTo(30);
      case 4: return String.fromCodePoint(...Array.from({ length: upTo(40) }, () => [0x41, 0xe9, 0x4e2d, 0x1f600][upTo(4)] as number));
      case 5: return undefined;
      case 6: return new Date(upTo(1e12));
      case 7: return random() < 0.5 ? NaN : 'x'.repeat(upTo(400));
      case 8: return Array.from({ length: upTo(20) }, () => make(depth + 1));
      default: return Object.fromEntries(Array.from({ length: upTo(20) }, (_, n) => [`k${n}`, make(depth + 1)]));
    }
  };
  for (let n = 0; n < 2000; n += 1) {
    const value = make(0);
    assert.deepEqual(asPacked(value), asJson(value), JSON.stringify(value));
  }
});

test('what JSON refuses is refused', () => {
  const loop: { self?: unknown } = {};
  loop.self = [loop];
  for (const value of [1n, loop, [new Object(1n)]]) {
    assert.throws(() => JSON.stringify(value), TypeError);
    for (const format of ['json', 'msgpack'] as const) {
      assert.throws(() => encode({ action: 'call', type: 'x', data: value }, format), { code: 'bad_data' }, format);
    }
  }
});

test('an integer keeps its digits and its type', () => {
  const code = (n: number): number => pack(n)[0] as number;
  assert.equal(code(2 ** 53), 0xcf);
  assert.equal(code(-(2 ** 53)), 0xd3);
  assert.equal(code(1e19), 0xcf);
  assert.equal(code(1e20), 0xcb, 'more than 64 bits is a float, as it is for a reader of JSON');
  assert.equal(code(-(2 ** 63)), 0xcb, '-9223372036854776000 in JSON, which is below 64 bits');
  assert.deepEqual([...pack(2 ** 53)].slice(1), [0, 0x20, 0, 0, 0, 0, 0, 0]);
});

test('a lone surrogate becomes U+FFFD in both formats, because no server could read the frame', () => {
  const data = ['a\ud800', '\udc00\ud83d', '😀', '\\ud800', '\\\\\ud83d\\', { '\ud800': 1 }];
  const well = ['a\ufffd', '\ufffd\ufffd', '😀', '\\ud800', '\\\\\ufffd\\', { '\ufffd': 1 }];
  const json = encode({ action: 'call', type: 'x', data }, 'json') as string;
  assert.doesNotMatch(json, /[^\\](\\\\)*\\ud[89a-f]/);
  assert.deepEqual(JSON.parse(json).data, well);
  const packed = encode({ action: 'call', type: 'x', data }, 'msgpack') as Uint8Array;
  assert.deepEqual((decode(packed) as { data: unknown }).data, well);
});

test('a frame’s length is its length on the wire', () => {
  assert.equal(byteLength('é😀x'), 7);
  assert.equal(isLongerThan('é😀x', 7), false);
  assert.equal(isLongerThan('é😀x', 6), true);
  assert.equal(isLongerThan(new Uint8Array(8), 7), true);
  assert.equal(isLongerThan('x'.repeat(10), 9), true);
});
