import { decode } from '@msgpack/msgpack';
import type { Format } from '../../src/protocol.js';
import type { FakeClock } from './clock.js';
import type { FakeSocket, ServerSide } from './network.js';
import { pack } from './pack.js';

// A model of a server, written from the protocol and sharing no code with the client.

export interface Act {
  action: string;
  id?: number;
  [field: string]: any;
}

interface ModelSession {
  id: string;
  format: Format;
  token: string;
  /** Stays valid until the first frame arrives on the connection that replaced it. */
  before: string | undefined;
  /** How many counted actions were processed. */
  actions: number;
  /** Every counted event of the session. */
  events: object[];
  socket: FakeSocket | undefined;
  rooms: Map<string, { kind: string; member: number }>;
  /** The attempt that resumed it last. */
  attempt: number;
  hasEnded: boolean;
  channels: Set<string>;
  /** The channels and rooms whose list of who is present it follows. */
  watched: Set<string>;
  followsRooms: boolean;
  /** The queues in which it is, with the room of a match. */
  tickets: Map<string, string | undefined>;
}

interface Entry {
  id: string;
  data?: unknown;
  sessions: number;
}

const UNCOUNTED = ['welcome', 'pong', 'signal', 'state', 'patch', 'latest', 'presence', 'rooms', 'expiring', 'goodbye'];
const KINDS_REFUSED = 'closed_kind';

export class ServerModel implements ServerSide {
  readonly sessions: ModelSession[] = [];
  /** Every counted action that was processed, in order, with its session. */
  readonly log: (Act & { session: string })[] = [];
  readonly pings: Act[] = [];
  /** The reason with which the next resume is refused. */
  refuseResume: string | undefined;
  pingMs = 10_000;
  windowMs = 30_000;
  protocol = 1;
  messageBytes = 65_536;
  /** Credentials that are refused. */
  readonly refused = new Set<string | null>();
  /** Whether actions are not answered: the test does that. */
  holds = false;
  /** The code that says why no fresh credential can be checked. */
  uncheckable: string | undefined;
  /** Kinds with a single room, so that a second join leads to the same one. */
  readonly single = new Set<string>();
  /** Rooms that have ended. */
  readonly ended = new Set<string>();
  /** Actions of these types get no answer until `answer` is called. */
  readonly silent = new Set<string>();
  answersPings = true;
  /** Whether a joining client receives a state at once. */
  tellsJoiners = true;
  /** The answer to a request for a room's state; undefined while the answer is in flight. */
  whole: { tick: number; data: unknown; keys?: string[]; hash?: number } | undefined = { tick: 1000, data: { synced: true } };
  epoch = 'one';
  /** How many publications are retained. */
  retained = Infinity;
  /** How many subscriptions are refused with `hurryCode`. */
  tooFast = 0;
  hurryCode = 'too_fast';
  /** What a subscriber is given to begin with, and for how long it may stay. */
  given: { data?: unknown; expires_ms?: number } = {};
  /** Who is present, everywhere. */
  present: Entry[] = [];
  presenceVersion = 0;
  /** The rooms of the one listing, and its version. */
  listed: readonly { room: string }[] = [];
  listVersion = 0;
  readonly histories = new Map<string, { offset: number; data: unknown }[]>();
  private readonly offsets = new Map<string, number>();
  private readonly of = new Map<FakeSocket, ModelSession>();
  private serial = 0;
  private members = 0;

  constructor(private readonly clock: FakeClock) {}

  get session(): ModelSession {
    const session = this.sessions.at(-1);
    if (!session) throw new Error('no session yet');
    return session;
  }

  time(): number {
    return 1_764_000_000_000 + this.clock.now();
  }

  opened(socket: FakeSocket): void {
    const { query } = socket;
    if (this.refused.has(query.get('access_token'))) {
      return this.turnAway(socket, { event: 'goodbye', code: 4501, reason: 'Your ticket has expired.', error: 'ticket_expired' });
    }
    const resume = query.get('resume');
    let reason: string | undefined;
    let session: ModelSession | undefined;
    if (resume !== null) {
      const known = this.sessions.find((each) => !each.hasEnded && (each.token === resume || each.before === resume));
      session = this.refuseResume ? undefined : known;
      if (!session) reason = this.refuseResume ?? 'unknown';
    }
    const attempt = Number(query.get('attempt') ?? session?.attempt ?? 0);
    if (query.get('end') === 'true') {
      if (session) this.end(session);
      return void socket.down.push({ close: 1000 });
    }
    if (session && attempt < session.attempt) return this.turnAway(socket, { event: 'goodbye', code: 4500, reason: 'superseded' });
    // The client has gone, so do not begin a session.
    if (!session && socket.hasArrived) return;
    const resumed = session !== undefined;
    const isRestored = resumed && query.get('restore') === 'true';
    const received = Number(query.get('received') ?? (isRestored ? session?.events.length : 0));
    const token = `token-${(this.serial += 1)}`;
    if (session) {
      if (session.socket) {
        this.of.delete(session.socket);
        this.turnAway(session.socket, { event: 'goodbye', code: 4500, reason: 'superseded' });
      }
      session.before = resume as string;
      session.token = token;
      session.socket = socket;
      session.attempt = attempt;
    } else {
      session = {
        id: `session-${this.serial}`, format: (query.get('format') ?? 'json') as Format, token, before: undefined,
        actions: 0, events: [], socket, rooms: new Map(), channels: new Set(), watched: new Set(), tickets: new Map(), followsRooms: false, attempt: 0, hasEnded: false,
      };
      this.sessions.push(session);
    }
    this.of.set(socket, session);
    this.tell(session, {
      event: 'welcome', protocol: this.protocol, session: session.id, resume: token, resumed, ...(reason && { reason }),
      received: session.actions, time: this.time(), ping_ms: this.pingMs, window_ms: this.windowMs, sent: session.events.length,
      limits: { message_bytes: this.messageBytes, nesting: 32, rooms: 16, subscriptions: 128, calls: 64, actions_in_flight: 256 },
      ...(isRestored && { rooms: [...session.rooms].map(([room, seat]) => ({ room, ...seat })), subscriptions: [...session.channels] }),
      ...(isRestored && session.tickets.size > 0 && { tickets: [...session.tickets].map(([queue, room]) => ({ queue, ...(room && { room }) })) }),
    });
    if (resumed) {
      for (const event of session.events.slice(received)) this.write(session, event);
      for (const room of session.rooms.keys()) this.state(room, { again: true }, session);
      for (const name of session.watched) this.tell(session, this.list(name));
      if (isRestored) session.followsRooms = false;
      if (session.followsRooms) this.tell(session, this.rooms());
    }
  }

  closed(socket: FakeSocket, code: number): void {
    const session = this.of.get(socket);
    if (session?.socket === socket && (code === 1000 || code === 1005)) this.end(session);
    this.gone(socket);
  }

  private end(session: ModelSession): void {
    session.hasEnded = true;
    session.rooms.clear();
    session.channels.clear();
  }

  /** The credential of this connection's session has expired. */
  expire(socket: FakeSocket): void {
    this.turnAway(socket, { event: 'goodbye', code: 4501, reason: 'The credential has expired.', error: 'expired' });
  }

  /** A goodbye in place of a welcome, and the end. */
  private turnAway(socket: FakeSocket, goodbye: { code: number; [field: string]: unknown }): void {
    socket.down.push(JSON.stringify(goodbye), { close: goodbye.code });
  }

  gone(socket: FakeSocket): void {
    const session = this.of.get(socket);
    if (session?.socket === socket) session.socket = undefined;
    this.of.delete(socket);
  }

  frame(socket: FakeSocket, frame: string | ArrayBuffer): void {
    const session = this.of.get(socket);
    if (!session) return;
    session.before = undefined;
    const act = (typeof frame === 'string' ? JSON.parse(frame) : decode(frame)) as Act;
    if (act.action === 'ping') {
      this.pings.push(act);
      if (this.answersPings) this.tell(session, { event: 'pong', received: session.actions, time: this.time(), id: act.id });
      return;
    }
    session.actions += 1;
    this.log.push({ ...act, session: session.id });
    if (!this.holds && !this.silent.has(act.type)) this.process(session, act);
  }

  /** Sends an event to the session; it is kept for a resume if it is counted. */
  tell(session: ModelSession, event: { event: string; [field: string]: unknown }): void {
    if (!UNCOUNTED.includes(event.event)) session.events.push(event);
    this.write(session, event);
  }

  message(room: string, type: string, data?: unknown, session = this.session): void {
    this.tell(session, { event: 'message', room, type, ...(data !== undefined && { data }) });
  }

  state(room: string, data: unknown, session = this.session): void {
    this.tell(session, { event: 'state', room, tick: (this.serial += 1), data });
  }

  publish(channel: string, data: unknown): number {
    const offset = (this.offsets.get(channel) ?? 0) + 1;
    this.offsets.set(channel, offset);
    const history = this.histories.get(channel) ?? [];
    this.histories.set(channel, [...history, { offset, data }].slice(-this.retained));
    for (const session of this.sessions) {
      if (session.channels.has(channel)) this.tell(session, { event: 'publication', channel, offset, data });
    }
    return offset;
  }

  /** Loses a channel's stream, as after a crash: offsets start again in a new epoch. */
  restartStream(channel: string): void {
    this.epoch += '+';
    this.offsets.delete(channel);
    this.histories.delete(channel);
  }

  /** The whole list of a channel or room. */
  list(name: string): { event: string; [field: string]: unknown } {
    const members = [...this.present];
    return { event: 'presence', ...this.place(name), version: this.presenceVersion, count: members.length, members };
  }

  /** A change of the list since the last version. */
  change(name: string, { joined = [], changed = [], left = [] }: { joined?: Entry[]; changed?: Entry[]; left?: string[] }): { event: string; [field: string]: unknown } {
    this.present = [...this.present.filter(({ id }) => ![...joined, ...changed].some((each) => each.id === id) && !left.includes(id)), ...joined, ...changed];
    this.presenceVersion += 1;
    return { event: 'presence', ...this.place(name), base: this.presenceVersion - 1, version: this.presenceVersion, count: this.present.length, joined, changed, left };
  }

  /** The whole page of the listing. */
  private rooms(): { event: string; [field: string]: unknown } {
    return { event: 'rooms', listing: 1, kind: 'arena', version: this.listVersion, rooms: this.listed };
  }

  /** A change of the listing. `arrives`: whether the followers receive it. */
  relist(change: { added?: { room: string }[]; changed?: { room: string }[]; removed?: string[]; next?: string }, arrives = true): void {
    const { added = [], changed = [], removed = [] } = change;
    const gone = new Set([...removed, ...[...added, ...changed].map(({ room }) => room)]);
    this.listed = [...this.listed.filter(({ room }) => !gone.has(room)), ...added, ...changed];
    const base = this.listVersion;
    this.listVersion += 1;
    for (const session of this.sessions) {
      if (arrives && session.followsRooms) this.tell(session, { event: 'rooms', listing: 1, base, version: this.listVersion, ...change });
    }
  }

  private place(name: string): { room: string } | { channel: string } {
    return this.session.rooms.has(name) ? { room: name } : { channel: name };
  }

  /** Makes a match for the session. */
  matched(queue: string, room: string, session = this.session): void {
    session.tickets.set(queue, room);
    this.tell(session, { event: 'matched', queue, room, kind: 'duel', join_ms: 10_000 });
  }

  /** The session searches on, because another player has not joined. */
  dissolved(queue: string, waited: number, session = this.session): void {
    session.tickets.set(queue, undefined);
    this.tell(session, { event: 'queued', queue, waited_ms: waited });
  }

  /** Ends a search. */
  noMatch(queue: string, reason: string, session = this.session): void {
    session.tickets.delete(queue);
    this.tell(session, { event: 'no_match', queue, reason });
  }

  /** Forgets every session, as a restart would. */
  forgetSessions(): void {
    for (const session of this.sessions) {
      session.token = session.before = 'forgotten';
      session.channels.clear();
      session.watched.clear();
      session.followsRooms = false;
      session.rooms.clear();
      session.tickets.clear();
    }
  }

  process(session: ModelSession, act: Act): void {
    const { id } = act;
    const answer = (event: string, fields: object): void => this.tell(session, { event, ...(id !== undefined && { id }), ...fields });
    switch (act.action) {
      case 'join': {
        if (act.kind === KINDS_REFUSED) return answer('error', { code: 'unknown_kind', message: `There is no room kind ${act.kind}.` });
        const room = act.room ?? (this.single.has(act.kind) ? `${act.kind}-1` : `${act.kind}-${(this.serial += 1)}`);
        if (this.ended.has(room)) return answer('error', { code: 'unknown_room', message: 'There is no such room.' });
        if (session.rooms.has(room)) return answer('error', { code: 'already_member', message: 'This session is in that room.' });
        for (const [queue, matched] of session.tickets) if (matched === room) session.tickets.delete(queue);
        const seat = { kind: act.kind ?? 'arena', member: (this.members += 1) };
        session.rooms.set(room, seat);
        answer('joined', { room, ...seat });
        return this.tellsJoiners ? this.state(room, { joined: true }, session) : undefined;
      }
      case 'match':
        if (act.queue === 'none') return answer('error', { code: 'unknown_queue', message: 'There is no such queue.' });
        session.tickets.set(act.queue, undefined);
        return answer('queued', { queue: act.queue, waited_ms: 0, ...(act.party && { party: { present: 1, size: act.party.size } }) });
      case 'match.cancel':
        if (!session.tickets.delete(act.queue)) return answer('error', { code: 'not_queued', message: 'Not in this queue.' });
        return answer('no_match', { queue: act.queue, reason: 'cancelled' });
      case 'refresh':
        if (this.uncheckable) return answer('error', { code: this.uncheckable, message: 'Not now.' });
        if (this.refused.has(act.token)) return answer('error', { code: 'ticket_expired', message: 'Your ticket has expired.' });
        return answer('reply', { data: { expires_ms: 60_000 } });
      case 'leave':
        session.rooms.delete(act.room);
        return answer('left', { room: act.room, reason: 'left' });
      case 'sync':
        answer('reply', {});
        if (this.whole) this.tell(session, { event: 'state', room: act.room, ...this.whole });
        return;
      case 'send':
      case 'call':
        if (act.type === 'refuse') return answer('error', { code: 'refused', message: 'Not now.', ...(act.room && { room: act.room }) });
        if (id !== undefined) answer('reply', { data: { echo: act.data ?? null } });
        return;
      case 'subscribe': {
        if (act.channel === 'secret') return answer('error', { code: 'unknown_channel', message: 'There is no such channel.' });
        if (this.tooFast > 0) {
          this.tooFast -= 1;
          // Of a subscription that it cannot read, a server changes nothing; any other refusal ends the one that there was.
          if (!['bad_field', 'too_deep'].includes(this.hurryCode)) session.channels.delete(act.channel);
          return answer('error', { code: this.hurryCode, message: 'Not now.' });
        }
        session.channels.add(act.channel);
        const history = this.histories.get(act.channel) ?? [];
        const offset = this.offsets.get(act.channel) ?? 0;
        const since = act.since as { epoch: string; offset: number } | undefined;
        const oldest = history[0]?.offset ?? offset + 1;
        const recovered = since !== undefined && since.epoch === this.epoch && since.offset + 1 >= oldest;
        const publications = recovered ? history.filter((each) => each.offset > since.offset) : history.slice(-(act.last ?? Infinity) || history.length);
        const newest = history.at(-1);
        const base = act.delta && newest && publications.at(-1) !== newest && { base: newest };
        answer('subscribed', { channel: act.channel, epoch: this.epoch, offset, recovered, publications, ...(act.delta && { delta: true }), ...base, ...this.given });
        if (!act.presence) return void session.watched.delete(act.channel);
        session.watched.add(act.channel);
        return this.tell(session, this.list(act.channel));
      }
      case 'history': {
        if (!session.channels.has(act.channel)) return answer('error', { code: 'not_subscribed', message: 'Subscribe first.' });
        const all = this.histories.get(act.channel) ?? [];
        const before = all.filter(({ offset }) => offset < (act.before ?? Infinity));
        const publications = before.slice(-act.limit);
        return answer('reply', { data: { epoch: this.epoch, offset: all.at(-1)?.offset ?? 0, publications, more: publications.length < before.length } });
      }
      case 'unsubscribe':
        session.channels.delete(act.channel);
        return answer('unsubscribed', { channel: act.channel, reason: 'left' });
      case 'presence':
        if (act.data === undefined) this.tell(session, this.list(act.channel ?? act.room));
        return answer('reply', {});
      case 'rooms.follow':
        if (act.kind === KINDS_REFUSED) return answer('error', { code: 'unknown_kind', message: `There is no room kind ${act.kind}.` });
        if (this.tooFast > 0) {
          this.tooFast -= 1;
          return answer('error', { code: this.hurryCode, message: 'Not now.' });
        }
        session.followsRooms = true;
        answer('reply', { data: { listing: 1 } });
        return this.tell(session, this.rooms());
      case 'rooms.unfollow':
        session.followsRooms = false;
        return answer('reply', {});
      case 'publish':
        return answer('published', { channel: act.channel, offset: this.publish(act.channel, act.data) });
      default:
        return answer('error', { code: 'unknown_action', message: `There is no action ${act.action}.` });
    }
  }

  private write(session: ModelSession, event: object): void {
    const { socket } = session;
    if (!socket?.alive) return;
    socket.down.push(session.format === 'json' ? JSON.stringify(event) : pack(event).slice().buffer);
  }
}
