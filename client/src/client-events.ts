import type { CourtsideError } from './errors.js';
import type { ClientState, Retry } from './link.js';
import type { MatchProgress } from './matches.js';
import type { Transport } from './options.js';
import type { Room } from './room.js';

/** What is lost with a session. Its rooms were left; channels continue by themselves. */
export interface Loss {
  /**
   * `expired`, `unknown` (for example, the server was restarted), `overflow` (more was missed than the server keeps),
   * `identity` (the credential belongs to another subject) or `disconnected` (the application has ended the session); `protocol` if this client gave the session up, and `moved` if a
   * page from the back-forward cache found that another page has continued its session.
   */
  readonly reason: string;
  /** The ids of the rooms that were left, including rooms left before because the server shut down. Join again the rooms that are still needed, except those joined with `rejoin`. */
  readonly rooms: readonly string[];
  /** How many actions were never written and so certainly had no effect. */
  readonly unsent: number;
  /** How many actions were written but never acknowledged: they may have had an effect. */
  readonly unknown: number;
}

/** The events of a client and the arguments of their listeners. */
export interface ClientEvents {
  /** Any change between `connecting`, `open`, `reconnecting` and `closed`. */
  state: [state: ClientState, previous: ClientState];
  /** The client is connected. `resumed`: the previous session continues and nothing was missed. */
  open: [opening: { resumed: boolean; session: string }];
  /** The connection is now carried by something else than the one before: server-sent events if WebSockets fail, or a WebSocket again. */
  transport: [transport: Transport, previous: Transport];
  /** A connection failed; the client reconnects by itself. */
  retry: [retry: Retry];
  /** After a resume: all missed events have been delivered; `missed` is the number of counted ones. */
  caughtup: [caught: { missed: number }];
  /** The page was reloaded and its session continues. `join` returns these rooms as well; subscribe to channels as always. `match` continues the search in one of these queues. */
  restored: [restored: { rooms: readonly Room[]; channels: readonly string[]; queues: readonly string[] }];
  /** A search for a match has begun, has a match, or has ended without one. */
  match: [progress: MatchProgress];
  /** The application has subscribed this client to a channel. `client.subscribe` receives its publications; without it, they are ignored. */
  subscribed: [subscribed: { channel: string }];
  /**
   * The server refused the credential, with a reason. If `accessToken` is a function, it is called for another one, once.
   * With the code `expired`, the session has ended with its credential. If a fresh credential was refused during a session, the
   * session continues until the one before it expires.
   */
  unauthorized: [refusal: CourtsideError];
  /** The server no longer has the session. */
  lost: [loss: Loss];
  /** An error that answers no request. */
  error: [error: CourtsideError];
  /**
   * The client is closed. With an error if the application did not close it: `closeCode` and `reason` say why the server has ended
   * the connection.
   */
  closed: [error: CourtsideError | undefined];
}
