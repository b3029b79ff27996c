import { Timer, type Clock } from './clock.js';
import type { CourtsideError } from './errors.js';

/** What a renewal needs of the client around it. */
export interface RenewalPort {
  /** A fresh credential; undefined if there is none. */
  credential(): Promise<string | undefined>;
  /** Shows the server a credential. Rejects with the server's refusal. */
  refresh(token: string): Promise<unknown>;
  /** The server refused the credential. */
  refused(error: CourtsideError): void;
  /** There was no credential because of an error, or the server could not check it. */
  failed(error: CourtsideError): void;
}

/** Another attempt is made only this long or longer after the one before. */
const SHORTEST_MS = 1000;
/** The codes with which a server says that it could not check a credential, which may be good. */
const UNCHECKED: ReadonlySet<string> = new Set(['unavailable', 'authentication_timeout']);

/** Replaces a session's credential before it expires. */
export class Renewal {
  private readonly timer: Timer;
  /** Grows with each warning and each connection, so that a credential for an earlier one is recognised. */
  private serial = 0;

  constructor(private readonly clock: Clock, private readonly port: RenewalPort) {
    this.timer = new Timer(clock);
  }

  /** The server warned that so much time is left. */
  warned(inMs: number): void {
    this.forget();
    void this.renew(this.clock.now() + inMs, this.serial);
  }

  /** The connection is lost, and the next one begins with a credential of its own; or the client is closed. */
  forget(): void {
    this.serial += 1;
    this.timer.clear();
  }

  private async renew(endsAt: number, serial: number): Promise<void> {
    let token: string | undefined;
    try {
      token = await this.port.credential();
    } catch (thrown) {
      return this.failed(thrown as CourtsideError, endsAt, serial);
    }
    if (token === undefined || serial !== this.serial) return;
    try {
      await this.port.refresh(token);
    } catch (thrown) {
      const error = thrown as CourtsideError;
      if (UNCHECKED.has(error.code)) this.failed(error, endsAt, serial);
      else if (serial === this.serial) this.port.refused(error);
    }
  }

  /** Tries again after half of the time that is left, then half of that. */
  private failed(error: CourtsideError, endsAt: number, serial: number): void {
    if (serial !== this.serial) return;
    const next = (endsAt - this.clock.now()) / 2;
    if (next >= SHORTEST_MS) this.timer.set(next, () => void this.renew(endsAt, serial));
    this.port.failed(error);
  }
}
