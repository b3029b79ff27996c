import { CourtsideError, reasonOf } from './errors.js';
import type { Action, Format, Ping, ServerEvent } from './protocol.js';
import { Packed, Reader } from './reader.js';
import { put, type Node } from './tree.js';
import { pack } from './writer.js';

/** One WebSocket message: a string contains JSON, bytes contain MessagePack. */
export type Frame = string | Uint8Array;

/** The size of a frame. Text is counted in UTF-16 units, which is free and accurate enough for a bound. */
export function sizeOf(frame: Frame): number {
  return frame.length;
}

/** Whether a frame has more bytes on the wire than this. */
export function isLongerThan(frame: Frame, bytes: number): boolean {
  if (frame.length > bytes) return true;
  // A UTF-16 unit has at most three bytes, so most frames need no counting.
  if (typeof frame !== 'string' || frame.length * 3 <= bytes) return false;
  return byteLength(frame) > bytes;
}

/** How many bytes a frame has on the wire. */
export function byteLength(frame: Frame): number {
  return typeof frame === 'string' ? new TextEncoder().encode(frame).length : frame.length;
}

/** A lone surrogate, as JSON.stringify escapes it. Text in UTF-8 cannot contain one. */
const HALF_PAIR = /(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}/g;

/**
 * Encodes an action immediately, so that later changes to the page's objects have no effect.
 * Both formats contain what `JSON.stringify` makes of the data: a Date is a string, undefined is left out, NaN is null.
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

/** Decodes a text or binary frame, whatever the session's format is. Throws if it is not an event. */
export function decode(frame: string | ArrayBuffer): ServerEvent {
  const value: unknown = typeof frame === 'string' ? JSON.parse(frame) : unpack(new Uint8Array(frame));
  if (typeof value !== 'object' || value === null || typeof (value as { event?: unknown }).event !== 'string') {
    throw new Error('a frame is not an object with an `event`');
  }
  return value as ServerEvent;
}

/** Decodes an event from MessagePack. The data of a patch stays packed, because only its room has the key table to decode it. */
function unpack(bytes: Uint8Array): Node {
  const reader = new Reader(bytes);
  const event: Node = {};
  let data: Uint8Array | undefined;
  for (let left = reader.enter(); left > 0; left -= 1) {
    const key = reader.key();
    // The event's name may come after its data.
    if (key === 'data' && (event.event === undefined || event.event === 'patch')) data = reader.skip();
    else put(event, key, reader.value());
  }
  if (!reader.hasEnded) throw new Error('something follows the event');
  if (data) event.data = event.event === 'patch' ? new Packed(data) : new Reader(data).value();
  return event;
}
