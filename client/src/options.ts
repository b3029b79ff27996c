import { systemClock, type Clock } from './clock.js';
import { CourtsideError } from './errors.js';
import { browserPage, type PageListener } from './page.js';
import type { Format } from './protocol.js';
import { browserWakes } from './wake.js';

/** A server's address: a text, or a `URL`. */
export type Address = string | { readonly href: string };

/**
 * What this client uses of a `WebSocket` class: the browser's, Node's, that of the package `ws`, or a test's.
 * The handlers and `send` take anything, because each of those classes declares events and data of its own.
 */
export interface Socket {
  binaryType: string;
  readonly bufferedAmount: number;
  onmessage: ((event: any) => any) | null;
  onclose: ((event: any) => any) | null;
  onerror: ((event: any) => any) | null;
  send(data: any): void;
  close(code?: number, reason?: string): void;
}

export type SocketClass = new (url: string) => Socket;

/** What this client uses of `sessionStorage`. */
export interface TokenStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** A credential; undefined or null is a guest's. */
export type Credential = string | null | undefined;

/** Every field may be left out. What cannot work is refused with `bad_option`. */
export interface ConnectOptions {
  /** The encoding of the session, both ways. Default `'json'`, which is easiest to read; `'msgpack'` makes smaller frames. What can be sent is the same. */
  format?: Format | undefined;
  /**
   * A credential, sent as the query parameter `access_token` of each attempt to connect.
   * A function is asked before each attempt, so that it can hand out a fresh one; it may return a promise, and undefined
   * for a guest. If the server refuses the credential, the function is asked once more. Default: none.
   */
  accessToken?: Credential | (() => Credential | Promise<Credential>);
  /**
   * Keeps the session through a reload of the page: `sessionStorage`. What resumes the session is written when the page is
   * hidden for good and taken out when it is loaded, so that a duplicated tab does not have it.
   * Default: none, and then a page that is left ends its session at once.
   */
  storage?: TokenStorage | undefined;
  /** How many actions may wait for the server's confirmation, and how many requests for an answer. Default 4096. One more is refused with `queue_full`. */
  queueActions?: number | undefined;
  /** How many bytes of actions may wait for the server's confirmation. Default 1 MiB. What does not fit is refused with `queue_full`. */
  queueBytes?: number | undefined;
  /** Milliseconds from the start of an attempt to the server's welcome. Default 10,000, and less while a lost session's window runs out. After that the attempt has failed and the next follows. Infinity: never. */
  connectTimeoutMs?: number | undefined;
  /** Milliseconds that a ping may stay without any frame after it. Default 5,000. After that the server counts as dead and the client reconnects. Smaller finds out sooner, and gives up slow lines that lived. Infinity: never. */
  pongTimeoutMs?: number | undefined;
  /** The ceiling of the first wait before reconnecting, in milliseconds; it doubles with each failure. Default 250. The wait is random below the ceiling. */
  backoffBaseMs?: number | undefined;
  /** The highest ceiling of that wait, in milliseconds. Default 20,000. Smaller comes back sooner, and loads a server that struggles. */
  backoffCapMs?: number | undefined;
  /** The WebSocket class. Default: the global one. Node before version 22 has none: hand in that of the package `ws` or `undici`. */
  WebSocket?: SocketClass | undefined;
  /** The time and timers. Default: the platform's. For tests. */
  clock?: Clock | undefined;
  /** Numbers from 0 to below 1 for the jitter. Default `Math.random`. For tests. */
  random?: (() => number) | undefined;
  /**
   * Told once how to wake the client: to reconnect at once if it waits, and to check the connection if it has one.
   * Returns how to stop. Default: when the browser says `online` and when a hidden page becomes visible.
   */
  wakeOn?: ((wake: () => void) => () => void) | undefined;
  /** Told once whom to tell that the page goes and comes. Returns how to stop. Default: the browser's `pagehide` and `pageshow`. For tests. */
  pageOn?: ((page: PageListener) => () => void) | undefined;
}

type Given = 'accessToken' | 'WebSocket' | 'storage';
export type Settings = { readonly [K in Exclude<keyof ConnectOptions, Given>]-?: NonNullable<ConnectOptions[K]> } & Pick<ConnectOptions, Given>;

const DEFAULTS: Settings = {
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
  pageOn: browserPage,
};

/** What each option has to be, and the words for it. */
const RULES: Record<keyof ConnectOptions, readonly [fits: (value: unknown) => boolean, what: string]> = {
  format: [(value) => value === 'json' || value === 'msgpack', "'json' or 'msgpack'"],
  accessToken: [(value) => value === null || typeof value === 'string' || typeof value === 'function', 'a text, or a function that returns one or a promise of one'],
  storage: [hasMethods('getItem', 'setItem', 'removeItem'), 'a Storage such as sessionStorage'],
  queueActions: [isCount, 'a number from 1 on'],
  queueBytes: [isCount, 'a number from 1 on'],
  connectTimeoutMs: [isSpan, 'a number of milliseconds above 0, or Infinity'],
  pongTimeoutMs: [isSpan, 'a number of milliseconds above 0, or Infinity'],
  backoffBaseMs: [isSpan, 'a number of milliseconds above 0'],
  backoffCapMs: [isSpan, 'a number of milliseconds above 0'],
  WebSocket: [(value) => typeof value === 'function', 'a class like WebSocket'],
  clock: [hasMethods('now', 'setTimeout', 'clearTimeout'), 'an object with now, setTimeout and clearTimeout'],
  random: [(value) => typeof value === 'function', 'a function'],
  wakeOn: [(value) => typeof value === 'function', 'a function'],
  pageOn: [(value) => typeof value === 'function', 'a function'],
};

/** The options with their defaults. Throws `bad_option` for what cannot work. */
export function settle(options: ConnectOptions): Settings {
  if (typeof options !== 'object' || options === null) throw badOption('connect() takes its options as an object', options);
  // An option that is there but undefined means its default too.
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) {
    const rule = Object.hasOwn(RULES, name) ? RULES[name as keyof ConnectOptions] : undefined;
    if (!rule) throw badOption(`connect() has no option "${name}": there are ${Object.keys(RULES).join(', ')}`);
    if (!rule[0](value)) throw badOption(`connect() takes as ${name} ${rule[1]}`, value);
  }
  return { ...DEFAULTS, ...Object.fromEntries(given) };
}

/** An error about what the page gave to a call. */
export function badOption(rule: string, ...given: unknown[]): CourtsideError {
  const got = given.length === 0 ? '' : `, and was given ${typeof given[0] === 'string' ? `"${given[0]}"` : String(given[0])}`;
  return new CourtsideError('bad_option', `${rule}${got}.`);
}

/** Whether a value is a time that can pass: above zero, or Infinity for never. */
export function isSpan(value: unknown): boolean {
  return typeof value === 'number' && value > 0;
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && value >= 1;
}

function hasMethods(...names: string[]): (value: unknown) => boolean {
  return (value) => typeof value === 'object' && value !== null && names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}
