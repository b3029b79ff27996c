import { entry, put } from './tree.js';

/** What is between two values: `from` at part 0, `to` at part 1, and beyond `to` at parts above 1. It changes neither. */
export type Lerp<S> = (from: S, to: S, part: number) => S;

/** Between two numbers. */
export const lerp: Lerp<number> = (from, to, part) => from + (to - from) * part;

const TURN = 2 * Math.PI;

/** Between two angles in radians, the shorter way round. What it returns may be outside of one turn, as `from` may be. */
export const lerpAngle: Lerp<number> = (from, to, part) => {
  const ahead = (((to - from) % TURN) + TURN) % TURN;
  return from + (ahead > Math.PI ? ahead - TURN : ahead) * part;
};

/**
 * Between two maps of entities, by what is between two of one. One that is in `to` only comes with it, and one that is in
 * `from` only goes then. One that is the same in both (`===`) is not asked about.
 */
export function lerpEach<E>(each: Lerp<E>): Lerp<Readonly<Record<string, E>>> {
  return (from, to, part) => {
    const shown: Record<string, E> = {};
    const shape = part < 1 ? from : to;
    for (const key of Object.keys(shape)) {
      const a = entry(from, key) as E | undefined;
      const b = entry(to, key) as E | undefined;
      put(shown, key, a === undefined || b === undefined || a === b ? shape[key] : each(a, b, part));
    }
    return shown;
  };
}

export interface InterpolationOptions {
  /**
   * How far behind the newest moment is shown, in milliseconds. Default 100.
   * It should be two of the room's sends and what the line jitters: with less there is nothing to go towards at times, with more everything is seen late.
   */
  readonly delayMs?: number;
  /**
   * For how many milliseconds behind the last snapshot the way of the last two is gone on with. Default 0: the last one stays.
   * A room sends nothing while nothing changes, so what goes on may be what has stopped.
   */
  readonly extrapolateMs?: number;
  /** Snapshots more milliseconds apart than this have nothing between them: the earlier stays, and is left this long before the later. Default 250. */
  readonly gapMs?: number;
  /** How many snapshots are kept. Default 64; the oldest are dropped. */
  readonly capacity?: number;
}

interface Snapshot<S> {
  readonly time: number;
  readonly state: S;
}

/**
 * Shows what comes in steps as if it moved: keeps the last snapshots, and says what was between them a little ago.
 * It has no clock: all times are milliseconds on one axis, such as a room's own time (see {@link TickClock}).
 */
export class Interpolation<S> {
  private readonly delayMs: number;
  private readonly extrapolateMs: number;
  private readonly gapMs: number;
  private readonly capacity: number;
  private snapshots: Snapshot<S>[] = [];

  constructor(private readonly between: Lerp<S>, { delayMs = 100, extrapolateMs = 0, gapMs = 250, capacity = 64 }: InterpolationOptions = {}) {
    this.delayMs = delayMs;
    this.extrapolateMs = extrapolateMs;
    this.gapMs = gapMs;
    this.capacity = Math.max(2, capacity);
  }

  /** This was so at this time. A later one of the same time takes the place of the one before; what is older than the newest is ignored. */
  push(time: number, state: S): void {
    const last = this.snapshots.at(-1);
    if (last && time < last.time) return;
    if (last && time === last.time) this.snapshots.pop();
    this.snapshots.push({ time, state });
    if (this.snapshots.length > this.capacity) this.snapshots.shift();
  }

  /** What to show at this time: what was `delayMs` before it. Undefined before the first snapshot. */
  at(now: number): S | undefined {
    const { snapshots } = this;
    const time = now - this.delayMs;
    let next = snapshots.length;
    while (next > 0 && (snapshots[next - 1] as Snapshot<S>).time > time) next -= 1;
    const from = snapshots[next - 1];
    const to = snapshots[next];
    if (!from) return to?.state;
    if (to) return this.on(from, to, time);
    const before = snapshots[next - 2];
    if (!before || this.extrapolateMs <= 0 || from.time === time) return from.state;
    return this.on(before, from, Math.min(time, from.time + this.extrapolateMs));
  }

  /** Forgets all snapshots: what comes next has nothing to do with them. */
  clear(): void {
    this.snapshots = [];
  }

  private on(from: Snapshot<S>, to: Snapshot<S>, time: number): S {
    const begin = Math.max(from.time, to.time - this.gapMs);
    return time <= begin ? from.state : this.between(from.state, to.state, (time - begin) / (to.time - begin));
  }
}
