/** Waits between attempts to connect: full jitter, so that clients that were dropped together do not come back together. */
export class Backoff {
  private failures = 0;

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

  /** Counts a failure and says how many milliseconds to wait after it. */
  next(): number {
    const ceiling = Math.min(this.capMs, this.baseMs * 2 ** Math.min(this.failures, 30));
    this.failures += 1;
    return this.random() * ceiling;
  }

  reset(): void {
    this.failures = 0;
  }
}
