import { entry, put } from './tree.js';

/** Computes the value between two values: `from` at part 0, `to` at part 1, and beyond `to` at parts above 1. It must not change them. */
export type Lerp<S> = (from: S, to: S, part: number) => S;

/** Interpolates numbers. */
export const lerp: Lerp<number> = (from, to, part) => from + (to - from) * part;

const TURN = 2 * Math.PI;

/** Interpolates angles in radians, the shorter way round. The result may be outside of one turn, as `from` may be. */
export const lerpAngle: Lerp<number> = (from, to, part) => {
  const ahead = (((to - from) % TURN) + TURN) % TURN;
  return from + (ahead > Math.PI ? ahead - TURN : ahead) * part;
};

/**
 * Interpolates maps of entities with a function for one entity. An entity that is only in `to` appears at part 1, and one
 * that is only in `from` disappears then. For an entity that is the same in both (`===`), the function is not called.
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
   * How far the display is behind, in milliseconds. Default 100.
   * Use two send intervals of the room plus the network's jitter. If smaller, the next snapshot is sometimes missing; if larger, everything is shown later.
   */
  readonly delayMs?: number;
  /**
   * For how many milliseconds after the last snapshot its movement continues. Default 0: the last snapshot stays.
   * A room sends nothing while nothing changes, so this may continue a movement that has stopped.
   */
  readonly extrapolateMs?: number;
  /** Snapshots more milliseconds apart than this are not interpolated: the earlier one stays until this long before the later one. Default 250. */
  readonly gapMs?: number;
  /** How many snapshots are kept. Default 64; the oldest are dropped. */
  readonly capacity?: number;
}

interface Snapshot<S> {
  readonly time: number;
  readonly state: S;
}

/**
 * Shows stepwise updates as smooth movement: it keeps the last snapshots and computes the state between them a moment ago.
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

  /** Adds the snapshot of this time. It replaces one of the same time, and is ignored if it is older than the newest. */
  push(time: number, state: S): void {
    const last = this.snapshots.at(-1);
    if (last && time < last.time) return;
    if (last && time === last.time) this.snapshots.pop();
    this.snapshots.push({ time, state });
    if (this.snapshots.length > this.capacity) this.snapshots.shift();
  }

  /** What to show at this time: the state `delayMs` before it. Undefined before the first snapshot. */
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

  /** Removes all snapshots, for example because the next one belongs to another room. */
  clear(): void {
    this.snapshots = [];
  }

  private on(from: Snapshot<S>, to: Snapshot<S>, time: number): S {
    const begin = Math.max(from.time, to.time - this.gapMs);
    return time <= begin ? from.state : this.between(from.state, to.state, (time - begin) / (to.time - begin));
  }
}
