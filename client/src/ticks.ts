export interface TickClockOptions {
  /** Milliseconds from one tick of the room to the next. */
  readonly tickMs: number;
  /** How many of the last arrivals are compared. Default 64. More are steadier, and take longer to follow a line that has become slower. */
  readonly arrivals?: number;
}

/** A line that differs by more than this many milliseconds from what was known is another line: a clock was set, or the computer slept. */
const JUMP_MS = 250;
/** How much of a tick the clock gives way at each arrival otherwise, so that nobody sees it. */
const GIVING_WAY = 1 / 20;

/**
 * Knows when the ticks of a room are, from when their states arrived.
 * No state arrives before its time, and some hardly after it: the least delayed of the last ones tells the time of all.
 * It is handed the time, in milliseconds of any clock that does not jump: `performance.now()`, or `client.serverTime()`.
 */
export class TickClock {
  private readonly tickMs: number;
  private readonly capacity: number;
  /** For each of the last arrivals, the moment at which tick 0 would have arrived as it did. */
  private origins: number[] = [];
  private origin: number | undefined;

  constructor({ tickMs, arrivals = 64 }: TickClockOptions) {
    this.tickMs = tickMs;
    this.capacity = Math.max(1, arrivals);
  }

  /** The state of this tick arrived at this moment. */
  arrived(tick: number, now: number): void {
    this.origins.push(now - tick * this.tickMs);
    if (this.origins.length > this.capacity) this.origins.shift();
    const least = Math.min(...this.origins);
    const difference = least - (this.origin ?? least);
    const most = this.tickMs * GIVING_WAY;
    if (this.origin === undefined || Math.abs(difference) > JUMP_MS) this.origin = least;
    else this.origin += Math.max(-most, Math.min(most, difference));
  }

  /**
   * The room's own time at the moment `now`, as far as it can be known here: ticks done times `tickMs`, in milliseconds.
   * It is behind the server's by what the line takes at its best. Undefined before the first arrival.
   */
  at(now: number): number | undefined {
    return this.origin === undefined ? undefined : now - this.origin;
  }

  /** The moment at which the state of this tick is here if nothing delays it, on the clock of the arrivals. Undefined before the first. */
  timeOf(tick: number): number | undefined {
    return this.origin === undefined ? undefined : this.origin + tick * this.tickMs;
  }
}
