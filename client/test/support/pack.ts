import { encode } from '@msgpack/msgpack';

/**
 * Writes MessagePack in exactly the order that is given. A `Map` is an object whose keys may be numbers, as in a patch;
 * everything else is written by the library.
 */
export function pack(value: unknown): Uint8Array {
  if (Array.isArray(value)) return join([head(0x90, 0xdc, value.length), ...value.map(pack)]);
  const isPlain = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  if (!isPlain && !(value instanceof Map)) return encode(value);
  const entries = value instanceof Map ? [...value] : Object.entries(value as object).filter(([, each]) => each !== undefined);
  return join([head(0x80, 0xde, entries.length), ...entries.flatMap(([key, each]) => [encode(key), pack(each)])]);
}

export function join(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

export function fromHex(hex: string): Uint8Array {
  return new Uint8Array(hex.match(/../g)?.map((byte) => parseInt(byte, 16)) ?? []);
}

function head(few: number, many: number, count: number): Uint8Array {
  return new Uint8Array(count < 16 ? [few | count] : [many, count >> 8, count & 0xff]);
}
