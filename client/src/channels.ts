import { Channel, type ChannelPort, type HistoryPage, type HistorySettings, type PublicationInfo, type SubscribeSettings, type Subscription } from './channel.js';
import { Timer } from './clock.js';
import { CourtsideError } from './errors.js';
import { badOption, type Settings } from './options.js';
import type { Position, PresenceEvent, Publication, PublicationEvent, SessionEvent, Wish } from './protocol.js';
import type { Sender } from './sender.js';

type Subscribed = Extract<SessionEvent, { event: 'subscribed' }>;

/** How long the client waits after one of `TRY_AGAIN` before it subscribes again; a random time of up to as much is added. */
const TRY_AGAIN_MS = 1_000;

/** Refusals that pass: after a restart all clients reconnect at once, perhaps from one address, and all are checked again. */
const TRY_AGAIN: readonly string[] = ['too_fast', 'authorization_timeout'];

/** The server could not read the action, so a subscription that it had continues there. After any other refusal, it has ended. */
const MALFORMED: readonly string[] = ['bad_field', 'too_deep'];

/** The channels that a client is subscribed to, across its sessions. */
export class Channels {
  private readonly channels = new Map<string, Channel>();
  private readonly port: ChannelPort;
  /** Channels that the server refused with one of `TRY_AGAIN`: they are subscribed to again together. */
  private readonly hurried = new Set<Channel>();
  private readonly calm: Timer;

  constructor(
    private readonly settings: Settings,
    private readonly sender: Sender,
    private readonly isClosed: () => boolean,
    private readonly complain: (error: CourtsideError) => void,
    private readonly announce: (channel: string) => void,
  ) {
    this.calm = new Timer(settings.clock);
    this.port = {
      subscribe: (channel, since, wish) => this.subscribeOnWire(channel, since, wish),
      history: (channel, settings) => this.history(channel, settings),
      release: (channel) => this.release(channel),
      askPresence: (channel, done) => void this.sender.ask({ action: 'presence', channel }, done, done),
      changePresence: (channel, data) => this.sender.request<unknown>({ action: 'presence', channel, data }).then(() => undefined),
    };
  }

  subscribe<D>(name: string, listener: (data: D, info: PublicationInfo) => void, settings: SubscribeSettings): Subscription<D> {
    const { since, last, delta, keep = 0, presence = false, data } = settings;
    const from = settings.from instanceof Date ? settings.from.getTime() : settings.from;
    mustBeCount('last', last);
    mustBeCount('from', from);
    mustBeCount('keep', keep);
    let channel = this.channels.get(name);
    const isNew = !channel;
    const wish: Wish = { ...(last !== undefined && { last }), ...(from !== undefined && { from }), ...(delta && { delta }) };
    channel ??= new Channel(this.port, name, since, wish);
    const subscription = channel.attach(listener, keep);
    const begins = isNew || (presence && !channel.isWatched) || data !== undefined;
    channel.isWatched ||= presence;
    if (data !== undefined) channel.presence.shown = data;
    // A second subscription from the position of the first changes only what the server is asked for besides publications.
    if (begins) channel.begin();
    this.channels.set(name, channel);
    return subscription;
  }

  present(event: PresenceEvent): void {
    if (event.channel !== undefined) this.channels.get(event.channel)?.present(event);
  }

  /** The session continues on another connection, and the server sends the lists of who is present again. */
  resumed(): void {
    for (const channel of this.channels.values()) channel.presence.restart();
  }

  publication(event: PublicationEvent): void {
    this.channels.get(event.channel)?.publication(event);
  }

  latest({ channel, offset, data }: Publication & { channel: string }): void {
    this.channels.get(channel)?.latest({ offset, data });
  }

  history(channel: string, { before, since, limit }: HistorySettings): Promise<HistoryPage> {
    const part = { ...(before !== undefined && { before }), ...(since && { since }), ...(limit !== undefined && { limit }) };
    return this.sender.request({ action: 'history', channel, ...part });
  }

  /** The application has subscribed this session to a channel. If the page is about to do so itself, its own answer follows. */
  begun(event: Subscribed): void {
    if (this.channels.has(event.channel)) return;
    const channel = new Channel(this.port, event.channel, undefined, {});
    this.channels.set(event.channel, channel);
    channel.subscribed(event);
    this.announce(event.channel);
  }

  /** The server ended a subscription by itself. */
  unsubscribed({ channel, reason }: Extract<SessionEvent, { event: 'unsubscribed' }>): void {
    const known = this.channels.get(channel);
    if (!known?.isActive) return;
    // First, because a listener may subscribe again.
    this.channels.delete(channel);
    known.unsubscribed(reason);
  }

  /** A new session has begun: all channels continue in it from their last position. */
  renew(): void {
    this.calmDown();
    for (const channel of this.channels.values()) channel.begin();
  }

  /** Unsubscribes from channels of the previous page that this page has no listener for. */
  inherited(names: readonly string[]): void {
    for (const name of names) if (!this.channels.has(name)) this.unsubscribe(name);
  }

  /** The client is closed. */
  ended(error: CourtsideError): void {
    const all = [...this.channels.values()];
    this.channels.clear();
    this.calmDown();
    for (const channel of all) channel.ended(error);
  }

  private subscribeOnWire(channel: Channel, since: Position | undefined, wish: Wish): void {
    const isMine = (): boolean => this.channels.get(channel.name) === channel;
    const { shown } = channel.presence;
    const action = { action: 'subscribe' as const, channel: channel.name, ...(since && { since }), ...wish, ...(channel.isWatched && { presence: true }), ...(shown !== undefined && { data: shown }) };
    const answered = (event: Subscribed): void => {
      if (isMine()) channel.subscribed(event);
    };
    const refused = (error: CourtsideError): void => {
      // After a lost session, the channel is subscribed to again in the next one.
      if (error.code === 'session_lost' || !isMine()) return;
      if (TRY_AGAIN.includes(error.code) && since) return this.hurry(channel);
      this.channels.delete(channel.name);
      if (MALFORMED.includes(error.code) && since) this.unsubscribe(channel.name);
      const isKnown = channel.ended(error);
      if (error.code !== 'closed' && !isKnown) this.complain(new CourtsideError(error.code, `Subscribing to "${channel.name}" was refused: ${error.message}`));
    };
    // A subscription of the page is bounded like any request; the client's own subscriptions in a new session must all be sent.
    this.sender.ask<Subscribed>(action, answered, refused, isMine());
  }

  private hurry(channel: Channel): void {
    if (this.hurried.size === 0) this.calm.set(TRY_AGAIN_MS * (1 + this.settings.random()), () => this.goOn());
    this.hurried.add(channel);
  }

  private goOn(): void {
    const again = [...this.hurried];
    this.calmDown();
    for (const channel of again) if (this.channels.get(channel.name) === channel) channel.begin();
  }

  private calmDown(): void {
    this.calm.clear();
    this.hurried.clear();
  }

  private release(channel: Channel): void {
    if (this.channels.get(channel.name) !== channel) return;
    this.channels.delete(channel.name);
    if (!this.isClosed()) this.unsubscribe(channel.name);
  }

  private unsubscribe(channel: string): void {
    this.sender.ask({ action: 'unsubscribe', channel }, () => {}, () => {});
  }
}

function mustBeCount(name: string, value: unknown): void {
  if (value !== undefined && !(Number.isSafeInteger(value) && (value as number) >= 0)) throw badOption(`${name} must be a whole number from 0`, value);
}
