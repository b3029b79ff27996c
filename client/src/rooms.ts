import type { Clock } from './clock.js';
import { CourtsideError } from './errors.js';
import type { Action, JoinMode, SessionEvent, Welcome } from './protocol.js';
import { Room, type RoomPort } from './room.js';
import { checked, type Patience, type Sender } from './sender.js';

/** The settings of a join besides the room's options. */
export interface JoinSettings extends Patience {
  /** How a room of a kind is found. Default `'any'`. */
  mode?: JoinMode | undefined;
  /**
   * Joins again by itself if the server loses the session: the same room or, if that is gone, another one of its kind.
   * The room object stays, and `room.onRejoined` reports it. Default: false, and the room is left.
   */
  rejoin?: boolean | undefined;
  /** What this client shows of itself to the other members, in a room with presence. */
  data?: unknown;
}

type Join = Extract<Action, { action: 'join' }>;
type Joined = Extract<SessionEvent, { event: 'joined' }>;

/** How often a join is tried if the room refuses it because it is still being left. */
const TRIES = 8;

/** The rooms of a client: joining, leaving, and what happens to them when the session is lost or resumed. */
export class Rooms {
  /** The rooms of this session, by their id. */
  private readonly rooms = new Map<string, Room>();
  /** Rooms that the previous page has joined and this page has not asked for yet. */
  private readonly restored = new Set<Room>();
  /** Joins in progress, by the `id` of their action, in order. */
  private readonly joining = new Map<number, Join>();
  /** Rooms that were left because the server shuts down: they are reported with the lost session. */
  private shutDown: Room[] = [];
  /** How to join a room again. */
  private readonly plans = new WeakMap<Room, Join>();
  /** Rooms that are being joined again, by the `id` of that join. */
  private readonly rejoining = new Map<number, { room: Room; reason: string }>();
  private readonly port: RoomPort;
  /** How many rooms the application has left. */
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
        // After leaving and joining again without waiting, the session is still in the room until `leave` is processed.
        if (!(error instanceof CourtsideError) || error.code !== 'already_member' || tries === TRIES) throw error;
        // Code that just received the room may be about to leave it.
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
    // The server may resend the `joined` of a room that the previous page has joined.
    const known = this.rooms.get(name);
    if (known) return known;
    const room = new Room(this.port, { id: name, kind, member });
    this.rooms.set(name, room);
    return room;
  }

  left({ room: name, reason, message }: Extract<SessionEvent, { event: 'left' }>): void {
    const room = this.rooms.get(name);
    if (!room) return;
    this.forget(room);
    if (reason === 'left') this.departures += 1;
    if (reason !== 'shutdown') return room.receiveLeft(reason, message);
    this.shutDown.push(room);
    // The next server may have the room, once this session is lost.
    if (this.plans.has(room)) room.suspend();
    else room.receiveLeft(reason);
  }

  /** The session continues on another connection, and the server sends the lists of who is present again. */
  resumed(): void {
    for (const room of this.rooms.values()) room.presence.restart();
  }

  /** The session is lost. Returns the ids of the lost rooms and a function that notifies them. */
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

  /** The page was reloaded: its session is in these rooms. Joins that wait for the first `welcome` get them. */
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
      // The join was given up, so nobody else would leave the room.
      late: (room) => void room.leave().catch(() => {}),
    });
    return answer.finally(() => own !== undefined && this.joining.delete(own));
  }

  /** Returns a room that the previous page has joined, to the first join that matches it. */
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

  /** Joins a lost room again: first the same room and, if that is refused, another one of its kind. */
  private rejoin(room: Room, plan: Join, reason: string, action: Join = { action: 'join', room: room.id, options: plan.options }): void {
    // What it shows now, which may be other than when it joined first.
    const data = room.presence.shown ?? plan.data;
    room.suspend();
    const id = this.sender.ask<Room>(
      data === undefined ? action : { ...action, data },
      (joined) => {
        this.rejoining.delete(id);
        // The room was left meanwhile, so this is another object that the application does not have.
        if (joined !== room) joined.leave().catch(() => {});
      },
      (error) => {
        this.rejoining.delete(id);
        if (room.isOver) return;
        // The session was lost again: try the same in the next session.
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
