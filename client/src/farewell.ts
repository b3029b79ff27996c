import type { Backoff } from './backoff.js';
import { Timer } from './clock.js';
import { Connection, type ConnectionListener } from './connection.js';
import type { Settings } from './options.js';
import { closePolicy, CLOSE_DONE, CLOSE_AWAY } from './protocol.js';

/** What a farewell needs of the closed link. */
export interface FarewellPort {
  readonly settings: Settings;
  readonly backoff: Backoff;
  /** Opens a connection that ends the session; undefined if there is no session. */
  open(listener: ConnectionListener): Promise<Connection | undefined>;
  /** The session has ended, or its window has. */
  done(): void;
}

/**
 * Ends the session of a client that is already closed.
 * The server ends a session whose client closes its connection with code 1000. If there is no connection, or the close does
 * not arrive, the farewell connects with `end=true` until it succeeds or the session's window has ended.
 */
export class Farewell {
  private readonly timer: Timer;
  private connection: Connection | undefined;
  private isOver = false;
  /** Grows with every attempt, so that a late connection is recognised. */
  private serial = 0;

  constructor(private readonly port: FarewellPort) {
    this.timer = new Timer(port.settings.clock);
  }

  /** Uses the existing connection: at once if it is welcomed, otherwise as soon as it is. */
  begin(connection: Connection | undefined, isWelcomed: boolean): void {
    if (!connection) return this.attempt();
    this.connection = connection;
    connection.handOver(this.listener());
    if (isWelcomed) this.close();
    else this.expect(this.port.settings.connectTimeoutMs);
  }

  /** The network is back: tries again now instead of waiting. */
  wake(): void {
    if (!this.isOver && !this.connection) this.attempt();
  }

  private close(): void {
    this.expect(this.port.settings.pongTimeoutMs);
    this.connection?.close(CLOSE_DONE);
  }

  private attempt(): void {
    const { settings, backoff } = this.port;
    if (settings.clock.now() >= backoff.windowEnd) return this.end();
    this.expect(backoff.patience(settings.clock.now(), settings.connectTimeoutMs));
    const serial = (this.serial += 1);
    this.port.open(this.listener()).then(
      (connection) => {
        if (!connection) return this.end();
        if (this.isOver || serial !== this.serial) return connection.abandon(CLOSE_AWAY, 'late');
        this.connection = connection;
      },
      () => {
        if (serial === this.serial) this.failed();
      },
    );
  }

  private listener(): ConnectionListener {
    return {
      event: ({ event }) => {
        if (event === 'welcome') this.close();
      },
      garbage: () => {},
      closed: (code) => {
        this.connection = undefined;
        if (code === CLOSE_DONE || !closePolicy(code).comesBack) this.end();
        else this.failed();
      },
    };
  }

  /** Fails the attempt if nothing has happened within the time. */
  private expect(ms: number): void {
    this.timer.set(ms, () => {
      this.connection?.abandon(CLOSE_AWAY, 'no answer');
      this.failed();
    });
  }

  private failed(): void {
    if (this.isOver) return;
    this.connection = undefined;
    this.serial += 1;
    const now = this.port.settings.clock.now();
    if (now >= this.port.backoff.windowEnd) return this.end();
    this.timer.set(this.port.backoff.next(now), () => this.attempt());
  }

  private end(): void {
    this.timer.clear();
    if (this.isOver) return;
    this.isOver = true;
    this.port.done();
  }
}
