import { sizeOf, type Frame } from './codec';
import { CourtsideError } from './errors';
import { isSequenced, type Welcome } from './protocol';

/** Bounds on what the client keeps until the server has confirmed it. */
export interface QueueBounds {
  readonly actions: number;
  readonly bytes: number;
}

/** What a welcome means: the first session begins, the same one goes on, it is gone and another begins, or nonsense. */
export type Outcome = 'first' | 'resumed' | 'lost' | 'broken';

interface Queued {
  readonly frame: Frame;
  readonly id: number | undefined;
  written: boolean;
}

/** What a lost session leaves behind: for each unconfirmed action its `id`, if it had one, and whether it was ever written. */
export type Remains = readonly { readonly id: number | undefined; readonly written: boolean }[];

const PING_FRAMES = 128;
const PING_BYTES = 64 * 1024;

/**
 * The rules of delivery, without sockets and without time.
 * Nothing is numbered on the wire: both sides count the sequenced frames that they have received, and the counts are all
 * that a resume needs. Actions stay in `queue` until the server's count has passed them.
 */
export class Session {
  /** The secret that resumes this session; undefined until the first welcome and after `forget`. */
  token: string | undefined;
  /** How many sequenced events of this session have arrived. */
  received = 0;

  private begun = false;
  private queue: Queued[] = [];
  private queuedBytes = 0;
  /** The server's count of actions: the queue's head is the action after it. */
  private confirmed = 0;
  /** Where in the queue the current connection goes on writing. */
  private next = 0;
  /** What came in and what went out since the last ping. */
  private sincePing = { in: 0, inBytes: 0, out: 0, outBytes: 0 };

  constructor(private readonly bounds: QueueBounds) {}

  /** Takes an action for delivery, or throws `queue_full`. */
  push(frame: Frame, id: number | undefined): void {
    const size = sizeOf(frame);
    if (this.queue.length >= this.bounds.actions || this.queuedBytes + size > this.bounds.bytes) {
      throw new CourtsideError(
        'queue_full',
        `The server has not yet confirmed ${this.queue.length} actions (${this.queuedBytes} bytes), and no more than ${this.bounds.actions} (${this.bounds.bytes} bytes) may wait: send less often, wait until the client is open, or raise queueActions and queueBytes.`,
        { sent: false },
      );
    }
    this.pushAlways(frame, id);
  }

  /** Takes an action beyond the bounds. Only for what the client itself must say, which is bounded elsewhere. */
  pushAlways(frame: Frame, id: number | undefined): void {
    this.queue.push({ frame, id, written: false });
    this.queuedBytes += sizeOf(frame);
  }

  /** The actions that the current connection has not carried yet, each handed out once per connection, in order. */
  *unwritten(): Generator<Frame, void, void> {
    for (let queued = this.queue[this.next]; queued; queued = this.queue[this.next]) {
      this.next += 1;
      queued.written = true;
      this.sincePing.out += 1;
      this.sincePing.outBytes += sizeOf(queued.frame);
      yield queued.frame;
    }
  }

  /** Opens the session on a new connection. After `lost`, call `renew`; after `broken`, call `forget` and drop the connection. */
  welcome(welcome: Welcome): Outcome {
    this.next = 0;
    if (welcome.resumed) {
      if (this.token === undefined || !this.confirm(welcome.received)) return 'broken';
      this.token = welcome.resume;
      return 'resumed';
    }
    this.token = welcome.resume;
    const outcome = this.begun ? 'lost' : 'first';
    this.begun = true;
    return outcome;
  }

  /** Gives up a session whose counts no longer agree with the server's: the next welcome begins another one. */
  forget(): void {
    this.token = undefined;
  }

  /** Begins to count anew, as the server does in a new session, and says what was not confirmed in the old one. */
  renew(): Remains {
    const remains = this.queue;
    this.queue = [];
    this.queuedBytes = this.confirmed = this.next = this.received = 0;
    this.pinged();
    return remains;
  }

  /** Drops what the server has. False where the count contradicts what was written. */
  confirm(received: number): boolean {
    const count = received - this.confirmed;
    if (!Number.isInteger(count) || count < 0) return false;
    if (count > 0 && !this.queue[count - 1]?.written) return false;
    for (const queued of this.queue.splice(0, count)) this.queuedBytes -= sizeOf(queued.frame);
    this.confirmed = received;
    this.next = Math.max(0, this.next - count);
    return true;
  }

  /** Counts an inbound event, if it is one of those that count. */
  arrived(event: string, size: number): void {
    if (!isSequenced(event)) return;
    this.received += 1;
    this.sincePing.in += 1;
    this.sincePing.inBytes += size;
  }

  /**
   * Whether so much came or went since the last ping that the next is worth its while before its time.
   * A bound that is small is never approached unasked: half of it going out is enough.
   */
  get wantsPing(): boolean {
    const { in: events, inBytes, out, outBytes } = this.sincePing;
    return events >= PING_FRAMES || inBytes >= PING_BYTES
      || out >= Math.min(PING_FRAMES, this.bounds.actions / 2) || outBytes >= Math.min(PING_BYTES, this.bounds.bytes / 2);
  }

  /** A ping with the current count was written. */
  pinged(): void {
    this.sincePing = { in: 0, inBytes: 0, out: 0, outBytes: 0 };
  }
}
