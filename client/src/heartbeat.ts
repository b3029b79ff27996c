export type Beat = 'ping' | 'dead' | 'wait';

/** A timer that fires this much late was held back with the whole page, by a sleeping computer or a hidden tab. */
const LATE_MS = 2000;

/** Decides when to ping on one connection and when the server counts as dead. It is handed the time and holds no timer. */
export class Heartbeat {
  private lastPing: number;
  /** When the earliest ping was sent that nothing followed, and how much was then still to be written. */
  private unanswered: { at: number; buffered: number } | undefined;

  constructor(
    private readonly pingMs: number,
    private readonly timeoutMs: number,
    now: number,
  ) {
    this.lastPing = now;
  }

  /** Any inbound frame is a sign of life. */
  heard(): void {
    this.unanswered = undefined;
  }

  /** A ping was written; `buffered` bytes, itself included, have not left this machine yet. */
  pinged(now: number, buffered: number): void {
    this.lastPing = now;
    this.unanswered ??= { at: now, buffered };
  }

  /** When to call `check` next. */
  get due(): number {
    const ping = this.lastPing + this.pingMs;
    return this.unanswered ? Math.min(ping, this.unanswered.at + this.timeoutMs) : ping;
  }

  check(now: number, buffered: number): Beat {
    const silent = this.unanswered;
    if (silent && now >= silent.at + this.timeoutMs) {
      const late = now > this.due + LATE_MS;
      // While bytes still leave, the line is slow and not dead. After a pause of the whole page, the answer may be
      // waiting behind this very timer. Both get a fresh chance.
      const draining = buffered < silent.buffered;
      if (!late && !draining) return 'dead';
      this.unanswered = undefined;
      return 'ping';
    }
    return now >= this.lastPing + this.pingMs ? 'ping' : 'wait';
  }
}
