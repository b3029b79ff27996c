import { CourtsideError } from './errors.js';
import { hashOf } from './hash.js';
import { KeyTable } from './keys.js';
import { mergePatch, share } from './merge.js';
import type { PatchEvent, StateEvent } from './protocol.js';
import { Packed } from './reader.js';

/** What a mirror needs of its room. */
export interface MirrorPort {
  /** Requests the whole state from the server. */
  sync(): void;
  complain(error: CourtsideError): void;
}

/**
 * A room's state as the server last sent it. The only place where state events are applied.
 * Parts that an event does not change keep their identity, both with patches and with whole states.
 */
export class StateMirror {
  /** Undefined before the first state. Treat it as read-only: later states share parts with it. */
  data: unknown = undefined;
  /** The server's tick of that state. */
  tick: number | undefined = undefined;

  private keys = new KeyTable();
  /** Whether the whole state was requested; until it arrives, patches are ignored. */
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
      // The requested state does not match either: both ends hash differently, and asking again would not help.
      this.trustsHashes = false;
      this.port.complain(new CourtsideError('bad_hash', 'A whole state does not have the hash that the server sent with it. The client uses the state anyway and ignores hashes until one matches. Do the client and the server have different versions?'));
    }
  }

  /** Applies a patch. If it does not fit, returns false and requests the whole state. */
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
