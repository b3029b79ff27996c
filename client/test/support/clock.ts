import type { Clock } from '../../src/clock.js';

interface Timer {
  at: number;
  callback: () => void;
}

/** A clock that stands still until the test advances it. */
export class FakeClock implements Clock {
  /** Platforms store a timer's milliseconds in 31 bits and treat longer times as zero. */
  longest = Infinity;
  private time = 1000;
  private readonly timers = new Set<Timer>();

  now(): number {
    return this.time;
  }

  setTimeout(callback: () => void, ms: number): Timer {
    const timer = { at: this.time + (ms > this.longest ? 0 : Math.max(0, ms)), callback };
    this.timers.add(timer);
    return timer;
  }

  clearTimeout(timer: unknown): void {
    this.timers.delete(timer as Timer);
  }

  /** The number of set timers. */
  get pending(): number {
    return this.timers.size;
  }

  /** Advances time, and fires each timer when it is due. */
  advance(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const due = [...this.timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.timers.delete(due);
      this.time = Math.max(this.time, due.at);
      due.callback();
    }
    this.time = end;
  }

  /** Advances time at once, as after a computer's sleep: due timers fire late. */
  jump(ms: number): void {
    this.time += ms;
    this.advance(0);
  }
}
