import { Timer, type Clock } from './clock.js';
import { CourtsideError } from './errors.js';
import type { Action, SessionEvent, Welcome } from './protocol.js';
import type { Room } from './room.js';
import { aborted, checked, timedOut, type Patience, type Sender } from './sender.js';

/** The settings of a search for a match. */
export interface MatchSettings extends Patience {
  /** For the application on the server, which says from it, and from who the client is, with whom the client may play. */
  data?: unknown;
  /** A party of `size` players who name the same `code` and stay together. Everybody who knows the code can be one of them. */
  party?: { readonly code: string; readonly size: number } | undefined;
}

/** Where a search for a match stands. */
export type MatchProgress =
  /** `party`: how many of its players are there; the search begins when all are. */
  | { readonly queue: string; readonly state: 'queued'; readonly waitedMs: number; readonly party?: { readonly present: number; readonly size: number } }
  /** The client joins the room by itself if a `match` waits for it. `queued` follows if another player does not join. */
  | { readonly queue: string; readonly state: 'matched'; readonly room: string; readonly kind: string }
  /** The server's reason, such as `timeout`. */
  | { readonly queue: string; readonly state: 'over'; readonly reason: string };

type Queued = Extract<SessionEvent, { event: 'queued' }>;
type Matched = Extract<SessionEvent, { event: 'matched' }>;
type NoMatch = Extract<SessionEvent, { event: 'no_match' }>;

/** What the searches need of the client around them. */
export interface MatchesPort {
  join(room: string): Promise<Room>;
  resolve(id: number | undefined): void;
  progress(progress: MatchProgress): void;
}

/** A `match` of the application that waits for its room. */
interface Search {
  /**
   * The `id` of its action, until that is answered. Before, the server tells only of an earlier search in the queue, which the
   * client has cancelled.
   */
  id: number | undefined;
  resolve(room: Room): void;
  reject(error: CourtsideError): void;
}

/** The searches of a client for matches. */
export class Matches {
  private readonly searches = new Map<string, Search>();
  /** The queues in which the session is, with the room of a match. */
  private readonly tickets = new Map<string, string | undefined>();

  constructor(private readonly sender: Sender, private readonly clock: Clock, private readonly port: MatchesPort) {}

  /** The queues in which the session is. */
  get queues(): string[] {
    return [...this.tickets.keys()];
  }

  match(queue: string, settings: MatchSettings = {}): Promise<Room> {
    return new Promise((resolve, reject) => {
      const { signal, timeoutMs } = checked(settings);
      if (signal?.aborted) throw aborted(signal, false);
      if (this.searches.has(queue)) throw new CourtsideError('already_queued', `A search in the queue ${queue} waits already: cancel it first.`, { sent: false });
      const timer = new Timer(this.clock);
      const settled = (): void => {
        if (this.searches.get(queue) === search) this.searches.delete(queue);
        timer.clear();
        signal?.removeEventListener('abort', abort);
      };
      const search: Search = {
        id: undefined,
        resolve: (room) => {
          settled();
          resolve(room);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      const giveUp = (errorOf: (sent: boolean) => CourtsideError): void => search.reject(errorOf(this.giveUp(queue, search)));
      const abort = (): void => giveUp((sent) => aborted(signal, sent));
      this.begin(queue, search, settings);
      this.searches.set(queue, search);
      signal?.addEventListener('abort', abort);
      if (timeoutMs !== undefined) timer.set(timeoutMs, () => giveUp((sent) => timedOut(timeoutMs, sent)));
    });
  }

  /** Leaves a queue. */
  cancel(queue: string): Promise<void> {
    return this.sender.request({ action: 'match.cancel', queue }, {}, { issued: () => void this.tickets.delete(queue) });
  }

  queued({ id, queue, waited_ms: waitedMs, party }: Queued): void {
    if (id === undefined && !this.tickets.has(queue)) return; // The client has left the queue.
    this.tickets.set(queue, undefined);
    // A search that was given up removes the ticket again.
    this.port.resolve(id);
    if (!this.tickets.has(queue)) return;
    this.port.progress({ queue, state: 'queued', waitedMs, ...(party && { party }) });
  }

  matched({ queue, room, kind }: Matched): void {
    if (!this.tickets.has(queue)) return; // The client has left the queue.
    this.tickets.set(queue, room);
    const search = this.searches.get(queue);
    if (search) this.join(queue, room, search);
    this.port.progress({ queue, state: 'matched', room, kind });
  }

  over({ id, queue, reason }: NoMatch): void {
    this.tickets.delete(queue);
    const search = this.searches.get(queue);
    if (search?.id === undefined) search?.reject(new CourtsideError('no_match', `No match was found: ${reason}.`, { reason }));
    this.port.resolve(id);
    this.port.progress({ queue, state: 'over', reason });
  }

  /** The page was reloaded: its session is in these queues. Searches that wait for the first `welcome` continue there. */
  inherit(list: NonNullable<Welcome['tickets']>): void {
    for (const { queue, room } of list) {
      this.tickets.set(queue, room);
      const search = this.searches.get(queue);
      if (!search || search.id === undefined) continue;
      this.sender.answer(search.id, undefined);
      if (room !== undefined) this.join(queue, room, search);
    }
  }

  /** The session is lost, or the client has closed. */
  lost(errorOf: () => CourtsideError): void {
    this.tickets.clear();
    for (const search of [...this.searches.values()]) search.reject(errorOf());
  }

  private begin(queue: string, search: Search, { data, party }: MatchSettings): void {
    if (this.tickets.has(queue)) {
      const room = this.tickets.get(queue);
      if (room !== undefined) this.join(queue, room, search);
      return;
    }
    const action: Action = { action: 'match', queue, ...(data !== undefined && { data }), ...(party && { party }) };
    const answered = (): void => {
      search.id = undefined;
      if (this.searches.get(queue) !== search) this.tickets.delete(queue);
    };
    search.id = this.sender.ask(action, answered, (error) => search.reject(error), false);
  }

  private join(queue: string, room: string, search: Search): void {
    void this.port.join(room).then(
      (joined) => {
        // Unless it is that of a newer search.
        if (this.tickets.get(queue) === room) this.tickets.delete(queue);
        if (this.searches.get(queue) === search) search.resolve(joined);
        // The search was given up, so nobody else would leave the room.
        else void joined.leave().catch(() => {});
      },
      (error: CourtsideError) => {
        // After the first, the search goes on; the others are told to everything that waits.
        if (['match_dissolved', 'session_lost', 'closed'].includes(error.code) || this.searches.get(queue) !== search) return;
        this.giveUp(queue, search);
        search.reject(error);
      },
    );
  }

  /** Leaves the queue. Returns whether the server may know of the search. */
  private giveUp(queue: string, { id }: Search): boolean {
    if (id !== undefined && this.sender.answer(id, undefined)) return false;
    this.tickets.delete(queue);
    // If the search has ended at the same moment, there is nothing to leave.
    this.sender.ask({ action: 'match.cancel', queue }, () => {}, () => {});
    return true;
  }
}
