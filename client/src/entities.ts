import { guarded } from './events.js';
import { entry, isNode, type Node } from './tree.js';

/** Is told what becomes of the entities of one map in a state. Each part may be left out. */
export interface EntityListener<E> {
  /** It is there now and was not before. */
  added?(key: string, entity: E): void;
  /** Something in it changed. What did not change in it is identical (`===`) in both. */
  changed?(key: string, entity: E, before: E): void;
  /** It was there and is no more. */
  removed?(key: string, entity: E): void;
}

/** The entities of one map, as a listener last heard of them. */
export class Entities<E> {
  private known: Node = {};
  private isOn = true;

  constructor(private readonly listener: EntityListener<E>) {}

  /** Tells what differs from what is known: first what went, then, in the map's order, what came and what changed. */
  look(value: unknown): void {
    const before = this.known;
    const now = (this.known = isNode(value) ? value : {});
    if (now === before) return;
    const { listener } = this;
    const news: string[] = [];
    let kept = 0;
    for (const key of Object.keys(now)) {
      // Most are as they were, and those are passed over without a look at whether they are the map's own.
      if (now[key] === before[key]) kept += 1;
      else news.push(key);
    }
    const known = Object.keys(before);
    if (kept < known.length) {
      for (const key of known) {
        const old = before[key];
        if (isThere(old) && !isThere(entry(now, key))) this.tell(() => listener.removed?.(key, old as E));
      }
    }
    for (const key of news) {
      const entity = now[key];
      const old = entry(before, key);
      if (!isThere(entity)) continue;
      this.tell(() => (isThere(old) ? listener.changed?.(key, entity as E, old as E) : listener.added?.(key, entity as E)));
    }
  }

  /** Nothing more is told, not even the rest of what is being told now. */
  stop(): void {
    this.isOn = false;
  }

  private tell(call: () => void): void {
    if (this.isOn) guarded(call);
  }
}

/** A key whose value is null is absent. */
function isThere(value: unknown): boolean {
  return value !== undefined && value !== null;
}
