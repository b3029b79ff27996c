import { CourtsideError } from './errors.js';
import { Emitter, type Off } from './events.js';
import type { Position, Publication, SessionEvent } from './protocol.js';

/** Where a publication stands, and how it came. */
export interface PublicationInfo extends Position {
  readonly channel: string;
  /** It was published before this subscription and comes from the channel's history. */
  readonly past: boolean;
}

/** Publications that this client will never see, because the channel's history no longer reaches back to them. */
export interface Gap {
  /** The last position that was seen. */
  readonly from: Position;
  /** How many are missing, or undefined where the stream began anew and nobody knows. */
  readonly missed: number | undefined;
}

/** What a channel needs of its client. */
export interface ChannelPort {
  /** Subscribes on the wire; the answer comes to `subscribed` or `ended`. */
  subscribe(channel: Channel, since: Position | undefined): void;
  /** Nobody listens any more. */
  release(channel: Channel): void;
}

interface ChannelEvents {
  publication: [data: never, info: PublicationInfo];
  gap: [gap: Gap];
  ended: [error: CourtsideError];
}

/** One channel of one client, with all its listeners. Hands on each offset of an epoch once, however often it comes. */
export class Channel {
  private readonly events = new Emitter<ChannelEvents>();
  private listeners = 0;
  private active = false;
  private hasEnded = false;
  /** The last publication that was handed on, or that the server said is behind this subscription. */
  private position: Position | undefined;
  private settleReady!: { resolve: () => void; reject: (error: CourtsideError) => void };
  private readonly settled = new Promise<void>((resolve, reject) => (this.settleReady = { resolve, reject }));
  /** Somebody has asked for `ready`, and is told by it if the subscription fails. */
  private isAwaited = false;

  constructor(private readonly port: ChannelPort, readonly name: string, since: Position | undefined) {
    this.position = since;
    // Whoever does not look at `ready` is told by the client's error event.
    this.settled.catch(() => {});
  }

  get ready(): Promise<void> {
    this.isAwaited = true;
    return this.settled;
  }

  get lastSeen(): Position | undefined {
    return this.position;
  }

  /** Subscribes on the wire: the first time, and again in each new session, from where it was. */
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
    // What comes before the answer belongs to an earlier subscription to this channel.
    if (this.active && this.position) this.handOn(this.position.epoch, event, false);
  }

  /** The server ended the subscription by itself. */
  unsubscribed(reason: string): boolean {
    if (!this.active) return false;
    this.ended(new CourtsideError('unsubscribed', `The server ended the subscription to "${this.name}": ${reason}.`));
    return true;
  }

  /** It is over for all listeners. Says whether anybody is told of it. */
  ended(error: CourtsideError): boolean {
    this.active = false;
    this.hasEnded = true;
    this.settleReady.reject(error);
    return this.events.emit('ended', error) || this.isAwaited;
  }

  /** In another epoch offsets begin anew: none of it was seen. */
  private seenIn(epoch: string): number {
    return this.position?.epoch === epoch ? this.position.offset : -1;
  }

  private handOn(epoch: string, { offset, data }: Publication, past: boolean): void {
    if (offset <= this.seenIn(epoch)) return;
    this.position = { epoch, offset };
    this.events.emit('publication', data as never, { channel: this.name, epoch, offset, past });
  }
}

/** One listener's part in a channel. */
export class Subscription {
  /** @internal Subscriptions are made by `client.subscribe`. */
  constructor(private readonly of: Channel, private readonly events: Emitter<ChannelEvents>, private readonly release: () => void) {}

  get channel(): string {
    return this.of.name;
  }

  /** Resolves when the server has confirmed the first subscription; rejects if it refused it. Need not be looked at. */
  get ready(): Promise<void> {
    return this.of.ready;
  }

  /** The last place that was handed on: keep it, and give it as `since` to go on from there later. */
  get position(): Position | undefined {
    return this.of.lastSeen;
  }

  /** Is told when publications were missed for good, after a lost session or with an old `since`. */
  onGap(listener: (gap: Gap) => void): Off {
    return this.events.on('gap', listener);
  }

  /** Is told once if the server refuses or ends the subscription, or the client closes. It does not come back by itself. */
  onEnded(listener: (error: CourtsideError) => void): Off {
    return this.events.on('ended', listener);
  }

  /** Stops this listener. With the last one of a channel, the server is told. */
  unsubscribe(): void {
    this.release();
  }
}
