import type { Lerp } from './interpolation.js';

export interface PredictionOptions<S, I> {
  /** Computes the next state from a state and an input, by the same rule as the server's. It is called repeatedly with old inputs, so it must not change its arguments or depend on anything else. */
  readonly step: (state: S, input: I) => S;
  /** How many inputs may wait for the server. Default 128. Further ones are refused, because a server that is so far behind will not do what is shown. */
  readonly maxPending?: number;
  /** Computes the state between two states. With it, corrections are blended in; without it, they are shown at once. */
  readonly lerp?: Lerp<S>;
  /** Over how many milliseconds a correction is blended in. Default 100. */
  readonly smoothMs?: number;
}

/**
 * Shows the effect of the player's own inputs at once, and corrects it if the server decides otherwise.
 * Inputs are numbered from 1. The page sends each input with its number; the server sends the number of the last input that
 * it has applied together with the state that the inputs control.
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
  /** The state that is being corrected. The same inputs apply to it while it fades out. */
  private fading: { state: S; readonly since: number } | undefined;

  constructor(state: S, { step, maxPending = 128, lerp, smoothMs = 100 }: PredictionOptions<S, I>) {
    this.predicted = state;
    this.step = step;
    this.maxPending = maxPending;
    this.lerp = smoothMs > 0 ? lerp : undefined;
    this.smoothMs = smoothMs;
  }

  /** The server's last state with all later inputs applied. */
  get state(): S {
    return this.predicted;
  }

  /** How many inputs the server has not applied yet, as far as is known. */
  get pending(): number {
    return this.waiting.length;
  }

  /** Applies an input and returns its number, which the page sends with it. Returns undefined, without effect, if `maxPending` inputs are pending. */
  predict(input: I): number | undefined {
    if (this.waiting.length >= this.maxPending) return undefined;
    const number = (this.number += 1);
    this.waiting.push({ number, input });
    this.predicted = this.step(this.predicted, input);
    if (this.fading) this.fading.state = this.step(this.fading.state, input);
    return number;
  }

  /**
   * Takes the server's state and the number of the last input that it contains, and applies the later inputs again.
   * An input that the server never received is dropped with the next one that it did. `now`, in milliseconds, is needed for smoothing only.
   * Returns false, without effect, for a state that is older than a previous one.
   */
  reconcile(state: S, lastApplied: number, now = 0): boolean {
    if (lastApplied < this.applied) return false;
    const shown = this.lerp && this.shown(now);
    this.applied = lastApplied;
    // The server may have numbers from before this page was loaded: continue after them.
    this.number = Math.max(this.number, lastApplied);
    this.waiting = this.waiting.filter(({ number }) => number > lastApplied);
    this.predicted = this.waiting.reduce((before, { input }) => this.step(before, input), state);
    if (shown !== undefined) this.fading = { state: shown, since: now };
    return true;
  }

  /** What to show at this moment, in milliseconds: `state` or, shortly after a correction, a state between it and what was shown. */
  shown(now: number): S {
    if (!this.fading || !this.lerp) return this.predicted;
    const part = (now - this.fading.since) / this.smoothMs;
    if (part >= 1) {
      this.fading = undefined;
      return this.predicted;
    }
    return this.lerp(this.fading.state, this.predicted, Math.max(0, part));
  }

  /** Starts again from a state, without pending inputs and without smoothing. Numbers continue. For a respawn or another room. */
  reset(state: S): void {
    this.predicted = state;
    this.waiting = [];
    this.applied = 0;
    this.fading = undefined;
  }
}
