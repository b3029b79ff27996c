/** The time and timers that a client uses. Tests pass their own. */
export interface Clock {
  /** Milliseconds since any fixed moment. It should not jump when the computer's clock is set. */
  now(): number;
  /** Calls back once, after `ms` milliseconds. */
  setTimeout(callback: () => void, ms: number): unknown;
  /** Cancels a timer that `setTimeout` returned; ignores anything else. */
  clearTimeout(timer: unknown): void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
};

/** The longest time that a platform's timers can wait: they store milliseconds in 31 bits and treat longer times as zero. */
const LONGEST_MS = 2 ** 31 - 1;

/** One timer for any time: it splits times that are too long for the platform, and with Infinity it never fires. */
export class Timer {
  private handle: unknown;

  constructor(private readonly clock: Clock) {}

  /** Calls back once after `ms` milliseconds. Replaces the previous callback. */
  set(ms: number, callback: () => void): void {
    this.clear();
    const part = Math.min(ms, LONGEST_MS);
    this.handle = this.clock.setTimeout(() => (part < ms ? this.set(ms - part, callback) : callback()), part);
  }

  clear(): void {
    this.clock.clearTimeout(this.handle);
    this.handle = undefined;
  }
}

interface Sample {
  readonly roundTrip: number;
  readonly offset: number;
}

const SAMPLES = 8;
const STEP_TOLERANCE_MS = 50;

/** Estimates the server's clock from the sample with the shortest round trip among the last eight. */
export class ServerClock {
  private samples: Sample[] = [];

  /** The server's clock was `serverTime` at some moment between `sentAt` and `receivedAt` of the local clock. */
  sample(sentAt: number, receivedAt: number, serverTime: number): void {
    const roundTrip = receivedAt - sentAt;
    const offset = serverTime - (sentAt + roundTrip / 2);
    const best = this.best();
    // Each sample is accurate to half its round trip. Two that contradict each other mean that a clock was set or the
    // computer slept, so the earlier samples are out of date.
    if (best && Math.abs(offset - best.offset) > (roundTrip + best.roundTrip) / 2 + STEP_TOLERANCE_MS) this.samples = [];
    this.samples.push({ roundTrip, offset });
    if (this.samples.length > SAMPLES) this.samples.shift();
  }

  /** The server's Unix milliseconds at the local moment `now`, or undefined before the first sample. */
  at(now: number): number | undefined {
    const best = this.best();
    return best && now + best.offset;
  }

  private best(): Sample | undefined {
    return this.samples.reduce<Sample | undefined>((best, next) => (best && best.roundTrip <= next.roundTrip ? best : next), undefined);
  }
}
