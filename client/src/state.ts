import { CourtsideError } from './errors.js';
import { hashOf } from './hash.js';
import { KeyTable } from './keys.js';
import { mergePatch, share } from './merge.js';
import type { PatchEvent, StateEvent } from './protocol.js';
import { Packed } from './reader.js';

/** What a mirror needs of its room. */
export interface MirrorPort {
  /** Asks the server for a whole state. */
  sync(): void;
  complain(error: CourtsideError): void;
}

/**
 * A room's state as the server last told it. The one place where state events are applied.
 * What an event does not change keeps its identity, whether it came as a patch or whole.
 */
export class StateMirror {
  /** Undefined before the first state. Treat it as read-only: later states share parts with it. */
  data: unknown = undefined;
  /** The server's tick of that state. */
  tick: number | undefined = undefined;

  private keys = new KeyTable();
  /** A whole state was asked for, and until it is here nothing else fits. */
  private isStale = false;
  private trustsHashes = true;

  constructor(private readonly port: MirrorPort) {}

  whole({ tick, data, keys, hash }: StateEvent): void {
    const asked = this.isStale;
    this.isStale = false;
    this.data = share(this.data, data);
    this.tick = tick;
    this.keys = new KeyTable(keys);
    if (hash === undefined || hashOf(this.data) === hash) {
      this.trustsHashes ||= hash !== undefined;
    } else if (!asked) {
      this.ask();
    } else if (this.trustsHashes) {
      // The server was asked and says the same: both ends hash differently, and asking on would never end.
      this.trustsHashes = false;
      this.port.complain(new CourtsideError('bad_hash', 'A state that the server sent whole does not have the hash that the server says: it is taken as it came, and hashes are not looked at until one agrees. Is the client of another version than the server?'));
    }
  }

  /** Applies what changed and says whether the state is now that of the event. If not, a whole one was asked for. */
  patch({ tick, base, data, hash }: PatchEvent): boolean {
    if (this.isStale) return false;
    if (base !== this.tick) return this.ask();
    let patch = data;
    if (data instanceof Packed) {
      try {
        patch = data.open(this.keys);
      } catch {
        return this.ask();
      }
    }
    const patched = mergePatch(this.data, patch);
    if (hash !== undefined && this.trustsHashes && hashOf(patched) !== hash) return this.ask();
    this.data = patched;
    this.tick = tick;
    return true;
  }

  private ask(): false {
    this.isStale = true;
    this.port.sync();
    return false;
  }
}
