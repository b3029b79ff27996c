/**
 * The codes of errors that this client makes by itself. Any other code is the server's or the application's.
 *
 * | code | what happened |
 * | --- | --- |
 * | `bad_url`, `no_websocket`, `bad_option` | something was given that cannot work |
 * | `bad_data` | a value is none that JSON.stringify can write |
 * | `too_big` | a message is longer than the server takes; it was not sent |
 * | `aborted`, `timeout` | the request was given up by its signal or its time; see `sent` |
 * | `queue_full` | the bound on unacknowledged actions or open requests is reached |
 * | `session_lost` | the server no longer has the session; see `sent` |
 * | `room_left` | the room was left before |
 * | `closed` | the client is closed and will not come back |
 * | `not_connected` | a ping needs a connection and there is none, or it broke meanwhile |
 * | `connect_failed`, `disconnected`, `token_failed`, `protocol` | a connection failed; the client comes back by itself |
 * | `goodbye` and the names of close codes | the server ended the connection for good |
 * | `unheard` | a room's messages were discarded because nobody listened |
 * | `bad_hash` | a whole state does not have the hash that the server says |
 */
export type OwnErrorCode =
  | 'bad_url' | 'no_websocket' | 'bad_option' | 'bad_data' | 'too_big' | 'aborted' | 'timeout' | 'queue_full' | 'session_lost' | 'room_left' | 'closed' | 'not_connected'
  | 'connect_failed' | 'disconnected' | 'token_failed' | 'protocol' | 'goodbye' | 'unheard' | 'bad_hash';

/** Every error of this client, and every `error` event of the server: a `code` for programs, a `message` for people. */
export class CourtsideError extends Error {
  override readonly name = 'CourtsideError';
  /** A stable word in snake_case: one of {@link OwnErrorCode}, a close code's name, or the server's own code. */
  readonly code: OwnErrorCode | (string & {});
  /**
   * Of a request that failed without an answer: whether it was ever written to a connection.
   * `false`: it certainly had no effect and is safe to repeat. `true`: it may have had one. Absent: the server answered.
   */
  readonly sent?: boolean;
  /** The room that the server's error speaks of, if it names one. */
  readonly room?: string;

  constructor(code: OwnErrorCode | (string & {}), message: string, details: { sent?: boolean; room?: string; cause?: unknown } = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.code = code;
    if (details.sent !== undefined) this.sent = details.sent;
    if (details.room !== undefined) this.room = details.room;
  }
}

/** What a thrown value says about itself, for a message. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
