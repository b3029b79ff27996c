// Writes MessagePack as JSON.stringify writes JSON, so that the server receives the same values.

const UTF8 = new TextEncoder();
/** A value that is nested deeper than this contains itself. */
const DEEPEST = 1000;

/** The MessagePack of what `JSON.stringify(value)` would write. Throws a TypeError if that would. */
export function pack(value: unknown): Uint8Array {
  const writer = new Writer();
  writer.value(plain('', value), 0);
  return writer.taken();
}

class Writer {
  private bytes = new Uint8Array(256);
  private view = new DataView(this.bytes.buffer);
  private length = 0;

  taken(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  /** Writes a value that `plain` returned. What JSON leaves out is null here, as it is in an array. */
  value(value: unknown, depth: number): void {
    if (value === null || isLeftOut(value)) return this.byte(0xc0);
    switch (typeof value) {
      case 'boolean':
        return this.byte(value ? 0xc3 : 0xc2);
      case 'number':
        return this.number(value);
      case 'string':
        return this.text(value);
      case 'bigint':
        throw new TypeError('a BigInt cannot be written as JSON');
    }
    if (depth > DEEPEST) throw new TypeError(`it is nested more than ${DEEPEST} deep, or contains itself`);
    if (Array.isArray(value)) {
      this.head(value.length, 0x90, 0xdc);
      for (let n = 0; n < value.length; n += 1) this.value(plain(String(n), value[n]), depth + 1);
      return;
    }
    // Call each toJSON once and before the head is written, because it may return undefined.
    const entries: [string, unknown][] = [];
    for (const name of Object.keys(value as object)) {
      const inner = plain(name, (value as Record<string, unknown>)[name]);
      if (!isLeftOut(inner)) entries.push([name, inner]);
    }
    this.head(entries.length, 0x80, 0xde);
    for (const [name, inner] of entries) {
      this.text(name);
      this.value(inner, depth + 1);
    }
  }

  private number(value: number): void {
    if (!Number.isFinite(value)) this.byte(0xc0);
    else if (!Number.isInteger(value)) this.float(value);
    else if (value >= 0) {
      if (value < 0x80) this.byte(value);
      else if (value < 0x100) this.sized(0xcc, 1, value);
      else if (value < 0x10000) this.sized(0xcd, 2, value);
      else if (value < 0x1_0000_0000) this.sized(0xce, 4, value);
      else this.long(0xcf, value, 0n, 2n ** 64n);
    } else if (value >= -0x20) this.byte(value & 0xff);
    else if (value >= -0x80) this.sized(0xd0, 1, value & 0xff);
    else if (value >= -0x8000) this.sized(0xd1, 2, value & 0xffff);
    else if (value >= -0x8000_0000) this.sized(0xd2, 4, value >>> 0);
    else this.long(0xd3, value, -(2n ** 63n), 0n);
  }

  private float(value: number): void {
    this.byte(0xcb);
    const at = this.space(8);
    this.view.setFloat64(at, value);
  }

  /** Writes an integer by its digits, as JSON does, or a float if a JSON reader could not read it as an integer either. */
  private long(code: number, value: number, from: bigint, below: bigint): void {
    const digits = Math.abs(value) < 1e21 ? BigInt(String(value)) : below;
    if (digits < from || digits >= below) return this.float(value);
    this.byte(code);
    const at = this.space(8);
    this.view.setBigUint64(at, BigInt.asUintN(64, digits));
  }

  private text(text: string): void {
    // A UTF-16 unit has at most three bytes, so the size of the head is known before the length is.
    const widest = text.length * 3;
    const head = widest < 32 ? 1 : widest < 0x100 ? 2 : widest < 0x10000 ? 3 : 5;
    const at = this.space(head + widest);
    const { written } = UTF8.encodeInto(text, this.bytes.subarray(at + head));
    this.length = at;
    if (head === 1) this.byte(0xa0 | written);
    else this.sized([0xd9, 0xda, 0, 0xdb][head - 2] as number, head - 1, written);
    this.length += written;
  }

  private head(count: number, few: number, more: number): void {
    if (count < 16) this.byte(few | count);
    else if (count < 0x10000) this.sized(more, 2, count);
    else this.sized(more + 1, 4, count);
  }

  private sized(code: number, size: number, value: number): void {
    this.byte(code);
    const at = this.space(size);
    if (size === 1) this.view.setUint8(at, value);
    else if (size === 2) this.view.setUint16(at, value);
    else this.view.setUint32(at, value);
  }

  private byte(byte: number): void {
    const at = this.space(1);
    this.bytes[at] = byte;
  }

  /** Makes room for `count` bytes and returns where they begin. */
  private space(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, this.bytes.length * 2));
      grown.set(this.bytes);
      this.bytes = grown;
      this.view = new DataView(grown.buffer);
    }
    return at;
  }
}

/** What JSON writes instead of a value: the result of its toJSON, and the primitive in a wrapper. */
function plain(key: string, value: unknown): unknown {
  let said = value;
  if ((typeof value === 'object' && value !== null) || typeof value === 'bigint') {
    const { toJSON } = value as { toJSON?: unknown };
    if (typeof toJSON === 'function') said = toJSON.call(value, key);
  }
  if (said instanceof Number) return Number(said);
  if (said instanceof String) return String(said);
  if (said instanceof Boolean || said instanceof BigInt) return said.valueOf();
  return said;
}

/** In an object JSON leaves these out, and in an array they are null. */
function isLeftOut(value: unknown): boolean {
  return value === undefined || typeof value === 'function' || typeof value === 'symbol';
}
