import type { Clock } from './clock.js';
import { CourtsideError } from './errors.js';
import type { Action, JoinMode, SessionEvent, Welcome } from './protocol.js';
import { Room, type RoomPort } from './room.js';
import { checked, type Patience, type Sender } from './sender.js';

/** What a join may say beside the options of its room. */
export interface JoinSettings extends Patience {
  /** How a room of a kind is found. Default `'any'`. */
  mode?: JoinMode | undefined;
  /**
   * Joins again by itself if the server loses the session: the same room, or where that is gone another one of its kind.
   * The room object stays, and `room.onRejoined` tells of it. Default: false, and the room is left.
   */
  rejoin?: boolean | undefined;
}

type Join = Extract<Action, { action: 'join' }>;
type Joined = Extract<SessionEvent, { event: 'joined' }>;

/** A join that a room which is being left has refused is tried so often. */
const TRIES = 8;

/** The rooms of a client: how it comes into them, and what becomes of them with a session. */
export class Rooms {
  /** Those of this session, by their id. */
  private readonly rooms = new Map<string, Room>();
  /** Those that a page before this one has joined, until somebody asks for them. */
  private readonly restored = new Set<Room>();
  /** Joins that are under way, by the `id` of their action, in order. */
  private readonly joining = new Map<number, Join>();
  /** The rooms that were left because the server goes away: they are lost with the session. */
  private shutDown: Room[] = [];
  /** How to join a room again. */
  private readonly plans = new WeakMap<Room, Join>();
  /** Rooms that are being joined again, by the `id` of that join. */
  private readonly rejoining = new Map<number, { room: Room; reason: string }>();
  private readonly port: RoomPort;
  /** How many rooms were left by own wish. */
  private departures = 0;

  constructor(private readonly sender: Sender, private readonly clock: Clock, port: Omit<RoomPort, 'stay'>) {
    this.port = { ...port, stay: (room) => this.plans.delete(room) };
  }

  get(id: string): Room | undefined {
    return this.rooms.get(id);
  }

  async join(action: Join, settings: JoinSettings = {}): Promise<Room> {
    const { signal, timeoutMs } = checked(settings);
    const until = timeoutMs === undefined ? undefined : this.clock.now() + timeoutMs;
    for (let tries = 1; ; tries += 1) {
      const { departures } = this;
      const room = this.claim(action);
      try {
        const joined = room ?? (await this.ask(action, { signal, timeoutMs: until === undefined ? undefined : Math.max(1, until - this.clock.now()) }));
        if (settings.rejoin) this.plans.set(joined, action);
        return joined;
      } catch (error) {
        // Whoever leaves a room and joins it again without waiting is in it only because the leaving is still under way.
        if (!(error instanceof CourtsideError) || error.code !== 'already_member' || tries === TRIES) throw error;
        // The code that was told of the room may be about to leave it.
        await new Promise<void>((resolve) => void this.clock.setTimeout(resolve, 0));
        const leaving = [...this.rooms.values()].flatMap((room) => room.leaving ?? []);
        if (leaving.length === 0 && this.departures === departures) throw error;
        await Promise.allSettled(leaving);
      }
    }
  }

  joined({ id, room: name, kind, member }: Joined): Room {
    const again = id === undefined ? undefined : this.rejoining.get(id);
    if (again && !again.room.isOver) {
      this.rooms.set(name, again.room);
      again.room.resume({ id: name, kind, member }, again.reason);
      return again.room;
    }
    // What a page before this one joined may be told to it once more.
    const known = this.rooms.get(name);
    if (known) return known;
    const room = new Room(this.port, { id: name, kind, member });
    this.rooms.set(name, room);
    return room;
  }

  left({ room: name, reason }: Extract<SessionEvent, { event: 'left' }>): void {
    const room = this.rooms.get(name);
    if (!room) return;
    this.forget(room);
    if (reason === 'left') this.departures += 1;
    if (reason !== 'shutdown') return room.receiveLeft(reason);
    this.shutDown.push(room);
    // The next server may have it, once this session is lost.
    if (this.plans.has(room)) room.suspend();
    else room.receiveLeft(reason);
  }

  /** The session is lost. Says which rooms with it, and how to tell them. */
  lost(reason: string): { ids: string[]; tell: () => void } {
    const all = [...this.shutDown, ...this.rooms.values()];
    const ids = all.map(({ id }) => id);
    this.clear();
    return {
      ids,
      tell: () => {
        for (const room of all) {
          const plan = this.plans.get(room);
          if (plan && !room.isOver) this.rejoin(room, plan, reason);
          else room.receiveLeft(reason);
        }
      },
    };
  }

  /** A page was reloaded: it is in these rooms, and joins that wait for the first welcome get them. */
  inherit(list: NonNullable<Welcome['rooms']>): Room[] {
    const inherited = list.map(({ room: name, kind, member }) => {
      const room = new Room(this.port, { id: name, kind, member });
      this.rooms.set(name, room);
      this.restored.add(room);
      return room;
    });
    for (const [id, action] of [...this.joining]) {
      const room = this.find(action);
      if (room && this.sender.answer(id, room)) this.restored.delete(room);
    }
    return inherited;
  }

  closed(): void {
    const all = [...this.shutDown, ...this.rooms.values()];
    this.clear();
    for (const room of all) room.receiveLeft('closed');
  }

  private ask(action: Join, patience: Patience): Promise<Room> {
    let own: number | undefined;
    const answer = this.sender.request<Room>(action, patience, {
      issued: (id) => this.joining.set((own = id), action),
      // Nobody waits for it any more, so nobody would leave it.
      late: (room) => void room.leave().catch(() => {}),
    });
    return answer.finally(() => own !== undefined && this.joining.delete(own));
  }

  /** A room that a page before this one has joined, for the first who asks for one like it. */
  private claim(action: Join): Room | undefined {
    const room = this.find(action);
    if (room) this.restored.delete(room);
    return room;
  }

  private find(action: Join): Room | undefined {
    for (const room of this.restored) {
      if (room.leaving) continue;
      if ('room' in action ? room.id === action.room : room.kind === action.kind && action.mode !== 'create') return room;
    }
    return undefined;
  }

  /** Joins a room again that was lost: itself first, and if that is refused, another one of its kind. */
  private rejoin(room: Room, plan: Join, reason: string, action: Join = { action: 'join', room: room.id, options: plan.options }): void {
    room.suspend();
    const id = this.sender.ask<Room>(
      action,
      (joined) => {
        this.rejoining.delete(id);
        // It was left meanwhile, so this is another object, which nobody knows.
        if (joined !== room) joined.leave().catch(() => {});
      },
      (error) => {
        this.rejoining.delete(id);
        if (room.isOver) return;
        // Lost once more: the same again, in the next session.
        if (error.code === 'closed') room.receiveLeft('closed');
        else if (error.code === 'session_lost') this.rejoin(room, plan, reason, action);
        else if ('kind' in plan && 'room' in action) this.rejoin(room, plan, reason, { ...plan, mode: 'any' });
        else room.receiveLeft(reason);
      },
    );
    this.rejoining.set(id, { room, reason });
  }

  private forget(room: Room): void {
    this.rooms.delete(room.id);
    this.restored.delete(room);
  }

  private clear(): void {
    this.rooms.clear();
    this.restored.clear();
    this.joining.clear();
    this.shutDown = [];
  }
}
