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
  /** There was no credential because of an error. */
  failed(error: CourtsideError): void;
}

/** After a failure, another attempt is made only if at least this much time is left. */
const SHORTEST_MS = 1000;

/** Replaces a session's credential before it expires. */
export class Renewal {
  private readonly timer: Timer;
  /** Grows with each warning and each connection, so that a credential for an earlier one is recognised. */
  private serial = 0;

  constructor(clock: Clock, private readonly port: RenewalPort) {
    this.timer = new Timer(clock);
  }

  /** The server warned that so much time is left. */
  warned(inMs: number): void {
    this.forget();
    void this.renew(inMs, this.serial);
  }

  /** The connection is lost, and the next one begins with a credential of its own; or the client is closed. */
  forget(): void {
    this.serial += 1;
    this.timer.clear();
  }

  private async renew(inMs: number, serial: number): Promise<void> {
    let token: string | undefined;
    try {
      token = await this.port.credential();
    } catch (thrown) {
      if (serial !== this.serial) return;
      // Half of the time is left for the next attempt, then half of that.
      const next = inMs / 2;
      if (next >= SHORTEST_MS) this.timer.set(next, () => void this.renew(next, serial));
      return this.port.failed(thrown as CourtsideError);
    }
    if (token === undefined || serial !== this.serial) return;
    try {
      await this.port.refresh(token);
    } catch (thrown) {
      if (serial === this.serial) this.port.refused(thrown as CourtsideError);
    }
  }
}
