import { CourtsideError } from './errors.js';
import { Emitter, guarded, type Off } from './events.js';
import { mergePatch } from './merge.js';
import { Presence } from './presence.js';
import type { Position, PresenceEvent, Publication, PublicationEvent, SessionEvent, Wish } from './protocol.js';

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

/** How to subscribe to a channel. All listeners of a channel share one subscription, for which the first listener's settings count, except `keep`. */
export interface SubscribeSettings {
  /** Continue after this position, for example that of an earlier page. If the server no longer has what came after it, the subscription starts as a new one and `onGap` reports it. */
  since?: Position | undefined;
  /** Start with this many of the newest publications at most; 0: with none. Default: all that the channel keeps. */
  last?: number | undefined;
  /** Start with the publications from this time on, in Unix milliseconds of the server's clock. Default: all that the channel keeps. */
  from?: number | Date | undefined;
  /**
   * Receive publications as patches, if the channel offers that; the listener always receives whole ones. They share unchanged
   * parts, so do not change them. Default: false.
   */
  delta?: boolean | undefined;
  /**
   * Hold this many of the newest publications for later listeners of the channel, and start with those that an earlier listener
   * has the client hold. Default: 0, so that a later listener starts with what is published next.
   */
  keep?: number | undefined;
  /** Whether to follow who is subscribed: see `subscription.presence`. The channel must have presence. Default: false. */
  presence?: boolean | undefined;
  /**
   * What the application's check of the subscription receives and, in a channel with presence, what this client shows of itself to
   * others. The client sends it again in each new session. A later listener's `data` takes its place, and is checked at once; if the
   * check refuses it, the subscription ends for all listeners. Default: nothing.
   */
  data?: unknown;
}

/** What the server answers to a subscription. */
export interface Confirmation {
  /** What the application gives the subscriber to begin with; undefined if that is nothing. */
  readonly data: unknown;
  /** Milliseconds from now until the subscription ends with the reason `expired`; undefined if it is not limited in time. */
  readonly expiresIn: number | undefined;
}

/** Which part of a channel's history to read. */
export interface HistorySettings {
  /** The newest publications before this offset. Default: the newest. */
  before?: number | undefined;
  /** The oldest publications after this position, in place of `before`. */
  since?: Position | undefined;
  /** How many at most, up to 1,000. Default: 100. */
  limit?: number | undefined;
}

/** A page of a channel's history, the oldest publication first. */
export interface HistoryPage<D = unknown> extends Position {
  readonly publications: readonly { readonly offset: number; readonly data: D }[];
  /** Whether the channel has older ones, or newer ones after `since`. */
  readonly more: boolean;
}

/** What a channel needs of its client. */
export interface ChannelPort {
  /** Sends a subscription; the answer is passed to `subscribed` or `ended`. */
  subscribe(channel: Channel, since: Position | undefined, wish: Wish): void;
  history(channel: string, settings: HistorySettings): Promise<HistoryPage>;
  /** Requests the list of who is present. */
  askPresence(channel: string, done: () => void): void;
  /** Changes what this client shows to others. */
  changePresence(channel: string, data: unknown): Promise<void>;
  /** The channel has no listeners any more. */
  release(channel: Channel): void;
}

interface ChannelEvents {
  subscribed: [confirmation: Confirmation];
  publication: [data: never, info: PublicationInfo];
  gap: [gap: Gap];
  ended: [error: CourtsideError];
}

/** One channel of one client, with all its listeners. Delivers each offset of an epoch once, however often it arrives. */
export class Channel {
  private readonly events = new Emitter<ChannelEvents>();
  /** Who is subscribed. Empty unless a listener watches that. */
  readonly presence: Presence;
  /** Whether a listener watches who is subscribed. */
  isWatched = false;
  private listeners = 0;
  private active = false;
  private hasEnded = false;
  /** The last publication that was delivered, or that the server reported as older than this subscription. */
  private position: Position | undefined;
  private settleReady!: { resolve: () => void; reject: (error: CourtsideError) => void };
  /** What the application gave the subscriber to begin with, the last time. */
  given: unknown;
  /** With patches: the newest publication, which the next patch changes. */
  private base: Publication | undefined;
  private hasPatches = false;
  /** The newest publications, for later listeners; at most `keeps`. */
  private held: [data: unknown, info: PublicationInfo][] = [];
  private keeps = 0;
  private readonly settled = new Promise<void>((resolve, reject) => (this.settleReady = { resolve, reject }));
  /** Whether the application has read `ready`, which then reports a failed subscription. */
  private isAwaited = false;

  constructor(private readonly port: ChannelPort, readonly name: string, since: Position | undefined, private readonly wish: Wish) {
    this.position = since;
    this.presence = new Presence({
      ask: (done) => port.askPresence(name, done),
      change: (data) => port.changePresence(name, data),
    });
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
    this.base = undefined;
    this.presence.restart();
    this.port.subscribe(this, this.position, this.wish);
  }

  attach<D>(listener: (data: D, info: PublicationInfo) => void, keep: number): Subscription<D> {
    this.keeps = Math.max(this.keeps, keep);
    const hear = listener as (data: unknown, info: PublicationInfo) => void;
    // The listener is not called before it has its subscription.
    let waiting: [unknown, PublicationInfo][] | undefined = keep > 0 ? this.held.slice(-keep).map(([data, info]) => [data, { ...info, past: true }]) : [];
    const off = this.events.on('publication', (data, info) => {
      if (waiting) waiting.push([data, info]);
      else hear(data, info);
    });
    this.listeners += 1;
    let attached = true;
    if (waiting.length === 0) waiting = undefined;
    else {
      queueMicrotask(() => {
        for (let next = waiting?.shift(); next; next = waiting?.shift()) {
          const [data, info] = next;
          if (attached) guarded(() => hear(data, info));
        }
        waiting = undefined;
      });
    }
    const release = (): void => {
      if (!attached) return;
      attached = false;
      off();
      this.listeners -= 1;
      if (this.listeners === 0 && !this.hasEnded) this.port.release(this);
    };
    return new Subscription<D>(this, this.events, release);
  }

  /** The answer to `begin`. */
  subscribed(event: Extract<SessionEvent, { event: 'subscribed' }>): void {
    const { epoch, offset, publications = [], delta = false, data, expires_ms: expiresIn } = event;
    const seen = this.position;
    this.active = true;
    this.presence.restart();
    this.given = data;
    this.events.emit('subscribed', { data, expiresIn });
    const sameStream = seen?.epoch === epoch;
    if (seen && !event.recovered) {
      const next = publications[0]?.offset ?? offset + 1;
      const missed = sameStream ? next - seen.offset - 1 : undefined;
      if (missed === undefined || missed > 0) {
        this.held = [];
        this.events.emit('gap', { from: seen, missed });
      }
    }
    const newest = event.base ?? publications.at(-1);
    this.hasPatches = delta;
    this.base = delta && newest?.offset === offset ? newest : undefined;
    for (const publication of publications) this.handOn(epoch, publication, true);
    this.position = { epoch, offset: Math.max(offset, this.seenIn(epoch)) };
    this.settleReady.resolve();
  }

  publication(event: PublicationEvent): void {
    // A publication before the answer belongs to an earlier subscription to this channel.
    if (!this.active || !this.position) return;
    const { offset } = event;
    const isPatch = 'patch' in event;
    // Without what it changes, a patch is useless: the subscription starts again from the last position, with whole publications.
    if (isPatch && this.base?.offset !== offset - 1) return this.begin();
    const publication = { offset, data: isPatch ? mergePatch(this.base?.data, event.patch) : event.data };
    if (this.hasPatches) this.base = publication;
    this.handOn(this.position.epoch, publication, false);
  }

  /** The newest publication of a channel that delivers only that. It may arrive again after a lost connection. */
  latest(publication: Publication): void {
    if (this.active && this.position) this.handOn(this.position.epoch, publication, false);
  }

  history(settings: HistorySettings): Promise<HistoryPage> {
    return this.port.history(this.name, settings);
  }

  /** What was asked for, and no answer yet: an event belongs to an earlier subscription. */
  present(event: PresenceEvent): void {
    if (this.active && this.isWatched) this.presence.hear(event);
  }

  /** Whether the server has confirmed the last subscription; otherwise an `unsubscribed` belongs to an earlier one. */
  get isActive(): boolean {
    return this.active;
  }

  /** The server ended the subscription by itself. */
  unsubscribed(reason: string): void {
    this.ended(new CourtsideError('unsubscribed', `The server ended the subscription to "${this.name}": ${reason}.`, { reason }));
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
    const info = { channel: this.name, epoch, offset, past };
    if (this.keeps > 0) {
      if (this.held.length >= this.keeps) this.held.shift();
      this.held.push([data, info]);
    }
    this.events.emit('publication', data as never, info);
  }
}

/** One listener's subscription to a channel. */
export class Subscription<D = unknown> {
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

  /** What the application has given this subscriber to begin with. Undefined before `ready`, and if it gives nothing. */
  get data(): unknown {
    return this.of.given;
  }

  /**
   * Reads a page of the channel's history: the newest publications, those before an offset, or those after a position.
   * Rejects with `not_subscribed` if the subscription has ended or was refused.
   */
  history(settings: HistorySettings = {}): Promise<HistoryPage<D>> {
    return this.of.history(settings) as Promise<HistoryPage<D>>;
  }

  /** Who is subscribed to the channel. Empty unless a listener has subscribed with `presence: true`. */
  get presence(): Presence {
    return this.of.presence;
  }

  /** Calls the listener when publications were missed for good, after a lost session or with an old `since`. */
  onGap(listener: (gap: Gap) => void): Off {
    return this.events.on('gap', listener);
  }

  /** Calls the listener each time the server confirms the subscription: the first time, and again in each new session. What follows from the history comes after it. */
  onSubscribed(listener: (confirmation: Confirmation) => void): Off {
    return this.events.on('subscribed', listener);
  }

  /**
   * Calls the listener once if the server refuses or ends the subscription, or the client closes. The client does not subscribe again
   * by itself. If the server ended it, the code is `unsubscribed`, with a `reason`: `expired` if its time is over, so that you may
   * subscribe again from `position`, or `removed` if the application has ended it.
   */
  onEnded(listener: (error: CourtsideError) => void): Off {
    return this.events.on('ended', listener);
  }

  /** Removes this listener. With the last listener of a channel, the client unsubscribes at the server. */
  unsubscribe(): void {
    this.release();
  }
}
