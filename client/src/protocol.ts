// The terms of the wire protocol, version 1: what a client may send, what a server may send, and what each close code means.
// Everything that both ends must agree on is in this file; the rest of the client uses its terms.

/** The encoding of a session: text frames of JSON or binary frames of MessagePack, with the same field names. */
export type Format = 'json' | 'msgpack';

/** A position in a channel: the offset of a publication within an epoch. In a new epoch the offsets start again. */
export interface Position {
  readonly epoch: string;
  readonly offset: number;
}

/** How a join by kind finds its room: `any` joins one or creates it, `create` always creates, `existing` never does. */
export type JoinMode = 'any' | 'create' | 'existing';

/** An action that the server counts. An `id` requests exactly one answer. */
export type Action = (
  | { action: 'join'; room: string; options?: unknown; data?: unknown }
  | { action: 'join'; kind: string; mode?: JoinMode; options?: unknown; data?: unknown }
  | { action: 'leave'; room: string }
  | { action: 'send'; room: string; type: string; data?: unknown }
  | { action: 'sync'; room: string }
  | { action: 'call'; type: string; data?: unknown }
  | ({ action: 'subscribe'; channel: string; since?: Position | undefined; presence?: boolean; data?: unknown } & Wish)
  | { action: 'history'; channel: string; before?: number; since?: Position; limit?: number }
  | { action: 'unsubscribe'; channel: string }
  | { action: 'publish'; channel: string; data: unknown }
  | { action: 'match'; queue: string; data?: unknown; party?: { readonly code: string; readonly size: number } }
  | { action: 'match.cancel'; queue: string }
  | { action: 'refresh'; token: string }
  | { action: 'presence'; channel: string; data?: unknown }
  | { action: 'presence'; room: string; data?: unknown }
  | { action: 'rooms.follow'; kind: string; filter?: RoomFilter | undefined; after?: string | undefined; limit?: number | undefined }
  | { action: 'rooms.unfollow'; listing: number }
) & { id?: number };

/** The only action that is not counted: it acknowledges events, measures the round trip and checks that the server is alive. */
export interface Ping {
  action: 'ping';
  received: number;
  id: number;
}

export interface Welcome {
  event: 'welcome';
  protocol: number;
  session: string;
  resume: string;
  resumed: boolean;
  reason?: string;
  received: number;
  time: number;
  ping_ms: number;
  window_ms: number;
  /** How many counted events the session has produced so far. */
  sent?: number;
  limits?: Limits;
  /** After a reload of the page: the rooms of its session. */
  rooms?: readonly { room: string; kind: string; member: number }[];
  /** After a reload of the page: the channels of its session. */
  subscriptions?: readonly string[];
  /** After a reload of the page: the queues in which its session is, with the room of a match. */
  tickets?: readonly { queue: string; room?: string }[];
}

/** The server's limits that a client can observe. */
export interface Limits {
  /** Bytes of one message. A longer one would end the connection, so it is not sent. */
  readonly message_bytes: number;
  /** How deeply objects and arrays may be nested, the action itself included. */
  readonly nesting: number;
  /** Rooms of one session. */
  readonly rooms: number;
  /** Subscriptions of one session. */
  readonly subscriptions: number;
  /** Calls of one session that wait for their reply. */
  readonly calls: number;
  /** Actions of one session that rooms and channels have not processed yet; the server reads no more until they have. */
  readonly actions_in_flight: number;
  /** How many messages a session may send. Absent: no limit. */
  readonly rate?: { readonly per_second: number; readonly burst: number };
}

export interface Pong {
  event: 'pong';
  received: number;
  time: number;
  id?: number;
}

export interface Goodbye {
  event: 'goodbye';
  code: number;
  reason: string;
  /** The code of the refusal, if there is one. */
  error?: string;
  reconnect?: { after_ms: number; jitter_ms: number };
}

/** What a newcomer to a channel asks for. */
export interface Wish {
  /** So many of the newest publications. */
  last?: number | undefined;
  /** The publications from this time on, in Unix milliseconds. */
  from?: number | undefined;
  /** Publications as patches. */
  delta?: boolean | undefined;
}

export interface Publication {
  offset: number;
  data: unknown;
}

/** A publication, whole or as a merge patch of the one before. */
export type PublicationEvent = { event: 'publication'; channel: string; offset: number; data?: unknown; patch?: unknown };

/** An entry of a list of who is present. */
export interface PresenceEntry {
  id: string;
  data?: unknown;
  sessions: number;
}

/** Who is present: with `members` the whole list, with `base` a change of it, with neither only the number. */
export interface PresenceEvent {
  event: 'presence';
  channel?: string;
  room?: string;
  version: number;
  count?: number;
  members?: readonly PresenceEntry[];
  base?: number;
  joined?: readonly PresenceEntry[];
  changed?: readonly PresenceEntry[];
  left?: readonly string[];
}

/** Which rooms of a kind a listing shows. Every condition must hold. */
export interface RoomFilter {
  /** Values of fields that the kind is matched on. */
  readonly fields?: Readonly<Record<string, unknown>> | undefined;
  /** Only rooms that are locked, or only those that are not. */
  readonly locked?: boolean | undefined;
  /** Only rooms that have a free seat, or only those that have none. */
  readonly has_space?: boolean | undefined;
}

/** A room in a listing. */
export interface RoomEntry {
  readonly room: string;
  readonly kind: string;
  readonly members: number;
  readonly capacity: number;
  readonly locked: boolean;
  readonly metadata: unknown;
}

/** A page of a listing: with `rooms` the whole page, with `base` a change of it. */
export interface RoomsEvent {
  event: 'rooms';
  listing: number;
  version: number;
  kind?: string;
  rooms?: readonly RoomEntry[];
  base?: number;
  added?: readonly RoomEntry[];
  changed?: readonly RoomEntry[];
  removed?: readonly string[];
  /** The last room, if there are more behind the page. */
  next?: string;
}

/** A room's whole state. */
export interface StateEvent {
  event: 'state';
  room: string;
  tick: number;
  data: unknown;
  /** In MessagePack: the keys that later patches refer to by number. Absent: none yet. */
  keys?: readonly string[];
  /** The hash of `data`. Absent: not checked. */
  hash?: number;
}

/** What has changed in a room's state since tick `base`. */
export interface PatchEvent {
  event: 'patch';
  room: string;
  tick: number;
  base: number;
  /** A JSON merge patch; in MessagePack still packed, see `Packed`. */
  data: unknown;
  /** The hash of the state after the patch. Absent: not checked. */
  hash?: number;
}

/** A room's message or signal. A message of the application has no room. */
export interface RoomMessage {
  event: 'message' | 'signal';
  room: string;
  type: string;
  data?: unknown;
}

/** An event that the session passes on to rooms, channels and pending requests. */
export type SessionEvent =
  | { event: 'joined'; id?: number; room: string; kind: string; member: number }
  | { event: 'left'; id?: number; room: string; reason: string; message?: string }
  | RoomMessage
  | (Omit<RoomMessage, 'event' | 'room'> & { event: 'message'; room?: undefined })
  | StateEvent
  | PatchEvent
  | { event: 'subscribed'; id?: number; channel: string; epoch: string; offset: number; recovered: boolean; publications?: Publication[]; delta?: boolean; base?: Publication; data?: unknown; expires_ms?: number }
  | { event: 'unsubscribed'; id?: number; channel: string; reason: string }
  | PublicationEvent
  | { event: 'latest'; channel: string; offset: number; data: unknown }
  | { event: 'published'; id?: number; channel: string; offset: number }
  | PresenceEvent
  | RoomsEvent
  | { event: 'queued'; id?: number; queue: string; waited_ms: number; party?: { present: number; size: number } }
  | { event: 'matched'; queue: string; room: string; kind: string; join_ms: number }
  | { event: 'no_match'; id?: number; queue: string; reason: string }
  | { event: 'reply'; id?: number; data?: unknown }
  | { event: 'expiring'; in_ms: number }
  | { event: 'error'; id?: number; code: string; message: string; room?: string };

export type ServerEvent = Welcome | Pong | Goodbye | SessionEvent;

const UNCOUNTED = new Set(['welcome', 'pong', 'goodbye', 'signal', 'state', 'patch', 'latest', 'presence', 'rooms', 'expiring']);

/** Whether an event is counted. Events that this client does not know are counted. */
export function isSequenced(event: string): boolean {
  return !UNCOUNTED.has(event);
}

/** The client closes with this code to end its session. */
export const CLOSE_DONE = 1000;
/** The client closes with this code if it may reconnect: the session continues. */
export const CLOSE_AWAY = 4900;
export const CLOSE_SUPERSEDED = 4500;
export const CLOSE_UNAUTHORIZED = 4501;

/** What a close code means to a client, and whether the client should reconnect by itself. */
export interface CloseCode {
  readonly code: number;
  readonly name: string;
  readonly comesBack: boolean;
  /** A sentence for people: what happened and what to do. */
  readonly meaning: string;
}

/** The codes with a meaning of their own. All others follow the rule of {@link closePolicy}. */
export const CLOSE_CODES: readonly CloseCode[] = [
  { code: 1008, name: 'policy', comesBack: false, meaning: 'The server’s policy refused this connection: see the server’s log.' },
  { code: 1009, name: 'too_big', comesBack: false, meaning: 'The server refused a message as too big: send smaller ones, or raise the server’s limit.' },
  { code: 4000, name: 'heartbeat', comesBack: true, meaning: 'The server received nothing from this client for too long.' },
  { code: 4001, name: 'slow', comesBack: true, meaning: 'This client did not read fast enough, and its queue on the server is full.' },
  { code: 4002, name: 'drain', comesBack: true, meaning: 'The server is shutting down.' },
  { code: 4500, name: 'superseded', comesBack: false, meaning: 'The session continues on another connection, so this one was closed.' },
  { code: 4501, name: 'unauthorized', comesBack: false, meaning: 'The server does not accept this credential: sign in and call connect() again.' },
  { code: 4502, name: 'violation', comesBack: false, meaning: 'The server received too many frames that are not valid actions, or too many actions: send less often.' },
  { code: 4503, name: 'kicked', comesBack: false, meaning: 'The application ended this connection.' },
];

/** 4000–4499 and WebSocket's own codes: reconnect, with jitter. 4500–4999: do not. The rows of the table take precedence. 4400–4499 and 4901–4999 are the application's. */
export function closePolicy(code: number): CloseCode {
  const known = CLOSE_CODES.find((row) => row.code === code);
  if (known) return known;
  if (code >= 4901 && code <= 4999) return { code, name: 'kicked', comesBack: false, meaning: `The application ended this connection (code ${code}).` };
  const comesBack = code < 4500;
  const ended = code === 1006 ? 'The connection was lost.' : `The connection ended (code ${code}).`;
  const meaning = comesBack ? ended : `The server closed this connection for good (code ${code}).`;
  return { code, name: 'unnamed', comesBack, meaning };
}
