import { systemClock, type Clock } from './clock';
import type { Format } from './protocol';
import { browserWakes } from './wake';

/** What this client uses of a `WebSocket` class: the browser's, Node's or a test's. */
export interface Socket {
  binaryType: string;
  readonly bufferedAmount: number;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

export type SocketClass = new (url: string) => Socket;

/** Every field may be left out. */
export interface ConnectOptions {
  /** The encoding of the session, both ways. Default `'json'`, which is easiest to read; `'msgpack'` makes smaller frames. */
  format?: Format;
  /**
   * A credential, sent as the query parameter `access_token` of each attempt to connect.
   * A function is asked before each attempt, so that it can hand out a fresh one; it may return a promise.
   * Default: none.
   */
  accessToken?: string | (() => string | Promise<string>);
  /** How many actions may wait for the server's confirmation, and how many requests for an answer. Default 4096. One more is refused with `queue_full`. */
  queueActions?: number;
  /** How many bytes of actions may wait for the server's confirmation. Default 1 MiB. What does not fit is refused with `queue_full`. */
  queueBytes?: number;
  /** Milliseconds from the start of an attempt to the server's welcome. Default 10,000. After that the attempt has failed and the next follows. */
  connectTimeoutMs?: number;
  /** Milliseconds that a ping may stay without any frame after it. Default 5,000. After that the server counts as dead and the client reconnects. Smaller finds out sooner, and gives up slow lines that lived. */
  pongTimeoutMs?: number;
  /** The ceiling of the first wait before reconnecting, in milliseconds; it doubles with each failure. Default 250. The wait is random below the ceiling. */
  backoffBaseMs?: number;
  /** The highest ceiling of that wait, in milliseconds. Default 20,000. Smaller comes back sooner, and loads a server that struggles. */
  backoffCapMs?: number;
  /** The WebSocket class. Default: the global one. Node before version 22 has none: hand in that of the package `ws` or `undici`. */
  WebSocket?: SocketClass;
  /** The time and timers. Default: the platform's. For tests. */
  clock?: Clock;
  /** Numbers from 0 to below 1 for the jitter. Default `Math.random`. For tests. */
  random?: () => number;
  /**
   * Told once how to wake the client: to reconnect at once if it waits, and to check the connection if it has one.
   * Returns how to stop. Default: when the browser says `online` and when a hidden page becomes visible.
   */
  wakeOn?: (wake: () => void) => () => void;
}

export type Settings = Required<Omit<ConnectOptions, 'accessToken' | 'WebSocket'>> & Pick<ConnectOptions, 'accessToken' | 'WebSocket'>;

/** The options with their defaults. */
export function settle(options: ConnectOptions): Settings {
  const defaults: Settings = {
    format: 'json',
    queueActions: 4096,
    queueBytes: 1024 * 1024,
    connectTimeoutMs: 10_000,
    pongTimeoutMs: 5_000,
    backoffBaseMs: 250,
    backoffCapMs: 20_000,
    clock: systemClock,
    random: Math.random,
    wakeOn: browserWakes,
  };
  // An option that is there but undefined means its default too.
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return { ...defaults, ...given };
}
