/** Removes a listener. Calling it twice has no further effect. */
export type Off = () => void;

type Listener<A extends unknown[]> = (...args: A) => void;

/** A small typed emitter. A listener that throws affects neither other listeners nor the delivery; its error is reported as uncaught. */
export class Emitter<M extends Record<keyof M, unknown[]>> {
  private readonly listeners = new Map<keyof M, Set<Listener<never>>>();

  on<K extends keyof M>(name: K, listener: Listener<M[K]>): Off {
    let set = this.listeners.get(name);
    if (!set) this.listeners.set(name, (set = new Set()));
    // A separate wrapper, so that a function registered twice is two listeners and each `Off` removes its own.
    const own: Listener<M[K]> = (...args) => listener(...args);
    set.add(own as Listener<never>);
    return () => void set.delete(own as Listener<never>);
  }

  /** Calls the listeners in the order of their registration and returns whether there was one. */
  emit<K extends keyof M>(name: K, ...args: M[K]): boolean {
    const set = this.listeners.get(name);
    if (!set || set.size === 0) return false;
    for (const listener of [...set]) {
      // Do not call a listener that an earlier one of this round has removed.
      if (set.has(listener)) guarded(() => (listener as unknown as Listener<M[K]>)(...args));
    }
    return true;
  }

  clear(): void {
    this.listeners.clear();
  }
}

/** Runs application code; what it throws goes to the page's error reporting and not to the caller. */
export function guarded(run: () => void): void {
  try {
    run();
  } catch (thrown) {
    const report = (globalThis as { reportError?: (error: unknown) => void }).reportError;
    if (report) report(thrown);
    else queueMicrotask(() => { throw thrown; });
  }
}
