import type { Clock } from './clock.js';
import { CourtsideError } from './errors.js';

interface Sent {
  readonly at: number;
  readonly waiting: { resolve: (roundTrip: number) => void; reject: (error: CourtsideError) => void } | undefined;
}

/** How many unanswered pings are remembered, for a server that sends frames but answers no pings. */
const REMEMBERED = 64;

/** The unanswered pings of one connection, and the round trip of the last answered one. */
export class Pulse {
  /** In milliseconds. */
  roundTrip: number | undefined;
  private readonly pings = new Map<number, Sent>();

  constructor(private readonly clock: Clock) {}

  sent(id: number, waiting: Sent['waiting']): void {
    this.pings.set(id, { at: this.clock.now(), waiting });
    if (this.pings.size <= REMEMBERED) return;
    const [oldest, { waiting: forgotten }] = this.pings.entries().next().value as [number, Sent];
    this.pings.delete(oldest);
    forgotten?.reject(new CourtsideError('not_connected', `The server answered none of the last ${REMEMBERED} pings.`));
  }

  /** The local moments between which the server wrote this pong; undefined if it answers no ping. */
  answered(id: number | undefined): { sentAt: number; receivedAt: number } | undefined {
    const sent = id === undefined ? undefined : this.pings.get(id);
    if (!sent) return undefined;
    this.pings.delete(id as number);
    const receivedAt = this.clock.now();
    this.roundTrip = receivedAt - sent.at;
    sent.waiting?.resolve(this.roundTrip);
    return { sentAt: sent.at, receivedAt };
  }

  /** The connection is lost: its pings fail. */
  dropped(): void {
    for (const { waiting } of this.pings.values()) waiting?.reject(this.notConnected());
    this.pings.clear();
  }

  notConnected(): CourtsideError {
    return new CourtsideError('not_connected', 'There is no connection: wait for the client’s open event and ping again.');
  }
}
