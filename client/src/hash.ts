import type { Node } from './tree.js';

// FNV-1a, 32 bits.
const BASIS = 0x811c9dc5;
const PRIME = 0x01000193;

const NULL = 0;
const FALSE = 1;
const TRUE = 2;
const NUMBER = 3;
const TEXT = 4;
const ARRAY = 5;
const OBJECT = 6;

const double = new DataView(new ArrayBuffer(8));

/**
 * The hash by which client and server compare their states: FNV-1a over a canonical form.
 * That form contains the type of each value, numbers as doubles, strings as UTF-8, and objects with their keys sorted by
 * UTF-8; a key whose value is null is absent.
 */
export function hashOf(value: unknown): number {
  return feed(BASIS, value) >>> 0;
}

function feed(hash: number, value: unknown): number {
  if (value === null || value === undefined) return byte(hash, NULL);
  if (value === false) return byte(hash, FALSE);
  if (value === true) return byte(hash, TRUE);
  if (typeof value === 'number') {
    // Adding 0 makes -0 the other zero.
    double.setFloat64(0, value + 0);
    return word(word(byte(hash, NUMBER), double.getUint32(0)), double.getUint32(4));
  }
  if (typeof value === 'string') return text(byte(hash, TEXT), value);
  if (Array.isArray(value)) {
    hash = word(byte(hash, ARRAY), value.length);
    for (const element of value) hash = feed(hash, element);
    return hash;
  }
  const node = value as Node;
  const keys = inOrder(Object.keys(node).filter((key) => node[key] !== null && node[key] !== undefined));
  hash = word(byte(hash, OBJECT), keys.length);
  for (const key of keys) hash = feed(text(hash, key), node[key]);
  return hash;
}

function byte(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, PRIME);
}

/** Four bytes, big-endian. */
function word(hash: number, word: number): number {
  hash = Math.imul(hash ^ (word >>> 24), PRIME);
  hash = Math.imul(hash ^ ((word >>> 16) & 0xff), PRIME);
  hash = Math.imul(hash ^ ((word >>> 8) & 0xff), PRIME);
  return Math.imul(hash ^ (word & 0xff), PRIME);
}

const utf8 = new TextEncoder();

/** The length of the string's UTF-8, then the UTF-8. */
function text(hash: number, text: string): number {
  let ascii = word(hash, text.length);
  for (let n = 0; n < text.length; n += 1) {
    const unit = text.charCodeAt(n);
    if (unit >= 0x80) return bytes(hash, utf8.encode(text));
    ascii = Math.imul(ascii ^ unit, PRIME);
  }
  return ascii;
}

function bytes(hash: number, bytes: Uint8Array): number {
  hash = word(hash, bytes.length);
  for (const each of bytes) hash = Math.imul(hash ^ each, PRIME);
  return hash;
}

/** Sorts by the bytes of UTF-8. JavaScript sorts by UTF-16 units, which is the same unless there are surrogates. */
function inOrder(keys: string[]): string[] {
  if (!keys.every(isBelowSurrogates)) return keys.sort(byCodePoints);
  if (keys.length > FEW_KEYS) return keys.sort();
  // Most objects have few keys; for these, this takes a fraction of the time of `sort`.
  for (let n = 1; n < keys.length; n += 1) {
    const key = keys[n] as string;
    let at = n;
    for (; at > 0 && (keys[at - 1] as string) > key; at -= 1) keys[at] = keys[at - 1] as string;
    keys[at] = key;
  }
  return keys;
}

const FEW_KEYS = 16;

function isBelowSurrogates(key: string): boolean {
  for (let n = 0; n < key.length; n += 1) if (key.charCodeAt(n) >= 0xd800) return false;
  return true;
}

function byCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let n = 0; n < length; n += 1) {
    const difference = rank(a.charCodeAt(n)) - rank(b.charCodeAt(n));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Sorts the surrogates, which stand for the highest code points, after all other units. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
