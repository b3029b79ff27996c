import type { Lerp } from './interpolation.js';

export interface PredictionOptions<S, I> {
  /** What an input makes of a state: the same rule as the server's. It is called again and again with old inputs, so it must change neither, and ask nothing else. */
  readonly step: (state: S, input: I) => S;
  /** How many inputs may wait for the server. Default 128. Further ones are refused, because a server that is that far behind will not do what is shown. */
  readonly maxPending?: number;
  /** What is between two states. With it, corrections are blended in; without it, they are shown at once. */
  readonly lerp?: Lerp<S>;
  /** Over how many milliseconds a correction is blended in. Default 100. */
  readonly smoothMs?: number;
}

/**
 * Shows at once what the own inputs will do, and takes it back where the server decides otherwise.
 * Inputs are numbered from 1. The page sends each with its number, and the server tells, beside the state of what they
 * steer, the number of the last one that it has applied.
 */
export class Prediction<S, I> {
  private readonly step: (state: S, input: I) => S;
  private readonly maxPending: number;
  private readonly lerp: Lerp<S> | undefined;
  private readonly smoothMs: number;
  private predicted: S;
  private waiting: { readonly number: number; readonly input: I }[] = [];
  private number = 0;
  private applied = 0;
  /** What is being corrected: it goes on by the same inputs while it fades. */
  private fading: { state: S; readonly since: number } | undefined;

  constructor(state: S, { step, maxPending = 128, lerp, smoothMs = 100 }: PredictionOptions<S, I>) {
    this.predicted = state;
    this.step = step;
    this.maxPending = maxPending;
    this.lerp = smoothMs > 0 ? lerp : undefined;
    this.smoothMs = smoothMs;
  }

  /** The server's last state and all inputs after it. */
  get state(): S {
    return this.predicted;
  }

  /** How many inputs the server has not applied yet, as far as is known. */
  get pending(): number {
    return this.waiting.length;
  }

  /** Applies an input now and returns its number, to be sent with it; or undefined, without effect, where `maxPending` wait already. */
  predict(input: I): number | undefined {
    if (this.waiting.length >= this.maxPending) return undefined;
    const number = (this.number += 1);
    this.waiting.push({ number, input });
    this.predicted = this.step(this.predicted, input);
    if (this.fading) this.fading.state = this.step(this.fading.state, input);
    return number;
  }

  /**
   * The server's state, and the number of the last input that is in it: the later ones are applied to it again.
   * An input that the server never got is gone with the next one that it did. `now` is needed for smoothing only, in milliseconds.
   * False, and without effect, for a state that is older than one before.
   */
  reconcile(state: S, lastApplied: number, now = 0): boolean {
    if (lastApplied < this.applied) return false;
    const shown = this.lerp && this.shown(now);
    this.applied = lastApplied;
    // The server may know numbers from before this page was loaded: ours go on after them.
    this.number = Math.max(this.number, lastApplied);
    this.waiting = this.waiting.filter(({ number }) => number > lastApplied);
    this.predicted = this.waiting.reduce((before, { input }) => this.step(before, input), state);
    if (shown !== undefined) this.fading = { state: shown, since: now };
    return true;
  }

  /** What to show at this moment, in milliseconds: `state`, or, shortly after a correction, what is between it and what was shown. */
  shown(now: number): S {
    if (!this.fading || !this.lerp) return this.predicted;
    const part = (now - this.fading.since) / this.smoothMs;
    if (part >= 1) {
      this.fading = undefined;
      return this.predicted;
    }
    return this.lerp(this.fading.state, this.predicted, Math.max(0, part));
  }

  /** Begins anew from a state, without anything pending and without smoothing. Numbers go on. For a respawn, or another room. */
  reset(state: S): void {
    this.predicted = state;
    this.waiting = [];
    this.applied = 0;
    this.fading = undefined;
  }
}
