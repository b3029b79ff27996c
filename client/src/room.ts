import { Entities, type EntityListener } from './entities';
import { CourtsideError } from './errors';
import { Emitter, guarded, type Off } from './events';
import { valueAt, type At, type EntityAt, type Path, type PathIn } from './path';
import type { Action, SessionEvent } from './protocol';
import { StateMirror } from './state';

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
type ReplyTo<T extends RoomTypes, K> = K extends keyof Part<T, 'replies'> ? Part<T, 'replies'>[K] : unknown;

/** What a room needs of its client. */
export interface RoomPort {
  issue(action: Action): void;
  request<R>(action: Action): Promise<R>;
  /** Asks for a whole state. */
  sync(room: string): void;
  complain(error: CourtsideError): void;
}

/** How many messages wait for a room's first listener. */
const HELD_MESSAGES = 1000;

interface RoomEvents {
  state: [state: never, tick: number];
  left: [reason: string];
  error: [error: CourtsideError];
}

/** A room that this client has joined. */
export class Room<T extends RoomTypes = AnyRoom> {
  private readonly messages = new Emitter<Record<string, [data: never]>>();
  private readonly events = new Emitter<RoomEvents>();
  private readonly mirror: StateMirror;
  /** Messages that came before the first listener; undefined once they were handed on. */
  private held: { type: string; data: unknown }[] | undefined = [];
  private flushing = false;
  private leaving: Promise<void> | undefined;
  private leftReason: string | undefined;

  /** @internal Rooms are made by `client.join`. */
  constructor(
    private readonly port: RoomPort,
    /** The room's id, by which others can join it. */
    readonly id: string,
    readonly kind: string,
    /** This client's number in the room. The room gives it to nobody else. */
    readonly member: number,
  ) {
    this.mirror = new StateMirror({ sync: () => port.sync(id), complain: (error) => port.complain(error) });
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
    return this.leftReason === undefined;
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
   * Is told once when the membership ends: `left` by own wish, `kicked`, `disposed`, `crashed`, or, where the server
   * lost the session, `expired`, `unknown` or `overflow`; `closed` when the client closes.
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
  call<K extends Names<Part<T, 'outgoing'>>>(type: K, ...data: Content<Part<T, 'outgoing'>[K]>): Promise<ReplyTo<T, K>> {
    try {
      this.mustBeJoined();
    } catch (error) {
      return Promise.reject(error);
    }
    return this.port.request({ action: 'send', room: this.id, type, data: data[0] });
  }

  /** Leaves, and resolves when the server has confirmed it. What is sent after this throws `room_left`. */
  leave(): Promise<void> {
    if (!this.isJoined) return Promise.resolve();
    this.leaving ??= this.port.request<unknown>({ action: 'leave', room: this.id }).then(
      () => undefined,
      (error: unknown) => {
        // Whatever ended the membership meanwhile ended it as wished; otherwise leaving can be tried again.
        this.leaving = undefined;
        if (this.isJoined) throw error;
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
      this.messages.emit(event.type, event.data as never);
    } else if (this.held.length < HELD_MESSAGES) {
      this.held.push({ type: event.type, data: event.data });
    } else {
      this.held = undefined;
      this.port.complain(new CourtsideError('unheard', `${HELD_MESSAGES} messages of the room ${this.id} were discarded because nobody listened: register with room.on() right after join().`, { room: this.id }));
    }
  }

  /** @internal The membership is over. */
  receiveLeft(reason: string): void {
    if (!this.isJoined) return;
    this.leftReason = reason;
    // Messages that are still held came before the end and are handed on before it.
    if (!this.flushing) this.events.emit('left', reason);
  }

  /** @internal An error that names this room. False where nobody listens. */
  receiveError(error: CourtsideError): boolean {
    return this.events.emit('error', error);
  }

  private mustBeJoined(): void {
    if (this.isJoined && !this.leaving) return;
    throw new CourtsideError('room_left', `The room ${this.id} was left (${this.leftReason ?? 'left'}): join it again to send to it.`, { room: this.id, sent: false });
  }

  private listened(): void {
    if (!this.held || this.flushing) return;
    this.flushing = true;
    queueMicrotask(() => {
      const held = this.held ?? [];
      this.held = undefined;
      for (const { type, data } of held) this.messages.emit(type, data as never);
      this.flushing = false;
      if (this.leftReason !== undefined) this.events.emit('left', this.leftReason);
    });
  }
}
