import type { KeyTable } from './keys.js';
import { put, type Node } from './tree.js';

// Short keys repeat, so the last one of each slot is kept: equal bytes then yield the same string, which makes objects
// faster to build than a new string for each key would.
const SLOTS = 512;
const KEPT_BYTES = 24;
const kept = new Array<string>(SLOTS).fill('');

/** Below this many bytes a loop is faster than the platform's decoder. */
const LOOPED_BYTES = 32;
/** A byte order mark is part of a string here, as it is in JSON. */
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * Reads MessagePack in the order of its bytes, as values of JSON's model: bytes are arrays of numbers, and each key is a
 * string. With a key table, a number as a key is looked up in the table, and a string is added to it.
 * Throws if the bytes end too early or have a type that the model lacks.
 */
export class Reader {
  private readonly view: DataView;
  private position = 0;

  constructor(private readonly bytes: Uint8Array, private readonly keys?: KeyTable) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get hasEnded(): boolean {
    return this.position === this.bytes.length;
  }

  value(): unknown {
    const head = this.uint8();
    if (head < 0x80) return head;
    if (head < 0x90) return this.node(head & 0x0f);
    if (head < 0xa0) return this.array(head & 0x0f);
    if (head < 0xc0) return this.text(head & 0x1f);
    if (head >= 0xe0) return head - 0x100;
    switch (head) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: case 0xc5: case 0xc6: return Array.from(this.take(this.size(head - 0xc4)));
      case 0xca: return this.view.getFloat32(this.advance(4));
      case 0xcb: return this.view.getFloat64(this.advance(8));
      case 0xcc: case 0xcd: case 0xce: return this.size(head - 0xcc);
      case 0xcf: return this.uint64();
      case 0xd0: return this.view.getInt8(this.advance(1));
      case 0xd1: return this.view.getInt16(this.advance(2));
      case 0xd2: return this.view.getInt32(this.advance(4));
      // One rounding at most, so this is the nearest double.
      case 0xd3: return this.view.getInt32(this.advance(4)) * 2 ** 32 + this.size(2);
      case 0xd9: case 0xda: case 0xdb: return this.text(this.size(head - 0xd9));
      case 0xdc: case 0xdd: return this.array(this.size(head - 0xdb));
      case 0xde: case 0xdf: return this.node(this.size(head - 0xdd));
      default: return unknownType(head);
    }
  }

  /** Enters an object and returns the number of its keys; read each with `key` and then `value` or `skip`. */
  enter(): number {
    const head = this.uint8();
    if (head >= 0x80 && head < 0x90) return head & 0x0f;
    if (head === 0xde || head === 0xdf) return this.size(head - 0xdd);
    throw new Error('this is not an object');
  }

  key(): string {
    const head = this.uint8();
    if (head >= 0xa0 && head < 0xc0) return this.spelled(head & 0x1f);
    if (head < 0x80) return this.numbered(head);
    switch (head) {
      case 0xcc: case 0xcd: case 0xce: return this.numbered(this.size(head - 0xcc));
      case 0xcf: return this.numbered(this.uint64());
      case 0xd9: case 0xda: case 0xdb: return this.spelled(this.size(head - 0xd9));
      default: throw new Error(`a key is of type 0x${head.toString(16)}: keys are strings and unsigned integers`);
    }
  }

  /** Skips one value and returns its bytes. */
  skip(): Uint8Array {
    const from = this.position;
    for (let left = 1; left > 0; left -= 1) {
      const head = this.uint8();
      if (head < 0x80 || head >= 0xe0) continue;
      if (head < 0x90) left += 2 * (head & 0x0f);
      else if (head < 0xa0) left += head & 0x0f;
      else if (head < 0xc0) this.advance(head & 0x1f);
      else if (head >= 0xc4 && head <= 0xc6) this.advance(this.size(head - 0xc4));
      else if (head >= 0xd9 && head <= 0xdb) this.advance(this.size(head - 0xd9));
      else if (head >= 0xde) left += 2 * this.size(head - 0xdd);
      else if (head >= 0xdc) left += this.size(head - 0xdb);
      else if (head === 0xca) this.advance(4);
      else if (head === 0xcb) this.advance(8);
      else if (head >= 0xcc && head <= 0xd3) this.advance(1 << (head & 3));
      else if (head !== 0xc0 && head !== 0xc2 && head !== 0xc3) unknownType(head);
    }
    return this.bytes.subarray(from, this.position);
  }

  private node(size: number): Node {
    const node: Node = {};
    for (; size > 0; size -= 1) {
      // The key comes before the keys inside its value.
      const key = this.key();
      put(node, key, this.value());
    }
    return node;
  }

  private array(size: number): unknown[] {
    // Not allocated in the announced size, which may be a lie.
    const array: unknown[] = [];
    for (; size > 0; size -= 1) array.push(this.value());
    return array;
  }

  private numbered(number: number): string {
    return this.keys ? this.keys.at(number) : String(number);
  }

  private spelled(length: number): string {
    const key = this.keyText(length);
    this.keys?.add(key);
    return key;
  }

  private keyText(length: number): string {
    if (length > KEPT_BYTES) return this.text(length);
    const from = this.advance(length);
    const { bytes } = this;
    let slot = length;
    for (let n = 0; n < length; n += 1) slot = (slot * 31 + (bytes[from + n] as number)) & (SLOTS - 1);
    const known = kept[slot] as string;
    let n = known.length === length ? 0 : -1;
    while (n >= 0 && n < length) n = known.charCodeAt(n) === bytes[from + n] ? n + 1 : -1;
    if (n === length) return known;
    this.position = from;
    const text = this.text(length);
    // If there are as many units as bytes, the bytes are the units and can be compared with them.
    if (text.length === length) kept[slot] = text;
    return text;
  }

  private text(length: number): string {
    const from = this.advance(length);
    if (length < LOOPED_BYTES) {
      let text = '';
      let n = 0;
      for (; n < length; n += 1) {
        const unit = this.bytes[from + n] as number;
        if (unit >= 0x80) break;
        text += String.fromCharCode(unit);
      }
      if (n === length) return text;
    }
    return utf8.decode(this.bytes.subarray(from, from + length));
  }

  private take(length: number): Uint8Array {
    const from = this.advance(length);
    return this.bytes.subarray(from, from + length);
  }

  /** An unsigned number of 2 to the power of `log2` bytes. */
  private size(log2: number): number {
    if (log2 === 0) return this.uint8();
    return log2 === 1 ? this.view.getUint16(this.advance(2)) : this.view.getUint32(this.advance(4));
  }

  private uint8(): number {
    return this.view.getUint8(this.advance(1));
  }

  private uint64(): number {
    return this.size(2) * 2 ** 32 + this.size(2);
  }

  /** Advances by `count` bytes and returns where they begin. */
  private advance(count: number): number {
    const from = this.position;
    if (count > this.bytes.length - from) throw new RangeError('the bytes end in the middle of a value');
    this.position = from + count;
    return from;
  }
}

function unknownType(head: number): never {
  throw new Error(`the type 0x${head.toString(16)} does not exist in JSON's model`);
}

/** A value that can be decoded only with the key table of its room. */
export class Packed {
  constructor(private readonly bytes: Uint8Array) {}

  /** Decodes the value, and adds the keys that it contains as strings to the table. Throws if the table does not fit. */
  open(keys: KeyTable): unknown {
    return new Reader(this.bytes, keys).value();
  }
}
