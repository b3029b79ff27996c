import { Entities, type EntityListener } from './entities.js';
import { CourtsideError } from './errors.js';
import { Emitter, guarded, type Off } from './events.js';
import { valueAt, type At, type EntityAt, type Path, type PathIn } from './path.js';
import type { Action, SessionEvent } from './protocol.js';
import type { Patience } from './sender.js';
import { StateMirror } from './state.js';

/**
 * What an application's room speaks, declared once: the messages that come in, those that go out, the replies of those
 * that are asked with `call`, and the state. Every part may be left out.
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
}

/** A room of which nothing is declared: any message, any state. */
export interface AnyRoom {
  incoming: Record<string, any>;
  outgoing: Record<string, any>;
  replies: Record<string, any>;
  state: any;
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
  /** Asks for a whole state. */
  sync(room: string): void;
  complain(error: CourtsideError): void;
  /** A message came for which nobody listens. */
  unheard(room: string, type: string): void;
  /** The room is left by own wish: it is not to be joined again. */
  stay(room: Room): void;
}

/** Where a client is in a room. */
export interface Seat {
  readonly id: string;
  readonly kind: string;
  readonly member: number;
}

/** How many messages wait for a room's first listener. */
const HELD_MESSAGES = 1000;

interface RoomEvents {
  state: [state: never, tick: number];
  left: [reason: string];
  rejoined: [rejoined: { reason: string; previous: Seat }];
  error: [error: CourtsideError];
  message: [type: never, data: never];
}

/** A room that this client has joined. */
export class Room<T extends RoomTypes = AnyRoom> {
  private readonly messages = new Emitter<Record<string, [data: never]>>();
  private readonly events = new Emitter<RoomEvents>();
  private mirror: StateMirror;
  /** Messages that came before the first listener; undefined once they were handed on. */
  private held: { type: string; data: unknown }[] | undefined = [];
  private flushing = false;
  /** The session was lost, and the room is being joined again. */
  private isAway = false;
  private leftReason: string | undefined;
  /** @internal A leaving that is under way. */
  leaving: Promise<void> | undefined;

  /** @internal Rooms are made by `client.join`. */
  constructor(private readonly port: RoomPort, private seat: Seat) {
    this.mirror = this.newMirror();
  }

  /** The room's id, by which others can join it. */
  get id(): string {
    return this.seat.id;
  }

  get kind(): string {
    return this.seat.kind;
  }

  /** This client's number in the room. The room gives it to nobody else. */
  get member(): number {
    return this.seat.member;
  }

  /**
   * The last state that the server told, or undefined before the first.
   * Treat it as read-only: what an event does not change is shared by the states before and after it, so that `===` tells
   * for any part of a state whether something in it changed.
   */
  get state(): Part<T, 'state'> | undefined {
    return this.mirror.data as Part<T, 'state'> | undefined;
  }

  /** The server's tick of that state. */
  get tick(): number | undefined {
    return this.mirror.tick;
  }

  /** Whether messages can still be sent and may still come. */
  get isJoined(): boolean {
    return !this.isAway && !this.isOver;
  }

  /** @internal Whether the membership has ended for good. */
  get isOver(): boolean {
    return this.leftReason !== undefined;
  }

  /**
   * Listens to one type of message, sequenced or signal.
   * What came before the first listener of the room is held for it (up to 1000 messages), and is handed on right after
   * the code that is running now; so register all listeners together.
   */
  on<K extends Names<Part<T, 'incoming'>>>(type: K, listener: (data: Part<T, 'incoming'>[K]) => void): Off {
    this.listened();
    return this.messages.on(type, listener as (data: never) => void);
  }

  /**
   * Listens to all messages, of whatever type, and besides the listeners of their type.
   * What came before the first listener of the room is held for it, as with `on`.
   */
  onMessage(listener: (type: Names<Part<T, 'incoming'>>, data: Part<T, 'incoming'>[Names<Part<T, 'incoming'>>]) => void): Off {
    this.listened();
    return this.events.on('message', listener as (type: never, data: never) => void);
  }

  /** Is told each state, and the present one first if there is one. */
  onState(listener: (state: Part<T, 'state'>, tick: number) => void): Off {
    this.listened();
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
   * Is told what stands at a place in the state, and what stood there, after each event that changed something there or
   * below: `room.onChange(['ships', key, 'hp'], (now, before) => …)`. Undefined means that there was, or is, nothing.
   * It is not told what is there already; that is in `state`.
   */
  onChange<const P extends Path>(
    path: P & PathIn<Part<T, 'state'>, P>,
    listener: (now: At<Part<T, 'state'>, P> | undefined, before: At<Part<T, 'state'>, P> | undefined) => void,
  ): Off {
    this.listened();
    let seen = valueAt(this.mirror.data, path);
    return this.events.on('state', () => {
      const before = seen;
      seen = valueAt(this.mirror.data, path);
      if (seen !== before) listener(seen as never, before as never);
    });
  }

  /**
   * Is told, for the map at a place in the state, which of its entities came, changed and went with each event, and first,
   * right after the code that is running now, of those that are there already:
   * `room.onEntities(['ships'], { added: (key, ship) => …, changed: (key, ship, before) => …, removed: (key, ship) => … })`.
   * The whole event is applied before; what went is told first. A map that is not there has no entities.
   */
  onEntities<const P extends Path>(path: P & PathIn<Part<T, 'state'>, P>, listener: EntityListener<EntityAt<Part<T, 'state'>, P>>): Off {
    this.listened();
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
   * Is told once when the membership ends: `left` by own wish, `kicked`, `disposed`, `crashed`, `shutdown` where the server
   * goes away, or, where the server lost the session, `expired`, `unknown`, `overflow` or `identity`; `closed` when the
   * client closes.
   */
  onLeft(listener: (reason: string) => void): Off {
    this.listened();
    let on = true;
    const once = (reason: string): void => {
      if (on) guarded(() => listener(reason));
      on = false;
    };
    const off = this.events.on('left', once);
    const reason = this.leftReason;
    if (reason !== undefined && !this.flushing) queueMicrotask(() => once(reason));
    return () => {
      on = false;
      off();
    };
  }

  /**
   * Is told when a room that was joined with `rejoin` was lost with its session and has been joined again: `id` and `member`
   * are new, and so is the state, which follows. `reason` says why the session was lost.
   */
  onRejoined(listener: (rejoined: { reason: string; previous: Seat }) => void): Off {
    return this.events.on('rejoined', listener);
  }

  /** Is told the server's errors that speak of this room and answer no request, for example to a `send` that it refused. */
  onError(listener: (error: CourtsideError) => void): Off {
    return this.events.on('error', listener);
  }

  /**
   * Sends a message: exactly once and in order, also across reconnects within the session.
   * Throws `room_left`, `queue_full`, `bad_data` or `closed`. If the server refuses the message, the room's error event
   * says so; use `call` to know of each one.
   */
  send<K extends Names<Part<T, 'outgoing'>>>(type: K, ...data: Content<Part<T, 'outgoing'>[K]>): void {
    this.mustBeJoined();
    this.port.issue({ action: 'send', room: this.id, type, data: data[0] });
  }

  /** Sends a message and waits for its reply. Rejects with the server's error, or as `send` throws. */
  call<K extends Names<Part<T, 'outgoing'>>>(type: K, ...data: ContentAnd<Part<T, 'outgoing'>[K], Patience>): Promise<ReplyTo<T, K>> {
    try {
      this.mustBeJoined();
    } catch (error) {
      return Promise.reject(error);
    }
    return this.port.request({ action: 'send', room: this.id, type, data: data[0] }, data[1]);
  }

  /** Leaves, and resolves when the server has confirmed it. What is sent after this throws `room_left`. */
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
        // Whatever ended the membership meanwhile ended it as wished; otherwise leaving can be tried again.
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
    } else if (!this.held) {
      this.handOn(event.type, event.data);
    } else if (this.held.length < HELD_MESSAGES) {
      this.held.push({ type: event.type, data: event.data });
    } else {
      this.held = undefined;
      this.port.complain(new CourtsideError('unheard', `${HELD_MESSAGES} messages of the room ${this.id} were discarded because nobody listened: register with room.on() right after join().`, { room: this.id }));
    }
  }

  /** @internal The membership is over. */
  receiveLeft(reason: string): void {
    if (this.isOver) return;
    this.isAway = false;
    this.leftReason = reason;
    // Messages that are still held came before the end and are handed on before it.
    if (!this.flushing) this.events.emit('left', reason);
  }

  /** @internal The membership is lost, and is being had again. */
  suspend(): void {
    this.isAway = true;
  }

  /** @internal It is joined again: as somebody else, and perhaps elsewhere. */
  resume(seat: Seat, reason: string): void {
    const previous = this.seat;
    this.seat = seat;
    this.isAway = false;
    this.mirror = this.newMirror();
    this.events.emit('rejoined', { reason, previous });
  }

  /** @internal An error that names this room. False where nobody listens. */
  receiveError(error: CourtsideError): boolean {
    return this.events.emit('error', error);
  }

  private mustBeJoined(): void {
    if (this.isJoined && !this.leaving) return;
    if (this.isAway) throw new CourtsideError('room_left', `The room ${this.id} was lost with its session and is being joined again: wait for room.onRejoined.`, { room: this.id, sent: false });
    throw new CourtsideError('room_left', `The room ${this.id} was left (${this.leftReason ?? 'left'}): join it again to send to it.`, { room: this.id, sent: false });
  }

  private handOn(type: string, data: unknown): void {
    const heard = this.messages.emit(type, data as never);
    if (!this.events.emit('message', type as never, data as never) && !heard) this.port.unheard(this.id, type);
  }

  private newMirror(): StateMirror {
    const { port } = this;
    const { id } = this.seat;
    return new StateMirror({ sync: () => port.sync(id), complain: (error) => port.complain(error) });
  }

  private listened(): void {
    if (!this.held || this.flushing) return;
    this.flushing = true;
    queueMicrotask(() => {
      const held = this.held ?? [];
      this.held = undefined;
      for (const { type, data } of held) this.handOn(type, data);
      this.flushing = false;
      if (this.leftReason !== undefined) this.events.emit('left', this.leftReason);
    });
  }
}
