import { sizeOf, type Frame } from './codec.js';
import { CourtsideError } from './errors.js';
import { isSequenced, type Welcome } from './protocol.js';

/** Bounds on what the client keeps until the server has confirmed it. */
export interface QueueBounds {
  readonly actions: number;
  readonly bytes: number;
}

/**
 * What a welcome means: the first session begins, the same one goes on, that of the page before a reload goes on, it is gone
 * and another begins, or nonsense.
 */
export type Outcome = 'first' | 'resumed' | 'restored' | 'lost' | 'broken';

/** What a page leaves to the one that is loaded in its place. */
export interface Kept {
  readonly token: string;
  readonly received: number;
  readonly attempt: number;
  /** The first `id` that no action of the session has had. */
  readonly nextId: number;
}

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
  /** The session is that of a page before this one, and no welcome has confirmed it yet. */
  private restoring = false;
  /** How often this session was asked for again: the server tells a late attempt from the newest by it. */
  private attempts = 0;
  private queue: Queued[] = [];
  private queuedBytes = 0;
  /** The server's count of actions: the queue's head is the action after it. */
  private confirmed = 0;
  /** Where in the queue the current connection goes on writing. */
  private next = 0;
  /** What came in and what went out since the last ping. */
  private sincePing = { in: 0, inBytes: 0, out: 0, outBytes: 0 };

  constructor(private readonly bounds: QueueBounds) {}

  /** Begins with the session of a page that was reloaded. */
  restore({ token, received, attempt }: Kept): void {
    this.token = token;
    this.received = received;
    this.attempts = attempt;
    this.restoring = true;
  }

  /** What is to be kept through a reload, or undefined where there is nothing to resume. */
  keep(nextId: number): Kept | undefined {
    return this.token === undefined ? undefined : { token: this.token, received: this.received, attempt: this.attempts, nextId };
  }

  /** What the next attempt to connect says of the session. Each is numbered. */
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

  /** What an attempt says that only ends the session. */
  endQuery(): Record<string, string> | undefined {
    const { resume, attempt } = this.query();
    return resume === undefined || attempt === undefined ? undefined : { resume, attempt, end: 'true' };
  }

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
    const { restoring } = this;
    if (welcome.resumed) {
      if (this.token === undefined) return 'broken';
      // Of what the page before has written, only the server knows how much arrived; this page goes on behind it.
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
      // This page has no more to lose than one that was never here before.
      this.begun = true;
      this.attempts = this.received = 0;
      return 'first';
    }
    return 'lost';
  }

  /** Gives up a session whose counts no longer agree with the server's: the next welcome begins another one. */
  forget(): void {
    this.token = undefined;
  }

  /** Begins to count anew, as the server does in a new session, and says what was not confirmed in the old one. */
  renew(): Remains {
    const remains = this.queue;
    this.queue = [];
    this.queuedBytes = this.confirmed = this.next = this.received = this.attempts = 0;
    this.pinged();
    return remains;
  }

  /** Takes back the actions for which `which` says so, as far as they were never written, and returns their `id`s. */
  withdraw(which: (id: number | undefined, frame: Frame) => boolean): (number | undefined)[] {
    const isOut = ({ id, frame, written }: Queued): boolean => !written && which(id, frame);
    const out = new Set(this.queue.filter(isOut));
    if (out.size === 0) return [];
    // What was never written stands behind what was, so nothing that the server counts moves.
    this.queue = this.queue.filter((queued) => !out.has(queued));
    for (const { frame } of out) this.queuedBytes -= sizeOf(frame);
    return [...out].map(({ id }) => id);
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
