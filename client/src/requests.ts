import type { CourtsideError } from './errors.js';

interface Waiting {
  resolve(answer: never): void;
  reject(error: CourtsideError): void;
}

const nothing = (): void => {};

/** The requests that wait for the event with their `id`. */
export class Requests {
  private readonly waiting = new Map<number, Waiting>();
  private lastId = 0;

  get size(): number {
    return this.waiting.size;
  }

  /** An `id` that this client has never used, in any session. */
  nextId(): number {
    return (this.lastId += 1);
  }

  /** The `id`s before this one belong to the page before a reload: their answers may still arrive and are ignored. */
  skipTo(next: number): void {
    this.lastId = Math.max(this.lastId, next - 1);
  }

  /** The next unused `id`. */
  get unused(): number {
    return this.lastId + 1;
  }

  wait<T>(id: number, resolve: (answer: T) => void, reject: (error: CourtsideError) => void): void {
    this.waiting.set(id, { resolve, reject });
  }

  /** Stops waiting for this answer. If the request was written, its answer still arrives and goes to `late`. */
  giveUp<T>(id: number, wasWritten: boolean, late: (answer: T) => void = nothing): void {
    if (wasWritten) this.waiting.set(id, { resolve: late, reject: nothing });
    else this.waiting.delete(id);
  }

  /** Returns false if no request waits for this `id`. */
  resolve(id: number | undefined, answer: unknown): boolean {
    const waiting = this.take(id);
    waiting?.resolve(answer as never);
    return waiting !== undefined;
  }

  reject(id: number | undefined, error: CourtsideError): boolean {
    const waiting = this.take(id);
    waiting?.reject(error);
    return waiting !== undefined;
  }

  /** Rejects all pending requests, but not those that the rejections cause. */
  rejectAll(errorOf: (id: number) => CourtsideError): void {
    const all = [...this.waiting];
    this.waiting.clear();
    for (const [id, { reject }] of all) reject(errorOf(id));
  }

  private take(id: number | undefined): Waiting | undefined {
    if (id === undefined) return undefined;
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    return waiting;
  }
}
