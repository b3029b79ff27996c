import { guarded } from './events.js';
import { entry, isNode, type Node } from './tree.js';

/** Receives changes to the entities of one map in a state. Each method may be left out. */
export interface EntityListener<E> {
  /** The entity is new. */
  added?(key: string, entity: E): void;
  /** Something in the entity changed. Unchanged parts are identical (`===`) in both. */
  changed?(key: string, entity: E, before: E): void;
  /** The entity is gone. */
  removed?(key: string, entity: E): void;
}

/** The entities of one map, as last reported to a listener. */
export class Entities<E> {
  private known: Node = {};
  private isOn = true;

  constructor(private readonly listener: EntityListener<E>) {}

  /** Reports the differences: first removed entities, then, in the map's order, added and changed ones. */
  look(value: unknown): void {
    const before = this.known;
    const now = (this.known = isNode(value) ? value : {});
    if (now === before) return;
    const { listener } = this;
    const news: string[] = [];
    let kept = 0;
    for (const key of Object.keys(now)) {
      // Most entities are unchanged; these are skipped without checking whether they are own properties of the map.
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

  /** Stops all further calls, including the rest of a report in progress. */
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
