import { Timer } from './clock.js';
import type { Connection, ConnectionListener } from './connection.js';
import type { Settings } from './options.js';
import { CLOSE_DONE } from './protocol.js';

/** What a probe needs of the link. */
export interface ProbePort {
  /** Opens a WebSocket that asks for nothing but its end: the server answers with a goodbye and keeps nothing. */
  open(listener: ConnectionListener): Promise<Connection>;
  /** An answer has come over a WebSocket. */
  works(): void;
}

/** The first wait before a probe; it doubles with each. */
const FIRST_MS = 30_000;
const LONGEST_MS = 300_000;

/** Finds out now and then whether WebSockets work, while the session is carried by something else and is not disturbed. */
export class Probe {
  private readonly timer: Timer;
  private waitMs = FIRST_MS;
  private connection: Connection | undefined;
  private isRunning = false;
  /** Grows with every probe and every end of one, so that a late connection is recognised. */
  private serial = 0;

  constructor(private readonly settings: Settings, private readonly port: ProbePort) {
    this.timer = new Timer(settings.clock);
  }

  start(): void {
    this.isRunning = true;
    this.wait();
  }

  /** Probes without waiting, if it is time for probes at all. */
  now(): void {
    if (this.isRunning && !this.connection) this.probe();
  }

  stop(): void {
    this.isRunning = false;
    this.forget();
  }

  private wait(): void {
    this.timer.set(this.waitMs, () => this.probe());
    this.waitMs = Math.min(this.waitMs * 2, LONGEST_MS);
  }

  private probe(): void {
    const serial = (this.serial += 1);
    const failed = (): void => {
      if (serial !== this.serial) return;
      this.forget();
      this.wait();
    };
    const works = (): void => {
      if (serial !== this.serial) return;
      this.stop();
      this.port.works();
    };
    this.timer.set(this.settings.connectTimeoutMs, failed);
    const opened = this.port.open({
      event: works,
      garbage: failed,
      closed: (code) => (code === CLOSE_DONE ? works() : failed()),
    });
    opened.then((connection) => {
      if (serial === this.serial) this.connection = connection;
      else connection.abandon(CLOSE_DONE, '');
    }, failed);
  }

  private forget(): void {
    this.serial += 1;
    this.timer.clear();
    this.connection?.abandon(CLOSE_DONE, '');
    this.connection = undefined;
  }
}
