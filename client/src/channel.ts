import { CourtsideError } from './errors.js';
import { Emitter, type Off } from './events.js';
import type { Position, Publication, SessionEvent } from './protocol.js';

/** A publication's position in its channel, and whether it comes from the history. */
export interface PublicationInfo extends Position {
  readonly channel: string;
  /** Whether it was published before this subscription and comes from the channel's history. */
  readonly past: boolean;
}

/** Publications that this client will never receive, because the channel's history no longer contains them. */
export interface Gap {
  /** The last position that was received. */
  readonly from: Position;
  /** How many are missing; undefined if the channel has a new epoch, so that the number is unknown. */
  readonly missed: number | undefined;
}

/** What a channel needs of its client. */
export interface ChannelPort {
  /** Sends a subscription; the answer is passed to `subscribed` or `ended`. */
  subscribe(channel: Channel, since: Position | undefined): void;
  /** The channel has no listeners any more. */
  release(channel: Channel): void;
}

interface ChannelEvents {
  publication: [data: never, info: PublicationInfo];
  gap: [gap: Gap];
  ended: [error: CourtsideError];
}

/** One channel of one client, with all its listeners. Delivers each offset of an epoch once, however often it arrives. */
export class Channel {
  private readonly events = new Emitter<ChannelEvents>();
  private listeners = 0;
  private active = false;
  private hasEnded = false;
  /** The last publication that was delivered, or that the server reported as older than this subscription. */
  private position: Position | undefined;
  private settleReady!: { resolve: () => void; reject: (error: CourtsideError) => void };
  private readonly settled = new Promise<void>((resolve, reject) => (this.settleReady = { resolve, reject }));
  /** Whether the application has read `ready`, which then reports a failed subscription. */
  private isAwaited = false;

  constructor(private readonly port: ChannelPort, readonly name: string, since: Position | undefined) {
    this.position = since;
    // If the application does not read `ready`, the client's error event reports a failure.
    this.settled.catch(() => {});
  }

  get ready(): Promise<void> {
    this.isAwaited = true;
    return this.settled;
  }

  get lastSeen(): Position | undefined {
    return this.position;
  }

  /** Sends the subscription: the first time, and again in each new session, from the last position. */
  begin(): void {
    this.active = false;
    this.port.subscribe(this, this.position);
  }

  attach<D>(listener: (data: D, info: PublicationInfo) => void): Subscription {
    const off = this.events.on('publication', listener as (data: never, info: PublicationInfo) => void);
    this.listeners += 1;
    let attached = true;
    const release = (): void => {
      if (!attached) return;
      attached = false;
      off();
      this.listeners -= 1;
      if (this.listeners === 0 && !this.hasEnded) this.port.release(this);
    };
    return new Subscription(this, this.events, release);
  }

  /** The answer to `begin`. */
  subscribed(event: Extract<SessionEvent, { event: 'subscribed' }>): void {
    const { epoch, offset, publications = [] } = event;
    const seen = this.position;
    this.active = true;
    const sameStream = seen?.epoch === epoch;
    if (seen && !event.recovered) {
      const next = publications[0]?.offset ?? offset + 1;
      const missed = sameStream ? next - seen.offset - 1 : undefined;
      if (missed === undefined || missed > 0) this.events.emit('gap', { from: seen, missed });
    }
    for (const publication of publications) this.handOn(epoch, publication, true);
    this.position = { epoch, offset: Math.max(offset, this.seenIn(epoch)) };
    this.settleReady.resolve();
  }

  publication(event: Extract<SessionEvent, { event: 'publication' }>): void {
    // A publication before the answer belongs to an earlier subscription to this channel.
    if (this.active && this.position) this.handOn(this.position.epoch, event, false);
  }

  /** The server ended the subscription by itself. */
  unsubscribed(reason: string): boolean {
    if (!this.active) return false;
    this.ended(new CourtsideError('unsubscribed', `The server ended the subscription to "${this.name}": ${reason}.`));
    return true;
  }

  /** Ends the subscription for all listeners. Returns whether a listener or a reader of `ready` was notified. */
  ended(error: CourtsideError): boolean {
    this.active = false;
    this.hasEnded = true;
    this.settleReady.reject(error);
    return this.events.emit('ended', error) || this.isAwaited;
  }

  /** In another epoch the offsets start again: none of them was received. */
  private seenIn(epoch: string): number {
    return this.position?.epoch === epoch ? this.position.offset : -1;
  }

  private handOn(epoch: string, { offset, data }: Publication, past: boolean): void {
    if (offset <= this.seenIn(epoch)) return;
    this.position = { epoch, offset };
    this.events.emit('publication', data as never, { channel: this.name, epoch, offset, past });
  }
}

/** One listener's subscription to a channel. */
export class Subscription {
  /** @internal Subscriptions are made by `client.subscribe`. */
  constructor(private readonly of: Channel, private readonly events: Emitter<ChannelEvents>, private readonly release: () => void) {}

  get channel(): string {
    return this.of.name;
  }

  /** Resolves when the server has confirmed the first subscription; rejects if the server refused it. You may ignore it. */
  get ready(): Promise<void> {
    return this.of.ready;
  }

  /** The last position that was delivered. Store it and pass it as `since` to continue from there later. */
  get position(): Position | undefined {
    return this.of.lastSeen;
  }

  /** Calls the listener when publications were missed for good, after a lost session or with an old `since`. */
  onGap(listener: (gap: Gap) => void): Off {
    return this.events.on('gap', listener);
  }

  /** Calls the listener once if the server refuses or ends the subscription, or the client closes. The client does not subscribe again by itself. */
  onEnded(listener: (error: CourtsideError) => void): Off {
    return this.events.on('ended', listener);
  }

  /** Removes this listener. With the last listener of a channel, the client unsubscribes at the server. */
  unsubscribe(): void {
    this.release();
  }
}
