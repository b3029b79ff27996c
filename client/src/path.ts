import { badOption } from './options.js';
import { entry, isNode } from './tree.js';

/** The path to a value in a state: the keys from the outermost inwards. The empty path is the whole state. */
export type Path = readonly (string | number)[];

type IsAny<S> = 0 extends 1 & S ? true : false;
type Name<K> = K extends number ? K | `${K}` : K extends string ? K : never;

/** The possible next keys of a value of this type. */
type Step<S> = S extends readonly unknown[] ? number | `${number}` : S extends object ? Name<keyof S> : never;

/** The type of the value under this key; undefined if there is none. */
type Next<S, K> = S extends readonly (infer E)[] ? E
  : S extends object ? (K extends keyof S ? S[K] : K extends `${infer N extends number}` ? (N extends keyof S ? S[N] : undefined) : undefined)
  : undefined;

/** What the compiler shows for a path that does not exist: the wrong key and the existing ones. */
export interface NoSuchPlace<Key, Keys> {
  readonly 'the state has no such key here': Key;
  readonly 'the keys here are': Keys;
}

/** Adds no constraint to the path `P` if it exists in a state of type `S`, and an impossible one if it does not. */
export type PathIn<S, P extends Path> = IsAny<S> extends true ? unknown
  : P extends readonly [infer K, ...infer Rest extends Path]
    ? K extends Step<S> ? PathIn<NonNullable<Next<S, K>>, Rest> : NoSuchPlace<K, Step<S>>
    : unknown;

/** The type of the value at the path `P` in a state of type `S`. */
export type At<S, P extends Path> = IsAny<S> extends true ? any
  : P extends readonly [infer K, ...infer Rest extends Path] ? At<NonNullable<Next<S, K>>, Rest>
  : NonNullable<S>;

/** The type of the entities in the map at the path `P`. */
export type EntityAt<S, P extends Path> = IsAny<At<S, P>> extends true ? any : EntityOf<At<S, P>>;
type EntityOf<M> = M extends readonly unknown[] ? never : M extends object ? NonNullable<M[keyof M]> : never;

/**
 * Throws `bad_option` for a path that leads nowhere in any state, so that its listener would never be called. Only TypeScript refuses
 * these before they run.
 */
export function checkPath(call: string, path: unknown): void {
  if (!Array.isArray(path)) {
    const keys = typeof path === 'string' && path !== '' ? path.split('.').map((key) => `'${key}'`).join(', ') : "'players'";
    throw badOption(`${call}() expects a path to be an array of keys, such as [${keys}]`, path);
  }
  for (const key of path) {
    if (typeof key !== 'string' && typeof key !== 'number') throw badOption(`${call}() expects the keys of a path to be strings and numbers`, key);
  }
}

/** The value at the path, or undefined if there is none; null counts as none, as everywhere in a state. */
export function valueAt(state: unknown, path: Path): unknown {
  let value = state;
  for (const key of path) {
    if (Array.isArray(value)) value = value[Number(key)];
    else value = isNode(value) ? entry(value, String(key)) : undefined;
  }
  return value ?? undefined;
}
