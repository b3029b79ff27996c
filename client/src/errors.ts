/**
 * The codes of the client's own errors. All other codes come from the server or the application.
 *
 * | code | what happened |
 * | --- | --- |
 * | `bad_url`, `no_websocket`, `bad_option` | an argument cannot work |
 * | `bad_data` | JSON.stringify cannot write the value |
 * | `too_big` | a message is longer than the server accepts; it was not sent |
 * | `aborted`, `timeout` | the request was given up by its signal or its timeout; see `sent` |
 * | `queue_full` | the bound on unacknowledged actions or open requests is reached |
 * | `session_lost` | the server no longer has the session; see `sent` |
 * | `room_left` | the room was left before |
 * | `unsubscribed` | the server ended the subscription; see `reason` |
 * | `no_match` | the search for a match has ended without one; see `reason` |
 * | `closed` | the client is closed and will not reconnect |
 * | `not_connected` | a ping needs a connection, and there is none or it was lost meanwhile |
 * | `connect_failed`, `disconnected`, `token_failed`, `protocol` | a connection failed; the client reconnects by itself |
 * | `goodbye` and the names of close codes | the server ended the connection for good |
 * | `unheard` | messages were discarded because no listener was registered |
 * | `bad_hash` | a whole state does not have the hash that the server sent with it |
 */
export type OwnErrorCode =
  | 'bad_url' | 'no_websocket' | 'bad_option' | 'bad_data' | 'too_big' | 'aborted' | 'timeout' | 'queue_full' | 'session_lost' | 'room_left' | 'unsubscribed' | 'no_match' | 'closed' | 'not_connected'
  | 'connect_failed' | 'disconnected' | 'token_failed' | 'protocol' | 'goodbye' | 'unheard' | 'bad_hash';

/** Every error of this client, and every `error` event of the server: a `code` for programs, a `message` for people. */
export class CourtsideError extends Error {
  override readonly name = 'CourtsideError';
  /** A stable word in snake_case: one of {@link OwnErrorCode}, a close code's name, or the server's own code. */
  readonly code: OwnErrorCode | (string & {});
  /**
   * For a request that failed without an answer: whether it was ever written to a connection.
   * `false`: it certainly had no effect and is safe to repeat. `true`: it may have had an effect. Absent: the server answered.
   */
  readonly sent?: boolean;
  /** The room that the server's error is about, if it names one. */
  readonly room?: string;
  /** With the code `unsubscribed` or `no_match`: the server's reason, such as `expired` or `timeout`. With a `closeCode`: what the server said. */
  readonly reason?: string;
  /** The close code with which the server ended the connection. 4400 to 4499 and 4901 to 4999 are the application's own. */
  readonly closeCode?: number;

  constructor(code: OwnErrorCode | (string & {}), message: string, details: { sent?: boolean; room?: string; reason?: string | undefined; closeCode?: number; cause?: unknown } = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.code = code;
    if (details.sent !== undefined) this.sent = details.sent;
    if (details.room !== undefined) this.room = details.room;
    if (details.reason !== undefined) this.reason = details.reason;
    if (details.closeCode !== undefined) this.closeCode = details.closeCode;
  }
}

/** The text of a thrown value, for an error message. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
