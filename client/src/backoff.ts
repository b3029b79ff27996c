/** The upper limit of a wait is at least this, so that clients do not reconnect in a storm at the end of a window. */
const NARROWEST_MS = 250;
/**
 * An attempt that can still resume a session gets at least this much time, because a slow line or a busy server needs it.
 * Giving up an attempt that would have succeeded makes a busy server busier.
 */
const SHORTEST_ATTEMPT_MS = 3000;

/**
 * Waits between attempts to connect. Full jitter, so that clients that were dropped together do not reconnect together.
 * As long as a session can be resumed, a wait takes at most half of the time that is left, so that several attempts,
 * spread over all of it, fit into it.
 */
export class Backoff {
  private failures = 0;
  /** When the connection was lost, and how long the session survives that, both in milliseconds. */
  private window: { from: number; ms: number } | undefined;

  /** `baseMs` doubles with each failure up to `capMs`; the wait is anything between zero and that. */
  constructor(
    private readonly baseMs: number,
    private readonly capMs: number,
    private readonly random: () => number,
  ) {}

  /** How many attempts have failed since the last reset. */
  get attempt(): number {
    return this.failures;
  }

  /** The session can be resumed for `ms` milliseconds from `from` on. */
  hurry(from: number, ms: number): void {
    this.window ??= { from, ms };
  }

  /** There is no session to resume. */
  relax(): void {
    this.window = undefined;
  }

  /** Counts a failure and returns how many milliseconds to wait after it. */
  next(now: number): number {
    const ceiling = Math.min(this.capMs, this.baseMs * 2 ** Math.min(this.failures, 30), this.limit(now));
    this.failures += 1;
    return this.random() * ceiling;
  }

  /** How long an attempt that begins now may take; `ms` is the timeout without a running window. */
  patience(now: number, ms: number): number {
    const left = this.left(now);
    return left > 0 ? Math.min(ms, Math.max(left / 2, SHORTEST_ATTEMPT_MS)) : ms;
  }

  /** When the session is certainly gone: the server may have noticed the loss up to half a window later than this client. */
  get windowEnd(): number {
    return this.window ? this.window.from + this.window.ms * 1.5 : -Infinity;
  }

  reset(): void {
    this.failures = 0;
  }

  private left(now: number): number {
    return this.window ? this.window.from + this.window.ms - now : 0;
  }

  private limit(now: number): number {
    const left = this.left(now);
    if (left > 0) return Math.max(left / 2, NARROWEST_MS);
    return now < this.windowEnd ? Math.max((this.window?.ms ?? 0) / 16, NARROWEST_MS) : Infinity;
  }
}
