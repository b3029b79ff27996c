import { Channel, type ChannelPort, type PublicationInfo, type Subscription } from './channel';
import { ServerClock } from './clock';
import { encode } from './codec';
import { CourtsideError } from './errors';
import { Emitter, type Off } from './events';
import { Link, protocolError, type ClientState, type LinkOwner, type Retry } from './link';
import { settle, type ConnectOptions, type Settings } from './options';
import type { Action, JoinMode, Ping, Pong, Position, SessionEvent, Welcome } from './protocol';
import { Pulse } from './pulse';
import { Requests } from './requests';
import { Room, type AnyRoom, type RoomPort, type RoomTypes } from './room';
import { Session } from './session';

/** What is gone after the server lost a session. Rooms were left, and channels go on by themselves. */
export interface Loss {
  /** `expired`, `unknown` (for example a server that was restarted) or `overflow` (it could keep no more); `protocol` where this side gave up. */
  readonly reason: string;
  /** The ids of the rooms that were left by it: join again what is still wanted. */
  readonly rooms: readonly string[];
  /** How many actions were never written, and so certainly had no effect. */
  readonly unsent: number;
  /** How many actions were written and never confirmed: they may have had an effect. */
  readonly unknown: number;
}

/** The events of a client, with what their listeners are given. */
export interface ClientEvents {
  /** Any change between `connecting`, `open`, `reconnecting` and `closed`. */
  state: [state: ClientState, previous: ClientState];
  /** The server can be reached. `resumed`: the session before goes on and nothing was missed. */
  open: [opening: { resumed: boolean; session: string }];
  /** A connection failed and the client comes back by itself. */
  retry: [retry: Retry];
  /** The server no longer has the session: what belonged to it is gone. */
  lost: [loss: Loss];
  /** An error that answers no request. */
  error: [error: CourtsideError];
  /** The end. With an error where the page did not wish it. */
  closed: [error: CourtsideError | undefined];
}

/** One session with a server, across as many connections as it takes. Made by {@link connect}. */
export class Client {
  private readonly settings: Settings;
  private readonly events = new Emitter<ClientEvents>();
  private readonly link: Link;
  private readonly delivery: Session;
  private readonly requests = new Requests();
  private readonly pulse: Pulse;
  private readonly serverClock = new ServerClock();
  private readonly rooms = new Map<string, Room>();
  private readonly channels = new Map<string, Channel>();
  private readonly roomPort: RoomPort;
  private readonly channelPort: ChannelPort;
  private opening: { resumed: boolean; session: string } | undefined;
  private closedBy: CourtsideError | undefined;
  private gaveUp = false;

  /** @internal Use `connect`. */
  constructor(url: string | URL, options: ConnectOptions) {
    this.settings = settle(options);
    const { clock, queueActions, queueBytes } = this.settings;
    this.delivery = new Session({ actions: queueActions, bytes: queueBytes });
    this.pulse = new Pulse(clock);
    this.roomPort = {
      issue: (action) => this.issue(action),
      request: (action) => this.request(action),
      sync: (room) => this.sync(room),
      complain: (error) => this.complain(error),
    };
    this.channelPort = {
      subscribe: (channel, since) => this.subscribeOnWire(channel, since),
      release: (channel) => this.releaseChannel(channel),
    };
    this.link = new Link(url, this.settings, this.linkOwner());
    this.link.start();
  }

  get state(): ClientState {
    return this.link.state;
  }

  /** The session's id, which is no secret; undefined before the first welcome. */
  get sessionId(): string | undefined {
    return this.opening?.session;
  }

  /** Milliseconds that the last answered ping took there and back; undefined before the first. */
  get roundTrip(): number | undefined {
    return this.pulse.roundTrip;
  }

  /**
   * The server's clock now, in Unix milliseconds, from the ping with the shortest round trip among the last eight.
   * It is off by half of that round trip at most. Undefined before the first welcome.
   */
  serverTime(): number | undefined {
    return this.serverClock.at(this.settings.clock.now());
  }

  on<K extends keyof ClientEvents>(name: K, listener: (...args: ClientEvents[K]) => void): Off {
    return this.events.on(name, listener);
  }

  /** Resolves as soon as the server can be reached, at once if it can; rejects if the client closes before. */
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

  /** Joins a room of a kind: one that has a seat free, or a new one. `mode` narrows that. Rejects with the server's refusal. */
  join<T extends RoomTypes = AnyRoom>(kind: string, options?: unknown, { mode }: { mode?: JoinMode } = {}): Promise<Room<T>> {
    return this.request({ action: 'join', kind, ...(mode && { mode }), options });
  }

  /** Joins the room with this id. */
  joinRoom<T extends RoomTypes = AnyRoom>(id: string, options?: unknown): Promise<Room<T>> {
    return this.request({ action: 'join', room: id, options });
  }

  /** Asks one of the server's own handlers. Rejects with its refusal. */
  call<Reply = unknown>(type: string, data?: unknown): Promise<Reply> {
    return this.request({ action: 'call', type, data });
  }

  /** Publishes to a channel, if the server lets clients do that there, and says at which offset. */
  publish(channel: string, data: unknown): Promise<number> {
    return this.request({ action: 'publish', channel, data });
  }

  /**
   * Listens to a channel: first to what its history holds (after `since`, if given), then to everything new, each
   * publication once. Goes on by itself in a new session. A second listener to the same channel hears what comes from then on.
   */
  subscribe<D = unknown>(name: string, listener: (data: D, info: PublicationInfo) => void, { since }: { since?: Position } = {}): Subscription {
    this.mustNotBeClosed();
    let channel = this.channels.get(name);
    if (channel) return channel.attach(listener);
    channel = new Channel(this.channelPort, name, since);
    const subscription = channel.attach(listener);
    channel.begin();
    this.channels.set(name, channel);
    return subscription;
  }

  /** Measures the round trip now, in milliseconds. Rejects with `not_connected` where there is no connection, or it breaks first. */
  ping(): Promise<number> {
    if (!this.link.isOpen) return Promise.reject(this.pulse.notConnected());
    return new Promise((resolve, reject) => this.beat({ resolve, reject }));
  }

  /**
   * A testing aid: drops the connection as a failing network would, and refuses to come back for at least this long.
   * The session goes on if the server's window allows it.
   */
  cut(milliseconds: number): void {
    this.link.cut(milliseconds);
  }

  /** Leaves all rooms and closes for good. What waits for an answer rejects with `closed`. */
  close(): void {
    // The end of a connection is no reason for the server to let go of a member.
    for (const room of this.rooms.values()) room.leave().catch(() => {});
    this.link.close();
  }

  private linkOwner(): LinkOwner {
    return {
      query: () => ({
        resume: this.delivery.token,
        received: this.delivery.token === undefined ? undefined : String(this.delivery.received),
      }),
      welcome: (welcome, attemptedAt) => this.welcome(welcome, attemptedAt),
      event: (event, size) => {
        this.delivery.arrived(event.event, size);
        this.dispatch(event);
        if (this.link.isOpen && this.delivery.wantsPing) this.beat();
      },
      garbage: () => this.giveUp(),
      beat: () => this.beat(),
      dropped: () => this.pulse.dropped(),
      stateChanged: (state, previous) => {
        this.events.emit('state', state, previous);
        if (state === 'open' && this.link.isOpen && this.opening) this.events.emit('open', this.opening);
      },
      retry: (retry) => {
        if (!this.events.emit('retry', retry) && retry.attempt === 1) console.warn(`courtside: ${retry.error.message} Trying again.`);
      },
      closed: (error) => this.ended(error),
    };
  }

  private welcome(welcome: Welcome, attemptedAt: number): void {
    const outcome = this.delivery.welcome(welcome);
    if (outcome === 'broken') {
      this.giveUp();
      return this.link.breakOff(protocolError(`it confirms ${welcome.received} actions, which is not what was sent`));
    }
    this.opening = { resumed: outcome === 'resumed', session: welcome.session };
    this.serverClock.sample(attemptedAt, this.settings.clock.now(), welcome.time);
    const tellLoss = outcome === 'lost' ? this.beginAnew(welcome.reason ?? 'unknown') : undefined;
    this.flush();
    this.beat();
    tellLoss?.();
  }

  /**
   * Another session begins. Nothing of the old one leaks into it, not even what was never written: the page may have to
   * sign in or join again before its next word makes sense, and only it knows that.
   */
  private beginAnew(told: string): () => void {
    const reason = this.gaveUp ? 'protocol' : told;
    this.gaveUp = false;
    const remains = this.delivery.renew();
    const unsent = new Set(remains.filter(({ written }) => !written).map(({ id }) => id));
    const rooms = [...this.rooms.values()];
    this.rooms.clear();
    this.requests.rejectAll((id) => {
      const sent = !unsent.has(id);
      const advice = sent ? 'It may or may not have been carried out: check before repeating it.' : 'It was never sent: repeat it if it is still wanted.';
      return new CourtsideError('session_lost', `The server no longer has this session (${reason}), so this request gets no answer. ${advice}`, { sent });
    });
    for (const channel of this.channels.values()) channel.begin();
    return () => {
      for (const room of rooms) room.receiveLeft(reason);
      const never = remains.filter(({ written }) => !written).length;
      this.events.emit('lost', { reason, rooms: rooms.map(({ id }) => id), unsent: never, unknown: remains.length - never });
    };
  }

  private giveUp(): void {
    this.gaveUp = true;
    this.delivery.forget();
  }

  private dispatch(event: SessionEvent | Pong): void {
    switch (event.event) {
      case 'pong':
        return this.pong(event);
      case 'message':
      case 'signal':
      case 'state':
      case 'patch':
        return this.rooms.get(event.room)?.receive(event);
      case 'joined': {
        const room = new Room(this.roomPort, event.room, event.kind, event.member);
        this.rooms.set(event.room, room);
        return void this.requests.resolve(event.id, room);
      }
      case 'left':
        this.rooms.get(event.room)?.receiveLeft(event.reason);
        this.rooms.delete(event.room);
        return void this.requests.resolve(event.id, undefined);
      case 'reply':
        return void this.requests.resolve(event.id, event.data);
      case 'published':
        return void this.requests.resolve(event.id, event.offset);
      case 'subscribed':
        return void this.requests.resolve(event.id, event);
      case 'unsubscribed':
        // With an `id` it answers this client's own wish.
        if (event.id !== undefined) return void this.requests.resolve(event.id, undefined);
        if (this.channels.get(event.channel)?.unsubscribed(event.reason)) this.channels.delete(event.channel);
        return;
      case 'publication':
        return this.channels.get(event.channel)?.publication(event);
      case 'error':
        return this.serverError(event);
      default:
      // An event of a later version: it was counted, and that is all that it needs.
    }
  }

  private pong(pong: Pong): void {
    if (!this.delivery.confirm(pong.received)) {
      this.giveUp();
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

  private issue(action: Action, id?: number, beyondBounds = false): void {
    this.mustNotBeClosed();
    const { action: name, ...fields } = action;
    // The head of a frame, by which the server routes it, stands before the content.
    const frame = encode({ action: name, id, ...fields } as Action, this.settings.format);
    if (beyondBounds) this.delivery.pushAlways(frame, id);
    else this.delivery.push(frame, id);
    this.flush();
  }

  private request<R>(action: Action): Promise<R> {
    return new Promise((resolve, reject) => {
      if (this.requests.size >= this.settings.queueActions) {
        throw new CourtsideError('queue_full', `${this.requests.size} requests wait for an answer, and no more may: wait for some, or raise queueActions.`, { sent: false });
      }
      const id = this.requests.nextId();
      this.issue(action, id);
      this.requests.wait<R>(id, resolve, reject);
    });
  }

  private subscribeOnWire(channel: Channel, since: Position | undefined): void {
    const id = this.requests.nextId();
    // A page that subscribes is bounded like any request; a new session's own subscriptions must all be said.
    const again = this.channels.get(channel.name) === channel;
    this.issue({ action: 'subscribe', channel: channel.name, ...(since && { since }) }, id, again);
    this.requests.wait<Extract<SessionEvent, { event: 'subscribed' }>>(
      id,
      (event) => {
        if (this.channels.get(channel.name) === channel) channel.subscribed(event);
      },
      (error) => {
        // A lost session is no end: the channel begins again in the next one.
        if (error.code === 'session_lost' || this.channels.get(channel.name) !== channel) return;
        this.channels.delete(channel.name);
        channel.ended(error);
        if (error.code !== 'closed') this.complain(new CourtsideError(error.code, `Subscribing to "${channel.name}" was refused: ${error.message}`));
      },
    );
  }

  /** A room asks once, and then only after the answer, so there are never more of these than rooms. */
  private sync(room: string): void {
    const id = this.requests.nextId();
    this.issue({ action: 'sync', room }, id, true);
    // The state itself comes as an event. A refusal means that the room is about to end, which is told where it happens.
    this.requests.wait(id, () => {}, () => {});
  }

  private releaseChannel(channel: Channel): void {
    if (this.channels.get(channel.name) !== channel) return;
    this.channels.delete(channel.name);
    if (this.state === 'closed') return;
    const id = this.requests.nextId();
    this.issue({ action: 'unsubscribe', channel: channel.name }, id, true);
    this.requests.wait(id, () => {}, () => {});
  }

  /** Writes what the connection has not carried yet. */
  private flush(): void {
    if (!this.link.isOpen) return;
    for (const frame of this.delivery.unwritten()) this.link.write(frame);
    if (this.delivery.wantsPing) this.beat();
  }

  private beat(waiting?: { resolve: (roundTrip: number) => void; reject: (error: CourtsideError) => void }): void {
    const id = this.requests.nextId();
    const ping: Ping = { action: 'ping', received: this.delivery.received, id };
    this.pulse.sent(id, waiting);
    this.delivery.pinged();
    this.link.writePing(encode(ping, this.settings.format));
  }

  private ended(error: CourtsideError | undefined): void {
    this.closedBy = error;
    const rooms = [...this.rooms.values()];
    const channels = [...this.channels.values()];
    this.rooms.clear();
    this.channels.clear();
    this.requests.rejectAll(() => this.closedError());
    for (const room of rooms) room.receiveLeft('closed');
    for (const channel of channels) channel.ended(this.closedError());
    if (!this.events.emit('closed', error) && error) console.error(`courtside: ${error.message} The connection is closed and will not come back by itself.`);
  }

  private closedError(): CourtsideError {
    const why = this.closedBy ? this.closedBy.message : 'The page closed it.';
    return new CourtsideError('closed', `The client is closed: ${why} Call connect() for a new one.`, { cause: this.closedBy });
  }

  private mustNotBeClosed(): void {
    if (this.state === 'closed') throw this.closedError();
  }
}

/**
 * Connects to a Courtside server, and stays connected until `close`.
 * Returns at once: whatever is called before the server has answered is sent when it has.
 * `url` may be a path of the page's own host, such as `'/ws'`. Throws `bad_url` or `no_websocket` where it can never work.
 */
export function connect(url: string | URL, options: ConnectOptions = {}): Client {
  return new Client(url, options);
}
