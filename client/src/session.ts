import { sizeOf, type Frame } from './codec.js';
import { CourtsideError } from './errors.js';
import { isSequenced, type Welcome } from './protocol.js';

/** Bounds on the actions that the client keeps until the server has acknowledged them. */
export interface QueueBounds {
  readonly actions: number;
  readonly bytes: number;
}

/**
 * What a `welcome` means: the first session begins, the session continues, the session of the page before a reload
 * continues, the session is lost and another begins, or the counts are invalid.
 */
export type Outcome = 'first' | 'resumed' | 'restored' | 'lost' | 'broken';

/** What a page stores for the page that is loaded next. */
export interface Kept {
  readonly token: string;
  readonly received: number;
  readonly attempt: number;
  /** The first unused `id` of the session. */
  readonly nextId: number;
}

interface Queued {
  readonly frame: Frame;
  readonly id: number | undefined;
  written: boolean;
}

/** The unacknowledged actions of a lost session: for each its `id`, if it had one, and whether it was ever written. */
export type Remains = readonly { readonly id: number | undefined; readonly written: boolean }[];

const PING_FRAMES = 128;
const PING_BYTES = 64 * 1024;

/**
 * The rules of delivery, without sockets and without time.
 * Frames carry no numbers: both sides count the frames that they have received, and a resume needs only these counts.
 * Actions stay in `queue` until the server's count has passed them.
 */
export class Session {
  /** The secret that resumes this session; undefined until the first welcome and after `forget`. */
  token: string | undefined;
  /** How many counted events of this session have arrived. */
  received = 0;

  private begun = false;
  /** Whether the session belongs to the page before a reload and no `welcome` has confirmed it yet. */
  private restoring = false;
  /** The number of attempts to resume this session, by which the server recognises a late attempt. */
  private attempts = 0;
  private queue: Queued[] = [];
  private queuedBytes = 0;
  /** The server's count of actions: the queue's head is the action after it. */
  private confirmed = 0;
  /** The index in the queue of the next action to write on the current connection. */
  private next = 0;
  /** What was received and sent since the last ping. */
  private sincePing = { in: 0, inBytes: 0, out: 0, outBytes: 0 };

  constructor(private readonly bounds: QueueBounds) {}

  /** Starts with the session of the page before a reload. */
  restore({ token, received, attempt }: Kept): void {
    this.token = token;
    this.received = received;
    this.attempts = attempt;
    this.restoring = true;
  }

  /** What to store for a reload; undefined if there is no session to resume. */
  keep(nextId: number): Kept | undefined {
    return this.token === undefined ? undefined : { token: this.token, received: this.received, attempt: this.attempts, nextId };
  }

  /** The session's query parameters for the next attempt to connect. Each attempt is numbered. */
  query(): Record<string, string | undefined> {
    if (this.token === undefined) return {};
    this.attempts += 1;
    return {
      resume: this.token,
      received: String(this.received),
      attempt: String(this.attempts),
      restore: this.restoring ? 'true' : undefined,
    };
  }

  /** The query parameters of an attempt that only ends the session. */
  endQuery(): Record<string, string> | undefined {
    const { resume, attempt } = this.query();
    return resume === undefined || attempt === undefined ? undefined : { resume, attempt, end: 'true' };
  }

  /** Queues an action, or throws `queue_full`. */
  push(frame: Frame, id: number | undefined): void {
    const size = sizeOf(frame);
    if (this.queue.length >= this.bounds.actions || this.queuedBytes + size > this.bounds.bytes) {
      throw new CourtsideError(
        'queue_full',
        `The server has not yet acknowledged ${this.queue.length} actions (${this.queuedBytes} bytes), and no more than ${this.bounds.actions} (${this.bounds.bytes} bytes) may wait: send less often, wait until the client is open, or raise queueActions and queueBytes.`,
        { sent: false },
      );
    }
    this.pushAlways(frame, id);
  }

  /** Queues an action beyond the bounds. Only for the client's own actions, which are bounded elsewhere. */
  pushAlways(frame: Frame, id: number | undefined): void {
    this.queue.push({ frame, id, written: false });
    this.queuedBytes += sizeOf(frame);
  }

  /** The actions that were not written on the current connection yet, in order. Each is yielded once per connection. */
  *unwritten(): Generator<Frame, void, void> {
    for (let queued = this.queue[this.next]; queued; queued = this.queue[this.next]) {
      this.next += 1;
      queued.written = true;
      this.sincePing.out += 1;
      this.sincePing.outBytes += sizeOf(queued.frame);
      yield queued.frame;
    }
  }

  /** Starts or continues the session on a new connection. After `lost`, call `renew`; after `broken`, call `forget` and drop the connection. */
  welcome(welcome: Welcome): Outcome {
    this.next = 0;
    const { restoring } = this;
    if (welcome.resumed) {
      if (this.token === undefined) return 'broken';
      // Only the server knows how many actions of the previous page have arrived; this page continues after them.
      if (restoring) this.confirmed = welcome.received;
      else if (!this.confirm(welcome.received)) return 'broken';
      this.token = welcome.resume;
      this.restoring = false;
      this.begun = true;
      return restoring ? 'restored' : 'resumed';
    }
    this.token = welcome.resume;
    this.restoring = false;
    if (!this.begun) {
      // This page has nothing of the lost session, so it is treated like a new page.
      this.begun = true;
      this.attempts = this.received = 0;
      return 'first';
    }
    return 'lost';
  }

  /** Gives up a session whose counts differ from the server's: the next `welcome` begins another one. */
  forget(): void {
    this.token = undefined;
  }

  /** Resets the counts, as the server does in a new session, and returns the unacknowledged actions of the old one. */
  renew(): Remains {
    const remains = this.queue;
    this.queue = [];
    this.queuedBytes = this.confirmed = this.next = this.received = this.attempts = 0;
    this.pinged();
    return remains;
  }

  /** Withdraws the unwritten actions that `which` selects, and returns their `id`s. */
  withdraw(which: (id: number | undefined, frame: Frame) => boolean): (number | undefined)[] {
    const isOut = ({ id, frame, written }: Queued): boolean => !written && which(id, frame);
    const out = new Set(this.queue.filter(isOut));
    if (out.size === 0) return [];
    // Unwritten actions come after written ones in the queue, so nothing that the server counts moves.
    this.queue = this.queue.filter((queued) => !out.has(queued));
    for (const { frame } of out) this.queuedBytes -= sizeOf(frame);
    return [...out].map(({ id }) => id);
  }

  /** Drops acknowledged actions. Returns false if the count contradicts what was written. */
  confirm(received: number): boolean {
    const count = received - this.confirmed;
    if (!Number.isInteger(count) || count < 0) return false;
    if (count > 0 && !this.queue[count - 1]?.written) return false;
    for (const queued of this.queue.splice(0, count)) this.queuedBytes -= sizeOf(queued.frame);
    this.confirmed = received;
    this.next = Math.max(0, this.next - count);
    return true;
  }

  /** Counts an inbound event, if its type is counted. */
  arrived(event: string, size: number): void {
    if (!isSequenced(event)) return;
    this.received += 1;
    this.sincePing.in += 1;
    this.sincePing.inBytes += size;
  }

  /**
   * Whether enough was received or sent since the last ping to send the next one early.
   * With a small queue, half of it is enough, so that the queue does not fill up while it waits for an acknowledgement.
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
