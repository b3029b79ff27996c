import { Emitter, type Off } from './events.js';
import type { PresenceEntry, PresenceEvent } from './protocol.js';

/** Somebody who is present in a channel or a room: a subject with all its sessions, or a session without a subject. */
export interface PresenceMember<D = unknown> {
  /** The subject or, without one, the id of the session. */
  readonly id: string;
  /** What it shows of itself; undefined if that is nothing. */
  readonly data: D | undefined;
  /** The number of its sessions, for example tabs. */
  readonly sessions: number;
}

/** What has changed in a list. All three are empty if only the number has changed. */
export interface PresenceChange<D = unknown> {
  readonly joined: readonly PresenceMember<D>[];
  readonly changed: readonly PresenceMember<D>[];
  /** As they were before. */
  readonly left: readonly PresenceMember<D>[];
}

/** What a list needs of its channel or room. */
export interface PresencePort {
  /** Requests the whole list; `done` is called when the server has answered. */
  ask(done: () => void): void;
  /** Changes what this client shows. */
  change(data: unknown): Promise<void>;
}

interface PresenceEvents {
  change: [change: PresenceChange<never>];
}

/** Who is present in a channel or a room: a list that follows the server, and is complete again after each reconnect. */
export class Presence<D = any> {
  private readonly events = new Emitter<PresenceEvents>();
  private list: ReadonlyMap<string, PresenceMember<D>> = new Map();
  private total = 0;
  private listed = true;
  /** The version of the list; undefined until the server has sent the whole list on this connection. */
  private version: number | undefined;
  /** The open question for the list; each is an object of its own, so that the answer to an earlier one is recognised. */
  private question: object | undefined;
  /** The newest version that a change or a note has told of since the last whole list. */
  private heard = 0;
  /** @internal What this client shows, for the next session. */
  shown: unknown;

  /** @internal Lists belong to channels and rooms. */
  constructor(private readonly port: PresencePort) {}

  /**
   * Who is present, by `id`. A new map after each change; members that have not changed stay the same object.
   * Empty if there are too many, so that the server sends only their number: see `isListed`.
   */
  get members(): ReadonlyMap<string, PresenceMember<D>> {
    return this.list;
  }

  /** How many are present, also if they are not listed. */
  get count(): number {
    return this.total;
  }

  /** False if there are too many to be listed. */
  get isListed(): boolean {
    return this.listed;
  }

  /** Calls the listener when somebody has joined, changed or left, or the number has changed. It is not called with those who are present already. */
  onChange(listener: (change: PresenceChange<D>) => void): Off {
    return this.events.on('change', listener as (change: PresenceChange<never>) => void);
  }

  /** Changes what this client shows to others. Resolves when the server has accepted it; rejects with its refusal. */
  async set(data: D): Promise<void> {
    await this.port.change(data);
    this.shown = data;
  }

  /** @internal The server sends the whole list by itself: on a new connection, and to a new subscription or membership. */
  restart(): void {
    this.version = undefined;
    this.question = undefined;
    this.heard = 0;
  }

  /** @internal */
  hear(event: PresenceEvent): void {
    const { base, version } = event;
    if (this.version !== undefined && version < this.version) return;
    if (base === undefined) {
      this.version = version;
      // The server's reply comes after the list: what is missed from here on needs a question of its own.
      this.question = undefined;
      const isOlder = version < this.heard;
      this.heard = 0;
      if (isOlder) this.ask();
      const members = new Map(event.members?.map((entry) => [entry.id, this.member(entry)]));
      this.update(members, event.count ?? members.size, event.members !== undefined);
    } else if (this.version !== undefined && base === this.version && version > base && this.listed) {
      this.version = version;
      const members = new Map(this.list);
      for (const entry of [...(event.joined ?? []), ...(event.changed ?? [])]) members.set(entry.id, this.member(entry));
      for (const id of event.left ?? []) members.delete(id);
      this.update(members, members.size, true);
    } else if (this.version !== undefined && version > this.version) {
      this.heard = Math.max(this.heard, version);
      this.ask();
    }
  }

  private ask(): void {
    if (this.question) return;
    const question = (this.question = {});
    this.port.ask(() => {
      if (this.question === question) this.question = undefined;
    });
  }

  /** The known object, if nothing about it has changed. */
  private member({ id, data, sessions }: PresenceEntry): PresenceMember<D> {
    const known = this.list.get(id);
    const isSame = known && known.sessions === sessions && JSON.stringify(known.data) === JSON.stringify(data);
    return isSame ? known : { id, data: data as D | undefined, sessions };
  }

  private update(members: ReadonlyMap<string, PresenceMember<D>>, count: number, listed: boolean): void {
    const before = this.list;
    const joined: PresenceMember<D>[] = [];
    const changed: PresenceMember<D>[] = [];
    for (const [id, member] of members) {
      const known = before.get(id);
      if (!known) joined.push(member);
      else if (known !== member) changed.push(member);
    }
    const left = [...before.values()].filter(({ id }) => !members.has(id));
    const isSame = joined.length + changed.length + left.length === 0 && count === this.total && listed === this.listed;
    if (isSame) return;
    // Those who are no longer listed have not left.
    const gone = listed ? left : [];
    this.list = members;
    this.total = count;
    this.listed = listed;
    this.events.emit('change', { joined, changed, left: gone } as unknown as PresenceChange<never>);
  }
}
