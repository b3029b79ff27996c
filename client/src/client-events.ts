import type { CourtsideError } from './errors.js';
import type { ClientState, Retry } from './link.js';
import type { Room } from './room.js';

/** What is gone after the server lost a session. Rooms were left, and channels go on by themselves. */
export interface Loss {
  /**
   * `expired`, `unknown` (for example a server that was restarted), `overflow` (it could keep no more) or `identity` (the
   * credential is somebody else's); `protocol` where this side gave up, and `moved` where a page that the browser had kept
   * found that another one has gone on with its session.
   */
  readonly reason: string;
  /** The ids of the rooms that were left by it, or before it because the server went away. Join again what is still wanted, apart from what was joined with `rejoin`. */
  readonly rooms: readonly string[];
  /** How many actions were never written, and so certainly had no effect. */
  readonly unsent: number;
  /** How many actions were written and never confirmed: they may have had an effect. */
  readonly unknown: number;
}

/** The events of a client, with what their listeners are given. */
export interface ClientEvents {
  /** Any change between `connecting`, `open`, `reconnecting` and `closed`. */
  state: [state: ClientState, previous: ClientState];
  /** The server can be reached. `resumed`: the session before goes on and nothing was missed. */
  open: [opening: { resumed: boolean; session: string }];
  /** A connection failed and the client comes back by itself. */
  retry: [retry: Retry];
  /** After a resume: all that was missed meanwhile has been handed on, so many counted events. */
  caughtup: [caught: { missed: number }];
  /** The page was reloaded and its session goes on. `join` gives the rooms as well, and channels are subscribed to as ever. */
  restored: [restored: { rooms: readonly Room[]; channels: readonly string[] }];
  /** The server refused the credential, with its reason. An `accessToken` function is asked for another one, once. */
  unauthorized: [refusal: CourtsideError];
  /** The server no longer has the session: what belonged to it is gone. */
  lost: [loss: Loss];
  /** An error that answers no request. */
  error: [error: CourtsideError];
  /** The end. With an error where the page did not wish it. */
  closed: [error: CourtsideError | undefined];
}
