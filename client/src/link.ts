import { Backoff } from './backoff.js';
import { resolveAddress, withQuery } from './address.js';
import type { Frame } from './codec.js';
import { Timer } from './clock.js';
import { Connection, type ConnectionListener } from './connection.js';
import { CourtsideError, reasonOf } from './errors.js';
import { EventSocket } from './event-socket.js';
import { Farewell } from './farewell.js';
import { Heartbeat } from './heartbeat.js';
import { badOption, type Address, type Credential, type Settings, type SocketClass, type Transport } from './options.js';
import { Probe } from './probe.js';
import { CLOSE_AWAY, CLOSE_DONE, CLOSE_SUPERSEDED, CLOSE_UNAUTHORIZED, closePolicy, type Goodbye, type Pong, type SessionEvent, type Welcome } from './protocol.js';

/**
 * `connecting` until the first `welcome`, `open` while connected, `reconnecting` after a loss, and `closed` for good.
 */
export type ClientState = 'connecting' | 'open' | 'reconnecting' | 'closed';

/** A connection failed and the next attempt is planned. */
export interface Retry {
  /** How many connections or attempts have failed in a row; 0 if the page itself cut the connection. */
  readonly attempt: number;
  /** Milliseconds until the next attempt. */
  readonly delayMs: number;
  /** What happened. */
  readonly error: CourtsideError;
}

/** The client that owns the link. */
export interface LinkOwner {
  /** Whether there is a session that could be resumed. */
  readonly canResume: boolean;
  /** Whether another page has continued the session that this one has given up. */
  readonly isElsewhere: boolean;
  /** The session's query parameters for the next attempt. */
  query(): Record<string, string | undefined>;
  /** The query parameters of an attempt that only ends the session; undefined if there is no session. */
  endQuery(): Record<string, string> | undefined;
  /** The server's `welcome` arrived. The owner accepts the connection or calls `breakOff`. */
  welcome(welcome: Welcome, attemptedAt: number): void;
  event(event: SessionEvent | Pong, size: number): void;
  /** An unreadable frame arrived, so it is unknown whether it counts. */
  garbage(): void;
  /** A ping is due: the owner writes one. */
  beat(): void;
  /** The connection is lost. */
  dropped(): void;
  stateChanged(state: ClientState, previous: ClientState): void;
  /** A connection of another kind than the last one is open. */
  transportChanged(transport: Transport, previous: Transport): void;
  retry(retry: Retry): void;
  /** The server refused the credential. */
  unauthorized(refusal: CourtsideError): void;
  /** The client is closed. Without an error, the application closed it. */
  closed(error: CourtsideError | undefined): void;
}

/** After a connection that lasted this long after its welcome, failures are counted from zero again. */
const STABLE_MS = 5000;
/** After this many failed attempts in a row with one transport, the other one is tried. */
const TRIES = 2;
const DEFAULT_PING_MS = 10_000;
/** The session's window before the first `welcome`. */
const DEFAULT_WINDOW_MS = 30_000;
const PROTOCOL = 1;

/**
 * Keeps one connection open as long as the server and the page want one.
 * It is always in one of four phases. `waiting` has a timer for the next attempt, `attempting` one for the welcome, `welcomed`
 * one for the next heartbeat, and `ended` none.
 */
export class Link {
  state: ClientState = 'connecting';
  /** What carries the connection, or the next attempt. */
  transport: Transport;

  /** What carried the last welcomed connection. */
  private lastTransport: Transport;
  /** How many attempts have failed in a row with this transport. */
  private failures = 0;
  private readonly probe: Probe;
  private phase: 'waiting' | 'attempting' | 'welcomed' | 'ended' = 'waiting';
  private readonly address: URL;
  private readonly WebSocket: SocketClass | undefined;
  private readonly backoff: Backoff;
  private readonly stopWaking: () => void;
  private connection: Connection | undefined;
  private heartbeat: Heartbeat | undefined;
  private goodbye: Goodbye | undefined;
  private readonly timer: Timer;
  private windowMs = DEFAULT_WINDOW_MS;
  /** Whether the current attempt resumes a session. */
  private resumes = false;
  /**
   * An attempt to resume failed, and the server may or may not have received it. If it arrives late, it supersedes a later
   * attempt of this client; so the client ignores one `superseded` and reconnects.
   */
  private hasStray = false;
  /** Whether the credential was refused and no `welcome` has arrived since. */
  private wasRefused = false;
  /** Grows with every attempt and every end of one, so that a late credential is recognised. */
  private serial = 0;
  private attemptedAt = 0;
  private welcomedAt: number | undefined;
  /** A wake-up does not shorten a wait before this time, because the server or the page asked for it. */
  private barredUntil = -Infinity;

  constructor(url: Address, private readonly settings: Settings, private readonly owner: LinkOwner) {
    this.address = resolveAddress(url);
    const given = settings.WebSocket ?? (globalThis as { WebSocket?: unknown }).WebSocket as SocketClass | undefined;
    const { transport } = settings;
    this.transport = this.lastTransport = transport === 'events' ? 'events' : 'websocket';
    if (transport === 'events' && !settings.fetch) throw badOption('connect() needs a fetch function for transport "events", and this platform has none');
    if (!given && transport !== 'events') {
      throw new CourtsideError('no_websocket', 'This platform has no WebSocket class: pass one, connect(url, { WebSocket }), for example that of the package "ws".');
    }
    this.WebSocket = given;
    this.backoff = new Backoff(settings.backoffBaseMs, settings.backoffCapMs, settings.random);
    this.timer = new Timer(settings.clock);
    this.probe = new Probe(settings, {
      open: async (listener) => this.connect({ end: 'true' }, await this.credential(), listener, 'websocket'),
      works: () => this.goBack(),
    });
    this.stopWaking = settings.wakeOn(() => this.wake());
  }

  /** Whether actions may be written. */
  get isOpen(): boolean {
    return this.phase === 'welcomed';
  }

  start(): void {
    if (this.owner.canResume) this.backoff.hurry(this.settings.clock.now(), this.windowMs);
    if (this.phase === 'waiting') this.attempt();
  }

  write(frame: Frame): void {
    this.connection?.write(frame);
  }

  writePing(frame: Frame): void {
    this.connection?.write(frame, true);
    this.heartbeat?.pinged(this.settings.clock.now(), this.connection?.buffered ?? 0);
    this.armHeartbeat();
  }

  /** Reconnects at once if only the backoff delayed it, and checks a connection that may have died unnoticed. */
  wake(): void {
    if (this.phase === 'welcomed') {
      this.owner.beat();
      // The network may be another one.
      this.probe.now();
    } else if (this.phase === 'waiting' && this.settings.clock.now() >= this.barredUntil) this.attempt();
  }

  /** Like `wake`, but also ends a wait that the server or the page asked for. */
  reconnectNow(): void {
    this.barredUntil = -Infinity;
    this.wake();
  }

  /** Drops an unusable connection; the next attempt follows. */
  breakOff(error: CourtsideError): void {
    // A session that nobody will continue must not keep its seats.
    const isOver = this.phase === 'welcomed' && !this.owner.canResume && !this.owner.isElsewhere;
    this.connection?.abandon(isOver ? CLOSE_DONE : CLOSE_AWAY, error.code);
    this.failed(error);
  }

  cut(ms: number): void {
    if (typeof ms !== 'number' || Number.isNaN(ms)) throw badOption('cut() takes a number of milliseconds', ms);
    if (this.phase === 'ended') return;
    this.connection?.abandon(CLOSE_AWAY, 'cut');
    this.failed(new CourtsideError('disconnected', 'The page cut the connection.'), Math.max(0, ms));
  }

  /** Ends the session in any phase; if the server cannot be reached, in the background. */
  close(): void {
    const { connection, phase, settings, backoff } = this;
    if (phase === 'ended') return;
    this.connection = undefined;
    if (phase === 'welcomed' && this.owner.canResume) backoff.hurry(settings.clock.now(), this.windowMs);
    const farewell = new Farewell({
      settings,
      backoff,
      open: async (listener) => {
        const token = await this.credential();
        const query = this.owner.endQuery();
        return query && this.connect(query, token, listener);
      },
      done: () => stopWaking(),
    });
    this.end(undefined);
    const stopWaking = settings.wakeOn(() => farewell.wake());
    farewell.begin(connection, phase === 'welcomed');
  }

  private attempt(): void {
    this.phase = 'attempting';
    this.resumes = false;
    const serial = ++this.serial;
    const { clock, connectTimeoutMs } = this.settings;
    const patience = this.backoff.patience(clock.now(), connectTimeoutMs);
    this.timer.set(patience, () => {
      this.breakOff(new CourtsideError('connect_failed', `${this.place} did not send a welcome within ${Math.round(patience)} ms: is it a Courtside server, and is it reachable?`));
    });
    const refused = (thrown: unknown): void => {
      if (serial === this.serial) this.failed(tokenFailed(thrown));
    };
    try {
      const token = this.credential();
      if (!(token instanceof Promise)) return this.open(token);
      token.then((late) => { if (serial === this.serial) this.open(late); }, refused);
    } catch (thrown) {
      refused(thrown);
    }
  }

  /** A fresh credential for the session; undefined if there is none, or if it does not come from a function. Rejects with `token_failed`. */
  async renewed(): Promise<string | undefined> {
    if (typeof this.settings.accessToken !== 'function') return undefined;
    try {
      return await this.credential();
    } catch (thrown) {
      throw tokenFailed(thrown);
    }
  }

  /** The page's current credential. */
  private credential(): string | undefined | Promise<string | undefined> {
    const { accessToken } = this.settings;
    const checked = (token: Credential): string | undefined => {
      if (token !== undefined && token !== null && typeof token !== 'string') throw new TypeError(`it returned ${typeof token === 'object' ? 'an object' : String(token)}: return a string, or undefined for a guest`);
      return token ?? undefined;
    };
    if (typeof accessToken !== 'function') return checked(accessToken);
    const token = accessToken();
    const isLate = typeof (token as { then?: unknown } | null | undefined)?.then === 'function';
    return isLate ? Promise.resolve(token).then(checked) : checked(token as Credential);
  }

  private connect(query: Record<string, string | undefined>, token: string | undefined, listener: ConnectionListener, transport = this.transport): Connection {
    const url = withQuery(this.address, { format: this.settings.format, ...query, access_token: token });
    const { WebSocket, settings } = this;
    return new Connection(transport === 'events' || !WebSocket ? new EventSocket(url, settings) : new WebSocket(url), listener);
  }

  /** WebSockets work again: continues the session on one. */
  private goBack(): void {
    if (this.phase !== 'welcomed' || this.transport === 'websocket') return;
    this.use('websocket');
    this.connection?.abandon(CLOSE_AWAY, 'websocket');
    this.failed(new CourtsideError('disconnected', 'A WebSocket can be opened again, so the client changes to one.'), 0);
  }

  private use(transport: Transport): void {
    this.transport = transport;
    this.failures = 0;
  }

  /** An attempt has failed without an answer. */
  private countFailure(): void {
    const { transport, fetch } = this.settings;
    this.failures += 1;
    if (transport === 'auto' && fetch && this.failures >= TRIES) this.use(this.transport === 'events' ? 'websocket' : 'events');
  }

  private open(token: string | undefined): void {
    this.attemptedAt = this.settings.clock.now();
    const query = this.owner.query();
    this.resumes = query.resume !== undefined;
    try {
      const connection: Connection = this.connect(query, token, {
        event: (event, size) => {
          if (event.event === 'goodbye') this.goodbye = event;
          else if (event.event === 'welcome') this.welcomed(connection, event);
          else if (this.phase !== 'welcomed') this.breakOff(protocolError(`"${event.event}" arrived before the welcome`));
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
      // The platform rejects the address itself, for example ws: on an https: page. A retry would fail again.
      this.end(new CourtsideError('bad_url', `The platform refuses to connect to ${this.place}: ${reasonOf(thrown)}`, { cause: thrown }));
    }
  }

  private welcomed(connection: Connection, welcome: Welcome): void {
    if (this.phase === 'welcomed') return this.breakOff(protocolError('a second welcome arrived'));
    if (welcome.protocol !== PROTOCOL) {
      return this.end(new CourtsideError('protocol', `The server uses version ${welcome.protocol} of the protocol and this client version ${PROTOCOL}: use the client that belongs to the server.`));
    }
    const { clock, pongTimeoutMs } = this.settings;
    const previous = this.state;
    this.phase = 'welcomed';
    this.state = 'open';
    this.wasRefused = false;
    if (!welcome.resumed) this.hasStray = false;
    this.backoff.relax();
    if (welcome.window_ms > 0) this.windowMs = welcome.window_ms;
    this.welcomedAt = clock.now();
    this.heartbeat = new Heartbeat(welcome.ping_ms > 0 ? welcome.ping_ms : DEFAULT_PING_MS, pongTimeoutMs, this.welcomedAt);
    this.armHeartbeat();
    this.failures = 0;
    this.owner.welcome(welcome, this.attemptedAt);
    // The owner may have ended the connection again.
    if (this.connection !== connection) return;
    const { transport, lastTransport } = this;
    this.lastTransport = transport;
    if (transport === 'events' && this.settings.transport === 'auto') this.probe.start();
    if (transport !== lastTransport) this.owner.transportChanged(transport, lastTransport);
    if (this.connection === connection) this.owner.stateChanged('open', previous);
  }

  private closed(closeCode: number, reason: string): void {
    const { goodbye } = this;
    this.connection = undefined;
    const code = goodbye?.code ?? closeCode;
    const told = reason || goodbye?.reason;
    const said = told ? ` The server said: ${told}${goodbye?.error ? ` (${goodbye.error})` : ''}.` : '';
    if (code === CLOSE_UNAUTHORIZED) return this.refused(said);
    if (code === CLOSE_SUPERSEDED && this.hasStray) {
      this.hasStray = this.resumes = false;
      this.goodbye = undefined;
      return this.failed(new CourtsideError('disconnected', 'An attempt that this client had given up reached the server late and superseded this connection.'));
    }
    const policy = closePolicy(closeCode);
    const details = { closeCode: code, reason: told || undefined };
    if (!policy.comesBack) return this.end(new CourtsideError(policy.name, policy.meaning + said, details));
    this.failed(
      this.phase === 'welcomed'
        ? new CourtsideError('disconnected', policy.meaning + said, details)
        : new CourtsideError('connect_failed', `No connection to ${this.place}: the server is down, cannot be reached, or refused this page (browsers do not say which; the server’s log does).${said}`),
    );
  }

  /** The server does not accept the credential. If it comes from a function, the client calls the function once more. */
  private refused(said: string): void {
    const { goodbye, phase } = this;
    const { name, meaning } = closePolicy(CLOSE_UNAUTHORIZED);
    const refusal = new CourtsideError(goodbye?.error ?? name, goodbye?.reason || meaning);
    const isFinal = this.wasRefused || typeof this.settings.accessToken !== 'function';
    this.wasRefused = true;
    this.resumes = false;
    this.goodbye = undefined;
    this.owner.unauthorized(refusal);
    // A listener may have closed the client.
    if (this.phase === 'ended') return;
    const error = new CourtsideError(name, meaning + said, { cause: refusal });
    if (isFinal) return this.end(error);
    // If the refusal comes after a welcome, back off.
    this.failed(error, phase === 'attempting' ? 0 : undefined);
  }

  /** The connection is lost or could not be opened. Schedules the next attempt, by the backoff or after `waitMs`, unless the server forbids one. */
  private failed(error: CourtsideError, waitMs?: number): void {
    const { clock, random } = this.settings;
    const { goodbye, welcomedAt, backoff } = this;
    const now = clock.now();
    if (this.phase === 'attempting' && !goodbye) {
      if (this.resumes) this.hasStray = true;
      this.countFailure();
    }
    this.forgetConnection();
    if (goodbye && !goodbye.reconnect) {
      const why = goodbye.error ? ` (${goodbye.error})` : '';
      const details = { closeCode: goodbye.code, reason: goodbye.reason || undefined };
      return this.end(new CourtsideError('goodbye', `The server ended the connection for good (code ${goodbye.code}): ${goodbye.reason || 'no reason given'}${why}.`, details));
    }
    this.phase = 'waiting';
    if (welcomedAt !== undefined && now - welcomedAt >= STABLE_MS) backoff.reset();
    if (this.owner.canResume) backoff.hurry(now, this.windowMs);
    else backoff.relax();
    if (goodbye?.reconnect) this.bar(now + goodbye.reconnect.after_ms + random() * goodbye.reconnect.jitter_ms);
    if (waitMs !== undefined) this.bar(now + waitMs);
    // Back off even if the server always sends a goodbye without a delay.
    const delayMs = Math.max(waitMs ?? backoff.next(now), this.barredUntil - now);
    this.timer.set(delayMs, () => this.attempt());
    const attempt = waitMs === undefined ? backoff.attempt : 0;
    this.owner.dropped();
    if (this.state === 'open') this.setState('reconnecting');
    // A listener may have closed or woken the client meanwhile.
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
    this.timer.clear();
    this.probe.stop();
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
    this.timer.set(Math.max(0, heartbeat.due - clock.now()), () => {
      const beat = heartbeat.check(clock.now(), this.connection?.buffered ?? 0);
      if (beat === 'dead') return this.breakOff(new CourtsideError('disconnected', `The server did not answer a ping within ${this.settings.pongTimeoutMs} ms.`));
      if (beat === 'ping') this.owner.beat();
      else this.armHeartbeat();
    });
  }

  /** The server's address without the query. */
  get place(): string {
    return `${this.address.host}${this.address.pathname}`;
  }
}

function tokenFailed(thrown: unknown): CourtsideError {
  return new CourtsideError('token_failed', `The accessToken function failed (${reasonOf(thrown)}).`, { cause: thrown });
}

export function protocolError(what: string): CourtsideError {
  return new CourtsideError('protocol', `The server broke the protocol: ${what}. Is there a proxy in between, or do the client and the server have different versions?`);
}
