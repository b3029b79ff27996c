import { Entities, type EntityListener } from './entities.js';
import { CourtsideError } from './errors.js';
import { Emitter, guarded, type Off } from './events.js';
import { HELD_MESSAGES, Inbox } from './inbox.js';
import { checkPath, valueAt, type At, type EntityAt, type Path, type PathIn } from './path.js';
import { Presence } from './presence.js';
import type { Action, SessionEvent } from './protocol.js';
import type { Patience } from './sender.js';
import { StateMirror } from './state.js';

/**
 * The types of a room, declared once: the messages that the client receives, the messages that it sends, the replies to
 * messages sent with `call`, and the state. Every part may be left out.
 *
 * ```ts
 * interface Arena {
 *   incoming: { chat_line: { from: number; text: string } };
 *   outgoing: { steer: { dx: number; dy: number }; respawn: undefined };
 *   replies: { respawn: { x: number; y: number } };
 *   state: { players: Record<string, { x: number; y: number }> };
 * }
 * ```
 */
export interface RoomTypes {
  incoming?: object;
  outgoing?: object;
  replies?: object;
  state?: unknown;
  /** What members show of themselves, in a room with presence. */
  presence?: unknown;
}

/** A room without declared types: any message, any state. */
export interface AnyRoom {
  incoming: Record<string, any>;
  outgoing: Record<string, any>;
  replies: Record<string, any>;
  state: any;
  presence: any;
}

type Part<T extends RoomTypes, P extends keyof RoomTypes> = T extends { [K in P]: infer V } ? V : AnyRoom[P];
type Names<M> = keyof M & string;
/** A message without content needs no second argument. */
export type Content<D> = undefined extends D ? [data?: D] : [data: D];
type ContentAnd<D, More> = undefined extends D ? [data?: D, more?: More] : [data: D, more?: More];
type ReplyTo<T extends RoomTypes, K> = K extends keyof Part<T, 'replies'> ? Part<T, 'replies'>[K] : unknown;

/** What a room needs of its client. */
export interface RoomPort {
  issue(action: Action): void;
  request<R>(action: Action, patience?: Patience): Promise<R>;
  /** Requests the whole state. */
  sync(room: string): void;
  /** Requests the list of who is present. */
  askPresence(room: string, done: () => void): void;
  complain(error: CourtsideError): void;
  /** A message without a listener arrived. */
  unheard(room: string, type: string): void;
  /** The application leaves the room, so it must not be rejoined. */
  stay(room: Room): void;
}

/** A client's place in a room. */
export interface Seat {
  readonly id: string;
  readonly kind: string;
  readonly member: number;
}

interface RoomEvents {
  state: [state: never, tick: number];
  left: [reason: string, why: string | undefined];
  rejoined: [rejoined: { reason: string; previous: Seat }];
  error: [error: CourtsideError];
}

/** A room that this client has joined. */
export class Room<T extends RoomTypes = AnyRoom> {
  private readonly inbox: Inbox;
  private readonly events = new Emitter<RoomEvents>();
  /** Who is in the room, if its kind has presence; otherwise it stays empty. */
  readonly presence: Presence<Part<T, 'presence'>>;
  private mirror: StateMirror;
  /** Whether the session was lost and the room is being joined again. */
  private isAway = false;
  private ending: RoomEvents['left'] | undefined;
  /** @internal A `leave` in progress. */
  leaving: Promise<void> | undefined;

  /** @internal Rooms are created by `client.join`. */
  constructor(private readonly port: RoomPort, private seat: Seat) {
    this.mirror = this.newMirror();
    this.inbox = new Inbox({
      unheard: (type) => port.unheard(this.id, type),
      discarded: () => port.complain(new CourtsideError('unheard', `${HELD_MESSAGES} messages of the room ${this.id} were discarded because it has no listener: call room.on() right after join().`, { room: this.id })),
      flushed: () => {
        if (this.ending) this.events.emit('left', ...this.ending);
      },
    });
    this.presence = new Presence({
      ask: (done) => port.askPresence(this.id, done),
      change: (data) => port.request<unknown>({ action: 'presence', room: this.id, data }).then(() => undefined),
    });
  }

  /** The room's id, with which others can join it. */
  get id(): string {
    return this.seat.id;
  }

  get kind(): string {
    return this.seat.kind;
  }

  /** This client's number in the room. The room never assigns it to another client. */
  get member(): number {
    return this.seat.member;
  }

  /**
   * The last state that the server sent, or undefined before the first.
   * Treat it as read-only: consecutive states share their unchanged parts, so that `===` tells whether something in a part
   * has changed.
   */
  get state(): Part<T, 'state'> | undefined {
    return this.mirror.data as Part<T, 'state'> | undefined;
  }

  /** The server's tick of that state. */
  get tick(): number | undefined {
    return this.mirror.tick;
  }

  /** Whether messages can be sent and may arrive. */
  get isJoined(): boolean {
    return !this.isAway && !this.isOver;
  }

  /** @internal Whether the membership has ended for good. */
  get isOver(): boolean {
    return this.ending !== undefined;
  }

  /**
   * Listens to one type of message or signal.
   * Messages that arrive before the room's first listener are queued (up to 1000) and delivered in the next microtask after
   * it is registered, so register all listeners together.
   */
  on<K extends Names<Part<T, 'incoming'>>>(type: K, listener: (data: Part<T, 'incoming'>[K]) => void): Off {
    return this.inbox.on(type, listener as (data: never) => void);
  }

  /**
   * Listens to messages of all types, in addition to the listeners of each type.
   * Messages that arrive before the room's first listener are queued, as with `on`.
   */
  onMessage(listener: (type: Names<Part<T, 'incoming'>>, data: Part<T, 'incoming'>[Names<Part<T, 'incoming'>>]) => void): Off {
    return this.inbox.onAll(listener as (type: string, data: unknown) => void);
  }

  /** Calls the listener with each state, and first with the present one if there is one. */
  onState(listener: (state: Part<T, 'state'>, tick: number) => void): Off {
    this.inbox.listened();
    let due = this.mirror.tick !== undefined;
    const off = this.events.on('state', (state, tick) => {
      due = false;
      listener(state, tick);
    });
    const tell = (): void => {
      if (due) guarded(() => listener(this.state as Part<T, 'state'>, this.mirror.tick as number));
    };
    if (due) queueMicrotask(tell);
    return () => {
      due = false;
      off();
    };
  }

  /**
   * Calls the listener with the new and the previous value at a path in the state after each event that changed something at
   * the path or below: `room.onChange(['ships', key, 'hp'], (now, before) => …)`. Undefined means that there is, or was, no value.
   * The listener is not called with the present value; read that from `state`.
   * Throws `bad_option` if the path is not an array of strings and numbers.
   */
  onChange<const P extends Path>(
    path: P & PathIn<Part<T, 'state'>, P>,
    listener: (now: At<Part<T, 'state'>, P> | undefined, before: At<Part<T, 'state'>, P> | undefined) => void,
  ): Off {
    checkPath('onChange', path);
    this.inbox.listened();
    let seen = valueAt(this.mirror.data, path);
    return this.events.on('state', () => {
      const before = seen;
      seen = valueAt(this.mirror.data, path);
      if (seen !== before) listener(seen as never, before as never);
    });
  }

  /**
   * Reports the added, changed and removed entities of a map in the state after each event:
   * `room.onEntities(['ships'], { added: (key, ship) => …, changed: (key, ship, before) => …, removed: (key, ship) => … })`.
   * Existing entities are reported as added in the next microtask. The whole event is applied before the calls; removed
   * entities are reported first. A map that does not exist has no entities.
   * Throws `bad_option` if the path is not an array of strings and numbers.
   */
  onEntities<const P extends Path>(path: P & PathIn<Part<T, 'state'>, P>, listener: EntityListener<EntityAt<Part<T, 'state'>, P>>): Off {
    checkPath('onEntities', path);
    this.inbox.listened();
    const entities = new Entities(listener);
    const look = (): void => entities.look(valueAt(this.mirror.data, path));
    const off = this.events.on('state', look);
    queueMicrotask(look);
    return () => {
      entities.stop();
      off();
    };
  }

  /**
   * Calls the listener once when the membership ends: `left` if the application left, `kicked`, `disposed`, `crashed`,
   * `shutdown` if the server shuts down, `expired`, `unknown`, `overflow`, `identity` or `disconnected` if the server lost or ended
   * the session, and `closed` when the client closes. With `kicked`, `why` is what the room says about it, if it says anything.
   */
  onLeft(listener: (reason: string, why?: string) => void): Off {
    this.inbox.listened();
    let on = true;
    const once = (...ending: RoomEvents['left']): void => {
      if (on) guarded(() => listener(...ending));
      on = false;
    };
    const off = this.events.on('left', once);
    const { ending } = this;
    if (ending && !this.inbox.isFlushing) queueMicrotask(() => once(...ending));
    return () => {
      on = false;
      off();
    };
  }

  /**
   * Calls the listener when a room that was joined with `rejoin` was lost with its session and has been joined again. `id` and
   * `member` are new, and a new state follows. `reason` says why the session was lost.
   */
  onRejoined(listener: (rejoined: { reason: string; previous: Seat }) => void): Off {
    return this.events.on('rejoined', listener);
  }

  /** Calls the listener with the server's errors about this room that answer no request, for example for a refused `send`. */
  onError(listener: (error: CourtsideError) => void): Off {
    return this.events.on('error', listener);
  }

  /**
   * Sends a message: exactly once and in order, also across reconnects within the session.
   * Throws `room_left`, `queue_full`, `bad_data` or `closed`. If the server refuses the message, `onError` reports it; use
   * `call` to get the answer to each message.
   */
  send<K extends Names<Part<T, 'outgoing'>>>(type: K, ...data: Content<Part<T, 'outgoing'>[K]>): void {
    this.mustBeJoined();
    this.port.issue({ action: 'send', room: this.id, type, data: data[0] });
  }

  /** Sends a message and resolves with its reply. Rejects with the server's error or with an error that `send` would throw. */
  call<K extends Names<Part<T, 'outgoing'>>>(type: K, ...data: ContentAnd<Part<T, 'outgoing'>[K], Patience>): Promise<ReplyTo<T, K>> {
    try {
      this.mustBeJoined();
    } catch (error) {
      return Promise.reject(error);
    }
    return this.port.request({ action: 'send', room: this.id, type, data: data[0] }, data[1]);
  }

  /** Leaves, and resolves when the server has confirmed it. Sending after this throws `room_left`. */
  leave(): Promise<void> {
    if (this.isOver) return Promise.resolve();
    this.port.stay(this as unknown as Room);
    if (this.isAway) {
      this.receiveLeft('left');
      return Promise.resolve();
    }
    this.leaving ??= this.port.request<unknown>({ action: 'leave', room: this.id }).then(
      () => undefined,
      (error: unknown) => {
        // If the membership has ended otherwise meanwhile, the goal is reached; if not, the application can leave again.
        this.leaving = undefined;
        if (!this.isOver) throw error;
      },
    );
    return this.leaving;
  }

  /** @internal An event of the server that names this room. */
  receive(event: Extract<SessionEvent, { event: 'message' | 'signal' | 'state' | 'patch' }>): void {
    if (event.event === 'state') {
      this.mirror.whole(event);
      this.events.emit('state', this.mirror.data as never, event.tick);
    } else if (event.event === 'patch') {
      if (this.mirror.patch(event)) this.events.emit('state', this.mirror.data as never, event.tick);
    } else {
      this.inbox.receive(event.type, event.data);
    }
  }

  /** @internal The membership is over. */
  receiveLeft(reason: string, why?: string): void {
    if (this.isOver) return;
    this.isAway = false;
    this.ending = [reason, why];
    // Queued messages arrived before the end and are delivered before it.
    if (!this.inbox.isFlushing) this.events.emit('left', reason, why);
  }

  /** @internal The membership is lost, and the client joins again. */
  suspend(): void {
    this.isAway = true;
  }

  /** @internal The room, or another one in its place, was joined again, with a new member number. */
  resume(seat: Seat, reason: string): void {
    const previous = this.seat;
    this.seat = seat;
    this.isAway = false;
    this.mirror = this.newMirror();
    this.presence.restart();
    this.events.emit('rejoined', { reason, previous });
  }

  /** @internal An error that names this room. Returns false if there is no listener. */
  receiveError(error: CourtsideError): boolean {
    return this.events.emit('error', error);
  }

  private mustBeJoined(): void {
    if (this.isJoined && !this.leaving) return;
    if (this.isAway) throw new CourtsideError('room_left', `The room ${this.id} was lost with its session and is being joined again: wait for room.onRejoined.`, { room: this.id, sent: false });
    throw new CourtsideError('room_left', `The room ${this.id} was left (${this.ending?.[0] ?? 'left'}): join it again to send to it.`, { room: this.id, sent: false });
  }

  private newMirror(): StateMirror {
    const { port } = this;
    const { id } = this.seat;
    return new StateMirror({ sync: () => port.sync(id), complain: (error) => port.complain(error) });
  }
}
