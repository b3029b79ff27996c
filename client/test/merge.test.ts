import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashOf } from '../src/hash.js';
import { mergePatch, share } from '../src/merge.js';
import { difference } from './support/difference.js';
import { golden } from './support/golden.js';
import { seeded } from './support/random.js';

const parse = (json: string): any => JSON.parse(json);

test('a merge patch does what RFC 7396 says, and changes neither argument', () => {
  const rows = golden<{ target: unknown; patch: unknown; result: unknown }[]>('merge_patch.json');
  assert.equal(rows.length, 15);
  for (const { target, patch, result } of rows) {
    const asIs = JSON.stringify([target, patch]);
    assert.deepEqual(mergePatch(target, patch), result, asIs);
    assert.equal(JSON.stringify([target, patch]), asIs);
  }
});

test('what a patch does not change keeps its identity, and what it changes is new', () => {
  const before = { ships: { a: { x: 1, y: 2 }, b: { x: 3, y: 4 } }, round: { n: 1 }, walls: [[1, 2], [3, 4]] };
  const after = mergePatch(before, { ships: { a: { x: 5 } } }) as typeof before;
  assert.deepEqual(after, { ...before, ships: { a: { x: 5, y: 2 }, b: { x: 3, y: 4 } } });
  assert.deepEqual(before.ships.a, { x: 1, y: 2 });
  for (const [old, now] of [[before, after], [before.ships, after.ships], [before.ships.a, after.ships.a]]) assert.notEqual(old, now);
  assert.equal(after.ships.b, before.ships.b);
  assert.equal(after.round, before.round);
  assert.equal(after.walls, before.walls);
});

test('a patch without new values changes nothing', () => {
  const before = { ships: { a: { x: 1, y: 2 } }, walls: [[1, 2], [3, 4]] };
  for (const patch of [{}, { gone: null }, { ships: {} }, { ships: { a: { x: 1 } } }, { walls: [[1, 2], [3, 4]] }, { ships: { a: { hp: null } } }]) {
    assert.equal(mergePatch(before, patch), before);
  }
});

test('an array that is replaced keeps the elements that are equal', () => {
  const before = { walls: [{ x: 1 }, { x: 2 }] };
  const after = mergePatch(before, { walls: [{ x: 1 }, { x: 3 }, { x: 4 }] }) as typeof before;
  assert.deepEqual(after.walls, [{ x: 1 }, { x: 3 }, { x: 4 }]);
  assert.equal(after.walls[0], before.walls[0]);
  assert.notEqual((mergePatch(before, { walls: [{ x: 1 }] }) as typeof before).walls, before.walls);
});

test('a whole value keeps the parts that are equal', () => {
  const before = { a: { x: [1, { y: 2 }] }, b: { z: 1 } };
  assert.equal(share(before, structuredClone(before)), before);
  const after = share(before, { a: { x: [1, { y: 2 }] }, b: { z: 1, w: 2 } }) as typeof before;
  assert.deepEqual(after, { a: { x: [1, { y: 2 }] }, b: { z: 1, w: 2 } });
  assert.equal(after.a, before.a);
  assert.notEqual(after.b, before.b);
  assert.deepEqual(share(before, { a: before.a }), { a: before.a }, 'a key that is gone is a difference');
  assert.deepEqual(share({ x: undefined }, { y: 1 }), { y: 1 });
  assert.deepEqual(share([1, 2], [1]), [1]);
  assert.deepEqual(share([1], { 0: 1 }), { 0: 1 });
  assert.deepEqual(share({ 0: 1 }, [1]), [1]);
});

test('removing keeps the others', () => {
  assert.deepEqual(mergePatch({ a: 1, b: { c: 1 }, d: 3 }, { a: null, b: { c: 2 }, d: null, e: 4 }), { b: { c: 2 }, e: 4 });
});

test('no key pollutes what objects inherit, and none is lost', () => {
  const target = parse('{"a": 1}');
  const patched = mergePatch(target, parse('{"__proto__": {"polluted": true}, "constructor": {"x": 1}, "toString": null, "hasOwnProperty": 1}')) as object;
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  assert.equal(Object.getPrototypeOf(patched), Object.prototype);
  assert.equal(JSON.stringify(patched), '{"a":1,"__proto__":{"polluted":true},"constructor":{"x":1},"hasOwnProperty":1}');
  const again = mergePatch(patched, parse('{"__proto__": {"more": 1}, "hasOwnProperty": null}')) as object;
  assert.equal(JSON.stringify(again), '{"a":1,"__proto__":{"polluted":true,"more":1},"constructor":{"x":1}}');
  assert.equal(JSON.stringify(mergePatch(again, parse('{"__proto__": null, "a": 2}'))), '{"a":2,"constructor":{"x":1}}');
  assert.equal(JSON.stringify(share(parse('{"__proto__": {"x": 1}, "a": 1}'), parse('{"__proto__": {"x": 1}, "a": 2}'))), '{"__proto__":{"x":1},"a":2}');
  assert.equal(JSON.stringify(share({}, parse('{"__proto__": {}}'))), '{"__proto__":{}}');
});

test('the difference of any two values leads from one to the other', () => {
  const random = seeded(7);
  const below = (n: number): number => Math.floor(random() * n);
  const value = (depth: number): unknown => {
    const kind = below(depth > 3 ? 3 : 6);
    if (kind === 0) return below(3);
    if (kind === 1) return ['', 'a', 'é🚀'][below(3)];
    if (kind === 2) return random() < 0.5;
    if (kind === 3) return Array.from({ length: below(3) }, () => value(depth + 1));
    return Object.fromEntries(Array.from({ length: below(5) }, () => [['a', 'b', '7', '10', 'c'][below(5)], value(depth + 1)]));
  };
  for (let round = 0; round < 3000; round += 1) {
    const a = value(0);
    const b = value(0);
    const asIs = JSON.stringify(a);
    const patched = mergePatch(a, difference(a, b));
    assert.deepEqual(patched, b);
    assert.equal(hashOf(patched), hashOf(b));
    assert.equal(JSON.stringify(a), asIs);
    assert.deepEqual(share(a, structuredClone(b)), b);
  }
});

test('the hash is that of the canonical form', () => {
  const rows = golden<{ value: unknown; hash: number }[]>('hash.json');
  assert.ok(rows.length > 50);
  for (const { value, hash } of rows) assert.equal(hashOf(value), hash, JSON.stringify(value));
});

test('a float 32 hashes as the double that it is read as', () => {
  assert.notEqual(hashOf(Math.fround(0.1)), hashOf(0.1));
  assert.equal(hashOf(Math.fround(0.5)), hashOf(0.5));
});
