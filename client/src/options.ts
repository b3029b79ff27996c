import { systemClock, type Clock } from './clock.js';
import { CourtsideError } from './errors.js';
import { browserPage, type PageListener } from './page.js';
import type { Format } from './protocol.js';
import { browserWakes } from './wake.js';

/** A server's address: a string or a `URL`. */
export type Address = string | { readonly href: string };

/**
 * The part of a `WebSocket` class that this client uses: the browser's, Node's, that of the package `ws`, or a test's.
 * The handlers and `send` take `any`, because each of those classes declares its own events and data.
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

/** What carries a connection: a WebSocket, or server-sent events with requests for the actions. */
export type Transport = 'websocket' | 'events';

/** The part of `sessionStorage` that this client uses. */
export interface TokenStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** A credential; undefined or null means a guest. */
export type Credential = string | null | undefined;

/** Every field is optional. Options that cannot work are refused with `bad_option`. */
export interface ConnectOptions {
  /** The encoding of the session, both ways. Default `'json'`, which is easier to read; `'msgpack'` makes smaller frames. Both can carry the same data. */
  format?: Format | undefined;
  /**
   * A credential, sent as the query parameter `access_token` of each attempt to connect.
   * A function is called before each attempt, so that it can return a fresh one; it may return a promise, and undefined
   * for a guest. If the server refuses the credential, the function is called once more. It is also called when the server warns
   * that the credential expires soon; the session then continues with the fresh one. Default: none.
   */
  accessToken?: Credential | (() => Credential | Promise<Credential>);
  /**
   * Keeps the session across a reload of the page: `sessionStorage`. The client stores the session's token when the page is
   * hidden for good and removes it when the page loads, so that a duplicated tab does not have it.
   * Default: none; a page that is left then ends its session at once.
   */
  storage?: TokenStorage | undefined;
  /** How many actions may wait for the server's acknowledgement, and how many requests for an answer. Default 4096. Further ones are refused with `queue_full`. */
  queueActions?: number | undefined;
  /** How many bytes of actions may wait for the server's acknowledgement. Default 1 MiB. Further ones are refused with `queue_full`. */
  queueBytes?: number | undefined;
  /** Milliseconds from the start of an attempt to the server's `welcome`. Default 10,000, and less while a lost session's window runs out. After that the attempt has failed and the next follows. Infinity: no timeout. */
  connectTimeoutMs?: number | undefined;
  /** Milliseconds after a ping in which some frame must arrive. Default 5,000. After that the server counts as dead and the client reconnects. Smaller values detect this sooner but give up slow lines that still work. Infinity: no timeout. */
  pongTimeoutMs?: number | undefined;
  /** The upper limit of the first wait before reconnecting, in milliseconds; it doubles with each failure. Default 250. The wait is random below the limit. */
  backoffBaseMs?: number | undefined;
  /** The maximum of that limit, in milliseconds. Default 20,000. Smaller values reconnect sooner but put more load on a struggling server. */
  backoffCapMs?: number | undefined;
  /**
   * What carries the connections. `'auto'`: a WebSocket; after two failed attempts server-sent events, if those work, and a WebSocket
   * again as soon as one can be opened. `'websocket'` and `'events'`: only that. Default `'auto'`.
   */
  transport?: 'auto' | Transport | undefined;
  /** The function for HTTP requests, where there is no WebSocket. Default: the global `fetch`. If there is none, there are only WebSockets. */
  fetch?: ((url: string, options?: any) => Promise<any>) | undefined;
  /** The WebSocket class. Default: the global one. Node before version 22 has none: pass that of the package `ws` or `undici`. */
  WebSocket?: SocketClass | undefined;
  /** The time and timers. Default: the platform's. For tests. */
  clock?: Clock | undefined;
  /** Numbers from 0 to below 1 for the jitter. Default `Math.random`. For tests. */
  random?: (() => number) | undefined;
  /**
   * Called once with a function that wakes the client: the client reconnects at once if it waits, and checks the connection
   * if it has one. Returns a function that stops this. Default: wakes at the browser's `online` event and when a hidden page becomes visible.
   */
  wakeOn?: ((wake: () => void) => () => void) | undefined;
  /** Called once with a listener for hiding and showing of the page. Returns a function that stops this. Default: the browser's `pagehide` and `pageshow`. For tests. */
  pageOn?: ((page: PageListener) => () => void) | undefined;
}

type Given = 'accessToken' | 'WebSocket' | 'storage' | 'fetch';
export type Settings = { readonly [K in Exclude<keyof ConnectOptions, Given>]-?: NonNullable<ConnectOptions[K]> } & Pick<ConnectOptions, Given>;

const DEFAULTS: Settings = {
  format: 'json',
  transport: 'auto',
  fetch: (globalThis as { fetch?: (url: string, options?: unknown) => Promise<unknown> }).fetch?.bind(globalThis),
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

/** The check of each option, and its description for the error message. */
const RULES: Record<keyof ConnectOptions, readonly [fits: (value: unknown) => boolean, what: string]> = {
  format: [(value) => value === 'json' || value === 'msgpack', "'json' or 'msgpack'"],
  transport: [(value) => value === 'auto' || value === 'websocket' || value === 'events', "'auto', 'websocket' or 'events'"],
  fetch: [(value) => typeof value === 'function', 'a function like fetch'],
  accessToken: [(value) => value === null || typeof value === 'string' || typeof value === 'function', 'a string, or a function that returns one or a promise of one'],
  storage: [hasMethods('getItem', 'setItem', 'removeItem'), 'a Storage such as sessionStorage'],
  queueActions: [isCount, 'a number of at least 1'],
  queueBytes: [isCount, 'a number of at least 1'],
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

/** Fills in the defaults. Throws `bad_option` for options that cannot work. */
export function settle(options: ConnectOptions): Settings {
  if (typeof options !== 'object' || options === null) throw badOption('connect() expects its options to be an object', options);
  // An option that is undefined means its default, too.
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) {
    const rule = Object.hasOwn(RULES, name) ? RULES[name as keyof ConnectOptions] : undefined;
    if (!rule) throw badOption(`connect() has no option "${name}"; the options are ${Object.keys(RULES).join(', ')}`);
    if (!rule[0](value)) throw badOption(`connect() expects ${name} to be ${rule[1]}`, value);
  }
  return { ...DEFAULTS, ...Object.fromEntries(given) };
}

/** An error about an argument of the application. */
export function badOption(rule: string, ...given: unknown[]): CourtsideError {
  const got = given.length === 0 ? '' : `, but got ${typeof given[0] === 'string' ? `"${given[0]}"` : String(given[0])}`;
  return new CourtsideError('bad_option', `${rule}${got}.`);
}

/** Whether a value is a duration above zero; Infinity means never. */
export function isSpan(value: unknown): boolean {
  return typeof value === 'number' && value > 0;
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && value >= 1;
}

function hasMethods(...names: string[]): (value: unknown) => boolean {
  return (value) => typeof value === 'object' && value !== null && names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}
