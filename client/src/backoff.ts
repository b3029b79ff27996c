/** No wait is bounded more narrowly than this, so that the end of a window is no storm. */
const NARROWEST_MS = 250;
/**
 * No attempt that still can resume a session is given less time than this: a slow line or a busy server needs it, and to give up
 * what would have come makes a busy server busier.
 */
const SHORTEST_ATTEMPT_MS = 3000;

/**
 * Waits between attempts to connect: full jitter, so that clients that were dropped together do not come back together.
 * As long as a session can be resumed, a wait takes no more than half of the time that is left, so several attempts fall
 * into it, spread over all of it.
 */
export class Backoff {
  private failures = 0;
  /** When the connection was lost and how long the session outlives it, both in milliseconds. */
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

  /** The session can be resumed for so long from now on. */
  hurry(from: number, ms: number): void {
    this.window ??= { from, ms };
  }

  /** There is no session that waits for being resumed. */
  relax(): void {
    this.window = undefined;
  }

  /** Counts a failure and says how many milliseconds to wait after it. */
  next(now: number): number {
    const ceiling = Math.min(this.capMs, this.baseMs * 2 ** Math.min(this.failures, 30), this.limit(now));
    this.failures += 1;
    return this.random() * ceiling;
  }

  /** How long an attempt that begins now may take, of `ms` that it may take otherwise. */
  patience(now: number, ms: number): number {
    const left = this.left(now);
    return left > 0 ? Math.min(ms, Math.max(left / 2, SHORTEST_ATTEMPT_MS)) : ms;
  }

  /** When the session is certainly gone: the server may have noticed the loss later than this side, by half a window. */
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
