import { CourtsideError, reasonOf } from './errors.js';
import type { Action, Format, Ping, ServerEvent } from './protocol.js';
import { Packed, Reader } from './reader.js';
import { put, type Node } from './tree.js';
import { pack } from './writer.js';

/** One WebSocket message: text holds JSON, bytes hold MessagePack. */
export type Frame = string | Uint8Array;

/** How large a frame is. For text it is counted in UTF-16 units, which costs nothing and is near enough for a bound. */
export function sizeOf(frame: Frame): number {
  return frame.length;
}

/** Whether a frame has more bytes on the wire than this. */
export function isLongerThan(frame: Frame, bytes: number): boolean {
  if (frame.length > bytes) return true;
  // A unit of UTF-16 is three bytes at most: most frames are short enough to need no counting.
  if (typeof frame !== 'string' || frame.length * 3 <= bytes) return false;
  return byteLength(frame) > bytes;
}

/** How many bytes a frame has on the wire. */
export function byteLength(frame: Frame): number {
  return typeof frame === 'string' ? new TextEncoder().encode(frame).length : frame.length;
}

/** Half of a pair of UTF-16, escaped as JSON.stringify does it where its other half is missing. No text in UTF-8 can hold one. */
const HALF_PAIR = /(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}/g;

/**
 * Writes an action at once, so that what the page does to its objects afterwards changes nothing.
 * In either format it is what `JSON.stringify` makes of it: a Date is a text, undefined is left out, NaN is null.
 */
export function encode(action: Action | Ping, format: Format): Frame {
  try {
    if (format === 'msgpack') return pack(action);
    const text = JSON.stringify(action);
    return text.includes('\\ud') ? text.replace(HALF_PAIR, '$1\ufffd') : text;
  } catch (thrown) {
    throw new CourtsideError('bad_data', `The data cannot be sent (${reasonOf(thrown)}): send what JSON.stringify can write, such as plain objects, arrays, strings, numbers, booleans and null.`, { cause: thrown });
  }
}

/** Reads a frame by its kind, whatever the session's format is. Throws where it is no event. */
export function decode(frame: string | ArrayBuffer): ServerEvent {
  const value: unknown = typeof frame === 'string' ? JSON.parse(frame) : unpack(new Uint8Array(frame));
  if (typeof value !== 'object' || value === null || typeof (value as { event?: unknown }).event !== 'string') {
    throw new Error('a frame is not an object with an `event`');
  }
  return value as ServerEvent;
}

/** Reads an event from MessagePack. What a patch holds stays packed: only its room has the key table to read it with. */
function unpack(bytes: Uint8Array): Node {
  const reader = new Reader(bytes);
  const event: Node = {};
  let data: Uint8Array | undefined;
  for (let left = reader.enter(); left > 0; left -= 1) {
    const key = reader.key();
    // The event's name may come behind its data.
    if (key === 'data' && (event.event === undefined || event.event === 'patch')) data = reader.skip();
    else put(event, key, reader.value());
  }
  if (!reader.hasEnded) throw new Error('something follows the event');
  if (data) event.data = event.event === 'patch' ? new Packed(data) : new Reader(data).value();
  return event;
}
