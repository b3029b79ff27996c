import type { HistoryPage, HistorySettings, PublicationInfo, SubscribeSettings, Subscription } from './channel.js';
import { Channels } from './channels.js';
import type { ClientEvents } from './client-events.js';
import { ServerClock } from './clock.js';
import { CourtsideError } from './errors.js';
import { Emitter, type Off } from './events.js';
import { HELD_MESSAGES, Inbox } from './inbox.js';
import { Keep } from './keep.js';
import { Link, protocolError, type ClientState, type LinkOwner } from './link.js';
import { Listings, type FollowSettings, type ListedRoom, type RoomListing, type RoomsChange } from './listings.js';
import { Matches, type MatchSettings } from './matches.js';
import { badOption, settle, type Address, type ConnectOptions, type Settings, type Transport } from './options.js';
import type { Limits, Pong, SessionEvent, Welcome } from './protocol.js';
import { Pulse } from './pulse.js';
import { Renewal } from './renewal.js';
import { Requests } from './requests.js';
import type { AnyRoom, Room, RoomTypes } from './room.js';
import { Rooms, type JoinSettings } from './rooms.js';
import { Sender, type Patience } from './sender.js';
import { Session } from './session.js';

/** The types of an application's channels are not declared: any name, with data of an unknown type. */
export interface AnyChannels {
  [channel: string]: unknown;
}

/** The names of declared channels: those of an interface such as `{ news: News; [match: `match/${string}`]: Match }`. */
export type ChannelName<C extends object> = keyof C & string;

/** The reason for giving up a session that another page has continued. */
const MOVED = 'moved';

/**
 * A session with a server, across any number of connections. Created by {@link connect}.
 * `C` declares the type of each channel's publications; names may be templates: `{ news: News; [match: `match/${string}`]: Match }`.
 */
export class Client<C extends object = AnyChannels> {
  private readonly settings: Settings;
  private readonly events = new Emitter<ClientEvents>();
  private readonly link: Link;
  private readonly delivery: Session;
  private readonly requests = new Requests();
  private readonly pulse: Pulse;
  private readonly serverClock = new ServerClock();
  private readonly renewal: Renewal;
  private readonly sender: Sender;
  private readonly rooms: Rooms;
  private readonly matches: Matches;
  private readonly channels: Channels;
  private readonly listings: Listings;
  private readonly keep: Keep | undefined;
  /** What the application sends outside of rooms. */
  private readonly inbox: Inbox;
  private readonly stopPage: () => void;
  /** Message types without a listener that a warning was written for. */
  private readonly unheard = new Set<string>();
  private opening: { resumed: boolean; session: string } | undefined;
  /** The count of events at which a resumed session has caught up, and how many events were missed. */
  private behind: { until: number; missed: number } | undefined;
  private closedBy: CourtsideError | undefined;
  private gaveUp: string | undefined;

  /** @internal Use `connect`. */
  constructor(url: Address, options: ConnectOptions) {
    this.settings = settle(options);
    const { clock, queueActions, queueBytes, storage, pageOn } = this.settings;
    const complain = (error: CourtsideError): void => this.complain(error);
    this.delivery = new Session({ actions: queueActions, bytes: queueBytes });
    this.pulse = new Pulse(clock);
    this.link = new Link(url, this.settings, this.linkOwner());
    const { link } = this;
    this.sender = new Sender(this.settings, this.delivery, this.requests, this.pulse, {
      get isOpen() { return link.isOpen; },
      write: (frame) => link.write(frame),
      writePing: (frame) => link.writePing(frame),
      mustNotBeClosed: () => this.mustNotBeClosed(),
      complain,
    });
    this.rooms = new Rooms(this.sender, clock, {
      issue: (action) => this.sender.issue(action),
      request: (action, patience) => this.sender.request(action, patience),
      // A room asks again only after the answer, so there are never more of these than rooms. The state itself arrives as an
      // event; a refusal means that the room is about to end, which its own event reports.
      sync: (room) => void this.sender.ask({ action: 'sync', room }, () => {}, () => {}),
      askPresence: (room, done) => void this.sender.ask({ action: 'presence', room }, done, done),
      complain,
      unheard: (room, type) => this.notHeard(`the room ${room}`, type, 'room.on', 'room.onMessage'),
    });
    this.inbox = new Inbox({
      unheard: (type) => this.notHeard('the server', type, 'client.onMessage', 'client.onMessage without a type'),
      discarded: () => complain(new CourtsideError('unheard', `${HELD_MESSAGES} messages outside of rooms were discarded because they have no listener: call client.onMessage() right after connect().`)),
    });
    this.matches = new Matches(this.sender, clock, {
      join: (room) => this.rooms.join({ action: 'join', room }),
      resolve: (id) => void this.requests.resolve(id, undefined),
      progress: (progress) => void this.events.emit('match', progress),
    });
    this.renewal = new Renewal(clock, {
      credential: () => link.renewed(),
      refresh: (token) => this.sender.request({ action: 'refresh', token }),
      refused: (error) => void this.events.emit('unauthorized', error),
      failed: complain,
    });
    this.channels = new Channels(this.settings, this.sender, () => this.state === 'closed', complain, (channel) => void this.events.emit('subscribed', { channel }));
    this.listings = new Listings(this.settings, this.sender, () => this.state === 'closed', complain);
    this.keep = storage && new Keep(storage, link.place);
    const kept = this.keep?.take();
    if (kept) {
      this.delivery.restore(kept);
      this.requests.skipTo(kept.nextId);
    }
    this.stopPage = pageOn({ hidden: (isKept) => this.hidden(isKept), shown: () => this.shown() });
    link.start();
  }

  get state(): ClientState {
    return this.link.state;
  }

  /** What carries the connection, or the next attempt: `'events'` where WebSockets are blocked. */
  get transport(): Transport {
    return this.link.transport;
  }

  /** The session's id, which is not secret; undefined before the first `welcome`. */
  get sessionId(): string | undefined {
    return this.opening?.session;
  }

  /** The round-trip time of the last answered ping in milliseconds; undefined before the first. */
  get roundTrip(): number | undefined {
    return this.pulse.roundTrip;
  }

  /**
   * The server's clock now, in Unix milliseconds, from the ping with the shortest round trip among the last eight.
   * The error is at most half of that round trip. Undefined before the first `welcome`.
   */
  serverTime(): number | undefined {
    return this.serverClock.at(this.settings.clock.now());
  }

  /** The server's limits that a client can observe; undefined before the first `welcome`. */
  get limits(): Limits | undefined {
    return this.sender.limits;
  }

  on<K extends keyof ClientEvents>(name: K, listener: (...args: ClientEvents[K]) => void): Off {
    return this.events.on(name, listener);
  }

  /**
   * Listens to messages that the application sends to this user or session, outside of any room: of one type, or of all.
   * Messages that arrive before the first listener are queued (up to 1000) and delivered in the next microtask after it is
   * registered, so register all listeners together.
   */
  onMessage<D = unknown>(type: string, listener: (data: D) => void): Off;
  onMessage(listener: (type: string, data: unknown) => void): Off;
  onMessage(...args: [type: string, listener: (data: never) => void] | [listener: (type: string, data: unknown) => void]): Off {
    return args.length === 2 ? this.inbox.on(...args) : this.inbox.onAll(args[0]);
  }

  /** Resolves as soon as the client is connected; rejects if the client closes before. */
  whenOpen(): Promise<void> {
    if (this.state === 'open') return Promise.resolve();
    if (this.state === 'closed') return Promise.reject(this.closedError());
    return new Promise((resolve, reject) => {
      const off = this.events.on('state', (state) => {
        if (state === 'open') resolve();
        else if (state === 'closed') reject(this.closedError());
        else return;
        off();
      });
    });
  }

  /**
   * Joins a room of a kind: one with a free seat, or a new one; see `mode`. Rejects with the server's refusal.
   * After a reload with `storage`, it returns a room of this kind that the page was in before.
   */
  join<T extends RoomTypes = AnyRoom>(kind: string, options?: unknown, settings?: JoinSettings): Promise<Room<T>> {
    const { mode, data } = settings ?? {};
    return this.rooms.join({ action: 'join', kind, ...(mode && { mode }), options, ...(data !== undefined && { data }) }, settings) as Promise<unknown> as Promise<Room<T>>;
  }

  /** Joins the room with this id. */
  joinRoom<T extends RoomTypes = AnyRoom>(id: string, options?: unknown, settings?: Omit<JoinSettings, 'mode'>): Promise<Room<T>> {
    const { data } = settings ?? {};
    return this.rooms.join({ action: 'join', room: id, options, ...(data !== undefined && { data }) }, settings) as Promise<unknown> as Promise<Room<T>>;
  }

  /**
   * Looks for a match in a queue, joins its room and resolves with that. The search goes on while the client reconnects; the event
   * `match` shows where it stands. Rejects with `no_match` if nobody was found, and with the server's refusal.
   * With `signal` or `timeoutMs`, the client leaves the queue when they end. After a reload with `storage`, it continues the search
   * of the page before.
   */
  match<T extends RoomTypes = AnyRoom>(queue: string, settings?: MatchSettings): Promise<Room<T>> {
    return this.matches.match(queue, settings) as Promise<unknown> as Promise<Room<T>>;
  }

  /** Leaves a queue. A `match` that waits rejects with `no_match`. Rejects with `not_queued` if the client is not in the queue. */
  cancelMatch(queue: string): Promise<void> {
    return this.matches.cancel(queue);
  }

  /** The queues in which the client looks for a match, as far as the server has told. */
  get queues(): readonly string[] {
    return this.matches.queues;
  }

  /** Calls the server and resolves with its reply. Rejects with its refusal. */
  call<Reply = unknown>(type: string, data?: unknown, patience?: Patience): Promise<Reply> {
    return this.sender.request({ action: 'call', type, data }, patience);
  }

  /** Publishes to a channel, if the server allows it, and resolves with the offset. */
  publish(channel: string, data: unknown): Promise<number> {
    return this.sender.request({ action: 'publish', channel, data });
  }

  /**
   * Subscribes to a channel. The listener receives its history (see {@link SubscribeSettings}) and then everything new, each
   * publication once. Continues by itself in a new session. A second listener of the same channel receives what is published
   * from then on and, with `keep`, first what the client holds.
   */
  subscribe<D = unknown>(name: AnyChannels extends C ? string : never, listener: (data: D, info: PublicationInfo) => void, settings?: SubscribeSettings): Subscription<D>;
  /** The same where channels are declared: the channel's name determines the type of its publications. */
  subscribe<N extends ChannelName<C>>(name: N, listener: (data: C[N], info: PublicationInfo) => void, settings?: SubscribeSettings): Subscription<C[N]>;
  subscribe(name: string, listener: (data: never, info: PublicationInfo) => void, settings: SubscribeSettings = {}): Subscription<never> {
    this.mustNotBeClosed();
    return this.channels.subscribe(name, listener, settings);
  }

  /** Reads a page of the history of a channel that the client is subscribed to. Rejects with `not_subscribed` if it is not. */
  history<N extends ChannelName<C>>(channel: N, settings: HistorySettings = {}): Promise<HistoryPage<C[N]>> {
    return this.channels.history(channel, settings) as Promise<HistoryPage<C[N]>>;
  }

  /**
   * Follows the rooms of a kind as they begin, end and change, a page at a time. The listener is called when the page arrives and
   * after each change, with all rooms of the page. Continues by itself in a new session. Private rooms are in no listing.
   */
  followRooms<M = unknown>(kind: string, settings: FollowSettings, listener: (rooms: readonly ListedRoom<M>[], change: RoomsChange<M>) => void): RoomListing<M> {
    this.mustNotBeClosed();
    return this.listings.follow(kind, settings, listener);
  }

  /**
   * Calls the function `accessToken` and shows the server its credential now, for example after the user has changed the profile
   * that it names. The client does so by itself before a credential expires.
   * Resolves when the server has accepted the credential, which holds for everything that begins later, such as the next join.
   * Rejects with the server's refusal, and the session continues with the credential before; with `token_failed` if the function
   * fails or returns none; with `bad_option` if `accessToken` is no function.
   */
  async refresh(): Promise<void> {
    this.mustNotBeClosed();
    if (typeof this.settings.accessToken !== 'function') throw badOption('refresh() needs the option accessToken to be a function that returns a fresh credential');
    const token = await this.link.renewed();
    if (token === undefined) throw new CourtsideError('token_failed', 'The accessToken function returned no credential.');
    await this.sender.request({ action: 'refresh', token });
  }

  /** Measures the round-trip time in milliseconds. Rejects with `not_connected` if there is no connection or it is lost first. */
  ping(): Promise<number> {
    if (!this.link.isOpen) return Promise.reject(this.pulse.notConnected());
    return new Promise((resolve, reject) => this.sender.beat({ resolve, reject }));
  }

  /**
   * For tests: drops the connection as a failing network would, and does not reconnect for at least this long.
   * The session continues if the server's window allows it.
   */
  cut(milliseconds: number): void {
    this.link.cut(milliseconds);
  }

  /** Ends the wait for the next attempt to connect, for example from a "Try again" button. If there is a connection, checks it. */
  reconnectNow(): void {
    this.mustNotBeClosed();
    this.link.reconnectNow();
  }

  /**
   * Ends the session for good: its rooms are left, and pending requests reject with `closed`. If the server cannot be reached,
   * the client retries in the background until the session's window has ended.
   */
  close(): void {
    this.link.close();
  }

  private linkOwner(): LinkOwner {
    const { delivery } = this;
    const gaveUp = (): string | undefined => this.gaveUp;
    return {
      get isElsewhere() { return gaveUp() === MOVED; },
      get canResume() { return delivery.token !== undefined; },
      query: () => delivery.query(),
      endQuery: () => delivery.endQuery(),
      welcome: (welcome, attemptedAt) => this.welcome(welcome, attemptedAt),
      event: (event, size) => {
        delivery.arrived(event.event, size);
        this.dispatch(event);
        this.checkCaughtUp();
        if (this.link.isOpen && delivery.wantsPing) this.sender.beat();
      },
      garbage: () => this.giveUp('protocol'),
      beat: () => this.sender.beat(),
      dropped: () => {
        this.pulse.dropped();
        this.renewal.forget();
      },
      stateChanged: (state, previous) => {
        this.events.emit('state', state, previous);
        if (state !== 'open' || !this.link.isOpen || !this.opening) return;
        this.events.emit('open', this.opening);
        this.checkCaughtUp();
      },
      transportChanged: (transport, previous) => void this.events.emit('transport', transport, previous),
      retry: (retry) => {
        if (!this.events.emit('retry', retry) && retry.attempt === 1) console.warn(`courtside: ${retry.error.message} Trying again.`);
      },
      unauthorized: (refusal) => void this.events.emit('unauthorized', refusal),
      closed: (error) => this.ended(error),
    };
  }

  /** The page is left. Without a storage nobody will resume its session, unless the browser keeps the page in its back-forward cache. */
  private hidden(isKept: boolean): void {
    if (this.keep) this.keep.write(this.delivery.keep(this.requests.unused));
    else if (!isKept) this.close();
  }

  /** The browser shows the page again from its back-forward cache. */
  private shown(): void {
    if (this.keep && !this.keep.takeBack()) {
      this.giveUp(MOVED);
      return this.link.breakOff(new CourtsideError('disconnected', 'Another page has continued this session.'));
    }
    this.link.wake();
  }

  private welcome(welcome: Welcome, attemptedAt: number): void {
    const outcome = this.delivery.welcome(welcome);
    if (outcome === 'broken') {
      this.giveUp('protocol');
      return this.link.breakOff(protocolError(`it confirms ${welcome.received} actions, which is not what was sent`));
    }
    const goesOn = outcome === 'resumed' || outcome === 'restored';
    this.opening = { resumed: goesOn, session: welcome.session };
    this.behind = undefined;
    if (goesOn) {
      this.channels.resumed();
      this.listings.resumed();
      this.rooms.resumed();
    }
    if (goesOn && welcome.sent !== undefined) this.behind = { until: welcome.sent, missed: Math.max(0, welcome.sent - this.delivery.received) };
    this.serverClock.sample(attemptedAt, this.settings.clock.now(), welcome.time);
    this.sender.welcomed(welcome.limits);
    let tell: (() => void) | undefined;
    if (outcome === 'lost') tell = this.beginAnew(welcome.reason ?? 'unknown');
    else if (outcome === 'restored') tell = this.inherit(welcome);
    this.sender.flush();
    this.sender.beat();
    tell?.();
  }

  /** The session of the page before this one continues. */
  private inherit({ rooms = [], subscriptions = [], tickets = [] }: Welcome): () => void {
    const inherited = this.rooms.inherit(rooms);
    this.matches.inherit(tickets);
    return () => {
      this.events.emit('restored', { rooms: inherited, channels: subscriptions, queues: tickets.map(({ queue }) => queue) });
      if (this.state !== 'closed') this.channels.inherited(subscriptions);
    };
  }

  private checkCaughtUp(): void {
    const { behind } = this;
    // Listeners receive `open` first.
    if (!behind || this.delivery.received < behind.until || this.state !== 'open') return;
    this.behind = undefined;
    this.events.emit('caughtup', { missed: behind.missed });
  }

  /**
   * Starts a new session. No action of the old one is sent in it, not even one that was never written: the page may have to
   * sign in or join again first, and only the page knows that.
   */
  private beginAnew(told: string): () => void {
    const reason = this.gaveUp ?? told;
    this.gaveUp = undefined;
    const remains = this.delivery.renew();
    const unsent = new Set(remains.filter(({ written }) => !written).map(({ id }) => id));
    const rooms = this.rooms.lost(reason);
    const lost = (sent: boolean): CourtsideError => {
      const advice = sent ? 'It may or may not have had an effect: check before you repeat it.' : 'It was never sent: repeat it if it is still needed.';
      return new CourtsideError('session_lost', `The server no longer has this session (${reason}), so this request gets no answer. ${advice}`, { sent });
    };
    this.requests.rejectAll((id) => lost(!unsent.has(id)));
    this.matches.lost(() => lost(true));
    this.channels.renew();
    this.listings.renew();
    return () => {
      rooms.tell();
      const never = remains.filter(({ written }) => !written).length;
      this.events.emit('lost', { reason, rooms: rooms.ids, unsent: never, unknown: remains.length - never });
    };
  }

  private giveUp(why: string): void {
    this.gaveUp = why;
    this.delivery.forget();
  }

  private dispatch(event: SessionEvent | Pong): void {
    switch (event.event) {
      case 'pong':
        return this.pong(event);
      case 'message':
        if (event.room === undefined) return this.inbox.receive(event.type, event.data);
        return this.rooms.get(event.room)?.receive(event);
      case 'signal':
      case 'state':
      case 'patch':
        return this.rooms.get(event.room)?.receive(event);
      case 'joined':
        return void this.requests.resolve(event.id, this.rooms.joined(event));
      case 'left':
        this.rooms.left(event);
        return void this.requests.resolve(event.id, undefined);
      case 'reply':
        return void this.requests.resolve(event.id, event.data);
      case 'expiring':
        return this.renewal.warned(event.in_ms);
      case 'published':
        return void this.requests.resolve(event.id, event.offset);
      case 'subscribed':
        if (event.id === undefined) return this.channels.begun(event);
        return void this.requests.resolve(event.id, event);
      case 'unsubscribed':
        // With an `id` it answers this client's own request.
        if (event.id !== undefined) return void this.requests.resolve(event.id, undefined);
        return this.channels.unsubscribed(event);
      case 'publication':
        return this.channels.publication(event);
      case 'latest':
        return this.channels.latest(event);
      case 'presence':
        if (event.room === undefined) return this.channels.present(event);
        return this.rooms.get(event.room)?.presence.hear(event);
      case 'rooms':
        return this.listings.hear(event);
      case 'queued':
        return this.matches.queued(event);
      case 'matched':
        return this.matches.matched(event);
      case 'no_match':
        return this.matches.over(event);
      case 'error':
        return this.serverError(event);
      default:
      // An event of a later version: it only needs to be counted.
    }
  }

  private pong(pong: Pong): void {
    if (!this.delivery.confirm(pong.received)) {
      this.giveUp('protocol');
      return this.link.breakOff(protocolError(`it confirms ${pong.received} actions, which is not what was sent`));
    }
    const span = this.pulse.answered(pong.id);
    if (span) this.serverClock.sample(span.sentAt, span.receivedAt, pong.time);
  }

  private serverError(event: Extract<SessionEvent, { event: 'error' }>): void {
    const error = new CourtsideError(event.code, event.message, event.room === undefined ? {} : { room: event.room });
    if (this.requests.reject(event.id, error)) return;
    if (event.room !== undefined && this.rooms.get(event.room)?.receiveError(error)) return;
    this.complain(error);
  }

  private complain(error: CourtsideError): void {
    if (!this.events.emit('error', error)) console.warn(`courtside: ${error.code}: ${error.message}`);
  }

  private notHeard(sender: string, type: string, on: string, onAll: string): void {
    if (this.unheard.has(type)) return;
    // An application has few types; if there are many, warnings for the first are enough.
    if (this.unheard.size < 100) this.unheard.add(type);
    else return;
    console.warn(`courtside: ${sender} sent a message of type "${type}", which has no listener: add one with ${on}("${type}", …), or with ${onAll} for all types. This warning appears once for each type.`);
  }

  private ended(error: CourtsideError | undefined): void {
    this.closedBy = error;
    this.stopPage();
    this.requests.rejectAll(() => this.closedError());
    this.matches.lost(() => this.closedError());
    this.rooms.closed();
    this.channels.ended(this.closedError());
    this.listings.ended(this.closedError());
    if (!this.events.emit('closed', error) && error) console.error(`courtside: ${error.message} The client is closed and will not reconnect.`);
  }

  private closedError(): CourtsideError {
    const why = this.closedBy ? this.closedBy.message : 'The application closed it.';
    return new CourtsideError('closed', `The client is closed: ${why} Call connect() for a new one.`, { cause: this.closedBy });
  }

  private mustNotBeClosed(): void {
    if (this.state === 'closed') throw this.closedError();
  }
}

/**
 * Connects to a Courtside server and stays connected until `close`.
 * Returns at once: calls made before the server has answered are queued and sent afterwards.
 * `url` may be a path of the page's own host, such as `'/ws'`. Throws `bad_url` or `no_websocket` if it can never work.
 */
export function connect<C extends object = AnyChannels>(url: Address, options: ConnectOptions = {}): Client<C> {
  return new Client<C>(url, options);
}
