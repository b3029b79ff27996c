export type Beat = 'ping' | 'dead' | 'wait';

/** If a timer fires this late, the whole page was suspended: the computer slept or the tab was hidden. */
const LATE_MS = 2000;

/** Decides when to ping on one connection and when the server counts as dead. It receives the time and has no timer. */
export class Heartbeat {
  private lastPing: number;
  /** When the earliest unanswered ping was sent, and how many bytes were then still unwritten. */
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

  /** A ping was written; `buffered` bytes, including the ping, have not left this machine yet. */
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
      // While bytes still leave, the line is slow but not dead. After the page was suspended, the answer may already be
      // queued behind this timer. In both cases, ping once more.
      const draining = buffered < silent.buffered;
      if (!late && !draining) return 'dead';
      this.unanswered = undefined;
      return 'ping';
    }
    return now >= this.lastPing + this.pingMs ? 'ping' : 'wait';
  }
}
