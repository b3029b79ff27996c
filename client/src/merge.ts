import { entry, isNode, put, type Node } from './tree.js';

/**
 * Applies a JSON merge patch (RFC 7396) and returns the new value; neither argument changes.
 * Unchanged parts keep their identity, so `===` tells whether something in a part changed. This also holds for parts that
 * the patch names but does not change: a patch may contain values that have changed back.
 */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isNode(patch)) return share(target, patch);
  const before = isNode(target) ? target : undefined;
  let after: Node | undefined;
  let removes = false;
  for (const key of Object.keys(patch)) {
    const told = patch[key];
    const had = before !== undefined && Object.hasOwn(before, key);
    if (told === null) {
      removes ||= had;
      continue;
    }
    const old = had ? before[key] : undefined;
    const value = mergePatch(old, told);
    if (had && value === old) continue;
    put((after ??= before ? copy(before) : {}), key, value);
  }
  if (removes) after = without(after ?? (before as Node), patch);
  return after ?? before ?? {};
}

/** An object with at most this many keys is treated as an entity, one with more as a map of entities. */
const FEW_KEYS = 32;

/**
 * Spreading is faster for maps of entities and slower for the entities themselves: engines optimise a place in the code for
 * few shapes of objects only, and all kinds of maps and entities are copied here.
 */
function copy(node: Node): Node {
  const keys = Object.keys(node);
  if (keys.length > FEW_KEYS) return { ...node };
  const fresh: Node = {};
  for (const key of keys) put(fresh, key, node[key]);
  return fresh;
}

/** A copy without the keys that the patch removes. Deleting from the copy would make each later access to it slow. */
function without(node: Node, patch: Node): Node {
  const rest: Node = {};
  for (const key of Object.keys(node)) {
    if (!Object.hasOwn(patch, key) || patch[key] !== null) put(rest, key, node[key]);
  }
  return rest;
}

/**
 * Returns `before` if `after` is equal to it, and otherwise `after` with each equal part replaced by that of `before`.
 * `after` is modified, so it must be fresh: just decoded and not used elsewhere.
 */
export function share(before: unknown, after: unknown): unknown {
  if (before === after) return before;
  if (Array.isArray(after)) {
    if (!Array.isArray(before)) return after;
    let equal = before.length === after.length;
    for (let n = 0; n < after.length; n += 1) {
      const shared = n < before.length ? share(before[n], after[n]) : after[n];
      if (shared !== after[n]) after[n] = shared;
      equal &&= shared === before[n];
    }
    return equal ? before : after;
  }
  if (!isNode(after) || !isNode(before)) return after;
  const keys = Object.keys(after);
  let equal = keys.length === Object.keys(before).length;
  for (const key of keys) {
    const old = entry(before, key);
    const fresh = after[key];
    const shared = share(old, fresh);
    if (shared !== fresh) put(after, key, shared);
    equal &&= shared === old;
  }
  return equal ? before : after;
}
