export interface TickClockOptions {
  /** Milliseconds from one tick of the room to the next. */
  readonly tickMs: number;
  /** How many of the last arrivals are compared. Default 64. Larger values are steadier but adapt later to a line that has become slower. */
  readonly arrivals?: number;
}

/** If the estimate changes by more than this many milliseconds, a clock was set or the computer slept: it is then replaced at once. */
const JUMP_MS = 250;
/** The most that the clock is adjusted at each arrival otherwise, as a part of a tick, so that it is not visible. */
const GIVING_WAY = 1 / 20;

/**
 * Estimates when the ticks of a room happen, from the arrival of their states.
 * No state arrives early, and some arrive almost without delay: the least delayed of the last ones determines the time of all.
 * Pass the time in milliseconds of any clock that does not jump: `performance.now()` or `client.serverTime()`.
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
   * The estimated room time at the moment `now`: finished ticks times `tickMs`, in milliseconds.
   * It is behind the server's by the network's shortest delay. Undefined before the first arrival.
   */
  at(now: number): number | undefined {
    return this.origin === undefined ? undefined : now - this.origin;
  }

  /** The moment at which the state of this tick arrives if nothing delays it, on the clock of the arrivals. Undefined before the first. */
  timeOf(tick: number): number | undefined {
    return this.origin === undefined ? undefined : this.origin + tick * this.tickMs;
  }
}
