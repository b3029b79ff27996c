/** Takes a listener back. Calling it twice does nothing. */
export type Off = () => void;

type Listener<A extends unknown[]> = (...args: A) => void;

/** A small typed emitter. A listener that throws harms neither the others nor the delivery: its error is reported as uncaught. */
export class Emitter<M extends Record<keyof M, unknown[]>> {
  private readonly listeners = new Map<keyof M, Set<Listener<never>>>();

  on<K extends keyof M>(name: K, listener: Listener<M[K]>): Off {
    let set = this.listeners.get(name);
    if (!set) this.listeners.set(name, (set = new Set()));
    // A wrapper of its own, so that one function registered twice is two listeners and each `Off` takes back its own.
    const own: Listener<M[K]> = (...args) => listener(...args);
    set.add(own as Listener<never>);
    return () => void set.delete(own as Listener<never>);
  }

  /** Calls the listeners in the order of their registration and says whether there was one. */
  emit<K extends keyof M>(name: K, ...args: M[K]): boolean {
    const set = this.listeners.get(name);
    if (!set || set.size === 0) return false;
    for (const listener of [...set]) {
      // A listener that an earlier one of this round took back is no longer called.
      if (set.has(listener)) guarded(() => (listener as unknown as Listener<M[K]>)(...args));
    }
    return true;
  }

  clear(): void {
    this.listeners.clear();
  }
}

/** Runs application code; what it throws reaches the page's own error reporting and not the delivery that called it. */
export function guarded(run: () => void): void {
  try {
    run();
  } catch (thrown) {
    const report = (globalThis as { reportError?: (error: unknown) => void }).reportError;
    if (report) report(thrown);
    else queueMicrotask(() => { throw thrown; });
  }
}
