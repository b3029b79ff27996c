import { entry, isNode } from './tree.js';

/** The way to a place in a state: the keys from the outermost inwards. The empty path is the whole state. */
export type Path = readonly (string | number)[];

type IsAny<S> = 0 extends 1 & S ? true : false;
type Name<K> = K extends number ? K | `${K}` : K extends string ? K : never;

/** What can be the next step from a value of this type. */
type Step<S> = S extends readonly unknown[] ? number | `${number}` : S extends object ? Name<keyof S> : never;

/** The type of what stands one step on, or undefined where nothing does. */
type Next<S, K> = S extends readonly (infer E)[] ? E
  : S extends object ? (K extends keyof S ? S[K] : K extends `${infer N extends number}` ? (N extends keyof S ? S[N] : undefined) : undefined)
  : undefined;

/** What a compiler shows of a path that leads nowhere: the key, and those that there are. */
export interface NoSuchPlace<Key, Keys> {
  readonly 'the state has no such key here': Key;
  readonly 'the keys here are': Keys;
}

/** Asks nothing more of the path `P` if it leads somewhere in a state of type `S`, and something impossible if it does not. */
export type PathIn<S, P extends Path> = IsAny<S> extends true ? unknown
  : P extends readonly [infer K, ...infer Rest extends Path]
    ? K extends Step<S> ? PathIn<NonNullable<Next<S, K>>, Rest> : NoSuchPlace<K, Step<S>>
    : unknown;

/** The type of what stands at the path `P` in a state of type `S`. */
export type At<S, P extends Path> = IsAny<S> extends true ? any
  : P extends readonly [infer K, ...infer Rest extends Path] ? At<NonNullable<Next<S, K>>, Rest>
  : NonNullable<S>;

/** The type of the entities in the map at the path `P`. */
export type EntityAt<S, P extends Path> = IsAny<At<S, P>> extends true ? any : EntityOf<At<S, P>>;
type EntityOf<M> = M extends readonly unknown[] ? never : M extends object ? NonNullable<M[keyof M]> : never;

/** What stands at the path, or undefined where nothing does; null counts as nothing, as in all of a state. */
export function valueAt(state: unknown, path: Path): unknown {
  let value = state;
  for (const key of path) {
    if (Array.isArray(value)) value = value[Number(key)];
    else value = isNode(value) ? entry(value, String(key)) : undefined;
  }
  return value ?? undefined;
}
