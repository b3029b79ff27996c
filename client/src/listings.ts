import { Timer } from './clock.js';
import { CourtsideError } from './errors.js';
import { Emitter, guarded, type Off } from './events.js';
import { badOption, type Settings } from './options.js';
import type { RoomFilter, RoomsEvent } from './protocol.js';
import type { Sender } from './sender.js';

/** A room in a listing. `M` is the type of its metadata. */
export interface ListedRoom<M = unknown> {
  /** The room's id, for `joinRoom`. */
  readonly room: string;
  readonly kind: string;
  /** Taken seats: members, and clients that are joining. */
  readonly members: number;
  /** All seats. */
  readonly capacity: number;
  readonly locked: boolean;
  readonly metadata: M;
}

/** Which rooms of a kind to follow. */
export interface FollowSettings {
  /** Conditions that must all hold. Default: all rooms of the kind that are not private. */
  filter?: RoomFilter | undefined;
  /** Only rooms after this one, by their ids: the `next` of the page before. Default: from the beginning. */
  after?: string | undefined;
  /** How many rooms at most, from 1 to 200. Default: 50. */
  limit?: number | undefined;
}

/** What has changed in a listing. */
export interface RoomsChange<M = unknown> {
  readonly added: readonly ListedRoom<M>[];
  readonly changed: readonly ListedRoom<M>[];
  /** As they were before. They have ended, do not match any more, or are on another page. */
  readonly removed: readonly ListedRoom<M>[];
}

interface ListingEvents {
  change: [rooms: readonly ListedRoom<never>[], change: RoomsChange<never>];
  ended: [error: CourtsideError];
}

/** What is asked for. */
type Wish = { kind: string } & FollowSettings;

/** How long the client waits after one of `TRY_AGAIN` before it follows again; a random time of up to as much is added. */
const TRY_AGAIN_MS = 1_000;

/** Refusals that pass: after a restart all clients reconnect at once. */
const TRY_AGAIN: readonly string[] = ['too_fast', 'authorization_timeout'];

/** A page of the rooms of a kind, which follows the server and is complete again after each reconnect. */
export class RoomListing<M = any> {
  private readonly events = new Emitter<ListingEvents>();
  private list: readonly ListedRoom<M>[] = [];
  private behind: string | undefined;
  private known = false;
  /** The version of the page; undefined until the whole page has arrived on this connection. */
  private version: number | undefined;
  /** @internal The server's number for it in this session; undefined until the server has answered. */
  number: number | undefined;

  /** @internal Listings are made by `client.followRooms`. */
  constructor(readonly wish: Wish, private readonly release: () => void) {}

  /** The kind of the rooms. */
  get kind(): string {
    return this.wish.kind;
  }

  /** The rooms, sorted by their ids. A new array after each change; rooms that have not changed stay the same object. */
  get rooms(): readonly ListedRoom<M>[] {
    return this.list;
  }

  /** If there are more rooms behind this page: the `after` of the next one. */
  get next(): string | undefined {
    return this.behind;
  }

  /** Whether the page has arrived once. Before, `rooms` is empty. */
  get isKnown(): boolean {
    return this.known;
  }

  /** Calls the listener when the page arrives, and when it has changed. */
  onChange(listener: (rooms: readonly ListedRoom<M>[], change: RoomsChange<M>) => void): Off {
    return this.events.on('change', listener as (rooms: readonly ListedRoom<never>[], change: RoomsChange<never>) => void);
  }

  /** Calls the listener once if the server refuses to let the client follow these rooms, or the client closes. */
  onEnded(listener: (error: CourtsideError) => void): Off {
    return this.events.on('ended', listener);
  }

  /** Follows the rooms no longer. */
  unfollow(): void {
    this.release();
  }

  /** @internal The server sends the whole page by itself, or was asked for it. */
  restart(): void {
    this.version = undefined;
  }

  /** @internal Returns false if a change is missing, so that the client has to follow again. */
  hear(event: RoomsEvent): boolean {
    const { base, version, added = [], changed = [], removed = [] } = event;
    const rooms = new Map<string, ListedRoom<M>>();
    if (base === undefined) for (const room of event.rooms ?? []) rooms.set(room.room, this.same(room));
    else {
      // The whole page is on its way.
      if (this.version === undefined) return true;
      if (base !== this.version) return false;
      for (const room of this.list) rooms.set(room.room, room);
      for (const room of [...added, ...changed]) rooms.set(room.room, this.same(room));
      for (const id of removed) rooms.delete(id);
    }
    this.version = version;
    this.update([...rooms.values()].sort((a, b) => (a.room < b.room ? -1 : 1)), event.next);
    return true;
  }

  /** @internal Returns whether a listener was notified. */
  ended(error: CourtsideError): boolean {
    return this.events.emit('ended', error);
  }

  /** The known object, if nothing about it has changed. */
  private same(room: ListedRoom): ListedRoom<M> {
    const known = this.list.find((each) => each.room === room.room);
    return known && JSON.stringify(known) === JSON.stringify(room) ? known : (room as ListedRoom<M>);
  }

  private update(rooms: readonly ListedRoom<M>[], next: string | undefined): void {
    const before = new Map(this.list.map((room) => [room.room, room]));
    const after = new Set(rooms.map(({ room }) => room));
    const added = rooms.filter(({ room }) => !before.has(room));
    const changed = rooms.filter((room) => before.has(room.room) && before.get(room.room) !== room);
    const removed = this.list.filter(({ room }) => !after.has(room));
    const isSame = this.known && added.length + changed.length + removed.length === 0 && next === this.behind;
    this.known = true;
    if (isSame) return;
    this.list = rooms;
    this.behind = next;
    this.events.emit('change', rooms as readonly ListedRoom<never>[], { added, changed, removed } as unknown as RoomsChange<never>);
  }
}

/** The listings of rooms that a client follows, across its sessions. */
export class Listings {
  private readonly listings = new Set<RoomListing>();
  /** Listings that the server refused with one of `TRY_AGAIN`: they are followed again together. */
  private readonly hurried = new Set<RoomListing>();
  /** Listings whose number the server has been asked for. */
  private readonly asked = new Set<RoomListing>();
  /** Numbers of listings that were given up, which the server still follows for this session. */
  private readonly released = new Set<number>();
  private readonly calm: Timer;

  constructor(
    private readonly settings: Settings,
    private readonly sender: Sender,
    private readonly isClosed: () => boolean,
    private readonly complain: (error: CourtsideError) => void,
  ) {
    this.calm = new Timer(settings.clock);
  }

  follow<M>(kind: string, settings: FollowSettings, listener: (rooms: readonly ListedRoom<M>[], change: RoomsChange<M>) => void): RoomListing<M> {
    const { filter, after, limit } = settings;
    if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 1)) throw badOption('limit must be a whole number from 1', limit);
    const wish = { kind, ...(filter && { filter }), ...(after !== undefined && { after }), ...(limit !== undefined && { limit }) };
    const listing: RoomListing<M> = new RoomListing<M>(wish, () => this.release(listing));
    listing.onChange((rooms, change) => guarded(() => listener(rooms, change)));
    this.listings.add(listing);
    this.begin(listing, false);
    return listing;
  }

  hear(event: RoomsEvent): void {
    // Several listings of the same rooms share a number.
    for (const listing of [...this.listings]) {
      if (listing.number !== event.listing || listing.hear(event)) continue;
      listing.restart();
      this.begin(listing, true);
    }
  }

  /** The session continues on another connection, and the server sends the pages again. */
  resumed(): void {
    for (const listing of this.listings) listing.restart();
  }

  /** A new session has begun, in which the client follows the same. */
  renew(): void {
    this.calmDown();
    this.released.clear();
    for (const listing of this.listings) this.begin(listing, true);
  }

  /** The client is closed. */
  ended(error: CourtsideError): void {
    const all = [...this.listings];
    this.listings.clear();
    this.released.clear();
    this.calmDown();
    for (const listing of all) listing.ended(error);
  }

  /** `again`: the client has followed it before, so that the server's refusal may be for now only. */
  private begin(listing: RoomListing, again: boolean): void {
    listing.restart();
    listing.number = undefined;
    this.asked.add(listing);
    const answered = (reply: { listing: number } | undefined): void => {
      this.asked.delete(listing);
      if (reply !== undefined) {
        listing.number = reply.listing;
        // It was given up meanwhile.
        if (!this.listings.has(listing)) this.released.add(reply.listing);
      }
      this.unfollow();
    };
    const refused = (error: CourtsideError): void => {
      this.asked.delete(listing);
      this.unfollow();
      // After a lost session, it is followed again in the next one.
      if (error.code === 'session_lost' || !this.listings.has(listing)) return;
      if (again && TRY_AGAIN.includes(error.code)) return this.hurry(listing);
      this.listings.delete(listing);
      const isKnown = listing.ended(error);
      if (error.code !== 'closed' && !isKnown) this.complain(new CourtsideError(error.code, `Following the rooms of kind "${listing.kind}" was refused: ${error.message}`));
    };
    this.sender.ask<{ listing: number } | undefined>({ action: 'rooms.follow', ...listing.wish }, answered, refused, again);
  }

  private hurry(listing: RoomListing): void {
    if (this.hurried.size === 0) this.calm.set(TRY_AGAIN_MS * (1 + this.settings.random()), () => this.goOn());
    this.hurried.add(listing);
  }

  private goOn(): void {
    const again = [...this.hurried];
    this.calmDown();
    for (const listing of again) if (this.listings.has(listing)) this.begin(listing, true);
  }

  private calmDown(): void {
    this.calm.clear();
    this.hurried.clear();
  }

  private release(listing: RoomListing): void {
    if (!this.listings.delete(listing)) return;
    this.hurried.delete(listing);
    // Without a number, the server has not answered yet: the number is released when it does.
    if (listing.number !== undefined) this.released.add(listing.number);
    this.unfollow();
  }

  /**
   * Follows what was given up no longer. Only the server knows which wishes are the same listing, so what another one has the number of
   * stays, and so does everything while the number of another one is on its way.
   */
  private unfollow(): void {
    if (this.isClosed() || [...this.asked].some((other) => this.listings.has(other))) return;
    const used = new Set([...this.listings].map(({ number }) => number));
    for (const number of this.released) if (!used.has(number)) this.sender.ask({ action: 'rooms.unfollow', listing: number }, () => {}, () => {});
    this.released.clear();
  }
}
