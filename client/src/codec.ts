import { encode as pack } from '@msgpack/msgpack';
import { CourtsideError, reasonOf } from './errors';
import type { Action, Format, Ping, ServerEvent } from './protocol';
import { Packed, Reader } from './reader';
import { put, type Node } from './tree';

/** One WebSocket message: text holds JSON, bytes hold MessagePack. */
export type Frame = string | Uint8Array<ArrayBuffer>;

/** How large a frame is. For text it is counted in UTF-16 units, which costs nothing and is near enough for a bound. */
export function sizeOf(frame: Frame): number {
  return frame.length;
}

/** Writes an action at once, so that what the page does to its objects afterwards changes nothing. */
export function encode(action: Action | Ping, format: Format): Frame {
  try {
    return format === 'json' ? JSON.stringify(action) : pack(action, { ignoreUndefined: true });
  } catch (thrown) {
    const name = format === 'json' ? 'JSON' : 'MessagePack';
    throw new CourtsideError('bad_data', `The data cannot be written as ${name} (${reasonOf(thrown)}): send plain objects, arrays, strings, numbers, booleans and null.`, { cause: thrown });
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
