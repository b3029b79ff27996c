import type { CourtsideError } from './errors.js';

interface Waiting {
  resolve(answer: never): void;
  reject(error: CourtsideError): void;
}

const nothing = (): void => {};

/** The requests that wait for the one event with their `id`. */
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

  /** The `id`s before this one belong to a page that was reloaded: their answers may still come, and are nobody's. */
  skipTo(next: number): void {
    this.lastId = Math.max(this.lastId, next - 1);
  }

  /** The next `id` that nothing has used. */
  get unused(): number {
    return this.lastId + 1;
  }

  wait<T>(id: number, resolve: (answer: T) => void, reject: (error: CourtsideError) => void): void {
    this.waiting.set(id, { resolve, reject });
  }

  /** Nobody waits for this answer any more. If it was written it still comes, and then only `late` is told. */
  giveUp<T>(id: number, wasWritten: boolean, late: (answer: T) => void = nothing): void {
    if (wasWritten) this.waiting.set(id, { resolve: late, reject: nothing });
    else this.waiting.delete(id);
  }

  /** False where nothing waits for this `id`. */
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

  /** Ends all that wait now. What the rejections set off belongs to what comes after. */
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
