import { Backoff } from './backoff';
import { resolveAddress, withQuery } from './address';
import type { Frame } from './codec';
import { Connection } from './connection';
import { CourtsideError, reasonOf } from './errors';
import { Heartbeat } from './heartbeat';
import type { Settings, SocketClass } from './options';
import { closePolicy, type Goodbye, type Pong, type SessionEvent, type Welcome } from './protocol';

/**
 * `connecting` until the first welcome, `open` while the server can be reached, `reconnecting` between,
 * and `closed` for good.
 */
export type ClientState = 'connecting' | 'open' | 'reconnecting' | 'closed';

/** A connection failed and the next attempt is planned. */
export interface Retry {
  /** How many connections or attempts have failed in a row; 0 where the page itself cut the connection. */
  readonly attempt: number;
  /** Milliseconds until the next attempt. */
  readonly delayMs: number;
  /** What happened. */
  readonly error: CourtsideError;
}

/** The client above the link. */
export interface LinkOwner {
  /** What the next attempt says of the session. */
  query(): Record<string, string | undefined>;
  /** The server's first word. The owner takes the connection into use, or calls `breakOff`. */
  welcome(welcome: Welcome, attemptedAt: number): void;
  event(event: SessionEvent | Pong, size: number): void;
  /** A frame came that nobody can read, so nobody knows whether it counted. */
  garbage(): void;
  /** It is time for a ping: the owner writes one. */
  beat(): void;
  /** What was written on this connection and not answered has to wait. */
  dropped(): void;
  stateChanged(state: ClientState, previous: ClientState): void;
  retry(retry: Retry): void;
  /** The end. Without an error, the page wished it. */
  closed(error: CourtsideError | undefined): void;
}

/** A connection that lived this long after its welcome was a good one: the next failure is the first again. */
const STABLE_MS = 5000;
const DEFAULT_PING_MS = 10_000;
const PROTOCOL = 1;

/** Abandoned by this side: the session goes on, as after any code of the family that comes back. */
const CLOSE_ABANDONED = 4000;
const CLOSE_DONE = 1000;

/**
 * Keeps one connection alive as long as the server and the page want one.
 * It is always in one of four phases, and each has one timer: `waiting` for the next attempt, `attempting` until the
 * welcome, `welcomed` until the next heartbeat, and `ended` without any.
 */
export class Link {
  state: ClientState = 'connecting';

  private phase: 'waiting' | 'attempting' | 'welcomed' | 'ended' = 'waiting';
  private readonly address: URL;
  private readonly WebSocket: SocketClass;
  private readonly backoff: Backoff;
  private readonly stopWaking: () => void;
  private connection: Connection | undefined;
  private heartbeat: Heartbeat | undefined;
  private goodbye: Goodbye | undefined;
  private timer: unknown;
  /** Grows with every attempt and every end of one, so that a late credential knows that it is late. */
  private serial = 0;
  private attemptedAt = 0;
  private welcomedAt: number | undefined;
  /** No wake-up shortens a wait that ends here: the server or the page asked for it. */
  private barredUntil = -Infinity;

  constructor(url: string | URL, private readonly settings: Settings, private readonly owner: LinkOwner) {
    this.address = resolveAddress(url);
    const given = settings.WebSocket ?? (globalThis as { WebSocket?: unknown }).WebSocket as SocketClass | undefined;
    if (!given) {
      throw new CourtsideError('no_websocket', 'This platform has no WebSocket class: hand one in, connect(url, { WebSocket }), for example that of the package "ws".');
    }
    this.WebSocket = given;
    this.backoff = new Backoff(settings.backoffBaseMs, settings.backoffCapMs, settings.random);
    this.stopWaking = settings.wakeOn(() => this.wake());
  }

  /** Whether actions may be written. */
  get isOpen(): boolean {
    return this.phase === 'welcomed';
  }

  start(): void {
    if (this.phase === 'waiting') this.attempt();
  }

  write(frame: Frame): void {
    this.connection?.write(frame);
  }

  writePing(frame: Frame): void {
    this.write(frame);
    this.heartbeat?.pinged(this.settings.clock.now(), this.connection?.buffered ?? 0);
    this.armHeartbeat();
  }

  /** Reconnects at once if only jitter was in the way, and checks a connection that may have died unnoticed. */
  wake(): void {
    if (this.phase === 'welcomed') this.owner.beat();
    else if (this.phase === 'waiting' && this.settings.clock.now() >= this.barredUntil) this.attempt();
  }

  /** Drops a connection that is of no use any more; the next follows. */
  breakOff(error: CourtsideError): void {
    this.connection?.abandon(CLOSE_ABANDONED, error.code);
    this.failed(error);
  }

  cut(ms: number): void {
    if (this.phase === 'ended') return;
    this.connection?.abandon(CLOSE_ABANDONED, 'cut');
    this.failed(new CourtsideError('disconnected', 'The page cut the connection.'), Math.max(0, ms));
  }

  close(): void {
    this.end(undefined);
  }

  private attempt(): void {
    this.phase = 'attempting';
    const serial = ++this.serial;
    const { connectTimeoutMs, accessToken } = this.settings;
    this.arm(connectTimeoutMs, () => {
      this.breakOff(new CourtsideError('connect_failed', `No welcome came from ${this.place} within ${connectTimeoutMs} ms: is it a Courtside server, and is it reachable?`));
    });
    if (typeof accessToken !== 'function') return this.open(accessToken);
    const refused = (thrown: unknown): void => {
      if (serial === this.serial) this.failed(new CourtsideError('token_failed', `The accessToken function failed (${reasonOf(thrown)}).`, { cause: thrown }));
    };
    try {
      const token = accessToken();
      if (typeof token === 'string') return this.open(token);
      token.then((late) => { if (serial === this.serial) this.open(late); }, refused);
    } catch (thrown) {
      refused(thrown);
    }
  }

  private open(token: string | undefined): void {
    this.attemptedAt = this.settings.clock.now();
    const url = withQuery(this.address, { format: this.settings.format, ...this.owner.query(), access_token: token });
    try {
      const connection: Connection = new Connection(this.WebSocket, url, {
        event: (event, size) => {
          if (event.event === 'goodbye') this.goodbye = event;
          else if (event.event === 'welcome') this.welcomed(connection, event);
          else if (this.phase !== 'welcomed') this.breakOff(protocolError(`"${event.event}" came before the welcome`));
          else {
            this.heartbeat?.heard();
            this.owner.event(event, size);
          }
        },
        garbage: (reason) => {
          if (this.phase === 'welcomed') this.owner.garbage();
          this.breakOff(protocolError(`a frame could not be read (${reason})`));
        },
        closed: (code, reason) => this.closed(code, reason),
      });
      this.connection = connection;
    } catch (thrown) {
      // The address itself is refused, for example ws: from a page of https:. Trying again would change nothing.
      this.end(new CourtsideError('bad_url', `The platform refuses to connect to ${this.place}: ${reasonOf(thrown)}`, { cause: thrown }));
    }
  }

  private welcomed(connection: Connection, welcome: Welcome): void {
    if (this.phase === 'welcomed') return this.breakOff(protocolError('a second welcome came'));
    if (welcome.protocol !== PROTOCOL) {
      return this.end(new CourtsideError('protocol', `The server speaks version ${welcome.protocol} of the protocol and this client version ${PROTOCOL}: use the client that belongs to the server.`));
    }
    const { clock, pongTimeoutMs } = this.settings;
    const previous = this.state;
    this.phase = 'welcomed';
    this.state = 'open';
    this.welcomedAt = clock.now();
    this.heartbeat = new Heartbeat(welcome.ping_ms > 0 ? welcome.ping_ms : DEFAULT_PING_MS, pongTimeoutMs, this.welcomedAt);
    this.armHeartbeat();
    this.owner.welcome(welcome, this.attemptedAt);
    // What the welcome set off may have ended the connection again.
    if (this.connection === connection) this.owner.stateChanged('open', previous);
  }

  private closed(code: number, reason: string): void {
    const policy = closePolicy(code);
    const told = reason || this.goodbye?.reason;
    const said = told ? ` The server said: ${told}.` : '';
    if (!policy.comesBack) return this.end(new CourtsideError(policy.name, policy.meaning + said));
    this.failed(
      this.phase === 'welcomed'
        ? new CourtsideError('disconnected', policy.meaning + said)
        : new CourtsideError('connect_failed', `No connection to ${this.place}: the server is down, cannot be reached, or refused this page or its credential (browsers do not say which; the server’s log does).${said}`),
    );
  }

  /** The connection is gone, or never came to be. Plans the next attempt, unless the server said that there shall be none. */
  private failed(error: CourtsideError, cutMs?: number): void {
    const { clock, random } = this.settings;
    const { goodbye, welcomedAt } = this;
    const now = clock.now();
    this.forgetConnection();
    if (goodbye && !goodbye.reconnect) {
      return this.end(new CourtsideError('goodbye', `The server ended the connection for good (code ${goodbye.code}): ${goodbye.reason || 'it gave no reason'}.`));
    }
    this.phase = 'waiting';
    if (welcomedAt !== undefined && now - welcomedAt >= STABLE_MS) this.backoff.reset();
    if (goodbye?.reconnect) this.bar(now + goodbye.reconnect.after_ms + random() * goodbye.reconnect.jitter_ms);
    if (cutMs !== undefined) this.bar(now + cutMs);
    // A server that always says goodbye with no wait at all is still met with a backoff.
    const delayMs = Math.max(cutMs ?? this.backoff.next(), this.barredUntil - now);
    this.arm(delayMs, () => this.attempt());
    const attempt = cutMs === undefined ? this.backoff.attempt : 0;
    this.owner.dropped();
    if (this.state === 'open') this.setState('reconnecting');
    // A listener may have closed, or woken, the client meanwhile.
    if (this.phase === 'waiting') this.owner.retry({ attempt, delayMs, error });
  }

  private end(error: CourtsideError | undefined): void {
    if (this.phase === 'ended') return;
    this.connection?.abandon(CLOSE_DONE, '');
    this.forgetConnection();
    this.phase = 'ended';
    this.stopWaking();
    this.owner.dropped();
    this.setState('closed');
    this.owner.closed(error);
  }

  private bar(until: number): void {
    this.barredUntil = Math.max(this.barredUntil, until);
  }

  private forgetConnection(): void {
    this.serial += 1;
    this.connection = this.heartbeat = this.goodbye = this.welcomedAt = undefined;
    this.settings.clock.clearTimeout(this.timer);
  }

  private setState(state: ClientState): void {
    const previous = this.state;
    this.state = state;
    if (previous !== state) this.owner.stateChanged(state, previous);
  }

  private armHeartbeat(): void {
    const { clock } = this.settings;
    const { heartbeat } = this;
    if (!heartbeat) return;
    this.arm(Math.max(0, heartbeat.due - clock.now()), () => {
      const beat = heartbeat.check(clock.now(), this.connection?.buffered ?? 0);
      if (beat === 'dead') return this.breakOff(new CourtsideError('disconnected', `The server did not answer a ping within ${this.settings.pongTimeoutMs} ms.`));
      if (beat === 'ping') this.owner.beat();
      else this.armHeartbeat();
    });
  }

  private arm(ms: number, then: () => void): void {
    const { clock } = this.settings;
    clock.clearTimeout(this.timer);
    this.timer = clock.setTimeout(then, ms);
  }

  private get place(): string {
    return `${this.address.host}${this.address.pathname}`;
  }
}

export function protocolError(what: string): CourtsideError {
  return new CourtsideError('protocol', `The server broke the protocol: ${what}. Is a proxy in between, or is the client of another version than the server?`);
}
